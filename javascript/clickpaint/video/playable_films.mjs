/** A version of a clip as the browser's own player plays it, out of sight: in parts where it can, otherwise as a whole. */

import {ApiError} from "../server/api_error.mjs";
import {frameAt} from "./frame_times.mjs";

/** Seconds that are fetched ahead, and that stay behind the moment that is played. */
const AHEAD = 6;
const BEHIND = 20;

/** The browser's own, in some under another name. @returns {typeof MediaSource | undefined} */
const sources = () => globalThis.MediaSource ?? /** @type {any} */ (globalThis).ManagedMediaSource;

/** What a browser says of a film that it does not know, or that is damaged. */
const unplayable = () => new ApiError(0, {error: "Unplayable"});

class Film {
    element = Object.assign(document.createElement("video"), {playsInline: true, preload: "auto"});
    /** Called with what keeps it from being played. @type {(error: unknown) => void} */
    fail = () => {};
    /** Never resolves. @type {Promise<never>} */
    fault = new Promise((_, fail) => (this.fail = fail));

    /** @param {number[]} times see `timesOf` */
    constructor(times) {
        this.times = times;
        this.fault.catch(() => {}); // whoever plays it hears of it
    }

    /** Resolves when it moves. @param {number} number of the frame that it begins with @param {number} last the last one that will be played */
    play(number, last) {
        this.seek(number, last);
        return Promise.race([this.element.play(), this.fault]);
    }

    /** To a frame. @param {number} number @param {number} _last the last one that will be played */
    seek(number, _last) {
        this.element.currentTime = this.times[number] + 0.0005; // the film's own clock is a little coarser
    }

    close() {
        this.element.pause();
        this.element.removeAttribute("src");
        this.element.load();
    }
}

/** One that has to be here before it is played. */
export class WholeFilm extends Film {
    /** @param {Blob} blob */
    async open(blob) {
        const {element} = this, address = URL.createObjectURL(blob);
        await new Promise((done, failed) => {
            element.onloadeddata = done;
            element.onerror = () => failed(unplayable());
            element.src = address;
        }).finally(() => URL.revokeObjectURL(address));
        return this;
    }
}

/** One that comes in parts, and only those around the moment that is played: it begins at once, anywhere, however long it is. */
export class PartedFilm extends Film {
    /** The last frame that will be played. */
    last = Infinity;
    #closed = new AbortController();
    #filling = false;
    /** @type {MediaSource} */
    #source;
    /** @type {SourceBuffer} */
    #buffer;

    /**
     * @param {(number: number, signal: AbortSignal) => Promise<Blob>} fetchPart
     * @param {number[]} times see `timesOf`
     * @param {import("../server/videos.mjs").PartsAnswer} parts
     */
    constructor(fetchPart, times, parts) {
        super(times);
        this.fetchPart = fetchPart;
        this.parts = parts;
        this.element.disableRemotePlayback = true;
        for (const event of ["seeking", "timeupdate"]) this.element.addEventListener(event, () => this.#fill());
        this.element.addEventListener("error", () => this.fail(unplayable()));
    }

    /** Whether this browser plays such parts. @param {string} type */
    static plays(type) {
        return sources()?.isTypeSupported(type) ?? false;
    }

    async open() {
        const {element, parts, times} = this, source = (this.#source = new /** @type {any} */ (sources())());
        const address = URL.createObjectURL(source);
        await new Promise((opened) => {
            source.addEventListener("sourceopen", opened, {once: true});
            element.src = address;
        });
        URL.revokeObjectURL(address);
        source.duration = times[times.length - 1];
        this.#buffer = source.addSourceBuffer(parts.media_type);
        return this;
    }

    seek(number, last) {
        this.last = last;
        super.seek(number, last);
        this.#fill();
    }

    close() {
        this.#closed.abort();
        super.close();
    }

    #fill() {
        if (this.#filling) return;
        this.#filling = true;
        this.#fetchAll()
            .catch((error) => void (this.#closed.signal.aborted || this.fail(error)))
            .finally(() => (this.#filling = false));
    }

    async #fetchAll() {
        const {parts, element} = this, {signal} = this.#closed;
        for (let number = this.#wanted(); number !== null; number = this.#wanted()) {
            const data = await (await this.fetchPart(number, signal)).arrayBuffer();
            if (signal.aborted) return;
            this.#buffer.appendBuffer(data);
            await this.#settled();
            if (element.error || !this.#here(number)) throw unplayable();
            const old = element.currentTime - BEHIND;
            if (this.#buffer.buffered.start(0) < old - BEHIND) {
                this.#buffer.remove(0, old);
                await this.#settled();
            }
        }
        if (this.#source.readyState === "open" && this.#here(parts.count - 1)) this.#source.endOfStream();
    }

    /** Resolves when the browser has taken in what it was given. */
    #settled() {
        const buffer = this.#buffer;
        return new Promise((done) => (buffer.updating ? buffer.addEventListener("updateend", done, {once: true}) : done(undefined)));
    }

    /** The next part that is missing; null for none. */
    #wanted() {
        const {times, parts: {frames_each, count}, element: {currentTime}} = this;
        for (let number = Math.floor(frameAt(times, currentTime + 0.001) / frames_each); number < count; number++) {
            const begin = number * frames_each;
            if (begin > this.last + 1 || times[begin] > currentTime + AHEAD) return null;
            if (!this.#here(number)) return number;
        }
        return null;
    }

    /** Whether a part is in the browser's hands: it may let go of some by itself. */
    #here(number) {
        const {times, parts: {frames_each}} = this, {buffered} = this.#buffer, begin = number * frames_each;
        const middle = (times[begin] + times[Math.min(begin + frames_each, times.length - 1)]) / 2;
        return Array.from({length: buffered.length}, (_, i) => i).some((i) => buffered.start(i) <= middle && middle < buffered.end(i));
    }
}
