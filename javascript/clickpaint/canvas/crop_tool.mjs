/** Crop: a frame on the picture, drawn, moved or dragged by its handles; what lies outside is dark until it goes. */

import {cropMoved, cropWithin, cropWithRatio} from "../picture/cropping.mjs";
import {FrameHandles, tag} from "./frame_handles.mjs";
import {outlined} from "./renderer.mjs";
import {t} from "../language/language.mjs";

/** @typedef {import("../server/answers.mjs").Box} Box */

export class CropTool {
    name = "crop";
    cursor = "crosshair";
    /** null: all of the picture. @type {Box | null} */
    #box = null;
    /** @type {{from: import("../picture/editor.mjs").Point, box: Box | null} | null} */
    #held = null;
    /** Width by height; null for any. @type {number | null} */
    ratio = null;

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "timeline">} workbench */
    constructor({editor, timeline}) {
        this.editor = editor;
        this.timeline = timeline;
        this.handles = new FrameHandles(editor, t("tool.crop"), {
            box: () => (editor.ready && editor.tool === this ? this.box : null),
            moved: (box, sides, event) => this.#set(cropWithin(box, this.box, sides, editor.size, this.ratio, event.shiftKey ? 8 : 1)),
            settled: () => editor.changed(),
            range: (side) => {
                const {width, height} = editor.size, i = ["left", "top", "right", "bottom"].indexOf(side);
                return {value: Math.round(this.box[i]), least: 0, most: i % 2 ? height : width};
            },
            step: (event) => (event.shiftKey ? 8 : 1),
            enter: () => this.apply(),
        });
    }

    /** Left, top, right, bottom in whole pixels of the picture. @returns {Box} */
    get box() {
        const {width, height} = this.editor.size;
        if (this.#box && (this.#box[2] > width || this.#box[3] > height)) this.#box = null; // the picture is another one meanwhile
        return this.#box ?? [0, 0, width, height];
    }

    /** Whether there is less than all of the picture in the frame. */
    get drafting() {
        const {width, height} = this.editor.size, [left, top, right, bottom] = this.box;
        return left > 0 || top > 0 || right < width || bottom < height;
    }

    /** By keyboard: the second corner ends the frame. */
    closes() {
        return true;
    }

    start(point) {
        const [left, top, right, bottom] = this.box, within = point.x > left && point.x < right && point.y > top && point.y < bottom;
        this.#held = {from: point, box: this.drafting && within ? this.box : null};
    }

    move(point) {
        const held = this.#held, {size} = this.editor;
        if (!held) return;
        if (held.box) return this.#set(cropMoved(held.box, point.x - held.from.x, point.y - held.from.y, size));
        const x = [held.from.x, point.x].sort((a, b) => a - b), y = [held.from.y, point.y].sort((a, b) => a - b);
        if (x[1] - x[0] < 4 && y[1] - y[0] < 4) return undefined;
        const sides = /** @type {import("./frame_handles.mjs").Side[]} */ ([point.x < held.from.x ? "left" : "right", point.y < held.from.y ? "top" : "bottom"]);
        return this.#set(cropWithin([x[0], y[0], x[1], y[1]], [x[0], y[0], x[1], y[1]], sides, size, this.ratio, 1));
    }

    end() {
        this.#held = null;
        this.editor.changed();
    }

    cancel() {
        this.#box = this.#held = null;
    }

    /** @param {number | null} ratio width by height; null for any */
    setRatio(ratio) {
        this.ratio = ratio;
        if (ratio) this.#set(cropWithRatio(this.box, ratio, this.editor.size));
        this.editor.changed();
    }

    /** @param {Box} box */
    #set(box) {
        this.#box = box;
        this.editor.redraw();
    }

    /** Whether the pointer draws or moves it. */
    get underWay() {
        return this.#held !== null;
    }

    async apply() {
        if (!this.drafting) return undefined;
        const answer = await this.timeline.crop(this.box);
        if (answer) this.editor.use("click");
        return answer;
    }

    draw(context, view) {
        const [left, top, right, bottom] = this.box, a = view.toScreen(left, top), b = view.toScreen(right, bottom);
        const {width, height} = this.editor.size, from = view.toScreen(0, 0), to = view.toScreen(width, height);
        context.fillStyle = "rgba(8, 8, 14, .58)";
        context.beginPath();
        context.rect(from.x, from.y, to.x - from.x, to.y - from.y);
        context.rect(a.x, a.y, b.x - a.x, b.y - a.y);
        context.fill("evenodd");
        context.strokeStyle = "rgba(255, 255, 255, .35)";
        context.lineWidth = 1;
        context.beginPath();
        for (const third of [1 / 3, 2 / 3]) {
            const x = a.x + (b.x - a.x) * third, y = a.y + (b.y - a.y) * third;
            context.moveTo(x, a.y);
            context.lineTo(x, b.y);
            context.moveTo(a.x, y);
            context.lineTo(b.x, y);
        }
        context.stroke();
        outlined(context, "#fff", () => context.rect(a.x, a.y, b.x - a.x, b.y - a.y));
        tag(context, t("dimensions", {width: right - left, height: bottom - top}), (a.x + b.x) / 2, Math.max(b.y - 20, a.y + 12));
    }
}
