/** Masks as pictures: from the server's PNG to something that can be laid over the canvas. */

import {contextOf} from "../common/context.mjs";

/** Pixels of each side of what `touches` looks at. */
const LOOKED_AT = 64;

/** A mask's selected pixels, white with the mask as alpha, cut to its box [left, top, right, bottom], which the bitmap fills. */
export class MaskLayer {
    /**
     * @param {ImageBitmap} bitmap
     * @param {import("../server/answers.mjs").Box} box
     * @param {number} [resolution] how many of its pixels stand for one of the picture's, less than 1 for one that is only looked at
     */
    constructor(bitmap, box, resolution = 1) {
        this.bitmap = bitmap;
        this.box = box;
        this.resolution = resolution;
    }

    get width() {
        return this.box[2] - this.box[0];
    }

    get height() {
        return this.box[3] - this.box[1];
    }

    /** Whether anything is selected within `reach` pixels of a point; looked up in a small copy of its surroundings. */
    touches({x, y}, reach) {
        const side = Math.min(Math.max(Math.ceil(2 * reach), 1), LOOKED_AT), scale = side / (2 * reach), canvas = new OffscreenCanvas(side, side);
        const context = contextOf(canvas, {willReadFrequently: true});
        context.scale(scale, scale);
        context.translate(this.box[0] - x + reach, this.box[1] - y + reach);
        context.drawImage(this.bitmap, 0, 0, this.width, this.height);
        const {data} = context.getImageData(0, 0, side, side);
        for (let i = 0; i < side * side; i++) {
            if (data[4 * i + 3] && Math.hypot((i % side) + 0.5 - side / 2, Math.floor(i / side) + 0.5 - side / 2) <= side / 2) return true;
        }
        return false;
    }

    close() {
        this.bitmap.close();
    }
}

export function blobOf(dataUrl) {
    const [head, body] = dataUrl.split(",", 2);
    const text = atob(body), data = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) data[i] = text.charCodeAt(i);
    return new Blob([data], {type: head.slice(5).split(";")[0]});
}

/** The data URL of a file. */
export async function urlOf(blob) {
    const reader = new FileReader();
    return new Promise((done, failed) => {
        reader.addEventListener("load", () => done(reader.result));
        reader.addEventListener("error", () => failed(reader.error));
        reader.readAsDataURL(blob);
    });
}

/**
 * The layer of a PNG data URL (white = selected); null where nothing is selected. Only the box's pixels are touched.
 *
 * @param {string} dataUrl of the whole picture's mask, maybe in a smaller size
 * @param {number[] | null} box around what is selected, in pixels of the picture
 * @param {{width: number, height: number} | null} picture its size; null where the mask has that
 */
export async function layerOf(dataUrl, box, picture = null) {
    if (!dataUrl || !box) return null;
    const whole = await createImageBitmap(blobOf(dataUrl));
    const across = picture ? whole.width / picture.width : 1, down = picture ? whole.height / picture.height : 1;
    const left = Math.floor(box[0] * across + 1e-6), top = Math.floor(box[1] * down + 1e-6);
    const right = Math.min(Math.ceil(box[2] * across - 1e-6), whole.width), bottom = Math.min(Math.ceil(box[3] * down - 1e-6), whole.height);
    if (right <= left || bottom <= top) return whole.close(), null;
    const canvas = new OffscreenCanvas(right - left, bottom - top);
    const context = contextOf(canvas, {willReadFrequently: true});
    context.drawImage(whole, -left, -top);
    whole.close();
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    whiten(new Uint32Array(pixels.data.buffer));
    return new MaskLayer(await createImageBitmap(pixels), [left / across, top / down, right / across, bottom / down], across);
}

/** Grey RGBA pixels (little-endian words) become white ones whose alpha is the grey. */
export function whiten(words) {
    for (let i = 0; i < words.length; i++) words[i] = 0x00ffffff | ((words[i] & 0xff) << 24);
}

/** The layer of one region of a label map. */
export async function layerOfRegion(labels, index, box) {
    const [left, top, right, bottom] = box;
    const pixels = new ImageData(right - left, bottom - top);
    const words = new Uint32Array(pixels.data.buffer);
    let at = 0;
    for (let y = top; y < bottom; y++) {
        for (let i = y * labels.width + left, end = i + right - left; i < end; i++) words[at++] = labels.data[i] === index ? 0xffffffff : 0;
    }
    return new MaskLayer(await createImageBitmap(pixels), box);
}

/** For each box the square of the picture to show it in, [x, y, side]: its own, but no closer than two fifths of the largest. */
export function squaresAround(boxes) {
    const sides = boxes.map((box) => (box ? 1.16 * Math.max(box[2] - box[0], box[3] - box[1]) : 1));
    const least = 0.4 * Math.max(...sides);
    return boxes.map((box, i) => {
        const [left, top, right, bottom] = box ?? [0, 0, 1, 1], side = Math.max(sides[i], least);
        return [(left + right - side) / 2, (top + bottom - side) / 2, side];
    });
}

/** The silhouette of a layer within a square of the picture, in one colour. */
export function drawSilhouette(canvas, layer, [x, y, side], colour) {
    const context = contextOf(canvas), scale = canvas.width / side;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!layer) return;
    context.drawImage(layer.bitmap, (layer.box[0] - x) * scale, (layer.box[1] - y) * scale, layer.width * scale, layer.height * scale);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
}
