/** Masks in COCO's uncompressed run-length code: {size: [height, width], counts}, runs down the columns, beginning with unselected. */

import {contextOf} from "../common/context.mjs";
import {MaskLayer, urlOf} from "./mask_layer.mjs";

const WHITE = 0xffffffff, BLACK = 0xff000000; // RGBA, little-endian

/** The part of a mask inside `box`, row by row: one word per pixel, `selected` or `other`. */
export function wordsOfRuns({size: [height], counts}, [left, top, right, bottom], selected = WHITE, other = 0) {
    const width = right - left, words = new Uint32Array(width * (bottom - top)).fill(other);
    let at = 0;
    counts.forEach((count, i) => {
        const end = at + count;
        if (i % 2 === 0) at = end; // not selected
        while (at < end) {
            const x = Math.floor(at / height), first = at % height, last = Math.min(height, first + end - at);
            if (x >= left && x < right) for (let y = Math.max(first, top); y < Math.min(last, bottom); y++) words[(y - top) * width + x - left] = selected;
            at += last - first;
        }
    });
    return words;
}

function imageOf(words, width) {
    return new ImageData(new Uint8ClampedArray(words.buffer), width);
}

/** What can be laid over the canvas. */
export async function layerOfRuns(runs, box) {
    return new MaskLayer(await createImageBitmap(imageOf(wordsOfRuns(runs, box), box[2] - box[0])), box);
}

/** The mask as a PNG data URL, white on black. */
export async function pictureOfRuns(runs) {
    const [height, width] = runs.size, canvas = new OffscreenCanvas(width, height);
    contextOf(canvas).putImageData(imageOf(wordsOfRuns(runs, [0, 0, width, height], WHITE, BLACK), width), 0, 0);
    return urlOf(await canvas.convertToBlob({type: "image/png"}));
}
