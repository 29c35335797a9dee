/** Opening a picture on the server, going on with one after a reload of the page, and what the server can do. */

import {t} from "../language/language.mjs";
import {ApiError} from "../server/api.mjs";
import {urlOf} from "./mask_layer.mjs";
import {Pyramid} from "./pyramid.mjs";
import {showSelection} from "./selecting.mjs";

const PERIOD = 700;
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
        /** Whether the picture that is open may go; asks the user. @type {() => Promise<boolean>} */
        this.mayOpen = async () => true;
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
            const before = editor.state.workspace?.id;
            const local = Pyramid.of(blob).catch(() => null);
            const answer = await api.open(blob, name);
            const {id, width, height} = answer, own = await local;
            const shown = own && own.width === width && own.height === height ? own : await this.versions.fetch(id, 0, answer);
            if (before) api.close(before, true).catch(() => {});
            this.#begin(answer, new Map([[0, shown]]), shown === own);
            return answer;
        });
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
     * Go on with a picture that was open before a reload of the page; see `ReloadMemory`. What was under way then is awaited.
     *
     * @param {{id: string, offsets: any, painted: any}} kept
     */
    async restore({id, offsets, painted}) {
        const {editor} = this;
        const answer = await editor.change("open", () => this.#resume(id, offsets, painted)), task = answer?.tasks.find(working);
        if (!task) return answer;
        return editor.change(task.kind, async () => {
            while ((await this.api.workspace(id)).tasks.some(working)) await new Promise((done) => setTimeout(done, PERIOD));
            return this.#resume(id, offsets);
        });
    }

    async #resume(id, offsets, painted = null) {
        const {editor, api} = this;
        const answer = await api.workspace(id).catch((error) => {
            throw error.kind === "NotFound" ? new ApiError(error.status, {error: error.kind, message: t("forgotten"), remedy: t("forgotten.remedy")}) : error;
        });
        const {version, selection} = answer, versions = new Map([[version, await this.versions.fetch(id, version, answer)]]);
        if (version) versions.set(0, await this.versions.fetchOriginal(id));
        const mask = selection && (await urlOf(await api.mask(id)));
        this.#begin(answer, versions);
        editor.state.resumed(selection && {...selection, mask}, offsets);
        if (painted) this.diffusion.resume(painted);
        await showSelection(editor, editor.state.selection);
        return answer;
    }

    /** Stop what is under way for this picture. */
    interrupt() {
        return this.api.interrupt(this.editor.state.workspace?.id ?? null).catch((error) => this.editor.emit("error", error));
    }
}
