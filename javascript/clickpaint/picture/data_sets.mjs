/** Data sets: what is kept for training, as the server has it. */

/**
 * @typedef {object} Example
 * @property {string} id
 * @property {string} caption without the trigger word
 * @property {number} repeats
 * @property {boolean} mask
 * @property {boolean} control_map
 * @property {boolean} before
 * @property {string[]} marks
 * @property {string | null} same_as
 *
 * @typedef {{done: number, total: number}} Work how far describing or masking is
 */

const REMEMBERED = "clickpaint.dataset";

/** Events: "change". */
export class DataSets extends EventTarget {
    /** Names, trigger words and sizes; null before they are known. @type {any[] | null} */
    list = null;
    /** The one that is shown; see the server's `DataSetAnswer`. @type {any} */
    shown = null;
    /** @type {Work | null} */
    work = null;
    resolution = 512;
    /** Why the one that was asked for cannot be shown. @type {any} */
    failure = null;
    /** Whether the server is looking through one. */
    loading = false;
    #stopped = false;

    /**
     * @param {Pick<import("./workbench.mjs").Workbench, "api" | "editor">} workbench
     * @param {Storage | null} storage of the browser
     */
    constructor({api, editor}, storage) {
        super();
        this.api = api;
        this.editor = editor;
        this.storage = storage;
    }

    /** The name of the one that was used last. */
    get name() {
        const left = this.storage?.getItem(REMEMBERED) ?? "";
        return this.list && !this.list.some(({name}) => name === left) ? this.list[0]?.name ?? "" : left;
    }

    #remember(name) {
        this.storage?.setItem(REMEMBERED, name);
    }

    /** Ask for the list, and for the set used last where `whole`. */
    async load(whole = true) {
        try {
            this.list = await this.api.request("GET", "datasets");
        } catch (error) {
            this.failure = error;
            return this.#changed();
        }
        if (whole) await this.show(this.name);
        else this.#changed();
    }

    /** @param {string} name */
    async show(name) {
        if (name) this.#remember(name);
        const query = {resolution: this.resolution};
        this.loading = true;
        this.failure = null;
        this.#changed();
        try {
            this.shown = name ? await this.api.request("GET", this.#path(name), {query}) : null;
        } catch (error) {
            this.shown = null;
            this.failure = error;
        } finally {
            this.loading = false;
            this.#changed();
        }
    }

    /** @param {string} name @param {string} trigger */
    async make(name, trigger) {
        const made = await this.api.request("POST", "datasets", {body: {name, trigger}});
        this.#remember(made.name);
        await this.load();
    }

    /** Keep something of the open picture; see the server's `KeepForTrainingBody`. @param {Record<string, unknown>} body */
    async keep(body) {
        const kept = await this.api.request("POST", `workspaces/${this.editor.id}/keep-for-training`, {body});
        this.#remember(kept.dataset);
        return kept;
    }

    /** @param {{trigger?: string, examples?: {id: string, caption?: string, repeats?: number}[]}} body */
    async change(body) {
        await this.api.request("PATCH", this.#path(), {body});
        await this.show(this.shown.name);
    }

    /** @param {string} id */
    async discard(id) {
        await this.api.request("DELETE", this.#path(this.shown.name, `examples/${encodeURIComponent(id)}`));
        await this.load();
    }

    async remove() {
        await this.api.request("DELETE", this.#path());
        await this.load();
    }

    /** A small picture of an example. @param {string} id @param {"picture" | "map" | "before"} what */
    thumbnail(id, what = "picture") {
        return this.api.request("GET", this.#path(this.shown.name, `examples/${encodeURIComponent(id)}/thumbnail`), {query: {what}, blob: true});
    }

    /** Describe every example that has no words; one after another, so that it can be stopped and followed. */
    describe() {
        return this.#through("caption", {}, this.shown.examples.filter(({caption}) => !caption));
    }

    /** Select what a phrase names in every example that has no mask. @param {string} phrase */
    mask(phrase) {
        return this.#through("mask", {phrase}, this.shown.examples.filter(({mask}) => !mask));
    }

    stop() {
        this.#stopped = true;
    }

    /**
     * @param {string} what
     * @param {Record<string, unknown>} body
     * @param {Example[]} examples
     * @returns {Promise<{done: number, failed: number}>}
     */
    async #through(what, body, examples) {
        const {name} = this.shown, counts = {done: 0, failed: 0};
        this.#stopped = false;
        try {
            for (const [index, {id}] of examples.entries()) {
                if (this.#stopped) break;
                this.work = {done: index, total: examples.length};
                this.#changed();
                const {done, failed} = await this.api.request("POST", this.#path(name, what), {body: {...body, ids: [id]}});
                counts.done += done.length;
                counts.failed += Object.keys(failed).length;
            }
        } finally {
            this.work = null;
            await this.show(name);
        }
        return counts;
    }

    /** A zip file for another trainer. @param {string} layout @returns {Promise<{blob: Blob, name: string}>} */
    file(layout) {
        return this.api.file(this.#path(this.shown.name, "export"), {layout});
    }

    /** Bring a zip file; its name is that of the data set. @param {File} file @returns {Promise<number>} how many examples it had */
    async take(file) {
        const form = new FormData(), name = file.name.replace(/\.zip$/i, "");
        form.append("file", file, file.name);
        const answer = await this.api.request("POST", this.#path(name, "import"), {body: form});
        this.#remember(answer.name);
        await this.load();
        return answer.imported;
    }

    #path(name = this.shown.name, rest = "") {
        return `datasets/${encodeURIComponent(name)}${rest && `/${rest}`}`;
    }

    #changed() {
        this.dispatchEvent(new CustomEvent("change"));
    }
}
