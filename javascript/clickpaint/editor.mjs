/** The user's session: what the tools and buttons ask for goes to the server from here, and the answers become the scene. */

import {ApiError} from "./api.mjs";
import {blobOf, layerOf, layerOfRegion} from "./mask.mjs";
import {decodeLabels} from "./labels.mjs";
import {Pyramid} from "./pyramid.mjs";
import {Latest, Serial, throttled} from "./queue.mjs";
import {clamped} from "./shapes.mjs";
import {State} from "./state.mjs";
import {createTools} from "./tools.mjs";

const FAST_ENOUGH = 160;

/**
 * Events: "change" (buttons and status to be redrawn), "redraw" (the canvas), "view" (zoomed or panned), "opened", "task" (detail: {kind,
 * promise}), "error" (detail: the error), "done" (detail: {key, values}), "result" (detail: {workspace, version}).
 */
export class Editor extends EventTarget {
    constructor(api, view) {
        super();
        Object.assign(this, {api, view});
        this.state = new State();
        this.options = {segmenter: null, eraser: null, grow: null, feather: null, preview: true, format: "source", quality: 95};
        this.capabilities = null;
        this.segmenter = "";
        this.eraser = "";
        this.mode = "replace";
        this.negative = false;
        this.radius = 16;
        this.pointer = this.crosshair = null;
        this.pictures = new Map();
        this.layer = this.preview = null;
        this.pending = [];
        this.regions = null;
        this.restart = false;
        this.tools = createTools(this);
        this.tool = this.tools.click;
        this.changes = new Serial();
        this.previews = new Latest();
        this.milliseconds = Infinity;
        this.hoverSoon = throttled((point) => this.#preview(point), 90);
    }

    get ready() {
        return this.state.workspace !== null;
    }

    get id() {
        return this.state.workspace.id;
    }

    get size() {
        return this.state.workspace ?? {width: 1, height: 1};
    }

    get result() {
        return this.pictures.get(this.state.version) ?? null;
    }

    get original() {
        return this.pictures.get(0) ?? null;
    }

    emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, {detail}));
    }

    changed() {
        this.emit("change");
        this.redraw();
    }

    redraw() {
        this.emit("redraw");
    }

    viewChanged() {
        this.emit("view");
        this.redraw();
    }

    /** Run `job` behind all other changes; what goes wrong is shown, not thrown. Resolves to its answer, or undefined. */
    async #change(kind, job) {
        const workspace = this.state.workspace?.id;
        const promise = this.changes.run(async () => (kind === "open" || workspace === this.state.workspace?.id ? job() : undefined));
        this.emit("task", {kind, promise});
        this.changed();
        try {
            return await promise;
        } catch (error) {
            if (error instanceof ApiError && error.kind === "Interrupted") this.emit("done", {key: "stopped"});
            else this.emit("error", error);
            return undefined;
        } finally {
            this.changed();
        }
    }

    async loadCapabilities() {
        this.capabilities = await this.api.capabilities();
        const {segmenter, eraser} = this.capabilities.defaults;
        this.segmenter ||= segmenter;
        this.eraser ||= eraser;
        this.changed();
    }

    open(blob, name) {
        return this.#change("open", async () => {
            const old = this.state.workspace?.id;
            const answer = await this.api.open(blob, name);
            const pyramid = await Pyramid.of(await this.api.picture(answer.id, 0));
            this.#forgetPictures();
            if (old) this.api.close(old).catch(() => {});
            this.state.open(answer);
            this.segmenter = answer.segmenter ?? this.segmenter;
            this.#setLayer(null);
            this.regions = null;
            this.pending = [];
            this.#keepPicture(0, pyramid);
            this.view.setPicture(answer.width, answer.height);
            this.radius = Math.max(Math.round(Math.min(answer.width, answer.height) / 28), 4);
            this.crosshair = null;
            this.emit("opened", answer);
            this.viewChanged();
            return answer;
        });
    }

    #keepPicture(version, pyramid) {
        this.pictures.set(version, pyramid);
        pyramid.build().then(() => this.redraw(), () => {});
    }

    #forgetPictures(...keep) {
        for (const [version, pyramid] of this.pictures) {
            if (keep.includes(version)) continue;
            pyramid.close();
            this.pictures.delete(version);
        }
    }

    /** Have the picture of `version` at hand; of the others only the original and the one before stay. */
    async #show(version) {
        const before = this.state.version;
        if (!this.pictures.has(version)) this.#keepPicture(version, await Pyramid.of(await this.api.picture(this.id, version)));
        this.#forgetPictures(0, before, version);
    }

    #setLayer(layer) {
        if (this.layer !== layer) this.layer?.close();
        this.layer = layer;
        this.#setPreview(null);
    }

    #setPreview(layer) {
        if (this.preview && this.preview !== layer) this.preview.close();
        this.preview = layer;
        this.redraw();
    }

    async #accept(selection) {
        this.#setLayer(selection ? await layerOf(selection.mask, selection.box) : null);
    }

    use(name) {
        this.tool.cancel?.();
        this.tool = this.tools[name];
        this.hover(null);
        this.changed();
    }

    setMode(mode) {
        this.mode = mode;
        this.restart = true;
        this.changed();
    }

    setNegative(negative) {
        this.negative = negative;
        this.changed();
    }

    setRadius(radius) {
        this.radius = Math.min(Math.max(radius, 1), 512);
        this.changed();
    }

    /** A click with the click tool; `another` adds one more object to the selection. */
    click(point, {label = 1, another = false} = {}) {
        this.hover(null);
        const marker = {...point, label, pending: true};
        this.pending.push(marker);
        return this.#change("select", () => {
            const prompts = this.state.clicked({...point, label}, {another, restart: this.restart, mode: this.mode, reach: 8 / this.view.scale});
            if (!prompts) return undefined;
            const useless = !prompts.box && !prompts.points.some((one) => one.label);
            return useless ? this.#adjust([{op: "clear"}]) : this.#select(prompts);
        }).finally(() => {
            this.pending = this.pending.filter((one) => one !== marker);
            this.redraw();
        });
    }

    box(box, mode) {
        this.hover(null);
        return this.#change("select", () => this.#select(this.state.boxed(box, mode)));
    }

    async #select(prompts) {
        const {points, box, mode, previous} = prompts;
        const answer = await this.api.select(this.id, {points, box, mode, previous, segmenter: this.options.segmenter});
        this.segmenter = answer.segmenter;
        this.milliseconds = answer.milliseconds;
        await this.#accept(answer.selection);
        this.state.selected(answer, prompts);
        this.restart = false;
        return answer;
    }

    choose(index) {
        if (!this.state.prompts.candidates[index] || index === this.state.prompts.chosen) return undefined;
        return this.#change("mask", async () => {
            const answer = await this.api.choose(this.id, index);
            await this.#accept(answer.selection);
            this.state.chose(answer, index);
        });
    }

    /** Show a candidate under the pointer without taking it. */
    async showCandidate(index) {
        const candidate = this.state.prompts.candidates[index];
        if (!candidate || index === this.state.prompts.chosen) return this.#setPreview(null);
        const layer = await this.previews.run(() => layerOf(candidate.mask, candidate.box));
        if (layer) this.#setPreview(layer);
    }

    adjust(...operations) {
        return this.#change("mask", () => this.#adjust(operations));
    }

    async #adjust(operations) {
        const answer = await this.api.adjust(this.id, operations);
        await this.#accept(answer.selection);
        this.state.selected(answer);
        this.restart = false;
    }

    /** The mask under the pointer, while the segmenter is fast enough for it; `null` takes it away. */
    hover(point) {
        const able = point && this.options.preview && this.ready && this.tool.name === "click" && !this.changes.pending;
        if (able && this.regions) this.#previewRegion(point);
        else if (able && this.milliseconds < FAST_ENOUGH && !this.state.prompts.points.length) this.hoverSoon(point);
        else {
            this.hoverSoon.cancel();
            this.previews.cancel();
            this.#setPreview(null);
        }
    }

    async #preview(point) {
        const body = {points: [{...point, label: 1}], preview: true, segmenter: this.options.segmenter};
        try {
            const layer = await this.previews.run(async (signal) => {
                const answer = await this.api.select(this.id, body, signal);
                this.milliseconds = answer.milliseconds;
                const {mask, box} = answer.candidates[answer.chosen ?? 0] ?? {};
                return layerOf(mask, box);
            });
            if (layer !== undefined) this.#setPreview(layer);
        } catch {
            this.#setPreview(null);
        }
    }

    everything() {
        if (this.regions) return this.leaveEverything();
        this.use("click");
        return this.#change("everything", async () => {
            const answer = await this.api.everything(this.id);
            const [overview, labels] = await Promise.all([createImageBitmap(blobOf(answer.overview)), decodeLabels(answer.labels)]);
            this.regions = {list: answer.regions, overview, labels, under: 0};
        });
    }

    leaveEverything() {
        this.regions?.overview.close();
        this.regions = null;
        this.hover(null);
        this.changed();
    }

    #regionAt(point) {
        const {labels} = this.regions, x = Math.floor(point.x), y = Math.floor(point.y);
        return labels.data[y * labels.width + x] ?? 0;
    }

    async #previewRegion(point) {
        const index = this.#regionAt(point);
        if (index === this.regions.under) return;
        this.regions.under = index;
        const region = this.regions.list[index - 1];
        const layer = await this.previews.run(() => (region ? layerOfRegion(this.regions.labels, index, region.box) : null));
        if (layer !== undefined) this.#setPreview(layer);
    }

    pickRegion(point, mode) {
        const index = this.#regionAt(point);
        return index ? this.adjust({op: "region", index: index - 1, mode}) : undefined;
    }

    erase(options = {}) {
        Object.assign(this.options, options);
        return this.#change("erase", async () => {
            if (!this.state.selection) throw new ApiError(400, {error: "NoSelection"});
            const {eraser, grow, feather} = this.options;
            const answer = await this.api.erase(this.id, {eraser, grow, feather});
            this.eraser = answer.eraser;
            await this.#show(answer.version);
            this.#setLayer(null);
            this.leaveEverything();
            this.state.painted(answer);
            this.emit("done", {key: "removed", milliseconds: answer.milliseconds});
            this.emit("result", {workspace: this.id, version: answer.version});
            return answer;
        });
    }

    undo() {
        return this.#travel("undo");
    }

    redo() {
        return this.#travel("redo");
    }

    #travel(way) {
        if (!this.ready) return undefined;
        return this.#change("timeline", async () => {
            if (!(way === "undo" ? this.state.canUndo : this.state.canRedo)) return;
            const answer = await this.api[way](this.id);
            await this.#show(answer.version);
            await this.#accept(answer.selection);
            this.state[way === "undo" ? "undone" : "redone"](answer);
            this.emit("done", {key: way === "undo" ? "undone" : "redone"});
        });
    }

    /** Stop what is under way for this picture. */
    interrupt() {
        return this.api.interrupt(this.state.workspace?.id ?? null).catch((error) => this.emit("error", error));
    }

    setOption(name, value) {
        this.options[name] = value === "auto" || value === "" ? null : value;
        if (name === "segmenter") this.milliseconds = Infinity;
        if (name === "preview") this.hover(null);
        this.changed();
    }

    moveCrosshair(dx, dy) {
        const from = this.crosshair ?? {x: Math.floor(this.size.width / 2), y: Math.floor(this.size.height / 2)};
        const step = this.crosshair ? 1 : 0;
        this.crosshair = clamped({x: from.x + dx * step, y: from.y + dy * step}, this.size);
        this.pointer = null;
        this.view.reveal(this.crosshair.x, this.crosshair.y);
        this.viewChanged();
    }

    dispose() {
        this.previews.cancel();
        this.hoverSoon.cancel();
    }
}
