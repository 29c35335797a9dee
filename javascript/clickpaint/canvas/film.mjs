/** All that the canvas has for a clip: the clip itself, its strip below the stage, its keys, and what is left of it over a reload. */

import {ApiError} from "../server/api.mjs";
import {t} from "../language/language.mjs";
import {browserStorage} from "../picture/reload_memory.mjs";
import {Clip} from "../video/clip.mjs";
import {isClip} from "../video/clip_files.mjs";
import {PastClips} from "../video/past_clips.mjs";
import {FilmStrip} from "../video/film_strip.mjs";

export class Film {
    /** @type {FilmStrip | null} */
    #strip = null;

    /**
     * @param {import("../picture/workbench.mjs").Workbench} workbench
     * @param {import("./canvas.mjs").ClickpaintCanvas} canvas
     * @param {Storage | null} storage where it is kept over a reload of the page which clip was open
     */
    constructor(workbench, canvas, storage) {
        this.editor = workbench.editor;
        this.canvas = canvas;
        this.storage = storage;
        this.key = `${workbench.api.base}video`;
        this.clip = new Clip(workbench);
        this.past = new PastClips(this.clip, browserStorage());
        this.clip.player.comparing = () => canvas.compare.active || canvas.compare.holding;
        this.clip.addEventListener("change", () => canvas.classList.toggle("cp-playing", this.playing));
        this.element = document.createElement("div"); // the strip's place: a page that opens no clip makes none
        this.element.className = "cp-film-place";
        this.element.hidden = true;
    }

    /** @param {import("../common/dom.mjs").Listeners} listeners */
    listen(listeners) {
        listeners.on(globalThis, "pagehide", () => {
            const kept = this.clip.kept();
            if (kept) this.storage?.setItem(this.key, JSON.stringify(kept));
        });
        listeners.on(globalThis, "pageshow", () => this.#take()); // brought back as it was
        listeners.on(this.canvas.stage, "pointerdown", (event) => this.#press(event), {capture: true});
        listeners.add(() => this.clip.player.pause());
        this.listeners = listeners;
        if (this.#strip) this.#strip.listen(listeners);
    }

    /** The clip of before a reload of the page is there again. @param {Promise<void>} seen resolves when the canvas is seen for the first time */
    resume(seen) {
        const kept = this.#take();
        if (kept) this.clip.resume(kept, seen);
    }

    /** Once, so that a copy of the tab never gets it. */
    #take() {
        const kept = this.storage?.getItem(this.key) ?? null;
        this.storage?.removeItem(this.key);
        return kept === null ? null : JSON.parse(kept);
    }

    get playing() {
        return this.clip.player.playing;
    }

    /** What is drawn in place of a picture; null where no clip is open. */
    get pictures() {
        return this.editor.clip && this.clip.pictures;
    }

    /** Masks that are drawn besides the selection. */
    get others() {
        return this.editor.clip ? this.clip.others : [];
    }

    /** The canvas's colours, the selection in that of the object. @param {Record<string, string>} colours */
    coloured(colours) {
        return this.editor.clip ? {...colours, tint: this.clip.colourOf(this.clip.object)} : colours;
    }

    /**
     * Open what was chosen, if it is a clip; whether it was.
     *
     * @param {File[]} files
     */
    async take(files) {
        const clips = await Promise.all(files.map((file) => isClip(file).catch(() => false)));
        if (files.length === 1 && clips[0]) return this.clip.load(files[0]), true;
        if (!files.some((file, i) => clips[i] && !file.type.startsWith("image/"))) return false;
        this.editor.emit("error", new ApiError(0, {error: "InvalidInput", message: t("clip.alone"), remedy: t("clip.alone.remedy")}));
        return true;
    }

    /** Esc: what plays stops; else the clip is closed. */
    leave() {
        return this.playing ? this.clip.player.stop() : this.clip.close();
    }

    /** While it plays, a click on the picture stops it and means nothing else: who saw something wanted that frame. */
    #press(event) {
        if (!this.playing || event.target.closest("button, input, .cp-bar, .cp-panel")) return;
        event.stopPropagation();
        this.clip.player.stop();
    }

    update() {
        const open = this.editor.clip !== null;
        this.element.hidden = !open;
        this.canvas.classList.toggle("cp-clip", open);
        if (open && !this.#strip) {
            this.#strip = new FilmStrip(this.clip);
            this.element.append(this.#strip.element);
            if (this.listeners) this.#strip.listen(this.listeners);
        }
        this.#strip?.update();
    }

    /** What a key does while a clip is open; see `shortcuts.mjs`. @type {Record<string, () => unknown>} */
    keys = {
        "film:play": () => this.clip.player.toggle(),
        "film:back": () => this.clip.step(-1),
        "film:forth": () => this.clip.step(1),
        "film:in": () => this.clip.limit("in_mark"),
        "film:out": () => this.clip.limit("out_mark"),
        "film:previous": () => this.clip.mark(-1),
        "film:next": () => this.clip.mark(1),
        "film:masks": () => this.clip.showMasks(),
    };
}
