/** The user's session: what the tools and buttons ask for goes to the server from here, and the answers become the scene. */

import {ApiError} from "./api.mjs";
import {t} from "./i18n.mjs";
import {blobOf, layerOf, urlOf} from "./mask.mjs";
import {decodeLabels} from "./labels.mjs";
import {Painting} from "./painting.mjs";
import {Pictures} from "./pictures.mjs";
import {Previews} from "./previews.mjs";
import {Pyramid} from "./pyramid.mjs";
import {Serial} from "./queue.mjs";
import {clamped, strokeOf} from "./shapes.mjs";
import {State} from "./state.mjs";
import {createTools} from "./tools.mjs";

const PERIOD = 700;
const working = ({kind, state}) => ["erase", "paint"].includes(kind) && ["waiting", "running"].includes(state);

/**
 * Events: "change" (buttons and status to be redrawn), "redraw" (the canvas), "view" (zoomed or panned), "opened", "task" (detail: {kind,
 * promise}), "error" (detail: the error), "done" (detail: {key, values}), "result" (detail: {workspace, version}), "traced".
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
        this.pictures = new Pictures(this);
        this.layer = null;
        this.pending = [];
        this.regions = null;
        this.restart = false;
        this.tools = createTools(this);
        this.tool = this.tools.click;
        this.changes = new Serial();
        this.previews = new Previews(this);
        this.painting = new Painting(this);
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
        return this.pictures.at(this.state.version);
    }

    get original() {
        return this.pictures.at(0);
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
    #change(kind, job) {
        const workspace = this.state.workspace?.id;
        return this.#told(kind, this.changes.run(async () => (kind === "open" || workspace === this.state.workspace?.id ? job() : undefined)));
    }

    /** `job`, which changes nothing, after all changes so far and beside those to come; what goes wrong is shown, not thrown. */
    beside(kind, job) {
        return this.#told(kind, this.changes.idle().then(job));
    }

    async #told(kind, promise) {
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
        this.hover(null);
        return this.#change("open", async () => {
            const old = this.state.workspace?.id;
            const local = Pyramid.of(blob).catch(() => null);
            const answer = await this.api.open(blob, name);
            const {id, width, height} = answer, own = await local;
            const shown = own?.width === width && own.height === height ? own : await this.pictures.fetch(id, 0, answer);
            if (old) this.api.close(old).catch(() => {});
            this.#begin(answer, new Map([[0, shown]]), shown === own);
            return answer;
        });
    }

    #begin(answer, versions, own = false) {
        this.state.open(answer);
        this.pictures.begin(answer, versions, own);
        this.segmenter = answer.segmenter ?? this.segmenter;
        this.#setLayer(null);
        Object.assign(this, {regions: null, pending: [], crosshair: null});
        this.painting.forget();
        this.view.setPicture(answer.width, answer.height);
        this.radius = Math.max(Math.round(Math.min(answer.width, answer.height) / 28), 4);
        this.emit("opened", answer);
        this.viewChanged();
    }

    /** Go on with a picture that was open before a reload of the page; see `Session`. What was under way then is awaited. */
    async restore({id, offsets, painted}) {
        const answer = await this.#change("open", () => this.#resume(id, offsets, painted)), task = answer?.tasks.find(working);
        if (!task) return answer;
        return this.#change(task.kind, async () => {
            while ((await this.api.workspace(id)).tasks.some(working)) await new Promise((done) => setTimeout(done, PERIOD));
            return this.#resume(id, offsets);
        });
    }

    async #resume(id, offsets, painted = null) {
        const answer = await this.api.workspace(id).catch((error) => {
            throw error.kind === "NotFound" ? new ApiError(error.status, {error: error.kind, message: t("forgotten"), remedy: t("forgotten.remedy")}) : error;
        });
        const {version, selection} = answer, versions = new Map([[version, await this.pictures.fetch(id, version, answer)]]);
        if (version) versions.set(0, await this.pictures.fetchOriginal(id));
        const mask = selection && (await urlOf(await this.api.mask(id)));
        this.#begin(answer, versions);
        this.state.resumed(selection && {...selection, mask}, offsets);
        if (painted) this.painting.resume(painted);
        await this.#accept(this.state.selection);
        return answer;
    }

    #setLayer(layer) {
        if (this.layer !== layer) this.layer?.close();
        this.layer = layer;
        this.previews.show(null);
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
        this.previews.milliseconds = answer.milliseconds;
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

    adjust(...operations) {
        return this.#change("mask", () => this.#adjust(operations));
    }

    #adjust(operations) {
        return this.#reselect(() => this.api.adjust(this.id, operations));
    }

    /** Another selection by other means: `ask` resolves to the server's answer. */
    reselect(ask) {
        return this.#change("mask", () => this.#reselect(ask));
    }

    async #reselect(ask) {
        const answer = await ask();
        await this.#accept(answer.selection);
        this.state.selected(answer);
        this.restart = false;
        return answer;
    }

    /** Select what a phrase names. */
    find(phrase) {
        const {mode, options} = this;
        return this.#change("find", () => this.#reselect(() => this.api.find(this.id, {phrase, mode, segmenter: options.segmenter})));
    }

    /** Select what a stroke goes around or over; "traced" tells that it has. */
    async trace(points, mode) {
        const {segmenter} = this.options;
        const answer = await this.#change("select", () => this.#reselect(() => this.api.trace(this.id, {strokes: [strokeOf(points)], mode, segmenter})));
        if (answer) this.emit("traced");
    }

    hover(point) {
        this.previews.hover(point);
    }

    everything() {
        if (this.regions) return this.leaveEverything();
        this.use("click");
        return this.#change("everything", async () => {
            const answer = await this.api.everything(this.id);
            const [overview, labels] = await Promise.all([createImageBitmap(blobOf(answer.overview)), decodeLabels(answer.labels)]);
            this.regions = {list: answer.regions, overview, labels};
        });
    }

    leaveEverything() {
        this.regions?.overview.close();
        this.regions = null;
        this.hover(null);
        this.changed();
    }

    pickRegion(point, mode) {
        const index = this.previews.regionAt(point);
        return index ? this.adjust({op: "region", index: index - 1, mode}) : undefined;
    }

    /** A step to another picture, maybe of another size: `ask` resolves to the server's answer. `margins`: [left, top] added to the picture. */
    repaint(kind, ask, margins) {
        return this.#change(kind, async () => {
            const answer = await ask();
            await this.pictures.show(answer.version, null, answer);
            await this.#accept(answer.selection);
            this.leaveEverything();
            this.state.painted(answer, margins);
            this.#follow();
            this.emit("result", {workspace: this.id, version: answer.version});
            return answer;
        });
    }

    /** The view shows all of a picture whose size changed. */
    #follow() {
        const {width, height} = this.size, {picture} = this.view;
        if (width === picture.width && height === picture.height) return;
        this.view.setPicture(width, height);
        this.crosshair = null;
        this.viewChanged();
    }

    /** Remove what is selected; the eraser "diffusion" is the host's checkpoint. */
    erase(options = {}, paint = {}) {
        Object.assign(this.options, options);
        this.options.eraser = this.#engine("erasers", this.options.eraser);
        if (this.options.eraser === "diffusion") return this.painting.paint("remove", paint);
        return this.#change("erase", async () => {
            if (!this.state.selection) throw new ApiError(400, {error: "NoSelection"});
            const {eraser, grow, feather} = this.options;
            const answer = await this.api.erase(this.id, {eraser, grow, feather});
            this.eraser = answer.eraser;
            await this.pictures.show(answer.version, answer.changed, this.size);
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
            await this.pictures.show(answer.version, null, answer);
            await this.#accept(answer.selection);
            this.state[way === "undo" ? "undone" : "redone"](answer);
            this.#follow();
            this.emit("done", {key: way === "undo" ? "undone" : "redone"});
        });
    }

    /** Stop what is under way for this picture. */
    interrupt() {
        return this.api.interrupt(this.state.workspace?.id ?? null).catch((error) => this.emit("error", error));
    }

    /** The name of an engine that a list shows by its title. */
    #engine(list, title) {
        return this.capabilities?.[list].find((one) => one.title === title)?.name ?? title;
    }

    setOption(name, value) {
        const meant = name === "segmenter" || name === "eraser" ? this.#engine(`${name}s`, value) : value;
        this.options[name] = meant === "auto" || meant === "" ? null : meant;
        if (name === "segmenter") this.previews.milliseconds = Infinity;
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
        this.previews.stop();
        this.painting.dispose();
    }
}
