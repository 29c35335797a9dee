/** Playing a clip on the canvas: the browser's own player, out of sight, whose pictures are drawn where the stills are. */

import {ApiError} from "../server/api_error.mjs";
import {FramePicture} from "./clip_frames.mjs";
import {frameAt} from "./frame_times.mjs";

/** Seconds by which the original may be off before it is set right. */
const APART = 0.06;
/** What an error says where there is no film to play: a package is missing, or the browser knows no such film. */
const SILENT = new Set(["ModelMissing", "Unplayable"]);
/** Frames whose masks are asked for ahead. */
const AHEAD = 8;

export class Player {
    playing = false;
    /** The masks of the frame that is drawn. @type {Map<string, import("./clip_masks.mjs").FrameMask>} */
    masks = new Map();
    /** Whether the original is seen, too: told by who shows it. */
    comparing = () => false;
    /** By version, for the clip that is open. @type {Map<number, Promise<HTMLVideoElement>>} */
    #films = new Map();
    /** What is drawn where frames are shown one by one. @type {{now: FramePicture, before: FramePicture | null} | null} */
    #flipped = null;
    /** @type {HTMLVideoElement | null} */
    #now = null;
    /** @type {HTMLVideoElement | null} */
    #before = null;

    /** @param {import("./clip.mjs").Clip} clip */
    constructor(clip) {
        this.clip = clip;
    }

    /** What is drawn; null while the stills are. */
    get pictures() {
        if (this.playing && this.#flipped) return this.#flipped;
        const {info} = this.clip, now = this.playing && this.#now, before = this.#before;
        if (!info || !now || now.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
        return {now: new FramePicture(now, info), before: before && before.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA ? new FramePicture(before, info) : null};
    }

    toggle() {
        if (this.playing) return this.stop();
        return this.clip.editor.report("preview", this.start());
    }

    /** From the frame shown; at the end of the range from its beginning. */
    async start() {
        const {clip} = this, {times, version} = clip, [first, last] = clip.range;
        if (this.playing) return;
        this.playing = true;
        clip.tell();
        const from = clip.frame < first || clip.frame >= last ? first : clip.frame;
        try {
            const film = (this.#now = await this.#film(version));
            if (!this.playing) return;
            film.currentTime = times[from];
            await film.play();
            this.#draw(film, first, last);
        } catch (error) {
            const {kind, name} = /** @type {any} */ (error);
            if (!this.playing || name === "AbortError") return this.pause();
            if (!SILENT.has(kind)) return this.pause(), Promise.reject(error);
            this.#flip(from, first, last).catch((fault) => (this.pause(), clip.editor.emit("error", fault)));
        }
    }

    /** Where nothing plays it: frame by frame, without sound, and as fast as they come. */
    async #flip(from, first, last) {
        const {clip} = this, {frames, times, info} = clip;
        if (!info) return;
        for (let number = from; this.playing && clip.info?.id === info.id; number = number >= last ? first : number + 1) {
            const due = new Promise((done) => setTimeout(done, 1000 * (times[number + 1] - times[number])));
            const [now, before] = await Promise.all([frames.get(info, info.version, number), this.comparing() && info.version ? frames.get(info, 0, number) : null]);
            if (!this.playing) return;
            this.#flipped = {now, before};
            clip.frame = number;
            this.#look(number, last);
            clip.tell();
            frames.get(info, info.version, number >= last ? first : number + 1).catch(() => {}); // while this one is looked at
            await due;
        }
    }

    /** @param {HTMLVideoElement} film */
    #draw(film, first, last) {
        const {clip} = this, {times} = clip;
        const step = (_, {mediaTime} = {mediaTime: film.currentTime}) => {
            if (!this.playing || film !== this.#now || !clip.info) return;
            const number = frameAt(times, mediaTime + 0.001);
            if (number > last || film.ended) {
                film.currentTime = times[first];
                film.play().catch(() => {});
            } else if (number !== clip.frame) {
                clip.frame = number;
                this.#look(number, last);
            }
            if (this.comparing()) this.#compare(film);
            clip.tell();
            next();
        };
        const next = () => (film.requestVideoFrameCallback ? film.requestVideoFrameCallback(step) : requestAnimationFrame((now) => step(now)));
        film.onended = () => step(0);
        next();
    }

    /** The masks of the frame, as soon as they are here, and those of the next ones. */
    #look(number, last) {
        const {clip} = this, {info, masks} = clip;
        if (!info || !clip.masksShown) return;
        for (let ahead = number + 1; ahead <= Math.min(number + AHEAD, last); ahead++) masks.at(info, ahead).catch(() => {});
        masks.at(info, number).then((shown) => this.playing && clip.frame === number && ((this.masks = shown), clip.editor.redraw()), () => {});
    }

    /** The original beside it, at the same moment. @param {HTMLVideoElement} film */
    #compare(film) {
        if (!this.clip.version) return;
        const beside = this.#before;
        if (!beside) this.#film(0).then((before) => (this.#before = before), () => {});
        else if (Math.abs(beside.currentTime - film.currentTime) > APART) beside.currentTime = film.currentTime;
        if (beside?.paused && !film.paused) beside.play().catch(() => {});
    }

    /** Stop where it is: the frame is shown as it is. */
    stop() {
        if (!this.playing) return undefined;
        this.pause();
        return this.clip.show(this.clip.frame);
    }

    pause() {
        if (!this.playing) return;
        this.playing = false;
        this.#flipped = null;
        for (const film of [this.#now, this.#before]) film?.pause();
        this.masks = new Map();
        this.clip.tell();
    }

    /** Another clip, or none: nothing of the one before is of use. */
    forget() {
        this.pause();
        for (const film of this.#films.values()) film.then((element) => URL.revokeObjectURL(element.src), () => {});
        this.#films.clear();
        this.#now = this.#before = null;
    }

    /** A version as the browser plays it, with its sound; the original beside it is silent. */
    #film(version) {
        const {clip} = this, known = this.#films.get(version) ?? this.#load(version);
        this.#films.set(version, known);
        known.catch(() => this.#films.delete(version));
        return known.then((film) => Object.assign(film, {muted: version !== clip.version}));
    }

    async #load(version) {
        const {videos, work} = this.clip, blob = await work.patiently((id) => videos.preview(id, version)), film = document.createElement("video");
        Object.assign(film, {playsInline: true, preload: "auto", src: URL.createObjectURL(blob)});
        await new Promise((done, failed) => {
            film.onloadeddata = done;
            film.onerror = () => failed(new ApiError(0, {error: "Unplayable"}));
        });
        return film;
    }
}
