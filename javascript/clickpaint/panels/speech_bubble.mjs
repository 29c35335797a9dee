/** Words over the canvas: what is selected, in a speech bubble, and the names of all regions. */

import {h, iconButton} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {wordsOf} from "./caption_session.mjs";

const GAP = 12, EDGE = 8, TAIL = 18;

const between = (value, low, high) => Math.max(low, Math.min(value, high));

/**
 * Where a bubble of `size` goes, in CSS pixels of the stage: above the box, below it where there is no room, otherwise into it.
 *
 * @param {number[]} box left, top, right, bottom in pixels of the picture
 * @param {{width: number, height: number}} size
 * @param {any} view
 * @returns {{x: number, y: number, side: string, tail: number} | null} side: "above", "below" or "inside"; tail: from the bubble's left edge
 *     to above the middle of the box; null where the box is not seen
 */
export function placeBubble(box, size, {stage, margin, ...view}) {
    const screen = (i) => box[i] * view.scale + (i % 2 ? view.y : view.x);
    const [left, top, right, bottom] = [0, 1, 2, 3].map(screen);
    if (right < 0 || bottom < 0 || left > stage.width || top > stage.height) return null;
    const middle = between((left + right) / 2, EDGE, stage.width - EDGE);
    const x = between(middle - size.width / 2, EDGE, Math.max(stage.width - size.width - EDGE, EDGE));
    const ceiling = margin.top - EDGE, floor = stage.height - margin.bottom + EDGE;
    const above = top - GAP - size.height, below = bottom + GAP;
    /** @type {[string, number]} */
    const [side, y] = above >= ceiling ? ["above", above] : below + size.height <= floor ? ["below", below] : ["inside", between(top + GAP, ceiling, Math.max(floor - size.height, ceiling))];
    return {x, y, side, tail: between(middle - x, TAIL, Math.max(size.width - TAIL, TAIL))};
}

/** The places of labels, each at its box's upper left corner, or below those before it that lie there. */
export function placeLabels(boxes, sizes, {stage, ...view}) {
    const placed = [];
    boxes.forEach(([left, top], i) => {
        const {width, height} = sizes[i];
        const x = between(left * view.scale + view.x, EDGE, Math.max(stage.width - width - EDGE, EDGE));
        let y = between(top * view.scale + view.y, EDGE, Math.max(stage.height - height - EDGE, EDGE));
        for (const other of [...placed].sort((a, b) => a.y - b.y)) {
            const apart = x + width <= other.x || other.x + other.width <= x || y + height <= other.y || other.y + other.height <= y;
            if (!apart) y = other.y + other.height + 1;
        }
        placed.push({x, y, width, height});
    });
    return placed;
}

/** Neighbours differ most: steps of the golden ratio around the circle of hues. The labelled picture has the same. */
export function colourOf(index) {
    return `hsl(${Math.round(360 * ((index * 0.618034) % 1))} 80% 45%)`;
}

export class SpeechBubble {
    #size = {width: 0, height: 0};
    /** @type {any} */
    #closed = null;

    /**
     * @param {import("./caption_session.mjs").CaptionSession} captions
     * @param {(words: string) => void} copy
     */
    constructor(captions, copy) {
        this.captions = captions;
        this.editor = captions.editor;
        this.words = h("p", {"aria-live": "polite", "aria-atomic": "true"});
        const close = () => ((this.#closed = captions.of), this.update());
        const buttons = [iconButton("copy", t("describe.copy"), () => copy(wordsOf(captions.caption))), iconButton("close", t("close"), close)];
        this.element = h("div.cp-bubble", {hidden: true}, this.words, h("div.cp-group", {}, ...buttons));
    }

    listen(listeners) {
        listeners.on(this.captions, "caption", () => this.update());
        listeners.on(this.editor, "redraw", () => this.place());
        listeners.add(() => this.element.remove());
    }

    /** The words as they are being written; nothing where they are about something else, or were closed. */
    update() {
        const {current, of, writing} = this.captions, words = current ? wordsOf(current) : "";
        this.element.hidden = !words || this.#closed === of;
        this.words.setAttribute("aria-busy", writing); // read out when they are all there
        if (this.words.textContent !== words) this.words.textContent = words;
        this.#size = {width: this.element.offsetWidth, height: this.element.offsetHeight};
        this.place();
    }

    place() {
        if (this.element.hidden) return;
        const {view, size} = this.editor, {style, dataset} = this.element;
        const place = placeBubble(this.captions.current?.box ?? [0, 0, size.width, size.height], this.#size, view);
        style.visibility = place ? "" : "hidden";
        if (!place) return;
        style.transform = `translate(${Math.round(place.x)}px, ${Math.round(place.y)}px)`;
        style.setProperty("--cp-tail", `${Math.round(place.tail)}px`);
        dataset.side = place.side;
    }
}

/** A label at every region. The list in the panel says the same to those who do not see them. */
export class RegionLabels {
    /** @type {any} */
    #drawn = null;
    /** @type {{width: number, height: number}[]} */
    #sizes = [];
    /** @type {number[][]} */
    #boxes = [];
    shown = true;

    /**
     * @param {import("./caption_session.mjs").CaptionSession} captions
     * @param {(index: number, event: MouseEvent) => void} pick
     * @param {(index: number | null) => void} point null when the pointer goes
     */
    constructor(captions, pick, point) {
        this.captions = captions;
        this.editor = captions.editor;
        this.pick = pick;
        this.point = point;
        this.element = h("div.cp-labels", {"aria-hidden": "true"});
    }

    listen(listeners) {
        listeners.on(this.captions, "regions", () => this.update());
        listeners.on(this.editor, "redraw", () => this.place());
        listeners.add(() => this.element.remove());
    }

    show(shown) {
        this.shown = shown;
        this.update();
    }

    update() {
        const {regions} = this.captions;
        this.element.hidden = !regions || !this.shown;
        if (this.element.hidden || this.#drawn === regions) return this.place();
        this.#drawn = regions;
        this.#boxes = regions.regions.map((region) => region.box);
        this.element.replaceChildren(...regions.regions.map(({caption}, i) => this.#label(caption, i)));
        this.#sizes = [...this.element.children].map(({offsetWidth, offsetHeight}) => ({width: offsetWidth, height: offsetHeight}));
        return this.place();
    }

    #label(caption, index) {
        const label = h("button.cp-label", {type: "button", tabIndex: -1, onclick: (event) => this.pick(index, event)}, caption);
        label.addEventListener("pointerenter", () => this.point(index));
        label.addEventListener("pointerleave", () => this.point(null));
        label.style.setProperty("--cp-region", colourOf(index));
        return label;
    }

    place() {
        if (this.element.hidden) return;
        placeLabels(this.#boxes, this.#sizes, this.editor.view).forEach(({x, y}, i) => {
            this.element.children[i].style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
        });
    }
}
