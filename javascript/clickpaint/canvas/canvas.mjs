/** <clickpaint-canvas>: the picture, what is selected in it, and the bars around. No shadow root, so that the host's styles reach it. */

import {h, Listeners, tellTop} from "../common/dom.mjs";
import {languageOf, t, useLanguage} from "../language/language.mjs";
import {tabStorage} from "../picture/reload_memory.mjs";
import {bandOf} from "../picture/removal_band.mjs";
import {View} from "../picture/viewport.mjs";
import {Workbench} from "../picture/workbench.mjs";
import {apiOfPage} from "../server/api.mjs";
import {Downloads} from "../server/downloads.mjs";
import {actionsOf} from "./actions.mjs";
import {CompareSlider} from "./compare_slider.mjs";
import {failed, listenToDownloads} from "./download_news.mjs";
import {ExpandFrame} from "./expand_frame.mjs";
import {HANDLE} from "./frame_handles.mjs";
import {Film} from "./film.mjs";
import {Keeping} from "./keeping.mjs";
import {Keyboard} from "./keyboard.mjs";
import {Help, Welcome} from "./overlays.mjs";
import {MarchingAnts} from "./marching_ants.mjs";
import {Offer} from "./offer.mjs";
import {PictureFiles} from "./picture_files.mjs";
import {Pointers} from "./pointers.mjs";
import {ProgressBar} from "./progress_bar.mjs";
import {Renderer} from "./renderer.mjs";
import {LivePreview, ResultStrip} from "./result_strip.mjs";
import {SelectionBar} from "./selection_bar.mjs";
import {SelectionFiles} from "./selection_files.mjs";
import {SeveralPictures} from "./several_pictures.mjs";
import {isText} from "./shortcuts.mjs";
import {StatusBar} from "./status_bar.mjs";
import {Toasts} from "./toasts.mjs";
import {ActionBar, ToolBar, ToolOptions, ZoomBar} from "./toolbars.mjs";
import {createTools} from "./tools.mjs";
import {Training} from "./training.mjs";

const COLOURS = ["tint", "shade", "preview", "wash", "stroke", "rub", "plus", "minus"];

export class ClickpaintCanvas extends HTMLElement {
    #listeners = new Listeners();
    #frame = 0;
    /** Of the selection's outline. */
    ants = new MarchingAnts(() => this.#redrawSoon(true));
    #built = false;
    /** @type {View} */
    view;
    /** What works on the picture. @type {Workbench} */
    workbench;
    /** @type {Downloads} */
    downloads;
    /** @type {Toasts} */
    toasts;
    /** @type {ProgressBar} */
    progress;
    /** @type {Help} */
    help;
    /** @type {import("./actions.mjs").Actions} */
    actions;
    /** @type {{zoom: ZoomBar, offer: Offer, results: ResultStrip, [name: string]: {update(comparing: boolean): void}}} */
    bars;
    /** @type {LivePreview} */
    live;
    /** @type {Renderer} */
    renderer;
    /** @type {CompareSlider} */
    compare;
    /** @type {SeveralPictures} */
    pictures;
    /** @type {Film} */
    film;
    /** @type {PictureFiles} */
    files;
    /** @type {Keeping} */
    keeping;
    /** @type {Training} */ training;
    /** @type {SelectionFiles} */
    selectionFiles;
    /** The frames that have handles. @type {{element: HTMLElement, framed: boolean, place(): void}[]} */
    frames;
    /** @type {ExpandFrame} */
    expandFrame;
    /** @type {Welcome} */
    welcome;
    /** @type {HTMLDivElement} */
    stage;
    /** @type {Pointers} */
    pointers;
    /** @type {Keyboard} */
    keyboard;
    /** Of what is drawn, by their names; null before the style is known. @type {Record<string, string> | null} */
    colours = null;
    /** Whether the pointer is over the stage. */
    overStage = false;
    #appear = () => {};
    /** Resolves when the canvas is shown for the first time: in a web UI many who load the page never open its tab, and nothing is asked before. */
    shown = /** @type {Promise<void>} */ (new Promise((resolve) => (this.#appear = resolve)));
    /** Resolves when the canvas can be used, or has said why it cannot; undefined before it is in a page. @type {Promise<void> | undefined} */
    started;

    connectedCallback() {
        if (!this.#built) this.#build();
        this.#listen();
        this.#resize();
    }

    disconnectedCallback() {
        this.#listeners.off();
        this.ants.march(false);
        cancelAnimationFrame(this.#frame);
        this.#frame = 0;
        this.workbench.dispose();
        this.progress.dispose();
        this.live.show(null);
        this.downloads.dispose();
    }

    #build() {
        this.#built = true;
        useLanguage(languageOf(this.dataset.language));
        this.view = new View();
        const api = apiOfPage();
        const workbench = (this.workbench = new Workbench(api, this.view)), {editor} = workbench;
        editor.tools = createTools(workbench);
        editor.tool = editor.tools.click;
        for (const [name, value] of Object.entries(JSON.parse(this.dataset.options ?? "{}"))) editor.setOption(name, value);
        this.downloads = new Downloads(api);
        this.toasts = new Toasts(() => this.actions.undo());
        this.progress = new ProgressBar(workbench);
        this.help = new Help();
        this.training = new Training(workbench);
        this.actions = {...actionsOf(this), ...this.training.actions};
        const selected = (this.selectionFiles = new SelectionFiles(this, workbench));
        this.expandFrame = new ExpandFrame(workbench, (margins) => this.dispatchEvent(new CustomEvent("clickpaint:margins", {detail: margins, bubbles: true})));
        this.frames = [this.expandFrame, /** @type {any} */ (editor.tools.crop).handles];
        const bars = (this.bars = {
            tools: new ToolBar(workbench),
            options: new ToolOptions(editor),
            actions: new ActionBar(editor, this.actions, selected.menu),
            zoom: new ZoomBar(editor, this.actions),
            selection: new SelectionBar(workbench, this.actions),
            results: new ResultStrip(workbench),
            status: new StatusBar(editor, this.actions, this.toasts.notices),
            offer: new Offer(editor, this.downloads, tabStorage()),
        });
        const {tools, options, actions, zoom, selection, results, status, offer} = bars;
        this.live = new LivePreview();
        const picture = h("canvas.cp-picture"), overlay = h("canvas.cp-overlay");
        this.renderer = new Renderer(picture, overlay, this.view);
        this.compare = new CompareSlider(editor);
        this.pictures = new SeveralPictures(workbench, () => this.files, tabStorage());
        this.film = new Film(workbench, this, tabStorage());
        this.files = new PictureFiles(this, workbench, this.pictures.set, this.film);
        this.keeping = new Keeping(workbench, () => this.files.save(), () => this.shown, this.film.past);
        this.pictures.keepOpen();
        this.welcome = new Welcome(workbench, this.files);
        this.stage = h(
            "div.cp-stage",
            {tabIndex: 0, role: "application", "aria-label": `${t("canvas")}. ${t("canvas.help")}`},
            picture,
            overlay,
            this.welcome.element,
            this.keeping.restoring.element,
            this.compare.element,
            ...this.frames.map(({element}) => element),
            tools.element,
            h("div.cp-top", {}, options.element, actions.element),
            h("div.cp-bottom", {}, selection.element, zoom.element),
            results.element,
            this.live.element,
            this.progress.element,
            this.toasts.element,
            h("div.cp-drop", {}, h("span.cp-drop-picture", {}, t("drop")), h("span.cp-drop-mask", {}, t("drop.mask"))),
        );
        this.classList.add("cp");
        const {strip, dialog} = this.pictures, dialogs = [this.help.element, ...this.keeping.dialogs, ...this.training.dialogs, dialog.element];
        this.replaceChildren(this.stage, this.film.element, strip.element, offer.element, status.element, ...dialogs, this.files.input, this.selectionFiles.input);
        this.started = this.#start();
        this.dispatchEvent(new CustomEvent("clickpaint:ready", {bubbles: true}));
    }

    /** The model of all that is shown; see `Editor`. */
    get editor() {
        return this.workbench.editor;
    }

    async #start() {
        const {editor, opening} = this.workbench;
        editor.changed();
        this.pictures.resume();
        this.film.resume(this.shown);
        await this.keeping.start(this.shown);
        try {
            await opening.loadCapabilities();
            await Promise.all([this.welcome.load(), this.downloads.refresh(), this.keeping.load()]);
        } catch (error) {
            this.toasts.error(error);
        }
    }

    #listen() {
        const on = (target, type, handler) => this.#listeners.on(target, type, handler);
        const {editor} = this;
        this.pointers = new Pointers(this.stage, this.view, editor, this.#listeners);
        this.keyboard = new Keyboard(this, this.#listeners);
        this.compare.listen(this.stage, this.#listeners);
        this.keeping.listen(this.#listeners);
        this.pictures.listen(this.#listeners);
        this.film.listen(this.#listeners);
        this.files.listen(this.#listeners, (target) => this.isActive(target) && !isText(target), (file, event) => this.selectionFiles.take(file, event, this.stage));
        on(editor, "change", () => this.#update());
        on(editor, "redraw", () => this.#redrawSoon());
        on(editor, "view", () => this.bars.zoom.update());
        on(editor, "task", ({detail}) => (this.toasts.next(), this.progress.add(detail)));
        on(editor, "error", ({detail}) => this.keeping.recovers(detail) || failed(this, detail));
        on(editor, "done", ({detail}) => this.toasts.done(detail));
        on(editor, "opened", ({detail}) => (this.welcome.element.contains(document.activeElement) && this.stage.focus({preventScroll: true}), this.compare.off(), this.progress.watch(), this.toasts.losses(detail.losses ?? [])));
        on(this.workbench.diffusion, "live", ({detail}) => this.live.show(detail));
        on(editor, "result", ({detail}) => this.dispatchEvent(new CustomEvent("clickpaint:result", {detail, bubbles: true})));
        listenToDownloads(this, this.#listeners);
        on(document, "clickpaint:models", () => this.bars.results.ranking.forget());
        on(this.stage, "pointerenter", () => (this.overStage = true));
        on(this.stage, "pointerleave", () => (this.overStage = false));
        on(this.stage, "blur", () => ((editor.crosshair = null), editor.redraw()));
        this.#listeners.observe(new ResizeObserver(() => this.#resize()), this.stage);
        this.#listeners.observe(new MutationObserver(() => this.#recolour()), document.documentElement, {attributes: true, attributeFilter: ["class", "data-theme"]});
        this.#listeners.observe(new MutationObserver(() => this.#recolour()), document.body, {attributes: true, attributeFilter: ["class"]});
    }

    /** Whether keys and pastes are meant for this canvas: it is seen, and nothing lies over the page. */
    isActive(target) {
        if (!this.isConnected || this.getClientRects().length === 0 || document.querySelector("dialog:modal")) return false;
        return !target.closest?.("dialog, [role=dialog], #lightboxModal");
    }

    holdSpace(held) {
        this.pointers.space = held;
        this.stage.classList.toggle("cp-hand", held);
    }

    showOriginal(shown) {
        this.compare.hold(shown);
        this.editor.redraw();
    }

    /**
     * Begin a task with the selection. Whoever has its options takes the event "clickpaint:begin" and prevents its default, which is to
     * remove with the options that the canvas knows.
     *
     * @param {string} task
     */
    begin(task) {
        const event = new CustomEvent("clickpaint:begin", {detail: {task}, bubbles: true, cancelable: true});
        if (this.dispatchEvent(event) && task === "remove") (this.editor.clip ?? this.workbench.timeline).erase();
    }

    /** One thing after another goes, the topmost first. */
    escape() {
        const {editor, selecting, versions} = this.workbench, {toasts, bars} = this;
        const told = toasts.shown;
        if (toasts.clear()) return;
        if (editor.tool.drafting) editor.tool.cancel?.();
        else if (editor.tool.name === "crop") editor.use("click");
        else if (editor.regions) editor.leaveEverything();
        else if (this.compare.active) this.compare.off();
        else if (versions.over) versions.cover(null);
        else if (editor.state.selection && !editor.clip) selecting.adjust({op: "clear"});
        else if (editor.clip && !told) this.film.leave();
        else if (bars.offer.shown) bars.offer.dismiss();
        else if (editor.ready && !told) this.actions.fit();
        editor.changed();
    }

    #update() {
        const {state, clip} = this.editor;
        for (const bar of Object.values(this.bars)) bar.update(this.compare.active);
        this.welcome.update();
        this.keeping.update();
        this.compare.update();
        this.film.update();
        this.classList.toggle("cp-ready", this.editor.ready);
        this.dispatchEvent(new CustomEvent("clickpaint:change", {detail: {selected: clip?.pointed ?? state.selection !== null, clip: clip !== null}, bubbles: true}));
        this.#place();
        this.ants.march(this.editor.layer !== null);
    }

    /** Keep the picture, and the handles of a frame around it, clear of the bars. */
    #place() {
        const narrow = this.stage.clientWidth < 640, results = this.workbench.diffusion.chosen !== null;
        const margin = narrow ? {top: 110, right: 10, bottom: results ? 134 : 66, left: 10} : {top: 72, right: results ? 100 : 24, bottom: 82, left: 72};
        if (this.frames.some((frame) => frame.framed)) this.#makeRoom(margin);
        if (JSON.stringify(margin) === JSON.stringify(this.view.margin)) return;
        this.view.margin = margin;
        if (this.view.fitted) this.view.fit();
        this.editor.viewChanged();
    }

    /** Room for handles on the edges of the picture: half of one everywhere, and above and below as the bars stand that are shown there now. */
    #makeRoom(margin) {
        const half = HANDLE / 2 + 2, {top, bottom, height} = this.stage.getBoundingClientRect();
        for (const side of ["left", "right"]) margin[side] += half;
        for (const bar of this.querySelectorAll(".cp-bar")) {
            const box = bar.getBoundingClientRect();
            if (box.height >= box.width) continue; // hidden, or at the side
            if (box.top > top + height / 2) margin.bottom = Math.max(margin.bottom, bottom - box.top + half);
            else margin.top = Math.max(margin.top, box.bottom - top + half);
        }
    }

    #resize() {
        const {clientWidth, clientHeight} = this.stage;
        if (!clientWidth || !clientHeight) return;
        this.#appear();
        tellTop(this);
        this.#place();
        this.renderer.resize(clientWidth, clientHeight, Math.min(globalThis.devicePixelRatio || 1, 2));
        this.view.setStage(clientWidth, clientHeight);
        this.bars.zoom.update();
        this.#recolour();
        this.#draw(false);
    }

    #recolour() {
        const style = getComputedStyle(this);
        this.colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--cp-${name}`).trim() || "#5b5bd6"]));
        this.#redrawSoon();
    }

    #overlayOnly = true;

    #redrawSoon(overlayOnly = false) {
        this.#overlayOnly &&= overlayOnly;
        if (this.#frame) return;
        this.#frame = requestAnimationFrame(() => {
            this.#frame = 0;
            const only = this.#overlayOnly;
            this.#overlayOnly = true;
            this.#draw(only);
        });
    }

    #draw(overlayOnly) {
        const {renderer, compare} = this, {editor, versions, diffusion, previews, shadows} = this.workbench;
        if (!this.stage.clientWidth || !this.colours) return; // it has just appeared: its first size, which is about to be told, draws it
        const pictures = this.film.pictures ?? {now: versions.at(editor.state.version), before: versions.at(0)};
        if (!overlayOnly) renderer.drawPicture(pictures.now, pictures.before, compare.split(this.view), editor.state.offset);
        const {prompts} = editor.state, hidden = compare.holding, over = hidden ? null : versions.over;
        const band = diffusion.resting ? null : bandOf(editor, diffusion.action);
        this.stage.style.cursor = editor.ready && !this.pointers.space ? editor.tool.cursor : "";
        renderer.drawOverlay(
            {
                colours: this.film.coloured(this.colours),
                over,
                overview: hidden ? null : editor.regions?.overview,
                others: hidden ? [] : this.film.others,
                layer: hidden || this.film.playing ? null : editor.layer, shadow: hidden ? null : shadows.shown,
                band: band ? band.grow + band.feather : 0,
                resting: diffusion.resting || (over !== null && over.opacity > 0),
                frame: hidden ? null : diffusion.frame,
                preview: hidden ? null : previews.layer,
                box: hidden ? null : prompts.box,
                points: hidden ? [] : [...prompts.points, ...editor.pending],
                crosshair: editor.crosshair,
                draft: editor.ready && !hidden ? editor.tool : null,
            },
            this.ants.phase,
        );
        if (!hidden) this.expandFrame.draw(renderer.overlay, this.view);
        for (const frame of this.frames) frame.place();
        compare.place(this.view);
    }
}
