/** What takes long on a clip: following what was pointed at, and removing it. Meanwhile the strip shows how far it is. */

import {ApiError} from "../server/api.mjs";

const PERIOD = 1000;
const ACTIVE = new Set(["waiting", "running"]);
/** What the server works on in clips. */
const KINDS = new Set(["follow", "erase", "paint"]);
/** What of painting a picture holds for a clip, too. */
const PAINTING = [
    "engine", "prompt", "negative_prompt", "sampler", "scheduler", "steps", "cfg_scale", "seed", "denoising_strength", "masked_content", "soft_inpainting",
    "resolution", "refine", "control", "repaint_jump", "repaint_resamples", "eraser",
    "guide", "guide_words", "guide_scale", "guide_picture", "reference_picture", "reference_adapter", "reference_weight", "reference_fidelity",
    "reference_start", "reference_end",
];
/** What proxies say who do not wait so long: the server goes on. */
const IMPATIENT = new Set([502, 504, 524]);

const active = ({kind, state}) => KINDS.has(kind) && ACTIVE.has(state);
/** Whether nobody waited for an answer that the server is still working on. */
const gaveUp = ({kind, status}) => kind === "Unreachable" || IMPATIENT.has(status);

export class ClipWork {
    /** Whether something is under way. */
    busy = false;
    /** Who follows, who paints what no frame shows: names; null for the server's choice. @type {{tracker: string | null, eraser: string | null}} */
    chosen = {tracker: null, eraser: null};

    /** @param {import("./clip.mjs").Clip} clip */
    constructor(clip) {
        this.clip = clip;
        this.videos = clip.videos;
    }

    get canUndo() {
        return this.clip.open.can_undo;
    }

    get canRedo() {
        return this.clip.open.can_redo;
    }

    /** Go on with what the server was doing when the page went. */
    async resume() {
        const {clip} = this, task = clip.open.tasks.find(active);
        if (!task || this.busy) return;
        await clip.editor.report(task.kind, this.#during(() => this.#over(clip.id)));
        if (clip.info) await clip.again();
    }

    /** Follow the object through the range. */
    async track() {
        const {clip} = this;
        await clip.worked.settled();
        if (!clip.corrected.length) return clip.editor.emit("error", new ApiError(400, {error: "NoSelection"}));
        const followed = await this.#follow([clip.object]), n = clip.doubtful.length;
        if (followed) clip.editor.emit("done", n ? {key: "clip.tracked", n} : {key: "clip.tracked.surely"});
        return clip.again();
    }

    /** What was followed already stays as it is. @param {string[]} objects */
    #follow(objects) {
        this.clip.masksShown = true;
        return this.#do("follow", "track", {objects, tracker: this.chosen.tracker});
    }

    /** Remove from the clip what was pointed at; what was not followed yet is followed first. @param {Record<string, any>} options of the canvas */
    erase({auto_edge, grow, feather}) {
        return this.#change("erase", "remove", {eraser: this.chosen.eraser, ...(auto_edge ? {} : {grow, feather})}, "removed");
    }

    /** Paint over the objects, or around them, in all frames. @param {string} task "fill" or "replace" @param {Record<string, any>} body see `paintBody` */
    paint(task, body) {
        const asked = Object.fromEntries(PAINTING.filter((name) => name in body).map((name) => [name, body[name]]));
        return this.#change("paint", task, asked, "painted");
    }

    /** @param {string} kind of the task @param {string} what @param {Record<string, any>} body @param {string} key of what is said when it is done */
    async #change(kind, what, body, key) {
        const {clip} = this, {editor} = clip;
        await clip.worked.settled();
        const objects = clip.open.objects.filter(({frames}) => Object.keys(frames).length).map(({id}) => id), {version} = clip;
        if (!objects.length) return editor.emit("error", new ApiError(400, {error: "NoSelection"}));
        const began = performance.now(), changed = (await this.#follow(objects)) && (await this.#do(kind, what, {...body, objects}));
        if (clip.info && clip.version !== version) clip.masksShown = false;
        if (changed) editor.emit("done", {key, milliseconds: performance.now() - began});
        return clip.info && clip.again();
    }

    /** To the version before or after the one shown. @param {"undo" | "redo"} way */
    async travel(way) {
        const {clip} = this;
        if (this.busy || !(way === "undo" ? this.canUndo : this.canRedo)) return;
        await clip.editor.report("timeline", this.videos.travel(clip.id, way).then(() => clip.refresh()));
        await clip.again();
    }

    /** Whether it was done to the end. */
    #do(kind, what, body) {
        const {clip} = this, {id} = clip, given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
        const asked = async () => {
            try {
                await this.videos.work(id, what, given);
            } catch (error) {
                if (!gaveUp(/** @type {ApiError} */ (error))) throw error;
                await this.#over(id);
            }
            return true;
        };
        return clip.editor.report(kind, this.#during(asked));
    }

    /** What the server knows by the end, and now and then before it, is what the clip knows. */
    async #during(work) {
        const {clip} = this, look = setInterval(() => clip.refresh().catch(() => {}), PERIOD);
        this.busy = true;
        clip.tell();
        try {
            return await work();
        } finally {
            clearInterval(look);
            clip.masks.clear();
            await clip.refresh().catch(() => {}); // what went wrong is told by what is asked for next
            this.busy = false;
            clip.tell();
        }
    }

    /**
     * A file that is made when it is asked for; asked for once more where somebody between gave up waiting.
     *
     * @template T
     * @param {(id: string) => Promise<T>} ask
     * @returns {Promise<T>}
     */
    async patiently(ask) {
        const {id} = this.clip;
        try {
            return await ask(id);
        } catch (error) {
            if (!gaveUp(/** @type {ApiError} */ (error))) throw error;
            await this.#over(id, ({state}) => ACTIVE.has(state));
            return ask(id);
        }
    }

    /** Resolves when the server works no more on a clip. */
    async #over(id, works = active) {
        while ((await this.videos.get(id)).tasks.some(works)) await new Promise((done) => setTimeout(done, PERIOD));
    }
}
