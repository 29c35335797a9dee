/** What selects: the prompts of the user go to the server, and its answers become the selection. */

import {distanceToBox, nearest, strokeOf} from "./geometry.mjs";
import {decodeLabels} from "./label_map.mjs";
import {blobOf, layerOf} from "./mask_layer.mjs";

/** @typedef {import("../server/answers.mjs").Point} Point */
/** @typedef {import("../server/answers.mjs").Mode} Mode */

/** Pixels on the screen within which a click belongs to what is selected. */
const NEAR = 20;

export class Selecting {
    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     */
    constructor(editor, api) {
        this.editor = editor;
        this.api = api;
    }

    /**
     * A click with the click tool.
     *
     * @param {Point} point
     * @param {object} how
     * @param {number} [how.label] 1 adds, 0 takes away
     * @param {boolean} [how.another] whether it adds one more object to the selection
     */
    click(point, {label = 1, another = false} = {}) {
        const {editor} = this;
        editor.hover(null);
        const marker = {...point, label, pending: /** @type {const} */ (true)};
        editor.pending.push(marker);
        const change = editor.change("select", () => {
            const {state, restart, mode, view} = editor;
            const prompts = state.clicked({...point, label}, {another, restart, far: this.#isFar(point), mode, reach: 8 / view.scale});
            if (!prompts) return undefined;
            const useless = !prompts.box && !prompts.points.some((prompt) => prompt.label);
            return useless ? this.#adjust([{op: "clear"}]) : this.#select(prompts);
        });
        return change.finally(() => {
            editor.pending = editor.pending.filter((other) => other !== marker);
            editor.redraw();
        });
    }

    /**
     * Whether a point has nothing to do with what the last clicks selected: it is further from that than a tenth of its diagonal, and
     * than a finger is wide.
     *
     * @param {Point} point
     */
    #isFar(point) {
        const {state, layer, view} = this.editor, {points, box, candidates, chosen} = state.prompts;
        if (!layer) return false;
        const object = candidates[chosen ?? -1]?.box ?? layer.box, within = box ?? object;
        const reach = Math.max(NEAR / view.scale, Math.hypot(object[2] - object[0], object[3] - object[1]) / 10);
        if (nearest(points, point, reach) >= 0 || (box && distanceToBox(point, within) === 0)) return false;
        return distanceToBox(point, object) > reach || !layer.touches(point, reach);
    }

    /**
     * @param {import("../server/answers.mjs").Box} box
     * @param {Mode} mode
     */
    box(box, mode) {
        this.editor.hover(null);
        return this.editor.change("select", () => this.#select(this.editor.state.boxed(box, mode)));
    }

    async #select(prompts) {
        const {editor} = this, {points, box, mode, previous} = prompts;
        const answer = await this.api.select(editor.id, {points, box, mode, previous, segmenter: editor.options.segmenter});
        editor.segmenter = answer.segmenter;
        editor.clickMilliseconds = answer.milliseconds;
        await showSelection(editor, answer.selection);
        editor.state.selected(answer, prompts);
        editor.restart = false;
        return answer;
    }

    /**
     * Take another of the candidates.
     *
     * @param {number} index
     */
    choose(index) {
        const {editor} = this, {prompts} = editor.state;
        if (!prompts.candidates[index] || index === prompts.chosen) return undefined;
        return editor.change("mask", async () => {
            const answer = await this.api.choose(editor.id, index);
            await showSelection(editor, answer.selection);
            editor.state.chose(answer, index);
        });
    }

    /** @param {...Record<string, unknown>} operations as the API takes them */
    adjust(...operations) {
        return this.editor.change("mask", () => this.#adjust(operations));
    }

    #adjust(operations) {
        return this.#reselect(() => this.api.adjust(this.editor.id, operations));
    }

    /**
     * Another selection by other means.
     *
     * @param {() => Promise<any>} ask resolves to the server's answer
     */
    reselect(ask) {
        return this.editor.change("mask", () => this.#reselect(ask));
    }

    async #reselect(ask) {
        const {editor} = this, answer = await ask();
        await showSelection(editor, answer.selection);
        editor.state.selected(answer);
        editor.restart = false;
        return answer;
    }

    /**
     * Select what a phrase names.
     *
     * @param {string} phrase
     * @param {Record<string, any>} [how] what the API takes besides: what might be there instead, by the checkpoint
     */
    find(phrase, how = {}) {
        const {editor} = this, {mode, options} = editor;
        return editor.change("find", () => this.#reselect(() => this.api.find(editor.id, {phrase, mode, segmenter: options.segmenter, ...how})));
    }

    /**
     * Select what a stroke goes around or over; "traced" tells that it has.
     *
     * @param {Point[]} points
     * @param {Mode} mode
     */
    async trace(points, mode) {
        const {editor} = this, {segmenter} = editor.options;
        const answer = await editor.change("select", () => this.#reselect(() => this.api.trace(editor.id, {strokes: [strokeOf(points)], mode, segmenter})));
        if (answer) editor.emit("traced");
    }

    /** Show all that can be clicked, or leave that. */
    everything() {
        const {editor} = this;
        if (editor.regions) return editor.leaveEverything();
        editor.use("click");
        return editor.change("everything", async () => {
            const answer = await this.api.everything(editor.id);
            const [overview, labels] = await Promise.all([createImageBitmap(blobOf(answer.overview)), decodeLabels(answer.labels)]);
            editor.regions = {list: answer.regions, overview, labels};
        });
    }

    /** Select all text; a click then takes one line of it. */
    text() {
        const {editor} = this, {mode} = editor;
        if (editor.regions) editor.leaveEverything();
        editor.use("click");
        return editor.change("text", async () => {
            const answer = await this.#reselect(() => this.api.selectText(editor.id, mode));
            editor.regions = {list: answer.lines, overview: null, labels: await decodeLabels(answer.labels)};
        });
    }

    /**
     * @param {Point} point of the overview
     * @param {Mode} mode
     */
    pickRegion(point, mode) {
        const index = this.editor.regionAt(point);
        return index ? this.adjust({op: "region", index: index - 1, mode}) : undefined;
    }
}

/**
 * Draw this selection from now on.
 *
 * @param {import("./editor.mjs").Editor} editor
 * @param {import("../server/answers.mjs").Selection | null} selection
 * @param {{width: number, height: number}} size of the picture that it belongs to
 */
export async function showSelection(editor, selection, size = editor.size) {
    editor.setLayer(selection ? await layerOf(selection.mask, selection.box, size) : null);
}
