/** The outline of the selection moves, so that it is seen on every picture. */

/** Milliseconds between two steps, and how many there are before the dashes lie as they lay. */
const PERIOD = 90, STEPS = 8;

export class MarchingAnts {
    /** @type {ReturnType<typeof setInterval> | null} */
    #timer = null;
    /** Of the dashes, 0 .. STEPS - 1. */
    phase = 0;

    /** @param {() => void} draw */
    constructor(draw) {
        this.draw = draw;
    }

    /** @param {boolean} wanted whether there is something to go around; nothing moves for users who have something against moving things */
    march(wanted) {
        const marches = wanted && !matchMedia("(prefers-reduced-motion: reduce)").matches;
        if (marches && this.#timer === null) this.#timer = setInterval(() => ((this.phase = (this.phase + 1) % STEPS), this.draw()), PERIOD);
        if (marches || this.#timer === null) return;
        clearInterval(this.#timer);
        this.#timer = null;
    }
}
