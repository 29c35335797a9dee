/** Playing a clip on the canvas: the browser's own player, out of sight, whose pictures are drawn where the stills are. */

import {FramePicture} from "./clip_frames.mjs";
import {frameAt} from "./frame_times.mjs";
import {PartedFilm, WholeFilm} from "./playable_films.mjs";

/** @typedef {WholeFilm | PartedFilm} Film */

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
    /** By version, for the clip that is open. @type {Map<number, Promise<Film>>} */
    #films = new Map();
    /** @type {Promise<import("../server/videos.mjs").PartsAnswer> | null} */
    #parts = null;
    /** What is drawn where frames are shown one by one. @type {{now: FramePicture, before: FramePicture | null} | null} */
    #flipped = null;
    /** @type {Film | null} */
    #now = null;
    /** @type {Film | null} */
    #before = null;
    /** What is drawn until the film has gone back to its beginning. @type {FramePicture | null} */
    #held = null;

    /** @param {import("./clip.mjs").Clip} clip */
    constructor(clip) {
        this.clip = clip;
    }

    /** What is drawn; null while the stills are. */
    get pictures() {
        if (this.playing && this.#flipped) return this.#flipped;
        const {info} = this.clip, now = this.playing && this.#now?.element, before = this.#before?.element;
        if (!info || !now) return null;
        const here = (/** @type {HTMLVideoElement | undefined} */ film) => film && film.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA && !film.seeking;
        const drawn = here(now) ? new FramePicture(now, info) : this.#held;
        return drawn && {now: drawn, before: before && here(before) ? new FramePicture(before, info) : null};
    }

    /** Whether what is to be played is not here yet. */
    get waiting() {
        return this.playing && !this.#flipped && !(this.#now && this.#now.element.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA);
    }

    toggle() {
        if (this.playing) return this.stop();
        return this.clip.editor.report("preview", this.start());
    }

    /** From the frame shown; at the end of the range from its beginning. */
    async start() {
        const {clip} = this, {version} = clip, [first, last] = clip.range;
        if (this.playing) return;
        this.playing = true;
        clip.tell();
        const from = clip.frame < first || clip.frame >= last ? first : clip.frame;
        try {
            const film = await this.#film(version);
            if (!this.playing) return;
            this.#held = null;
            this.#now = film;
            film.fault.catch((fault) => this.playing && film === this.#now && (this.pause(), clip.editor.emit("error", fault)));
            await film.play(from, last);
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

    /** @param {Film} film */
    #draw(film, first, last) {
        const {clip} = this, {times} = clip, {element} = film;
        const step = (_, {mediaTime} = {mediaTime: element.currentTime}) => {
            if (!this.playing || film !== this.#now || !clip.info) return;
            const number = frameAt(times, mediaTime + 0.001);
            if (number > last || element.ended) {
                this.#hold(element);
                film.play(first, last).catch(() => {});
            } else if (number !== clip.frame) {
                clip.frame = number;
                this.#look(number, last);
            }
            if (this.comparing()) this.#compare(element, last);
            clip.tell();
            next();
        };
        let asked = 0;
        const next = () => {
            if (!element.requestVideoFrameCallback) return void requestAnimationFrame((now) => step(now));
            element.cancelVideoFrameCallback(asked); // at the end of the film one still waits
            asked = element.requestVideoFrameCallback(step);
        };
        element.onended = () => step(0);
        element.onwaiting = element.onplaying = () => clip.tell();
        next();
    }

    /** @param {HTMLVideoElement} element */
    #hold(element) {
        const {info} = this.clip, copy = document.createElement("canvas");
        if (!info) return;
        Object.assign(copy, {width: element.videoWidth, height: element.videoHeight}).getContext("2d")?.drawImage(element, 0, 0);
        this.#held = new FramePicture(copy, info);
    }

    /** The masks of the frame, as soon as they are here, and those of the next ones. */
    #look(number, last) {
        const {clip} = this, {info, masks} = clip;
        if (!info || !clip.masksShown) return;
        for (let ahead = number + 1; ahead <= Math.min(number + AHEAD, last); ahead++) masks.at(info, ahead).catch(() => {});
        masks.at(info, number).then((shown) => this.playing && clip.frame === number && ((this.masks = shown), clip.editor.redraw()), () => {});
    }

    /** The original beside it, at the same moment. @param {HTMLVideoElement} element @param {number} last */
    #compare(element, last) {
        if (!this.clip.version) return;
        const film = this.#before, beside = film?.element;
        if (!film || !beside) {
            this.#film(0).then((before) => (this.#before = before), () => {});
            return;
        }
        if (beside.paused && !element.paused) film.play(this.clip.frame, last).catch(() => {});
        else if (!beside.seeking && Math.abs(beside.currentTime - element.currentTime) > APART) beside.currentTime = element.currentTime;
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
        for (const film of [this.#now, this.#before]) film?.element.pause();
        this.masks = new Map();
        this.clip.tell();
    }

    /** Another clip, or none: nothing of the one before is of use. */
    forget() {
        this.pause();
        for (const version of [...this.#films.keys()]) this.#drop(version);
        this.#parts = this.#now = this.#before = this.#held = null;
    }

    /** A version as the browser plays it, with its sound; the original beside it is silent. */
    #film(version) {
        const {clip} = this, known = this.#films.get(version) ?? this.#open(version);
        this.#films.set(version, known);
        for (const other of [...this.#films.keys()].filter((number) => ![0, version, clip.version].includes(number))) this.#drop(other);
        known.then((film) => film.fault).catch(() => this.#drop(version));
        return known.then((film) => (Object.assign(film.element, {muted: version !== clip.version}), film));
    }

    /** @param {number} version */
    #drop(version) {
        const film = this.#films.get(version);
        this.#films.delete(version);
        film?.then((opened) => opened.close(), () => {});
    }

    /** @returns {Promise<Film>} */
    async #open(version) {
        const {videos, work, id, times} = this.clip;
        this.#parts ??= videos.parts(id);
        this.#parts.catch(() => (this.#parts = null));
        const parts = await this.#parts;
        if (PartedFilm.plays(parts.media_type)) return new PartedFilm((number, signal) => work.patiently(() => videos.part(id, version, number, signal)), times, parts).open();
        return new WholeFilm(times).open(await work.patiently(() => videos.preview(id, version)));
    }
}
