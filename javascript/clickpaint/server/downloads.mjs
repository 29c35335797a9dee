/** Downloads of model files: one per page, shared by the offer under the canvas and the list of models. */

const PERIOD = 500;
const ACTIVE = new Set(["waiting", "running"]);

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

/** Events: "models" (detail: the list), "tasks", "error", "failed" (detail: the task), "done" (detail: model name). */
export class Downloads extends EventTarget {
    /** Those under way, by the model's name. @type {Map<string, any>} */
    #tasks = new Map();
    /** @type {ReturnType<typeof setTimeout> | null} */
    #timer = null;
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

    async refresh() {
        this.list = await this.api.models();
        this.#emit("models", this.list);
        this.watch();
    }

    async start(name) {
        try {
            await this.api.download(name);
            this.#tasks.set(name, {subject: name, state: "waiting", fraction: null});
            this.#emit("tasks");
            this.watch();
        } catch (error) {
            this.#emit("error", error);
        }
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
        try {
            ({tasks} = await this.api.progress(null));
        } catch {
            // The next request of the user will say what is wrong.
        }
        this.#timer = null;
        const downloads = tasks.filter((task) => task.kind === "download");
        const active = downloads.filter((task) => ACTIVE.has(task.state));
        const ended = [...this.#tasks.keys()].filter((name) => !active.some((task) => task.subject === name));
        this.#tasks = new Map(active.map((task) => [task.subject, task]));
        this.#emit("tasks");
        for (const name of ended) {
            const last = downloads.filter((task) => task.subject === name).at(-1);
            if (last?.state === "failed") this.#emit("failed", last);
            else if (last?.state === "done") this.#emit("done", name);
        }
        if (ended.length) await this.refresh().catch(() => {});
        if (active.length) this.watch();
    }

    dispose() {
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = null;
    }
}
