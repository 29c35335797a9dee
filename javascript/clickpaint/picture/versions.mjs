/** The versions of the open picture that are at hand, ready to be drawn. */

import {Pyramid} from "./pyramid.mjs";

/** Bytes of pictures that are kept at hand, besides those that have to be. */
const ROOM = 400e6;

export class Versions {
    /** @type {Map<number, Pyramid>} */
    #versions = new Map();
    /** Resolves when the original is the server's. @type {Promise<void>} */
    #exact = Promise.resolve();
    /** @type {{bitmap: ImageBitmap, opacity: number, version: number} | null} */
    #over = null;

    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     */
    constructor(editor, api) {
        this.editor = editor;
        this.api = api;
    }

    /**
     * The picture of a version; null where it is not here.
     *
     * @param {number} version
     */
    at(version) {
        return this.#versions.get(version) ?? null;
    }

    /** Whether the picture that was opened has transparent parts. */
    transparent = false;

    /** What lies over the picture shown, as it was given to `cover`; null for nothing. */
    get over() {
        return this.#over?.version === this.editor.state.version ? this.#over : null;
    }

    /**
     * Lay something over the picture shown.
     *
     * @param {{bitmap: ImageBitmap, opacity: number, version: number} | null} over from now on ours; opacity: 0..1; version: the picture's; null for nothing
     */
    cover(over) {
        if (this.#over?.bitmap !== over?.bitmap) this.#over?.bitmap.close();
        this.#over = over;
        this.editor.redraw();
    }

    /**
     * Those of another workspace.
     *
     * @param {any} workspace the server's answer
     * @param {Map<number, Pyramid>} versions
     * @param {boolean} own whether the original is as the browser read it; then the server's pixels, which may differ a little, follow
     */
    begin(workspace, versions, own = false) {
        this.#forget();
        this.cover(null);
        for (const [version, shown] of versions) this.#keep(version, shown);
        this.transparent = versions.get(0)?.transparent ?? false;
        this.#exact = own ? this.#replaceOriginal(workspace) : Promise.resolve();
    }

    async fetch(id, version, {width, height}) {
        return Pyramid.of(await this.api.picture(id, version, [0, 0, width, height]));
    }

    /** The original, of whatever size it was. */
    async fetchOriginal(id) {
        return Pyramid.of(await this.api.picture(id, 0));
    }

    /**
     * Have a picture at hand. Others stay as long as there is room: going back to them then asks for nothing.
     *
     * @param {number} version
     * @param {import("../server/answers.mjs").Box | null} changed where alone it differs from the one shown, maybe nowhere; null for anywhere
     * @param {{width: number, height: number}} size its own
     */
    async show(version, changed, size) {
        await this.#exact;
        const {id, state} = this.editor, before = state.version, shown = this.at(before);
        if (!this.#versions.has(version)) this.#keep(version, await (changed && shown ? this.#patch(shown, version, changed) : this.fetch(id, version, size)));
        else this.#keep(version, /** @type {Pyramid} */ (this.at(version)));
        this.#forget(0, before, version);
    }

    async #patch(shown, version, changed) {
        const box = changed[0] < changed[2] ? changed : [0, 0, 1, 1];
        const patch = await createImageBitmap(await this.api.picture(this.editor.id, version, box));
        const made = await shown.patched(patch, box[0], box[1]);
        patch.close();
        return made;
    }

    async #replaceOriginal(workspace) {
        try {
            const exact = await this.fetch(workspace.id, 0, workspace);
            if (this.editor.state.workspace?.id === workspace.id) this.#keep(0, exact);
            else exact.close();
        } catch {
            // The next change says what is wrong with the server; until then the browser's own reading is shown.
        }
    }

    #keep(version, pyramid) {
        const known = this.at(version);
        this.#versions.delete(version); // the one used last stands last
        this.#versions.set(version, pyramid);
        if (known === pyramid) return;
        known?.close();
        pyramid.build().then(() => this.editor.redraw(), () => {});
    }

    /** Let go of those used longest ago that there is no room for; all but `keep` where that is empty. */
    #forget(...keep) {
        let room = keep.length ? ROOM : -1;
        for (const version of new Set(keep)) room -= this.at(version)?.nbytes ?? 0;
        for (const [version, pyramid] of [...this.#versions].reverse()) {
            if (keep.includes(version) || (room -= pyramid.nbytes) >= 0) continue;
            pyramid.close();
            this.#versions.delete(version);
        }
    }
}
