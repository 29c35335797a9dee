/** A picture at full size and halved again and again, so that a small view of a large picture is drawn from few pixels. */

import {contextOf} from "../common/context.mjs";

const SMALL = 1024;
/** Pixels of the longer side of what is searched for transparency. */
const LOOKED_AT = 512;

export class Pyramid {
    /** The largest first; null when it is closed. @type {ImageBitmap[] | null} */
    levels;

    /** @param {ImageBitmap} bitmap from now on ours */
    constructor(bitmap) {
        this.levels = [bitmap];
        this.width = bitmap.width;
        this.height = bitmap.height;
    }

    /** What it takes, its smaller levels included. */
    get nbytes() {
        return (this.width * this.height * 16) / 3;
    }

    static async of(blob) {
        return new Pyramid(await createImageBitmap(blob));
    }

    /** Whether anything in it is rather transparent than opaque, as far as a small copy shows. */
    get transparent() {
        const [{width, height}] = this.levels ?? [{width: 0, height: 0}], scale = Math.min(1, LOOKED_AT / Math.max(width, height, 1));
        const canvas = new OffscreenCanvas(Math.max(Math.round(width * scale), 1), Math.max(Math.round(height * scale), 1));
        const context = contextOf(canvas, {willReadFrequently: true});
        if (this.levels) context.drawImage(this.levels[0], 0, 0, canvas.width, canvas.height);
        const words = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
        return words.some((word) => word >>> 24 < 128);
    }

    /** A copy in which `patch`, a bitmap, replaces what lies at (left, top). */
    async patched(patch, left, top) {
        const canvas = new OffscreenCanvas(this.width, this.height), context = contextOf(canvas);
        context.drawImage(this.at(1), 0, 0);
        context.clearRect(left, top, patch.width, patch.height);
        context.drawImage(patch, left, top);
        return new Pyramid(await createImageBitmap(canvas));
    }

    /** Add the smaller levels; what is drawn meanwhile comes from those that are there. */
    async build() {
        let last = this.at(1);
        while (Math.max(last.width, last.height) > SMALL && this.levels) {
            const resizeWidth = Math.max(Math.round(last.width / 2), 1), resizeHeight = Math.max(Math.round(last.height / 2), 1);
            last = await createImageBitmap(last, {resizeWidth, resizeHeight, resizeQuality: "medium"});
            if (this.levels) this.levels.push(last);
            else last.close();
        }
    }

    /** The smallest level that still has a pixel for every device pixel at this scale. */
    at(scale) {
        const level = Math.floor(Math.log2(1 / Math.max(scale, 1e-6))), levels = this.levels ?? [];
        return levels[Math.min(Math.max(level, 0), levels.length - 1)];
    }

    close() {
        const levels = this.levels ?? [];
        this.levels = null;
        for (const level of levels) level.close();
    }
}
