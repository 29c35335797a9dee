/** Where the picture lies on the screen: screen = picture * scale + offset. All lengths on the screen are CSS pixels. */

export const LARGEST = 40;

/** Pixels of the screen that the longer side of a picture gets, however few it has. */
const CLICKABLE = 480;

export class View {
    constructor() {
        this.picture = {width: 1, height: 1};
        this.stage = {width: 1, height: 1};
        this.margin = {top: 0, right: 0, bottom: 0, left: 0};
        this.around = [0, 0, 0, 0];
        this.scale = 1;
        this.x = 0;
        this.y = 0;
        this.fitted = true;
    }

    /** What a fitting view shows: the picture and `around` it [left, top, right, bottom] pixels more. */
    get #shown() {
        const [left, top, right, bottom] = this.around;
        return {left: -left, top: -top, width: left + this.picture.width + right, height: top + this.picture.height + bottom};
    }

    /** The scale at which the whole picture is seen inside the margins; a small picture is enlarged twice at most, a tiny one until it can be clicked on. */
    get fitScale() {
        const shown = this.#shown;
        const width = Math.max(this.stage.width - this.margin.left - this.margin.right, 16);
        const height = Math.max(this.stage.height - this.margin.top - this.margin.bottom, 16);
        return Math.min(width / shown.width, height / shown.height, Math.max(2, Math.min(CLICKABLE / Math.max(shown.width, shown.height), LARGEST)));
    }

    fit() {
        this.scale = this.fitScale;
        const {left, right, top, bottom} = this.margin, shown = this.#shown;
        this.x = left + (this.stage.width - left - right - shown.width * this.scale) / 2 - shown.left * this.scale;
        this.y = top + (this.stage.height - top - bottom - shown.height * this.scale) / 2 - shown.top * this.scale;
        this.fitted = true;
    }

    /** Show that much more around the picture, where all of it is shown. */
    setAround(around) {
        this.around = around;
        if (this.fitted) this.fit();
    }

    setPicture(width, height) {
        this.picture = {width, height};
        this.fit();
    }

    /** A view that still shows the whole picture keeps doing so; another keeps what lies in its middle. */
    setStage(width, height) {
        const dx = (width - this.stage.width) / 2, dy = (height - this.stage.height) / 2;
        this.stage = {width, height};
        if (this.fitted) return this.fit();
        this.pan(dx, dy);
    }

    toPicture(sx, sy) {
        return {x: (sx - this.x) / this.scale, y: (sy - this.y) / this.scale};
    }

    toScreen(px, py) {
        return {x: px * this.scale + this.x, y: py * this.scale + this.y};
    }

    /** Zoom by `factor` so that what lies under the screen point stays there. */
    zoomAt(sx, sy, factor) {
        const smallest = Math.min(this.fitScale, 1) / 4;
        const scale = Math.min(Math.max(this.scale * factor, smallest), LARGEST);
        const {x, y} = this.toPicture(sx, sy);
        this.scale = scale;
        this.x = sx - x * scale;
        this.y = sy - y * scale;
        this.fitted = false;
        this.keepInSight();
    }

    zoom(factor) {
        this.zoomAt(this.stage.width / 2, this.stage.height / 2, factor);
    }

    pan(dx, dy) {
        this.x += dx;
        this.y += dy;
        this.fitted = false;
        this.keepInSight();
    }

    /** Two fingers: what lay under their middle follows the middle, and grows with their distance. */
    pinch(before, after) {
        const middle = ([a, b]) => ({x: (a.x + b.x) / 2, y: (a.y + b.y) / 2});
        const distance = ([a, b]) => Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1);
        const from = middle(before), to = middle(after);
        this.pan(to.x - from.x, to.y - from.y);
        this.zoomAt(to.x, to.y, distance(after) / distance(before));
    }

    /** At least 48 screen pixels of the picture stay on the stage. */
    keepInSight() {
        const keep = 48;
        const width = this.picture.width * this.scale, height = this.picture.height * this.scale;
        this.x = Math.min(Math.max(this.x, keep - width), this.stage.width - keep);
        this.y = Math.min(Math.max(this.y, keep - height), this.stage.height - keep);
    }

    /** Pan just enough that the picture's point is on the stage (for the keyboard's crosshair). */
    reveal(px, py) {
        const {x, y} = this.toScreen(px, py), edge = 24;
        const dx = x < edge ? edge - x : Math.min(this.stage.width - edge - x, 0);
        const dy = y < edge ? edge - y : Math.min(this.stage.height - edge - y, 0);
        if (dx || dy) this.pan(dx, dy);
    }
}
