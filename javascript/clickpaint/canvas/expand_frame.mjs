/** The frame of an expanded canvas, while the Expand tab is open: its sides and corners are dragged, or moved by the arrow keys. */

import {t} from "../language/language.mjs";
import {marginsOf} from "../picture/expand_margins.mjs";
import {FrameHandles, SIDE, tag} from "./frame_handles.mjs";

/** Pixels that margins are multiples of, as networks like it, and with Shift. */
const STEP = 8, LARGE = 64;

export class ExpandFrame {
    /**
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "diffusion">} workbench
     * @param {(margins: number[]) => void} chosen margins were set here, [left, top, right, bottom]
     */
    constructor({editor, diffusion}, chosen) {
        this.editor = editor;
        this.diffusion = diffusion;
        this.handles = new FrameHandles(editor, t("task.expand"), {
            box: () => this.#box,
            moved: (box, _, event) => diffusion.setMargins(marginsOf(box, editor.size, event.shiftKey ? LARGE : STEP), {settled: false}),
            settled: () => {
                diffusion.setMargins(diffusion.margins);
                chosen(diffusion.margins);
            },
            range: (side) => ({value: diffusion.margins[SIDE[side]], least: 0, most: 1024}),
            step: (event) => (event.shiftKey ? LARGE : STEP),
        });
        this.element = this.handles.element;
    }

    /** @returns {import("../server/answers.mjs").Box | null} */
    get #box() {
        const {editor, diffusion} = this, {width, height} = editor.size, [left, top, right, bottom] = diffusion.margins;
        return editor.ready && diffusion.task === "expand" && editor.tool.name !== "crop" ? [-left, -top, width + right, height + bottom] : null;
    }

    get framed() {
        return this.#box !== null;
    }

    place() {
        this.handles.place();
    }

    /** The new size, and what is added on each side. */
    draw(context, view) {
        const box = this.#box;
        if (!box || !this.diffusion.margins.some(Boolean)) return;
        const [left, top, right, bottom] = box, a = view.toScreen(left, top), b = view.toScreen(right, bottom);
        tag(context, t("dimensions", {width: right - left, height: bottom - top}), (a.x + b.x) / 2, a.y - 20 > 12 ? a.y - 20 : a.y + 20);
        const {width, height} = this.editor.size, from = view.toScreen(0, 0), to = view.toScreen(width, height), middle = {x: (from.x + to.x) / 2, y: (from.y + to.y) / 2};
        const places = [[(a.x + from.x) / 2, middle.y - 24], [middle.x + 52, (a.y + from.y) / 2], [(to.x + b.x) / 2, middle.y - 24], [middle.x + 52, (to.y + b.y) / 2]];
        this.diffusion.margins.forEach((margin, i) => margin && tag(context, `+${margin}`, places[i][0], places[i][1]));
    }
}
