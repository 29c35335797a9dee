/** Opening a picture on the server, going on with one that was open before, and what the server can do. */

import {t} from "../language/language.mjs";
import {ApiError} from "../server/api.mjs";
import {KeptFiles} from "./kept_files.mjs";
import {urlOf} from "./mask_layer.mjs";
import {Pyramid} from "./pyramid.mjs";
import {showSelection} from "./selecting.mjs";

const PERIOD = 700;
/** Pixels of the longer side of the mask that a picture comes back with; what is looked at from near follows by itself. */
const MASK_SIDE = 1536;
const working = ({kind, state}) => ["erase", "paint"].includes(kind) && ["waiting", "running"].includes(state);

export class Opening {
    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     * @param {import("./versions.mjs").Versions} versions
     * @param {import("./diffusion.mjs").Diffusion} diffusion whose results belong to the picture that is open
     */
    constructor(editor, api, versions, diffusion) {
        this.editor = editor;
        this.api = api;
        this.versions = versions;
        this.diffusion = diffusion;
        /** What the server may lose. */
        this.files = new KeptFiles(`${api.base}files`);
        /** Whether the picture that is open may go; asks the user. @type {() => Promise<boolean>} */
        this.mayOpen = async () => true;
        /** Whether a workspace is still of use when another is opened. @type {(id: string) => boolean} */
        this.stays = () => false;
    }

    async loadCapabilities() {
        const {editor} = this, capabilities = (editor.capabilities = await this.api.capabilities());
        editor.segmenter ||= capabilities.defaults.segmenter;
        editor.eraser ||= capabilities.defaults.eraser;
        editor.changed();
    }

    /**
     * @param {Blob} blob
     * @param {string} name of its file
     */
    async open(blob, name) {
        const {editor, api} = this;
        await editor.changes.idle(); // what is being made is a result, too
        if (!(await this.mayOpen())) return undefined;
        editor.hover(null);
        return editor.change("open", async () => {
            const before = editor.state.workspace?.id, answer = await this.#upload(blob, name);
            if (before && !this.stays(before)) api.close(before, true).catch(() => {});
            return answer;
        });
    }

    async #upload(blob, name) {
        const local = Pyramid.of(blob).catch(() => null);
        const answer = await this.api.open(blob, name);
        this.files.put(answer.id, blob, name);
        const {id, width, height} = answer, own = await local;
        const shown = own && own.width === width && own.height === height ? own : await this.versions.fetch(id, 0, answer);
        this.#begin(answer, new Map([[0, shown]]), shown === own);
        return answer;
    }

    /**
     * @param {any} answer
     * @param {Map<number, Pyramid>} versions
     */
    #begin(answer, versions, own = false) {
        const {editor} = this;
        editor.state.open(answer);
        this.versions.begin(answer, versions, own);
        editor.segmenter = answer.segmenter ?? editor.segmenter;
        editor.setLayer(null);
        editor.regions = editor.crosshair = null;
        editor.pending = [];
        this.diffusion.forget();
        editor.view.setPicture(answer.width, answer.height);
        editor.radius = Math.max(Math.round(Math.min(answer.width, answer.height) / 28), 4);
        editor.emit("opened", answer);
        editor.viewChanged();
    }

    /**
     * Open a picture of the history in the place of the one that is open.
     *
     * @param {import("./reload_memory.mjs").Kept} kept
     */
    async reopen(kept) {
        const {editor, api} = this, before = editor.state.workspace?.id;
        await editor.changes.idle();
        if (kept.id === before || !(await this.mayOpen())) return undefined;
        const answer = await this.restore(kept);
        if (answer && before && !this.stays(before)) api.close(before, true).catch(() => {});
        return answer;
    }

    /**
     * Go on with a picture that was open before; see `ReloadMemory`. What was under way then is awaited. One that the server has lost is
     * uploaded again.
     *
     * @param {import("./reload_memory.mjs").Kept} kept
     * @param {{quiet?: boolean}} [how] quiet: nothing is said where there is nothing to go on with
     */
    async restore({id, name = "", painted}, {quiet = false} = {}) {
        const {editor} = this;
        editor.restore({id, name});
        const resuming = () => this.#resume(id, painted, quiet).finally(() => editor.restore(null));
        const answer = await editor.change("open", resuming), task = answer?.tasks.find(working);
        if (!task) return answer;
        return editor.change(task.kind, async () => {
            while ((await this.api.workspace(id)).tasks.some(working)) await new Promise((done) => setTimeout(done, PERIOD));
            return this.#resume(id);
        });
    }

    /** The server said that it does not have the open picture any more. */
    recover() {
        const {editor} = this, {workspace, name} = editor.state;
        if (!workspace || editor.restoring) return undefined;
        return this.restore({id: workspace.id, name, painted: this.diffusion.kept()});
    }

    async #resume(id, painted = null, quiet = false) {
        const {editor, api} = this, answer = await api.workspace(id).catch((error) => (error.kind === "NotFound" ? null : Promise.reject(error)));
        if (!answer) return this.#again(id, quiet);
        const {version, selection} = answer, versions = new Map([[version, await this.versions.fetch(id, version, answer)]]);
        if (version) versions.set(0, await this.versions.fetchOriginal(id));
        const mask = selection && (await urlOf(await api.mask(id, {side: MASK_SIDE})));
        const offsets = Object.entries(answer.offsets).map(([number, [x, y]]) => [Number(number), {x, y}]);
        this.#begin(answer, versions);
        editor.state.resumed(selection && {...selection, mask}, offsets);
        if (painted) this.diffusion.resume(painted);
        await showSelection(editor, editor.state.selection);
        return answer;
    }

    /** Upload what the server has lost. */
    async #again(id, quiet) {
        const kept = await this.files.get(id);
        if (kept) {
            const answer = await this.#upload(kept.blob, kept.name);
            this.files.forget(id);
            this.editor.emit("error", new ApiError(404, {error: "Lost", message: t("lost"), remedy: t("lost.remedy")}));
            return answer;
        }
        this.editor.emit("gone", id);
        if (quiet) return undefined;
        throw new ApiError(404, {error: "NotFound", message: t("forgotten"), remedy: t("forgotten.remedy")});
    }

    /** Stop what is under way for this picture. */
    interrupt() {
        return this.api.interrupt(this.editor.subject).catch((error) => this.editor.emit("error", error));
    }
}
