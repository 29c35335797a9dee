/** Reads a 16-bit grey PNG, which a canvas would cut down to 8 bits. Follows the PNG specification, sections 5 and 9. */

import {blobOf} from "./mask_layer.mjs";

/** @typedef {{width: number, height: number, data: Uint16Array}} LabelMap row by row; 0 is no region */

/**
 * @param {string} dataUrl with a grey PNG of 8 or 16 bits, not interlaced
 * @returns {Promise<LabelMap>}
 */
export async function decodeLabels(dataUrl) {
    return decodeGrey(new Uint8Array(await blobOf(dataUrl).arrayBuffer()));
}

export async function decodeGrey(file) {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    const parts = [];
    let width = 0, height = 0, depth = 0;
    for (let at = 8; at < file.length; ) {
        const length = view.getUint32(at), type = String.fromCharCode(...file.subarray(at + 4, at + 8)), start = at + 8;
        if (type === "IHDR") {
            [width, height, depth] = [view.getUint32(start), view.getUint32(start + 4), file[start + 8]];
            if (file[start + 9] !== 0 || file[start + 12] !== 0 || (depth !== 8 && depth !== 16)) throw new Error("Not a grey PNG of 8 or 16 bits");
        } else if (type === "IDAT") parts.push(file.subarray(start, start + length));
        else if (type === "IEND") break;
        at = start + length + 4;
    }
    const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const step = depth / 8, row = width * step, data = new Uint16Array(width * height);
    for (let y = 0; y < height; y++) {
        const start = y * (row + 1) + 1;
        unfilter(bytes, bytes[start - 1], start, row, step, y ? start - row - 1 : -1);
        for (let x = 0; x < width; x++) data[y * width + x] = step === 2 ? (bytes[start + 2 * x] << 8) | bytes[start + 2 * x + 1] : bytes[start + x];
    }
    return {width, height, data};
}

function unfilter(bytes, filter, start, row, step, above) {
    for (let i = 0; i < row; i++) {
        const left = i >= step ? bytes[start + i - step] : 0;
        const up = above >= 0 ? bytes[above + i] : 0;
        const corner = above >= 0 && i >= step ? bytes[above + i - step] : 0;
        bytes[start + i] += [0, left, up, (left + up) >> 1, filter === 4 ? paeth(left, up, corner) : 0][filter];
    }
}

function paeth(a, b, c) {
    const p = a + b - c, pa = Math.abs(p - a), pb = Math.abs(p - b), pc = Math.abs(p - c);
    if (pa <= pb && pa <= pc) return a;
    return pb <= pc ? b : c;
}
