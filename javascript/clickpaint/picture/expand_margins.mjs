/** How much to add around a picture, for the presets and for the frame that is dragged. */

const STEP = 8;
const up = (n) => Math.ceil(n / STEP) * STEP;

/**
 * [left, top, right, bottom] in pixels, multiples of 8 up to `most`.
 *
 * @param preset "W:H": the least that gives this ratio, the picture in the middle; "N%": that share of the longer side on each side
 */
export function marginsFor(preset, {width, height}, most = 1024) {
    const share = preset.match(/^(\d+)%$/), ratio = preset.match(/^(\d+):(\d+)$/);
    let across = 0, down = 0;
    if (share) across = down = (2 * Math.max(width, height) * Number(share[1])) / 100;
    else if (ratio) {
        const wanted = Number(ratio[1]) / Number(ratio[2]);
        across = Math.max(height * wanted - width, 0);
        down = Math.max(width / wanted - height, 0);
    }
    // less than half a step missing is none: nobody sees it, and painting it takes as long
    const half = (n) => (n < STEP / 2 ? 0 : Math.min(up(n / 2), most));
    return [half(across), half(down), half(across), half(down)];
}

/**
 * [left, top, right, bottom] in pixels that a frame adds to a picture, multiples of `step` up to `most`.
 *
 * @param {import("../server/answers.mjs").Box} frame in pixels of the picture
 * @param {{width: number, height: number}} size of the picture
 * @param {number} step
 */
export function marginsOf([left, top, right, bottom], {width, height}, step = STEP, most = 1024) {
    return [-left, -top, right - width, bottom - height].map((margin) => Math.min(Math.max(Math.round(margin / step) * step, 0), most));
}
