/** Frames of a crop as data: boxes [left, top, right, bottom] in whole pixels of the picture. */

/** @typedef {import("../server/answers.mjs").Box} Box */

/** Pixels that a side has at least. */
const LEAST = 1;

/** The ratios that can be chosen: [name, width by height]; null for any, 0 for the picture's own. @type {[string, number | null][]} */
export const RATIOS = [
    ["free", null], ["original", 0], ["1:1", 1], ["4:3", 4 / 3], ["3:4", 3 / 4], ["3:2", 3 / 2], ["2:3", 2 / 3], ["16:9", 16 / 9], ["9:16", 9 / 16],
];

const limited = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * A frame whose sides were moved, kept inside the picture and, where one is wanted, at a ratio.
 *
 * @param {Box} wanted
 * @param {Box} before
 * @param {string[]} sides those that were moved
 * @param {{width: number, height: number}} size of the picture
 * @param {number | null} ratio width by height
 * @param {number} snap sides come to lie on multiples of it
 * @returns {Box}
 */
export function cropWithin(wanted, before, sides, {width, height}, ratio, snap) {
    const at = (side, i) => (sides.includes(side) ? limited(Math.round(wanted[i] / snap) * snap, 0, i % 2 ? height : width) : Math.round(before[i]));
    let [left, top, right, bottom] = ["left", "top", "right", "bottom"].map(at);
    if (sides.includes("left")) left = Math.min(left, right - LEAST);
    else right = Math.max(right, left + LEAST);
    if (sides.includes("top")) top = Math.min(top, bottom - LEAST);
    else bottom = Math.max(bottom, top + LEAST);
    if (!ratio) return inside([left, top, right, bottom], width, height);
    const across = sides.some((side) => side === "left" || side === "right"), down = sides.some((side) => side === "top" || side === "bottom");
    const fixedX = sides.includes("left") ? right : left, fixedY = sides.includes("top") ? bottom : top;
    let wide = across ? right - left : (bottom - top) * ratio;
    if (across && down) wide = Math.max(wide, (bottom - top) * ratio);
    wide = Math.min(wide, sides.includes("left") ? fixedX : width - fixedX, (sides.includes("top") ? fixedY : height - fixedY) * ratio);
    const w = Math.max(Math.round(wide), LEAST), h = Math.max(Math.round(wide / ratio), LEAST);
    const x = sides.includes("left") ? fixedX - w : fixedX, y = sides.includes("top") ? fixedY - h : fixedY;
    return inside([x, y, x + w, y + h], width, height);
}

/**
 * A frame that was moved as a whole.
 *
 * @param {Box} box
 * @param {number} dx
 * @param {number} dy
 * @param {{width: number, height: number}} size of the picture
 * @returns {Box}
 */
export function cropMoved([left, top, right, bottom], dx, dy, {width, height}) {
    const x = Math.round(limited(dx, -left, width - right)), y = Math.round(limited(dy, -top, height - bottom));
    return [left + x, top + y, right + x, bottom + y];
}

/**
 * The largest frame of a ratio inside of another, around its middle.
 *
 * @param {Box} box
 * @param {number} ratio width by height
 * @param {{width: number, height: number}} size of the picture
 * @returns {Box}
 */
export function cropWithRatio([left, top, right, bottom], ratio, {width, height}) {
    const w = Math.max(Math.round(Math.min(right - left, (bottom - top) * ratio)), LEAST), h = Math.max(Math.round(w / ratio), LEAST);
    const x = Math.round((left + right - w) / 2), y = Math.round((top + bottom - h) / 2);
    return inside([x, y, x + w, y + h], width, height);
}

/** @returns {Box} */
function inside([left, top, right, bottom], width, height) {
    const x = limited(left, 0, width - LEAST), y = limited(top, 0, height - LEAST);
    return [x, y, limited(right, x + LEAST, width), limited(bottom, y + LEAST, height)];
}
