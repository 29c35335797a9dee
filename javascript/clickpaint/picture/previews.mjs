/** What would be selected: under the pointer, in the overview, or by another candidate. Changes nothing on the server. */

import {Latest, throttled} from "../common/request_order.mjs";
import {layerOf, layerOfRegion} from "./mask_layer.mjs";

const FAST_ENOUGH = 160;
const PERIOD = 90;

export class Previews {
    #latest = new Latest();
    #soon = throttled((point) => this.#ask(point), PERIOD);
    #region = 0;

    /** What is shown now. @type {import("./mask_layer.mjs").MaskLayer | null} */
    layer = null;

    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     */
    constructor(editor, api) {
        this.editor = editor;
        this.api = api;
        editor.addEventListener("hover", (event) => this.hover(/** @type {CustomEvent} */ (event).detail));
        editor.addEventListener("layer", () => this.show(null));
    }

    /** @param {import("./mask_layer.mjs").MaskLayer | null} layer from now on ours */
    show(layer) {
        if (this.layer !== layer) this.layer?.close();
        this.layer = layer;
        if (!layer) this.#region = 0;
        this.editor.redraw();
    }

    stop() {
        this.#soon.cancel();
        this.#latest.cancel();
    }

    /**
     * The mask under the pointer, asked for only while a click costs little; null takes it away.
     *
     * @param {import("../server/answers.mjs").Point | null} point
     */
    hover(point) {
        const {editor} = this;
        const able = point && editor.options.preview && editor.begun && editor.tool.name === "click" && !editor.changes.pending;
        if (able && editor.regions) return this.#overRegion(point);
        if (able && editor.clickMilliseconds < FAST_ENOUGH && !editor.state.prompts.points.length) return this.#soon(point);
        this.stop();
        return this.show(null);
    }

    async #ask(point) {
        const {editor} = this;
        const body = {points: [{...point, label: 1}], preview: true, segmenter: editor.options.segmenter};
        try {
            const layer = await this.#latest.run(async (signal) => {
                const answer = await this.api.select(editor.id, body, signal);
                editor.clickMilliseconds = answer.milliseconds;
                const {mask, box} = answer.candidates[answer.chosen ?? 0] ?? {};
                return layerOf(mask, box, editor.size);
            });
            if (layer !== undefined) this.show(layer);
        } catch {
            this.show(null); // a preview that fails is none; a click there will say what is wrong
        }
    }

    async #overRegion(point) {
        const {regions} = this.editor, index = this.editor.regionAt(point);
        if (!regions || index === this.#region) return;
        const region = regions.list[index - 1];
        const layer = await this.#latest.run(async () => (region ? layerOfRegion(regions.labels, index, region.box) : null));
        if (layer === undefined) return;
        this.show(layer);
        this.#region = index;
    }

    /**
     * A candidate before it is taken.
     *
     * @param {number} index -1 takes it away
     */
    async candidate(index) {
        const {prompts} = this.editor.state, candidate = prompts.candidates[index];
        if (!candidate || index === prompts.chosen) {
            this.stop();
            return this.show(null);
        }
        const layer = await this.#latest.run(() => layerOf(candidate.mask, candidate.box, this.editor.size));
        return layer === undefined ? undefined : this.show(layer);
    }
}
