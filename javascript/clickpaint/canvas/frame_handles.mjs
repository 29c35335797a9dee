/** Handles on the sides and corners of a frame over the picture: dragged, or moved by the arrow keys. The crop and the expanded canvas have them. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";

/** @typedef {import("../server/answers.mjs").Box} Box */
/** @typedef {"left" | "top" | "right" | "bottom"} Side */

/** Which sides each handle moves. @type {Side[][]} */
const HANDLES = [["left"], ["top"], ["right"], ["bottom"], ["left", "top"], ["right", "top"], ["left", "bottom"], ["right", "bottom"]];
/** @type {Record<Side, number>} */
export const SIDE = {left: 0, top: 1, right: 2, bottom: 3};
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

/**
 * What has a frame.
 *
 * @typedef {object} Framed
 * @property {() => Box | null} box in pixels of the picture; null while there is none
 * @property {(box: Box, sides: Side[], event: {shiftKey: boolean, altKey: boolean}) => void} moved `sides` of the box were moved to there
 * @property {() => void} settled a drag, or a key, has ended
 * @property {(side: Side) => {value: number, least: number, most: number}} range of a side, for who cannot see it
 * @property {(event: KeyboardEvent) => number} step in pixels of the picture that an arrow key moves a side by
 * @property {() => void} [enter]
 */

/** A handle's width and height, in pixels of the screen; the style says the same. */
export const HANDLE = 28;

export class FrameHandles {
    /** @type {{box: Box, x: number, y: number, scale: number} | null} */
    #held = null;

    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {string} name what the frame is, for who cannot see it
     * @param {Framed} framed
     */
    constructor(editor, name, framed) {
        this.editor = editor;
        this.framing = framed;
        this.handles = HANDLES.map((sides) => ({sides, element: this.#handle(name, sides)}));
        this.element = h("div.cp-frame", {role: "group", "aria-label": name, hidden: true}, ...this.handles.map(({element}) => element));
    }

    #handle(name, sides) {
        const label = `${name}, ${t(`side.${sides.join("_")}`)}`;
        const handle = h(`button.cp-handle.cp-handle-${sides.join("-")}`, {type: "button", "aria-label": label, title: t(`side.${sides.join("_")}`)});
        if (sides.length === 1) {
            handle.setAttribute("role", "slider");
            handle.setAttribute("aria-orientation", sides[0] === "left" || sides[0] === "right" ? "horizontal" : "vertical");
        }
        handle.addEventListener("pointerdown", (event) => this.#take(handle, event));
        handle.addEventListener("pointermove", (event) => this.#drag(handle, sides, event));
        for (const type of ["pointerup", "pointercancel"]) handle.addEventListener(type, () => this.#release());
        handle.addEventListener("keydown", (event) => this.#key(sides, event));
        return handle;
    }

    #take(handle, event) {
        const box = this.framing.box();
        if (!box || event.button) return;
        event.stopPropagation();
        handle.setPointerCapture(event.pointerId);
        this.#held = {box, x: event.clientX, y: event.clientY, scale: this.editor.view.scale};
    }

    #drag(handle, sides, event) {
        if (!this.#held || !handle.hasPointerCapture(event.pointerId)) return;
        event.stopPropagation();
        const {box, x, y, scale} = this.#held;
        this.framing.moved(moved(box, sides, (event.clientX - x) / scale, (event.clientY - y) / scale), sides, event);
    }

    #release() {
        if (!this.#held) return;
        this.#held = null;
        this.framing.settled();
    }

    #key(sides, event) {
        const box = this.framing.box(), arrow = ARROWS[event.key];
        if (event.key === "Enter" && this.framing.enter) this.framing.enter();
        else if (!box || !arrow || event.ctrlKey || event.metaKey) return;
        else {
            const step = this.framing.step(event);
            this.framing.moved(moved(box, sides, step * arrow[0], step * arrow[1]), sides, event);
            this.framing.settled();
        }
        event.preventDefault();
        event.stopPropagation();
    }

    /** Whether a handle is in hand. */
    get held() {
        return this.#held !== null;
    }

    /** Follow the frame. */
    /** Whether there is a frame. */
    get framed() {
        return this.framing.box() !== null;
    }

    place() {
        const box = this.framing.box(), {view} = this.editor;
        this.element.hidden = !box;
        if (!box) return;
        const from = view.toScreen(box[0], box[1]), to = view.toScreen(box[2], box[3]);
        for (const {sides, element} of this.handles) {
            const x = sides.includes("left") ? from.x : sides.includes("right") ? to.x : (from.x + to.x) / 2;
            const y = sides.includes("top") ? from.y : sides.includes("bottom") ? to.y : (from.y + to.y) / 2;
            element.style.transform = `translate(${x}px, ${y}px)`;
            if (sides.length > 1) continue;
            const {value, least, most} = this.framing.range(sides[0]);
            element.setAttribute("aria-valuenow", `${value}`);
            element.setAttribute("aria-valuemin", `${least}`);
            element.setAttribute("aria-valuemax", `${most}`);
            element.setAttribute("aria-valuetext", t("pixels", {n: value}));
        }
    }
}

/**
 * A box of which some sides were moved.
 *
 * @param {Box} box
 * @param {Side[]} sides
 * @param {number} dx
 * @param {number} dy
 * @returns {Box}
 */
function moved(box, sides, dx, dy) {
    const [left, top, right, bottom] = box.map((value, i) => value + (sides.some((side) => SIDE[side] === i) ? (i % 2 ? dy : dx) : 0));
    return [left, top, right, bottom];
}

/**
 * Words on the picture that are read on light and on dark.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} x of their middle, in CSS pixels
 * @param {number} y
 */
export function tag(context, text, x, y) {
    context.save();
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const width = context.measureText(text).width + 14;
    context.fillStyle = "rgba(10, 10, 16, .78)";
    context.beginPath();
    context.roundRect(x - width / 2, y - 11, width, 22, 7);
    context.fill();
    context.fillStyle = "#fff";
    context.fillText(text, x, y + 0.5);
    context.restore();
}
