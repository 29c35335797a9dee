/** The history: what was opened and made before, as far as the server has it. */

import {t} from "../language/language.mjs";
import {ApiError} from "../server/api.mjs";

/**
 * @typedef {object} PastPicture
 * @property {string} id of the workspace
 * @property {string} name of the file
 * @property {number} width of what it shows
 * @property {number} height
 * @property {string[]} steps what was done, in the server's words
 * @property {number} changed in seconds since 1970
 * @property {number} bytes on the server's disk
 */

/** Events: "change". */
export class PastPictures extends EventTarget {
    /** The one changed last first; null before they are known. @type {PastPicture[] | null} */
    list = null;

    /**
     * @param {Pick<import("./workbench.mjs").Workbench, "api" | "editor" | "opening">} workbench
     * @param {import("./reload_memory.mjs").ReloadMemory} memory
     */
    constructor({api, editor, opening}, memory) {
        super();
        this.api = api;
        this.editor = editor;
        this.opening = opening;
        this.memory = memory;
    }

    /** The bounds of the settings, as far as the server has told: {days, bytes}. */
    get bounds() {
        const limits = this.editor.capabilities?.limits;
        return limits ? {days: limits.keep_workspaces_days, bytes: limits.keep_workspaces_mb * 1e6} : null;
    }

    async load() {
        const {ids} = this.memory, all = await this.api.history(), known = new Set(all.map((/** @type {PastPicture} */ {id}) => id));
        const mine = ids.filter((id) => !known.has(id)); // of a server with several users, the browser knows its own
        const more = mine.length ? await this.api.history(mine) : [];
        this.#become([...all, ...more].sort((a, b) => b.changed - a.changed));
    }

    /** @param {PastPicture} picture */
    async open({id}) {
        if (!(await this.memory.free(id))) throw new ApiError(0, {error: "InvalidInput", message: t("history.elsewhere")});
        return this.opening.reopen(this.memory.of(id));
    }

    /**
     * Remove pictures from the server's disk, for good; the open one stays.
     *
     * @param {PastPicture[]} pictures
     */
    async remove(pictures) {
        const open = this.editor.state.workspace?.id;
        for (const {id} of pictures.filter((picture) => picture.id !== open)) {
            await this.api.close(id).catch((/** @type {any} */ error) => (error.kind === "NotFound" ? null : Promise.reject(error)));
            await this.opening.files.forget(id);
            this.memory.forget(id);
            this.#become((this.list ?? []).filter((picture) => picture.id !== id));
        }
    }

    /** @param {PastPicture[]} list */
    #become(list) {
        this.list = list;
        this.dispatchEvent(new CustomEvent("change"));
    }
}
