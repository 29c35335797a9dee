/** What would be selected: under the pointer, in the overview, or by another candidate. Changes nothing on the server. */

import {layerOf, layerOfRegion} from "./mask.mjs";
import {Latest, throttled} from "./queue.mjs";

const FAST_ENOUGH = 160;
const PERIOD = 90;

export class Previews {
    #latest = new Latest();
    #soon = throttled((point) => this.#ask(point), PERIOD);
    #region = 0;

    constructor(editor) {
        this.editor = editor;
        this.layer = null;
        /** What the last click cost the server: previews are asked for only while that is little. */
        this.milliseconds = Infinity;
    }

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

    /** The mask under the pointer; `null` takes it away. */
    hover(point) {
        const {editor} = this;
        const able = point && editor.options.preview && editor.ready && editor.tool.name === "click" && !editor.changes.pending;
        if (able && editor.regions) return this.#overRegion(point);
        if (able && this.milliseconds < FAST_ENOUGH && !editor.state.prompts.points.length) return this.#soon(point);
        this.stop();
        return this.show(null);
    }

    async #ask(point) {
        const {editor} = this;
        const body = {points: [{...point, label: 1}], preview: true, segmenter: editor.options.segmenter};
        try {
            const layer = await this.#latest.run(async (signal) => {
                const answer = await editor.api.select(editor.id, body, signal);
                this.milliseconds = answer.milliseconds;
                const {mask, box} = answer.candidates[answer.chosen ?? 0] ?? {};
                return layerOf(mask, box);
            });
            if (layer !== undefined) this.show(layer);
        } catch {
            this.show(null); // a preview that fails is none; a click there will say what is wrong
        }
    }

    /** The number of the region at a point of the overview, 1 for the first; 0 for none. */
    regionAt(point) {
        const {labels} = this.editor.regions;
        return labels.data[Math.floor(point.y) * labels.width + Math.floor(point.x)] ?? 0;
    }

    async #overRegion(point) {
        const {regions} = this.editor, index = this.regionAt(point);
        if (index === this.#region) return;
        const region = regions.list[index - 1];
        const layer = await this.#latest.run(async () => (region ? layerOfRegion(regions.labels, index, region.box) : null));
        if (layer === undefined) return;
        this.show(layer);
        this.#region = index;
    }

    /** A candidate before it is taken; -1 takes it away. */
    async candidate(index) {
        const {prompts} = this.editor.state, candidate = prompts.candidates[index];
        if (!candidate || index === prompts.chosen) {
            this.stop();
            return this.show(null);
        }
        const layer = await this.#latest.run(() => layerOf(candidate.mask, candidate.box));
        return layer === undefined ? undefined : this.show(layer);
    }
}
