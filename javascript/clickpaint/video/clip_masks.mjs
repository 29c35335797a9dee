/** Where each object of a clip is in its frames, as layers to be drawn over them. */

import {contextOf} from "../common/context.mjs";
import {MaskLayer, whiten} from "../picture/mask_layer.mjs";
import {among} from "./frame_times.mjs";

const MOST = 240;

/** A layer that several may show: it is given up with the last of them. */
class SharedLayer extends MaskLayer {
    close() {}
}

/**
 * An object in one frame.
 *
 * @typedef {object} FrameMask
 * @property {MaskLayer} layer
 * @property {import("../server/answers.mjs").Box} box
 * @property {number} area in pixels of the frame
 */

export class ClipMasks {
    /** By object and frame. @type {Map<string, Promise<FrameMask | null>>} */
    #kept = new Map();

    /**
     * @param {import("../server/videos.mjs").Videos} videos
     * @param {(clip: {width: number}) => number | null} width in which masks are looked at; null for the frames' own
     */
    constructor(videos, width) {
        this.videos = videos;
        this.width = width;
    }

    /**
     * All objects in a frame, by their names; without those that are not seen there.
     *
     * @param {import("../server/videos.mjs").VideoAnswer} clip
     * @param {number} number
     * @returns {Promise<Map<string, FrameMask>>}
     */
    async at(clip, number) {
        const there = clip.objects.filter(({known}) => among(known, number));
        const layers = await Promise.all(there.map(({id}) => this.#get(clip, id, number)));
        return new Map(there.flatMap(({id}, i) => (layers[i] ? [[id, layers[i]]] : [])));
    }

    #get(clip, object, number) {
        const key = `${object} ${number}`, known = this.#kept.get(key);
        const mask = known ?? this.videos.mask(clip.id, object, number, this.width(clip)).then((file) => maskOf(file, clip));
        this.#kept.delete(key);
        this.#kept.set(key, mask);
        mask.catch(() => this.#kept.delete(key));
        if (this.#kept.size > MOST) this.#kept.delete(/** @type {string} */ (this.#kept.keys().next().value));
        return mask;
    }

    /** An object is elsewhere now, in one frame or (left out) in all. @param {string} object @param {number} [number] */
    forget(object, number) {
        for (const key of [...this.#kept.keys()]) if (number === undefined ? key.startsWith(`${object} `) : key === `${object} ${number}`) this.#kept.delete(key);
    }

    clear() {
        this.#kept.clear();
    }
}

/**
 * A mask's file as a layer; null where nothing is selected.
 *
 * @param {Blob} file white where selected, maybe smaller than the frame
 * @param {{width: number, height: number}} size of the frame
 * @returns {Promise<FrameMask | null>}
 */
async function maskOf(file, {width, height}) {
    const whole = await createImageBitmap(file), canvas = new OffscreenCanvas(whole.width, whole.height);
    const context = contextOf(canvas, {willReadFrequently: true});
    context.drawImage(whole, 0, 0);
    whole.close();
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height), words = new Uint32Array(pixels.data.buffer);
    const white = extent(words, canvas.width);
    if (!white) return null;
    whiten(words);
    const [left, top, right, bottom] = white.box, across = canvas.width / width, down = canvas.height / height;
    const bitmap = await createImageBitmap(pixels, left, top, right - left, bottom - top);
    const box = /** @type {import("../server/answers.mjs").Box} */ ([left / across, top / down, right / across, bottom / down]);
    return {layer: new SharedLayer(bitmap, box, across), box, area: Math.round(white.count / (across * down))};
}

/**
 * The box around the white ones among grey pixels (little-endian words), and how many they are; null for none.
 *
 * @param {Uint32Array} words
 * @param {number} width
 */
export function extent(words, width) {
    let left = width, right = 0, top = -1, bottom = 0, count = 0;
    for (let i = 0; i < words.length; i++) {
        if ((words[i] & 0xff) < 128) continue;
        const x = i % width;
        if (x < left) left = x;
        if (x >= right) right = x + 1;
        if (top < 0) top = Math.floor(i / width);
        bottom = Math.floor(i / width) + 1;
        count++;
    }
    return count ? {box: [left, top, right, bottom], count} : null;
}
