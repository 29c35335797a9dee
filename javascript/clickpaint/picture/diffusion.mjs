/** Painting with the host's checkpoint: what is asked for, the results to choose from, and how it looks meanwhile. */

import {ApiError} from "../server/api.mjs";
import {actingOnly} from "./acting.mjs";

const PERIOD = 700;
const SECOND_PASS = {Automatic: null, On: true, Off: false};
export const OF_THE_HOST = new Set(["Automatic", "Web UI"]);
const CLIP_TASKS = new Set(["remove", "fill", "replace"]);
/** As the page lists them; see ui/words_tab.py. @type {Record<string, string>} */
export const METHODS = {"Prompt-to-Prompt": "p2p", "LEDITS++": "ledits", "DiffEdit": "diffedit", "SDEdit": "sdedit"};
/** @type {Record<string, string>} */
const INVERSIONS = {"By noise of its own (DDPM)": "ddpm", "By DDIM": "ddim", "From its seed": "seed"};
const WHOLE = ["expand", "instruct", "edit", "vary"];
const SIDES = ["left", "top", "right", "bottom"];

/**
 * The body of a request, from the values of the page's widgets by their names.
 *
 * @param {string} task
 * @param {Record<string, any>} values besides: `acts`, the options that a system in the checkpoint's place takes; the others are left out
 * @param {any[]} control units of ControlNet, as the API takes them
 */
export function paintBody(task, values = {}, control = []) {
    const {second_pass, masked_content, engine, sampler, scheduler, seed, left, top, right, bottom, acts, ...plain} = values;
    const rest = task === "edit" ? edited(plain) : plain;
    /** @type {Record<string, any>} */
    const body = {task, ...rest, control, seed: Number.isFinite(parseInt(seed)) ? parseInt(seed) : -1};
    if (task !== "vary") body.refine = SECOND_PASS[second_pass] ?? null;
    if (masked_content && task !== "vary") body.masked_content = masked_content.toLowerCase();
    if (task !== "edit" && engine && !OF_THE_HOST.has(engine)) body.engine = engine.toLowerCase();
    for (const [name, value] of Object.entries({sampler, scheduler})) if (value && value !== "Automatic") body[name] = value;
    if (task === "expand") body.expand = SIDES.map((side) => Math.round(values[side] ?? 0));
    return acts ? Object.fromEntries(Object.entries(body).filter(([name]) => acts.includes(name))) : body;
}

/**
 * The values of an edit by words as the API takes them: only those of its method.
 *
 * @param {Record<string, any>} values
 */
function edited(values) {
    const {edit_method, word_weights, edits, inversion, cross_steps, self_steps, local, mask_ratio, ...rest} = values;
    const method = METHODS[edit_method] ?? "p2p", parts = (text) => (text ?? "").split(/[,;\n]/).map((part) => part.trim()).filter(Boolean);
    const weights = parts(word_weights).map((part) => part.split("=")).map(([words, weight]) => ({words: words.trim(), weight: Number(weight ?? NaN)}));
    const several = parts(edits).map((part) => part.split(":")).map(([text, scale = 5, threshold = 0.9]) => ({text, scale: Number(scale), threshold: Number(threshold)}));
    /** @type {Record<string, Record<string, any>>} */
    const own = {
        p2p: {word_weights: weights, inversion: INVERSIONS[inversion] ?? "ddpm", cross_steps, self_steps, local},
        ledits: {edits: several}, diffedit: {mask_ratio}, sdedit: {},
    };
    const prompt = rest.prompt || (weights.length || several.length ? rest.source_prompt : "");
    return {...rest, prompt, edit_method: method, ...own[method]};
}

/** Events: "live" (detail: the picture being painted as a Blob, or null when there is none any more). */
export class Diffusion extends EventTarget {
    #stop = () => {};
    /** To be added when the picture is expanded: left, top, right, bottom. */
    margins = [0, 0, 0, 0];
    /** The open tab's. */
    task = "remove";
    /** Of the last painting. @type {any[]} */
    results = [];
    /** The body of its request. @type {Record<string, any> | null} */
    asked = null;
    /** Which result each version of the picture shows, by its index. @type {Map<number, number>} */
    resultOf = new Map();
    /** The mask of what was just painted. @type {string | null} */
    freshMask = null;
    /** The result that was shown last. @type {any} */
    last = null;

    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     * @param {import("./timeline.mjs").Timeline} timeline
     */
    constructor(editor, api, timeline) {
        super();
        this.editor = editor;
        this.api = api;
        this.timeline = timeline;
    }

    /** The results belong to a picture that is not here any more. */
    forget() {
        this.results = [];
        this.asked = null;
        this.resultOf = new Map();
        this.freshMask = null;
        this.last = null;
    }

    /** What `resume` takes after a reload of the page. */
    kept() {
        return {results: this.results, asked: this.asked, of: [...this.resultOf]};
    }

    /** Let the results be chosen from again. */
    resume({results, asked, of}) {
        this.results = results;
        this.asked = asked;
        this.resultOf = new Map(of);
        this.last = this.chosen === null ? null : (results[this.chosen] ?? null);
    }

    dispose() {
        this.#stop();
    }

    /** The result that is shown, by its index; null where the picture shown is none of the last painting's. */
    get chosen() {
        return this.resultOf.get(this.editor.state.version) ?? null;
    }

    /** The canvas that the margins chosen would give, as a box in pixels of the picture; null for none. */
    get frame() {
        const [left, top, right, bottom] = this.margins, {width, height} = this.editor.size;
        return this.editor.ready && this.action === "expand" && this.margins.some(Boolean) ? [-left, -top, width + right, height + bottom] : null;
    }

    /**
     * Margins to add when the picture is expanded; shown as a frame around it.
     *
     * @param {number[]} margins left, top, right, bottom
     * @param {{settled?: boolean}} [how] settled: the view follows; not while they are being dragged
     */
    setMargins(margins, {settled = true} = {}) {
        this.margins = margins.map((margin) => Math.round(margin) || 0);
        if (settled) this.#frame();
        else this.editor.redraw();
    }

    /** @param {string} task of the tab that is open now */
    setTask(task) {
        this.task = task;
        this.#frame();
        this.editor.changed();
    }

    #frame() {
        this.editor.view.setAround(this.action === "expand" ? this.margins : [0, 0, 0, 0]);
        this.editor.viewChanged();
    }

    /** What the open tab does; with a clip, what can be done to it. */
    get action() {
        return this.editor.clip && !CLIP_TASKS.has(this.task) ? "remove" : this.task;
    }

    /** Whether a result can be painted once more: the frame of an expanded picture is not selected any more. */
    get refinable() {
        return this.asked !== null && this.asked.task !== "expand" && !this.asked.system;
    }

    /** Whether what is selected is what was just painted: then only its outline may lie over it. */
    get resting() {
        const {selection} = this.editor.state;
        return this.chosen !== null && selection !== null && selection.mask === this.freshMask;
    }

    /** The seed of the result shown, or of the last one that was. */
    get seed() {
        return this.last?.seed ?? -1;
    }

    /**
     * @param {string} task
     * @param {Record<string, any>} [values] see `paintBody`
     * @param {any[]} [control]
     */
    paint(task, values, control = []) {
        const {editor} = this, asked = paintBody(task, values, control);
        const body = actingOnly(asked, editor.capabilities?.paint, editor.clip !== null || Boolean(editor.state.selection));
        if (body.masked_content === "erased" && editor.options.eraser !== "diffusion") body.eraser = editor.options.eraser;
        if (editor.clip) return editor.clip.paint(task, body);
        const ask = (id) => {
            if (!WHOLE.includes(task) && !editor.state.selection) throw new ApiError(400, {error: "NoSelection"});
            return this.api.paint(id, body);
        };
        return this.#paint(ask, body, 0);
    }

    /**
     * Paint a result once more, finer; it joins the others.
     *
     * @param {number} index
     */
    refine(index) {
        const body = this.asked ?? {}, first = this.results.length;
        return this.#paint((id) => this.api.refine(id, index, body), body, first);
    }

    /** `first`: the index that the first of the new results has. */
    async #paint(ask, body, first) {
        const {editor} = this;
        const request = () => {
            const {id} = editor;
            const answered = ask(id);
            this.#watch(id);
            return answered.finally(this.#stop);
        };
        const answer = await this.timeline.repaint("paint", request, body.expand);
        if (!answer) return undefined;
        if (!first) this.resultOf = new Map();
        this.results = answer.results;
        this.asked = body;
        this.#shown(answer, first);
        editor.emit("done", {key: "painted", milliseconds: answer.milliseconds});
        return answer;
    }

    /**
     * Show another of the last painting's results.
     *
     * @param {number} index
     */
    async use(index) {
        const {editor} = this;
        if (index === this.chosen || !this.results[index]) return;
        const answer = await this.timeline.repaint("timeline", () => this.api.useResult(editor.id, index));
        if (answer) this.#shown(answer, index);
    }

    #shown(answer, index) {
        this.resultOf.set(answer.version, index);
        this.freshMask = answer.selection?.mask ?? null;
        this.last = this.results[index];
        this.editor.changed();
    }

    /** Tell how the picture of workspace `id` looks, again and again until `#stop`. */
    #watch(id) {
        this.#stop();
        const over = new AbortController();
        const show = (detail) => this.dispatchEvent(new CustomEvent("live", {detail}));
        const look = async () => {
            try {
                const picture = await this.api.preview(id, over.signal);
                if (picture && !over.signal.aborted) show(picture);
            } catch {
                // The next look may succeed; what is wrong with the painting itself is told by its own answer.
            }
            if (!over.signal.aborted) timer = setTimeout(look, PERIOD);
        };
        let timer = setTimeout(look, PERIOD);
        this.#stop = () => {
            clearTimeout(timer);
            over.abort();
            show(null);
            this.#stop = () => {};
        };
    }
}
