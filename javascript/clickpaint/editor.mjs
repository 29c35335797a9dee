/** The user's session: what the tools and buttons ask for goes to the server from here, and the answers become the scene. */

import {ApiError} from "./api.mjs";
import {blobOf, layerOf} from "./mask.mjs";
import {decodeLabels} from "./labels.mjs";
import {Painting} from "./painting.mjs";
import {Previews} from "./previews.mjs";
import {Pyramid} from "./pyramid.mjs";
import {Serial} from "./queue.mjs";
import {clamped} from "./shapes.mjs";
import {State} from "./state.mjs";
import {createTools} from "./tools.mjs";

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
        this.layer = null;
        this.exact = Promise.resolve();
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
            const local = Pyramid.of(blob).catch(() => null);
            const answer = await this.api.open(blob, name);
            const {id, width, height} = answer, own = await local;
            // What the browser reads is there at once; the server's pixels, which may differ a little, follow.
            const shown = own?.width === width && own.height === height ? own : await this.#fetch(id, 0, answer);
            this.#forgetPictures();
            if (old) this.api.close(old).catch(() => {});
            this.state.open(answer);
            this.segmenter = answer.segmenter ?? this.segmenter;
            this.#setLayer(null);
            this.regions = null;
            this.pending = [];
            this.painting.forget();
            this.#keepPicture(0, shown);
            this.view.setPicture(width, height);
            this.radius = Math.max(Math.round(Math.min(width, height) / 28), 4);
            this.exact = shown === own ? this.#replaceOriginal(answer) : Promise.resolve();
            this.crosshair = null;
            this.emit("opened", answer);
            this.viewChanged();
            return answer;
        });
    }

    async #fetch(id, version, {width, height}) {
        return Pyramid.of(await this.api.picture(id, version, [0, 0, width, height].join(",")));
    }

    async #replaceOriginal(workspace) {
        try {
            const exact = await this.#fetch(workspace.id, 0, workspace);
            if (this.state.workspace?.id === workspace.id) this.#keepPicture(0, exact);
            else exact.close();
        } catch {
            // The next change says what is wrong with the server; until then the browser's own reading is shown.
        }
    }

    #keepPicture(version, pyramid) {
        this.pictures.get(version)?.close();
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

    /** Have the picture of `version` at hand; `changed`: where alone it differs from the one shown. Of others only two stay. */
    async #show(version, changed = null, size = this.size) {
        await this.exact;
        const before = this.state.version, shown = this.pictures.get(before);
        if (!this.pictures.has(version)) this.#keepPicture(version, await (changed && shown ? this.#patch(shown, version, changed) : this.#fetch(this.id, version, size)));
        this.#forgetPictures(0, before, version);
    }

    async #patch(shown, version, box) {
        const patch = await createImageBitmap(await this.api.picture(this.id, version, box.join(",")));
        const made = await shown.patched(patch, box[0], box[1]);
        patch.close();
        return made;
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

    async #adjust(operations) {
        const answer = await this.api.adjust(this.id, operations);
        await this.#accept(answer.selection);
        this.state.selected(answer);
        this.restart = false;
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
            await this.#show(answer.version, null, answer);
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
        if (this.options.eraser === "diffusion") return this.painting.paint("remove", paint);
        return this.#change("erase", async () => {
            if (!this.state.selection) throw new ApiError(400, {error: "NoSelection"});
            const {eraser, grow, feather} = this.options;
            const answer = await this.api.erase(this.id, {eraser, grow, feather});
            this.eraser = answer.eraser;
            await this.#show(answer.version, answer.changed);
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
            await this.#show(answer.version, null, answer);
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

    setOption(name, value) {
        this.options[name] = value === "auto" || value === "" ? null : value;
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
