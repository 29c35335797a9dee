/** In which size masks are asked for: the one in which they are looked at, and the whole one once the user looks that near. */

import {Latest, throttled} from "../common/request_order.mjs";
import {layerOf, urlOf} from "./mask_layer.mjs";

/** Pixels of the longer side: steps, so that a little zooming asks for the same; never less, for the view may come nearer; and what a click may cost. */
const STEP = 256, LEAST = 512, MOST = 1536;
const PERIOD = 250;

/** Device pixels for one of the picture's. @param {import("./viewport.mjs").View} view */
const nearness = (view) => view.scale * Math.min(globalThis.devicePixelRatio || 1, 2);

/**
 * The longer side in pixels in which the open picture's masks are seen; null for its own.
 *
 * @param {Pick<import("./editor.mjs").Editor, "size" | "view">} editor
 */
export function maskSide({size: {width, height}, view}) {
    const longest = Math.max(width, height), seen = Math.ceil((longest * Math.min(nearness(view), 1)) / STEP) * STEP;
    const side = Math.min(Math.max(seen, LEAST), MOST);
    return side < longest ? side : null;
}

/** Fetches the whole mask where the one that is shown is too coarse for the view. */
export class MaskDetail {
    #latest = new Latest();
    #soon = throttled(() => this.#look(), PERIOD);

    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     */
    constructor(editor, api) {
        this.editor = editor;
        this.api = api;
        for (const type of ["view", "change"]) editor.addEventListener(type, () => this.#coarse && this.#soon());
    }

    stop() {
        this.#soon.cancel();
        this.#latest.cancel();
    }

    get #coarse() {
        const {layer, view} = this.editor;
        return layer !== null && layer.resolution < 1 && nearness(view) > layer.resolution * 1.1;
    }

    async #look() {
        const {editor} = this, {layer, state} = editor, {selection} = state;
        if (!this.#coarse || !selection || !editor.begun || editor.changes.pending || this.#latest.busy) return;
        try {
            const file = await this.#latest.run((signal) => this.api.mask(editor.id, {signal}));
            if (file === undefined || editor.layer !== layer || state.selection !== selection || editor.changes.pending) return;
            const whole = await layerOf(await urlOf(file), selection.box, editor.size);
            if (editor.layer === layer && whole) editor.refineLayer(whole);
            else whole?.close();
        } catch {
            // What is shown stays as it is; the next change says what is wrong with the server.
        }
    }
}
