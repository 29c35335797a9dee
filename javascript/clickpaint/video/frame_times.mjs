/** Numbers of frames, moments, and places on a strip. Nothing here draws or knows the page. */

/**
 * When each frame is shown: the seconds at which it begins, and behind the last one the end of the clip.
 *
 * @param {{frames: number, duration_s: number, fps: number}} clip
 * @param {number[] | null} [begins] of a variable frame rate; null where all last equally long
 */
export function timesOf({frames, duration_s, fps}, begins = null) {
    const end = duration_s > 0 ? duration_s : frames / (fps || 25);
    if (begins?.length === frames) return [...begins, Math.max(end, begins[frames - 1])];
    return Array.from({length: frames + 1}, (_, number) => (number * end) / frames);
}

/**
 * The frame that is shown at a moment.
 *
 * @param {number[]} times see `timesOf`
 * @param {number} seconds
 */
export function frameAt(times, seconds) {
    let low = 0, high = times.length - 2;
    while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (times[middle] <= seconds) low = middle;
        else high = middle - 1;
    }
    return Math.max(low, 0);
}

/** 0:04.28, as people say a moment in a film. @param {number} seconds */
export function moment(seconds) {
    const hundredths = Math.round(Math.max(seconds, 0) * 100), minutes = Math.floor(hundredths / 6000);
    const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${`${minutes % 60}`.padStart(2, "0")}:${rest}`;
}

/**
 * The next of some frames before (-1) or behind (1) one; null for none.
 *
 * @param {number[]} numbers in any order
 * @param {number} from
 * @param {number} way
 */
export function neighbour(numbers, from, way) {
    const there = numbers.filter((number) => (number - from) * way > 0);
    return there.reduce((/** @type {number | null} */ near, number) => (near === null || (number - near) * way < 0 ? number : near), null);
}

/** Whether a number lies in one of some stretches, whose ends belong to them. @param {[number, number][]} stretches @param {number} number */
export function among(stretches, number) {
    return stretches.some(([first, last]) => first <= number && number <= last);
}

/** @param {number} number @param {number} frames */
export function within(number, frames) {
    return Math.min(Math.max(Math.round(number), 0), frames - 1);
}
