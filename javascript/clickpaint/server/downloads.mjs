/** What is done with model files: downloads, checks, deletions. One per page, shared by the offer under the canvas and the lists of models. */

import {translated} from "../language/server_sentences.mjs";

const PERIOD = 500;
const ACTIVE = new Set(["waiting", "running"]);
const KINDS = new Set(["download", "verify"]);

/**
 * The segmenter or eraser that a model's file is for, if that cannot run here whatever is downloaded: `reason` says which package it lacks.
 *
 * @param {import("./answers.mjs").Capabilities | null | undefined} capabilities
 * @param {string} model its name in the catalog
 */
export function blocked(capabilities, model) {
    const engines = [...(capabilities?.segmenters ?? []), ...(capabilities?.erasers ?? [])].filter((engine) => engine.model === model);
    return engines.length && engines.every((engine) => engine.blocked) ? engines[0] : null;
}

/** A file of the list, in the page's language. */
const named = (model) => ({...model, title: translated(model.title), licence: translated(model.licence), note: translated(model.note)});

/** The names of the models that are there, as one text. */
const present = (list) => (list ?? []).filter((model) => model.state === "present").map((model) => model.name).join();

/**
 * Events: "models" (detail: the list), "moved" (files came or went), "tasks", "error", "failed" (detail: the task), "done" and "verified"
 * (detail: the model's name).
 */
export class Downloads extends EventTarget {
    /** Those under way, by the model's name. @type {Map<string, any>} */
    #tasks = new Map();
    /** @type {ReturnType<typeof setTimeout> | null} */
    #timer = null;
    /** @type {Promise<void> | null} */
    #refreshing = null;
    /** What the server has and could have; null while it has not told. @type {any[] | null} */
    list = null;

    /** @param {import("./api.mjs").Api} api */
    constructor(api) {
        super();
        this.api = api;
    }

    task(name) {
        return this.#tasks.get(name);
    }

    #emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, {detail}));
    }

    /** Ask what there is now, once however many ask at a time. */
    refresh() {
        this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = null));
        return this.#refreshing;
    }

    async #refresh() {
        const before = this.list;
        this.list = (await this.api.models()).map(named);
        this.#emit("models", this.list);
        if (before && present(before) !== present(this.list)) this.#emit("moved");
        this.watch();
    }

    start(name) {
        return this.#begin("download", name, () => this.api.download(name));
    }

    verify(name) {
        return this.#begin("verify", name, () => this.api.verifyModel(name));
    }

    async #begin(kind, name, ask) {
        try {
            await ask();
            this.#tasks.set(name, {kind, subject: name, state: "waiting", fraction: null});
            this.#emit("tasks");
            this.watch();
        } catch (error) {
            this.#emit("error", error);
        }
    }

    /** Delete a model's files. */
    async remove(name) {
        try {
            await this.api.removeModel(name);
        } catch (error) {
            this.#emit("error", error);
        }
        await this.refresh().catch((error) => this.#emit("error", error));
    }

    async cancel(name) {
        try {
            await this.api.cancelDownload(name);
        } catch (error) {
            this.#emit("error", error);
        }
    }

    watch() {
        if (this.#timer === null) this.#timer = setTimeout(() => this.#ask(), PERIOD);
    }

    async #ask() {
        let tasks = [];
        const begun = [...this.#tasks.keys()]; // what begins while the server answers is not known to it yet
        try {
            ({tasks} = await this.api.progress(null));
        } catch {
            // The next request of the user will say what is wrong.
        }
        this.#timer = null;
        const known = tasks.filter((task) => KINDS.has(task.kind));
        const active = known.filter((task) => ACTIVE.has(task.state));
        const ended = begun.filter((name) => !active.some((task) => task.subject === name));
        for (const name of ended) this.#tasks.delete(name);
        for (const task of active) this.#tasks.set(task.subject, task);
        this.#emit("tasks");
        if (ended.length) await this.refresh().catch(() => {});
        for (const name of ended) {
            const last = known.filter((task) => task.subject === name).at(-1);
            if (last?.state === "failed") this.#emit("failed", last);
            else if (last?.state === "done") this.#emit(last.kind === "verify" ? "verified" : "done", name);
        }
        if (this.#tasks.size) this.watch();
    }

    dispose() {
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = null;
    }
}
