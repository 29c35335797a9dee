/** <clickpaint-canvas>: the picture, what is selected in it, and the bars around. No shadow root, so that the host's styles reach it. */

import {Api, rootOf} from "./api.mjs";
import {Busy} from "./busy.mjs";
import {Compare} from "./compare.mjs";
import {ActionBar, ToolBar, ToolOptions, ZoomBar} from "./controls.mjs";
import {h, Listeners} from "./dom.mjs";
import {Downloads} from "./downloads.mjs";
import {Editor} from "./editor.mjs";
import {Files} from "./files.mjs";
import {bytes, languageOf, t, useLanguage} from "./i18n.mjs";
import {Keyboard} from "./keyboard.mjs";
import {Painter} from "./painter.mjs";
import {Help, Welcome} from "./panels.mjs";
import {Pointers} from "./pointers.mjs";
import {LivePreview, ResultStrip} from "./results.mjs";
import {SelectionBar} from "./selection.mjs";
import {Session, storage} from "./session.mjs";
import {Offer, Status} from "./status.mjs";
import {Toasts} from "./toasts.mjs";
import {View} from "./view.mjs";

const ANTS = 90;
const COLOURS = ["tint", "preview", "wash", "stroke", "rub", "plus", "minus"];

export class ClickpaintCanvas extends HTMLElement {
    #listeners = new Listeners();
    #frame = 0;
    #ants = null;
    #phase = 0;
    #built = false;

    connectedCallback() {
        if (!this.#built) this.#build();
        this.#listen();
        this.#resize();
    }

    disconnectedCallback() {
        this.#listeners.off();
        clearInterval(this.#ants);
        cancelAnimationFrame(this.#frame);
        this.#ants = null;
        this.#frame = 0;
        this.editor.dispose();
        this.busy.dispose();
        this.live.show(null);
        this.downloads.dispose();
    }

    #build() {
        this.#built = true;
        useLanguage(languageOf(this.dataset.language));
        this.view = new View();
        const api = new Api(rootOf(import.meta.url, document.baseURI));
        const editor = (this.editor = new Editor(api, this.view));
        for (const [name, value] of Object.entries(JSON.parse(this.dataset.options ?? "{}"))) editor.setOption(name, value);
        this.downloads = new Downloads(api);
        this.toasts = new Toasts();
        this.busy = new Busy(editor);
        this.help = new Help();
        this.actions = this.#actions();
        this.bars = {
            tools: new ToolBar(editor),
            options: new ToolOptions(editor),
            actions: new ActionBar(editor, this.actions),
            zoom: new ZoomBar(editor, this.actions),
            selection: new SelectionBar(editor, this.actions),
            results: new ResultStrip(editor),
            status: new Status(editor, this.actions),
            offer: new Offer(editor, this.downloads),
        };
        const {tools, options, actions, zoom, selection, results, status, offer} = this.bars;
        this.live = new LivePreview();
        const layers = [h("canvas.cp-picture"), h("canvas.cp-overlay")];
        this.painter = new Painter(...layers, this.view);
        this.compare = new Compare(editor);
        this.files = new Files(this, editor);
        this.session = new Session(editor, storage());
        this.welcome = new Welcome(editor, this.files);
        this.stage = h(
            "div.cp-stage",
            {tabIndex: 0, role: "application", "aria-label": `${t("canvas")}. ${t("canvas.help")}`},
            ...layers,
            this.welcome.element,
            this.compare.element,
            tools.element,
            h("div.cp-top", {}, options.element, actions.element),
            selection.element,
            zoom.element,
            results.element,
            this.live.element,
            this.busy.element,
            this.toasts.element,
            h("div.cp-drop", {}, h("span", {}, t("drop"))),
        );
        this.classList.add("cp");
        this.replaceChildren(this.stage, offer.element, status.element, this.help.element, this.files.input);
        this.#start();
        this.dispatchEvent(new CustomEvent("clickpaint:ready", {bubbles: true}));
    }

    /** What buttons and keys can do, by name. */
    #actions() {
        const {editor} = this;
        return {
            open: () => this.files.choose(),
            save: () => this.files.save(),
            copy: () => this.files.copy(),
            undo: () => editor.undo(),
            redo: () => editor.redo(),
            everything: () => editor.everything(),
            compare: () => this.compare.toggle(),
            remove: () => this.remove(),
            act: () => this.#act(),
            help: () => this.help.toggle(),
            escape: () => this.#escape(),
            fit: () => (this.view.fit(), editor.viewChanged()),
            zoom: (factor) => (this.view.zoom(factor), editor.viewChanged()),
            resize: (sign) => editor.adjust({op: sign > 0 ? "grow" : "shrink", amount: this.#step()}),
            dropSpecks: () => editor.adjust({op: "drop_specks", amount: 16 * this.#step() ** 2}),
        };
    }

    /** How much Grow grows: about two screen pixels of the whole picture. */
    #step() {
        const {width, height} = this.editor.size;
        return Math.max(Math.round(Math.max(width, height) / 500), 1);
    }

    async #start() {
        const {editor} = this, left = this.session.take();
        editor.changed();
        if (left) editor.restore(left);
        try {
            await editor.loadCapabilities();
            await Promise.all([this.welcome.load(), this.downloads.refresh()]);
        } catch (error) {
            this.toasts.error(error);
        }
    }

    #listen() {
        const on = (target, type, handler) => this.#listeners.on(target, type, handler);
        const {editor, downloads} = this;
        this.pointers = new Pointers(this.stage, this.view, editor, this.#listeners);
        this.keyboard = new Keyboard(this, this.#listeners);
        this.compare.listen(this.stage, this.#listeners);
        this.session.listen(this.#listeners);
        this.files.listen(this.#listeners, (target) => this.isActive(target) && !this.#typing(target));
        on(editor, "change", () => this.#update());
        on(editor, "redraw", () => this.#redrawSoon());
        on(editor, "view", () => this.bars.zoom.update());
        on(editor, "task", ({detail}) => this.busy.add(detail));
        on(editor, "error", ({detail}) => this.#failed(detail));
        on(editor, "done", ({detail}) => this.toasts.done(detail));
        on(editor, "opened", () => (this.compare.off(), this.busy.watch()));
        on(editor.painting, "live", ({detail}) => this.live.show(detail));
        on(editor, "result", ({detail}) => this.dispatchEvent(new CustomEvent("clickpaint:result", {detail, bubbles: true})));
        on(downloads, "models", ({detail}) => this.bars.offer.models(detail));
        on(document, "clickpaint:models", () => this.bars.results.ranking.forget());
        on(downloads, "tasks", () => this.bars.offer.update());
        on(downloads, "error", ({detail}) => this.toasts.error(detail));
        on(downloads, "failed", ({detail}) => this.toasts.bad(detail.message));
        on(downloads, "done", ({detail}) => this.#downloaded(detail));
        on(this.stage, "pointerenter", () => (this.overStage = true));
        on(this.stage, "pointerleave", () => (this.overStage = false));
        on(this.stage, "blur", () => ((editor.crosshair = null), editor.redraw()));
        this.#listeners.observe(new ResizeObserver(() => this.#resize()), this.stage);
        this.#listeners.observe(new MutationObserver(() => this.#recolour()), document.documentElement, {attributes: true, attributeFilter: ["class", "data-theme"]});
        this.#listeners.observe(new MutationObserver(() => this.#recolour()), document.body, {attributes: true, attributeFilter: ["class"]});
    }

    /** An error; one that a download would heal comes with the offer of it. */
    #failed(error) {
        const name = error.data?.model ?? error.data?.name;
        const model = error.kind === "ModelMissing" || error.kind === "CorruptModel" ? this.downloads.list?.find((one) => one.name === name) : null;
        const able = model?.bytes && !this.editor.capabilities?.offline && ["missing", "partial", "corrupt"].includes(model.state);
        if (!able) return this.toasts.error(error);
        return this.toasts.missing(error, t("offer", {title: model.title, size: bytes(model.bytes)}), () => this.downloads.start(name));
    }

    async #downloaded(name) {
        const model = this.downloads.list?.find((one) => one.name === name);
        this.toasts.good(t("downloaded", {title: model?.title ?? name}));
        this.editor.segmenter = this.editor.eraser = "";
        await this.editor.loadCapabilities().catch((error) => this.toasts.error(error));
        this.dispatchEvent(new CustomEvent("clickpaint:models", {bubbles: true}));
    }

    /** Whether keys and pastes are meant for this canvas: it is seen, and the user is on it or nowhere else. */
    isActive(target) {
        if (!this.isConnected || this.getClientRects().length === 0 || this.help.element.open) return false;
        return this.contains(target) || target === document.body || target === document.documentElement || this.overStage === true;
    }

    #typing(target) {
        return Boolean(target.closest?.("input:not([type=range]):not([type=file]), textarea, [contenteditable=true]"));
    }

    get hasCrosshair() {
        return this.editor.crosshair !== null;
    }

    holdSpace(held) {
        this.pointers.space = held;
        this.stage.classList.toggle("cp-hand", held);
    }

    showOriginal(shown) {
        this.compare.hold(shown);
        this.editor.redraw();
    }

    /** Remove what is selected, by the page's own button where there is one, so that its options count. */
    remove() {
        const button = document.querySelector("#clickpaint_remove");
        if (button) button.click();
        else this.editor.erase();
    }

    /** What the open tab does with the selection, by its button. */
    #act() {
        const {action} = this.editor.painting;
        if (action === "remove") this.remove();
        else document.querySelector(`#clickpaint_${action}`)?.click();
    }

    #escape() {
        const {editor} = this;
        if (editor.tool.drafting) editor.tool.cancel();
        else if (editor.regions) editor.leaveEverything();
        else if (this.compare.active) this.compare.off();
        else if (editor.state.selection) editor.adjust({op: "clear"});
        else this.actions.fit();
        editor.changed();
    }

    #update() {
        for (const bar of Object.values(this.bars)) bar.update(this.compare.active);
        this.welcome.update();
        this.compare.update();
        this.classList.toggle("cp-ready", this.editor.ready);
        for (const button of document.querySelectorAll("#clickpaint_remove, #clickpaint_fill, #clickpaint_replace")) button.classList.toggle("cp-idle", !this.editor.state.selection);
        this.#place();
        this.#march();
    }

    /** Keep the picture clear of the bars. */
    #place() {
        const narrow = this.stage.clientWidth < 640, results = this.editor.painting.chosen !== null;
        const margin = narrow ? {top: 110, right: 10, bottom: results ? 134 : 66, left: 10} : {top: 72, right: results ? 100 : 24, bottom: 82, left: 72};
        if (JSON.stringify(margin) === JSON.stringify(this.view.margin)) return;
        this.view.margin = margin;
        if (this.view.fitted) this.view.fit();
        this.editor.viewChanged();
    }

    /** The outline moves only while there is one and the user has nothing against moving things. */
    #march() {
        const wanted = this.editor.layer !== null && !matchMedia("(prefers-reduced-motion: reduce)").matches;
        if (wanted && this.#ants === null) this.#ants = setInterval(() => ((this.#phase = (this.#phase + 1) % 8), this.#redrawSoon(true)), ANTS);
        if (!wanted && this.#ants !== null) this.#ants = clearInterval(this.#ants) ?? null;
    }

    #resize() {
        const {clientWidth, clientHeight} = this.stage;
        if (!clientWidth || !clientHeight) return;
        this.#place();
        this.painter.resize(clientWidth, clientHeight, Math.min(globalThis.devicePixelRatio || 1, 2));
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
        const {editor, painter, compare} = this;
        if (!this.stage.clientWidth || !this.colours) return; // it has just appeared: its first size, which is about to be told, draws it
        if (!overlayOnly) painter.drawPicture(editor.result, editor.original, compare.split(this.view), editor.state.offset);
        const {prompts} = editor.state, hidden = compare.holding, over = hidden ? null : editor.pictures.over;
        this.stage.style.cursor = editor.ready && !this.pointers.space ? editor.tool.cursor : "";
        painter.drawOverlay(
            {
                colours: this.colours,
                over,
                overview: hidden ? null : editor.regions?.overview,
                layer: hidden ? null : editor.layer,
                resting: editor.painting.resting || over?.opacity > 0,
                frame: hidden ? null : editor.painting.frame,
                preview: hidden ? null : editor.previews.layer,
                box: hidden ? null : prompts.box,
                points: hidden ? [] : [...prompts.points, ...editor.pending],
                crosshair: editor.crosshair,
                draft: editor.ready && !hidden && editor.tool.draw ? (...args) => editor.tool.draw(...args) : null,
            },
            this.#phase,
        );
        compare.place(this.view);
    }
}
