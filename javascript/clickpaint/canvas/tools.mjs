/** What dragging and clicking does. A tool gets points in pixels of the picture and tells the editor; it keeps only its draft. */

import {boxOf, clamped, inside, lassoOperation, nearest, strokesOperation} from "../picture/geometry.mjs";
import {CropTool} from "./crop_tool.mjs";
import {outlined} from "./renderer.mjs";

/** @typedef {import("../picture/editor.mjs").Point} Point */

/** How Shift and Alt change what a selection is combined with. */
export function modeOf(event, chosen) {
    if (event.shiftKey && event.altKey) return "intersect";
    if (event.shiftKey) return "add";
    return event.altKey ? "subtract" : chosen;
}

class ClickTool {
    name = "click";
    pans = true;
    cursor = "crosshair";

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting">} workbench */
    constructor({editor, selecting}) {
        this.editor = editor;
        this.selecting = selecting;
    }

    tap(point, event) {
        const {editor, selecting} = this;
        if (!inside(point, editor.size)) return;
        if (editor.regions) return selecting.pickRegion(point, modeOf(event, editor.mode));
        const negative = event.button === 2 || event.altKey || editor.negative;
        selecting.click(point, {label: negative ? 0 : 1, another: event.shiftKey});
    }

    hover(point, event) {
        if (event.pointerType !== "touch") this.editor.hover(inside(point, this.editor.size) ? point : null);
    }
}

class BoxTool {
    name = "box";
    cursor = "crosshair";
    /** Two corners. @type {Point | null} */
    #from = null;
    /** @type {Point | null} */
    #to = null;

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting">} workbench */
    constructor({editor, selecting}) {
        this.editor = editor;
        this.selecting = selecting;
    }

    get drafting() {
        return this.#from !== null;
    }

    start(point) {
        this.#from = this.#to = point;
    }

    move(point) {
        this.#to = point;
    }

    end(point, event) {
        const box = this.#from && boxOf(this.#from, point, this.editor.size);
        this.cancel();
        if (box) this.selecting.box(box, modeOf(event, this.editor.mode));
    }

    cancel() {
        this.#from = this.#to = null;
    }

    draw(context, view, colours) {
        const to = this.editor.crosshair ?? this.#to;
        if (!this.#from || !to) return;
        const a = view.toScreen(this.#from.x, this.#from.y), b = view.toScreen(to.x, to.y);
        context.fillStyle = colours.wash;
        context.fillRect(a.x, a.y, b.x - a.x, b.y - a.y);
        outlined(context, colours.tint, () => context.rect(a.x, a.y, b.x - a.x, b.y - a.y));
    }
}

class LassoTool {
    name = "lasso";
    cursor = "crosshair";
    encloses = true;
    /** @type {Point[]} */
    points = [];

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting">} workbench */
    constructor({editor, selecting}) {
        this.editor = editor;
        this.selecting = selecting;
    }

    get drafting() {
        return this.points.length > 0;
    }

    /** Whether `point` is where the lasso began. */
    closes(point) {
        return nearest(this.points.slice(0, 1), point, 10 / this.editor.view.scale) === 0;
    }

    start(point) {
        this.points = [clamped(point, this.editor.size)];
    }

    move(point) {
        this.points.push(clamped(point, this.editor.size));
    }

    end(_, event) {
        const operation = lassoOperation(this.points, modeOf(event, this.editor.mode));
        this.cancel();
        if (operation) this.selecting.adjust(operation);
    }

    cancel() {
        this.points = [];
    }

    draw(context, view, colours) {
        if (!this.points.length) return;
        const points = this.editor.crosshair ? [...this.points, this.editor.crosshair] : this.points;
        const path = () => trace(context, view, points);
        if (this.encloses) {
            context.beginPath();
            path();
            context.fillStyle = colours.wash;
            context.fill();
        }
        outlined(context, colours.tint, path);
    }
}

/** Strokes over things or around them, each a selection of what it meets. */
class StrokeTool extends LassoTool {
    name = "stroke";
    encloses = false;

    end(point, event) {
        this.move(point);
        const {points} = this;
        this.cancel();
        this.selecting.trace(points, modeOf(event, this.editor.mode));
    }

    closes() {
        return true;
    }
}

class BrushTool {
    cursor = "none";
    /** @type {Point[]} */
    #points = [];
    /** Strokes that the server has not answered yet. @type {Set<{points: Point[], erase: boolean, radius: number}>} */
    #sent = new Set();
    /** Whether the other button or Alt makes it do the opposite. */
    flipped = false;

    /**
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting">} workbench
     * @param {boolean} erase
     */
    constructor({editor, selecting}, erase) {
        this.editor = editor;
        this.selecting = selecting;
        this.erase = erase;
        this.name = erase ? "eraser" : "brush";
    }

    start(point, event) {
        this.flipped = event.altKey || event.button === 2;
        this.#points = [point];
    }

    move(point) {
        this.#points.push(point);
    }

    /** The stroke stays on the screen until the server's mask replaces it. */
    async end() {
        const points = this.#points, stroke = {points, erase: this.erase !== this.flipped, radius: this.editor.radius};
        this.#points = [];
        this.#sent.add(stroke);
        await this.give(stroke);
        this.#sent.delete(stroke);
        this.editor.redraw();
    }

    /** @param {{points: Point[], erase: boolean, radius: number}} stroke */
    give({points, radius, erase}) {
        return this.selecting.adjust(strokesOperation(points, radius, erase));
    }

    cancel() {
        this.#points = [];
    }

    draw(context, view, colours) {
        const drafts = [...this.#sent, this.#points.length ? {points: this.#points, erase: this.erase !== this.flipped, radius: this.editor.radius} : null];
        for (const stroke of drafts) {
            if (!stroke) continue;
            context.beginPath();
            trace(context, view, stroke.points);
            if (stroke.points.length === 1) context.lineTo(...Object.values(view.toScreen(stroke.points[0].x + 0.01, stroke.points[0].y)));
            context.lineCap = context.lineJoin = "round";
            context.lineWidth = 2 * stroke.radius * view.scale;
            context.strokeStyle = stroke.erase ? colours.rub : colours.stroke;
            context.stroke();
        }
        context.lineCap = context.lineJoin = "miter";
        const at = this.editor.pointer ?? this.editor.crosshair;
        if (!at) return;
        const centre = view.toScreen(at.x, at.y);
        outlined(context, this.erase ? colours.minus : "#fff", () => context.arc(centre.x, centre.y, Math.max(this.editor.radius * view.scale, 2), 0, 2 * Math.PI), 1.4);
    }
}

/** Paint over something, and it is gone as soon as the brush is lifted. */
class QuickBrush extends BrushTool {
    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting" | "timeline">} workbench */
    constructor({editor, selecting, timeline}) {
        super({editor, selecting}, false);
        this.name = "quick";
        this.timeline = timeline;
    }

    give({points, radius}) {
        return this.timeline.erase([strokesOperation(points, radius, false)]);
    }
}

function trace(context, view, points) {
    points.forEach((point, i) => {
        const {x, y} = view.toScreen(point.x, point.y);
        if (i) context.lineTo(x, y);
        else context.moveTo(x, y);
    });
}

/** Those of the tool bar. */
export const TOOLS = ["click", "box", "lasso", "brush", "eraser", "quick", "crop"];

/** Those that make another picture: a frame of a clip stays as it is. */
export const PICTURES_ONLY = ["quick", "crop"];

/** Those with a size. */
export const BRUSHES = ["brush", "eraser", "quick"];

/**
 * All tools of the canvas by their names.
 *
 * @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting" | "timeline">} bench
 * @returns {Record<string, import("../picture/editor.mjs").Tool>}
 */
export function createTools(bench) {
    const tools = [new ClickTool(bench), new BoxTool(bench), new LassoTool(bench), new BrushTool(bench, false), new BrushTool(bench, true), new QuickBrush(bench), new CropTool(bench), new StrokeTool(bench)];
    return Object.fromEntries(tools.map((tool) => [tool.name, tool]));
}
