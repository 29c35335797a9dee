/** In which order requests go out. */

export const isAbort = (error) => error?.name === "AbortError";

/** Only the newest counts: starting one aborts the one before. For previews. */
export class Latest {
    /** @type {AbortController | null} */
    #controller = null;

    /**
     * A job's result, or undefined if a newer one (or `cancel`) overtook it.
     *
     * @template T
     * @param {(signal: AbortSignal) => Promise<T> | T} job
     * @returns {Promise<T | undefined>}
     */
    async run(job) {
        this.cancel();
        const controller = (this.#controller = new AbortController());
        try {
            const result = await job(controller.signal);
            return controller.signal.aborted ? undefined : result;
        } catch (error) {
            if (controller.signal.aborted || isAbort(error)) return undefined;
            throw error;
        } finally {
            if (this.#controller === controller) this.#controller = null;
        }
    }

    get busy() {
        return this.#controller !== null;
    }

    cancel() {
        this.#controller?.abort();
        this.#controller = null;
    }
}

/** One after another, in the order they were asked for; one that fails does not stop those behind it. For changes. */
export class Serial {
    /** @type {Promise<void>} */
    #tail = Promise.resolve();
    pending = 0;

    /**
     * @template T
     * @param {() => Promise<T>} job
     * @returns {Promise<T>}
     */
    run(job) {
        this.pending++;
        const result = this.#tail.then(job);
        const over = () => void this.pending--;
        this.#tail = result.then(over, over);
        return result;
    }

    /** Resolves when all that was asked for so far has ended. */
    idle() {
        return this.#tail;
    }
}

/** `call` at most every `wait` ms; the last arguments always get through. */
export function throttled(call, wait, clock = {now: () => performance.now(), set: (f, ms) => setTimeout(f, ms), clear: (t) => clearTimeout(t)}) {
    let last = -Infinity, timer = null, latest = null;
    const fire = () => {
        timer = null;
        last = clock.now();
        call(...latest);
    };
    const run = (...args) => {
        latest = args;
        if (timer === null) {
            const left = last + wait - clock.now();
            if (left <= 0) fire();
            else timer = clock.set(fire, left);
        }
    };
    run.cancel = () => {
        if (timer !== null) clock.clear(timer);
        timer = null;
    };
    return run;
}
