/** What is open, what is selected in it and what the user has in hand: data with events. Knows no server and no elements of the page. */

import {Serial} from "../common/request_order.mjs";
import {clamped} from "./geometry.mjs";
import {State} from "./state.mjs";

/** @typedef {import("../server/answers.mjs").Point} Point */

/**
 * What dragging and clicking does; see `canvas/tools.mjs`.
 *
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} cursor the CSS cursor over the picture
 * @property {boolean} [pans] whether dragging with it moves the picture; then it has `tap`, otherwise `start`, `move` and `end`
 * @property {boolean} [drafting] whether something is begun that `cancel` takes back
 * @property {(point: Point, event: any) => unknown} [tap]
 * @property {(point: Point, event: any) => void} [hover]
 * @property {(point: Point, event: any) => unknown} [start]
 * @property {(point: Point, event?: any) => void} [move]
 * @property {(point: Point, event: any) => unknown} [end]
 * @property {(point: Point) => boolean} [closes] by keyboard: whether a corner there ends what was begun
 * @property {() => void} [cancel]
 * @property {boolean} [canUndo] whether the tool has steps of its own to take back
 * @property {boolean} [canRedo]
 * @property {() => boolean} [undo] take one back; whether there was one
 * @property {() => boolean} [redo]
 * @property {() => unknown} [apply] do what was drafted
 * @property {boolean} [underWay] whether the pointer is still drafting it
 * @property {(context: CanvasRenderingContext2D, view: import("./viewport.mjs").View, colours: Record<string, string>) => void} [draw]
 */

/**
 * A clip, of which the canvas shows one frame; see `video/clip.mjs`.
 *
 * @typedef {object} OpenClip
 * @property {string} id of the clip on the server
 * @property {number} version shown, 0 for the clip as it came in
 * @property {boolean} unsaved whether a result is shown that was not saved
 * @property {boolean} pointed whether there is anything to be removed from it
 * @property {boolean} canUndo
 * @property {boolean} canRedo
 * @property {() => unknown} undo
 * @property {() => unknown} redo
 * @property {() => Promise<void>} begin makes the workspace of the frame shown where it has none yet
 * @property {() => unknown} again shows the frame once more, without its workspace
 * @property {(options?: Record<string, any>) => unknown} erase remove from all frames what is selected
 * @property {(task: string, body: Record<string, any>) => unknown} paint paint in all frames; see `paintBody`
 */

/**
 * Events: "change" (buttons and status to be redrawn), "redraw" (the canvas), "view" (zoomed or panned), "hover" (detail: the point under
 * the pointer or null), "layer" (another selection is shown), "opened" (detail: the server's answer), "task" (detail: {kind, promise}),
 * "error" (detail: the error), "done" (detail: {key, …values}), "result" (detail: {workspace, version}), "traced", "gone"
 * (detail: the id of a workspace that the server does not have), "frame" (another frame of a clip is shown).
 */
export class Editor extends EventTarget {
    /** @type {import("../server/answers.mjs").Capabilities | null} */
    capabilities = null;
    /** The names of those at work, as far as the server has told. */
    segmenter = "";
    eraser = "";
    /** How the next shape is combined with the selection. @type {import("../server/answers.mjs").Mode} */
    mode = "replace";
    /** Whether the mode was changed since the last selection: the next click begins anew. */
    restart = false;
    /** Whether a plain click takes away. */
    negative = false;
    /** Of the brush, in pixels of the picture. */
    radius = 16;
    /** Where the pointer is, in pixels of the picture. @type {Point | null} */
    pointer = null;
    /** The keyboard's pointer. @type {Point | null} */
    crosshair = null;
    /** The selection as it is drawn. @type {import("./mask_layer.mjs").MaskLayer | null} */
    layer = null;
    /** Clicks that the server has not answered yet. @type {(Point & {label: number, pending: true})[]} */
    pending = [];
    /** All that can be clicked, while that is shown; without an overview: lines of text. @type {{list: any[], overview: ImageBitmap | null, labels: import("./label_map.mjs").LabelMap} | null} */
    regions = null;
    /** What the last click cost the server. */
    clickMilliseconds = Infinity;
    /** By their names; filled by who makes them. @type {Record<string, Tool>} */
    tools = {};

    state = new State();
    changes = new Serial();

    /** What the page's widgets say. @type {Record<string, any>} */
    options = {segmenter: null, eraser: null, auto_edge: true, grow: null, feather: null, grain: null, preview: true, format: "source", quality: 95};

    /** @param {import("./viewport.mjs").View} view */
    constructor(view) {
        super();
        this.view = view;
        /** @type {Tool} */
        this.tool = {name: "", cursor: ""};
    }

    /** The clip whose frame is shown; null for none. @type {OpenClip | null} */
    clip = null;

    /** The picture that is being brought back; null for none. @type {{id: string, name: string} | null} */
    restoring = null;

    /** @param {{id: string, name: string} | null} kept what is being brought back from now on */
    restore(kept) {
        this.restoring = kept;
        this.changed();
    }

    /** The version that was saved or copied last. @type {{id: string, version: number} | null} */
    #saved = null;

    /** What is shown has been saved. */
    keepSaved() {
        this.#saved = {id: this.id, version: this.state.version};
    }

    /** Whether a result is shown that was not saved. */
    get unsaved() {
        const {workspace, version} = this.state;
        if (this.clip) return this.clip.unsaved;
        return workspace !== null && version > 0 && !(this.#saved?.id === workspace.id && this.#saved.version === version);
    }

    get ready() {
        return this.state.workspace !== null;
    }

    /** Whether the server has a workspace of what is shown: a frame of a clip gets one when it is first worked on. */
    get begun() {
        return Boolean(this.state.workspace?.id);
    }

    /** Whether there is an original to compare with. */
    get comparable() {
        return (this.clip ?? this.state).version > 0;
    }

    /** What tasks are about: a clip or a workspace; null for neither. */
    get subject() {
        return this.clip?.id ?? this.state.workspace?.id ?? null;
    }

    /** The open picture's workspace. Asked for only while there is one. */
    get id() {
        if (this.state.workspace === null) throw new Error("No picture is open.");
        return this.state.workspace.id;
    }

    get size() {
        return this.state.workspace ?? {width: 1, height: 1};
    }

    /**
     * @param {string} type
     * @param {unknown} [detail]
     */
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

    /** @param {Point | null} point */
    hover(point) {
        this.emit("hover", point);
    }

    /**
     * Run `job` behind all other changes; what goes wrong is told as an event, not thrown.
     *
     * @template T
     * @param {string} kind of the task, as the server names it
     * @param {() => Promise<T> | T} job nothing of it happens where another picture was opened meanwhile
     * @returns {Promise<T | undefined>}
     */
    change(kind, job) {
        const shown = identity(this.state.workspace);
        const begun = async () => {
            if (kind === "open") return job();
            if (shown !== identity(this.state.workspace)) return undefined;
            await this.clip?.begin();
            return job();
        };
        return this.report(kind, this.changes.run(begun));
    }

    /** Resolves when all changes so far are done and what is shown has a workspace. */
    settled() {
        return this.clip ? this.changes.run(async () => this.clip?.begin()) : this.changes.idle();
    }

    /**
     * `job`, which changes nothing, after all changes so far and beside those to come; what goes wrong is told, not thrown.
     *
     * @template T
     * @param {string} kind
     * @param {() => Promise<T> | T} job
     * @returns {Promise<T | undefined>}
     */
    beside(kind, job) {
        return this.report(kind, this.settled().then(() => job()));
    }

    /**
     * Tell that something is under way, and what goes wrong with it.
     *
     * @template T
     * @param {string} kind
     * @param {Promise<T>} promise
     * @returns {Promise<T | undefined>}
     */
    async report(kind, promise) {
        this.emit("task", {kind, promise});
        this.changed();
        try {
            return await promise;
        } catch (error) {
            if (/** @type {any} */ (error).kind === "Interrupted") this.emit("done", {key: "stopped"});
            else this.emit("error", error);
            return undefined;
        } finally {
            this.changed();
        }
    }

    /** @param {string} name */
    use(name) {
        this.tool.cancel?.();
        this.tool = this.tools[name];
        this.hover(null);
        this.changed();
    }

    /** @param {import("../server/answers.mjs").Mode} mode */
    setMode(mode) {
        this.mode = mode;
        this.restart = true;
        this.changed();
    }

    /** @param {boolean} negative */
    setNegative(negative) {
        this.negative = negative;
        this.changed();
    }

    /** @param {number} radius */
    setRadius(radius) {
        this.radius = Math.min(Math.max(radius, 1), 512);
        this.changed();
    }

    /** @param {import("./mask_layer.mjs").MaskLayer | null} layer from now on ours */
    setLayer(layer) {
        if (this.layer !== layer) this.layer?.close();
        this.layer = layer;
        this.emit("layer");
    }

    /** @param {import("./mask_layer.mjs").MaskLayer} layer the same selection, seen nearer; from now on ours */
    refineLayer(layer) {
        if (this.layer !== layer) this.layer?.close();
        this.layer = layer;
        this.redraw();
    }

    leaveEverything() {
        this.regions?.overview?.close();
        this.regions = null;
        this.hover(null);
        this.changed();
    }

    /**
     * The number of the region at a point of the overview, 1 for the first; 0 for none.
     *
     * @param {Point} point
     */
    regionAt(point) {
        if (!this.regions) return 0;
        const {labels} = this.regions;
        return labels.data[Math.floor(point.y) * labels.width + Math.floor(point.x)] ?? 0;
    }

    /**
     * The name of an engine that a list shows by its title.
     *
     * @param {"segmenters" | "erasers"} list
     * @param {string} title
     */
    engineName(list, title) {
        return this.capabilities?.[list].find((engine) => engine.title === title)?.name ?? title;
    }

    /** Whether the eraser that will remove from the picture can leave grain out of what it fills. */
    get choosesGrain() {
        const {automatic, defaults} = this.capabilities ?? {}, chosen = this.options.eraser ?? defaults?.eraser;
        const name = chosen === "auto" ? automatic?.eraser : chosen;
        return !this.clip && (this.capabilities?.erasers.find((engine) => engine.name === name)?.options?.includes("grain") ?? false);
    }

    /**
     * A widget says something else.
     *
     * @param {string} name
     * @param {any} value "" for the server's choice; "auto" too, but of the eraser, of which it means the best one whatever the settings say
     */
    setOption(name, value) {
        const chosen = name === "segmenter" ? this.engineName("segmenters", value) : name === "eraser" ? this.engineName("erasers", value) : value;
        this.options[name] = (chosen === "auto" && name !== "eraser") || chosen === "" ? null : chosen;
        if (name === "segmenter") this.clickMilliseconds = Infinity;
        if (name === "preview") this.hover(null);
        this.changed();
    }

    /** The view shows all of a picture whose size changed. */
    followSize() {
        const {width, height} = this.size, {picture} = this.view;
        if (width === picture.width && height === picture.height) return;
        this.view.setPicture(width, height);
        this.crosshair = null;
        this.viewChanged();
    }

    /**
     * @param {number} dx in pixels of the picture
     * @param {number} dy
     */
    moveCrosshair(dx, dy) {
        const from = this.crosshair ?? {x: Math.floor(this.size.width / 2), y: Math.floor(this.size.height / 2)};
        const step = this.crosshair ? 1 : 0;
        this.crosshair = clamped({x: from.x + dx * step, y: from.y + dy * step}, this.size);
        this.pointer = null;
        this.view.reveal(this.crosshair.x, this.crosshair.y);
        this.viewChanged();
    }
}

/** What is shown, so that what was asked about something else is not done to it. */
function identity(workspace) {
    return workspace?.frame || workspace?.id;
}
