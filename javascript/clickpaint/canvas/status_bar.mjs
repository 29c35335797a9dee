/** The line under the stage: which engines are at work, what is selected, the picture's size; and the offer of better weights. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {bytes, duration, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

/** The segmenter whose file is most worth downloading, when the one that needs none is at work; null if there is nothing to offer. */
export function betterSegmenter(capabilities, segmenter, models) {
    if (segmenter !== "classic" || !capabilities || !models) return null;
    const names = new Set(capabilities.segmenters.filter((one) => one.model && !one.blocked).map((one) => one.model));
    const offers = models.filter((model) => names.has(model.name) && ["missing", "partial", "corrupt"].includes(model.state) && model.bytes);
    return offers.find((model) => model.name === "mobile_sam") ?? offers.sort((a, b) => a.bytes - b.bytes)[0] ?? null;
}

/** The first segmenter with weights, where all of them lack a package, so that no download helps; null if one could run. */
export function blockedSegmenter(capabilities, segmenter) {
    const others = capabilities?.segmenters.filter((one) => one.model) ?? [];
    return segmenter === "classic" && others.length && others.every((one) => one.blocked) ? others[0] : null;
}

export class StatusBar {
    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {import("./canvas.mjs").Actions} actions
     * @param {HTMLElement} notices what went well, shown in the hint's place
     *
     * Inside a web UI its settings are reached from here; stand-alone they have a button at the top of the page.
     */
    constructor(editor, actions, notices) {
        this.editor = editor;
        this.engines = h("span.cp-engines");
        this.hint = h("span.cp-hint");
        this.selected = h("span.cp-selected", {"aria-live": "polite"});
        this.picture = h("span.cp-picture-name");
        this.element = h(
            "div.cp-status",
            {},
            this.engines,
            notices,
            this.hint,
            this.selected,
            this.picture,
            globalThis.clickpaintPreferences ? null : iconButton("settings", t("settings"), actions.settings),
            iconButton("help", t("help"), actions.help, {key: "?"}),
        );
    }

    update() {
        const {editor} = this, {state, capabilities} = editor;
        const title = (list, name) => list?.find((one) => one.name === name)?.title ?? name;
        const segmenter = title(capabilities?.segmenters, editor.segmenter), eraser = title(capabilities?.erasers, editor.eraser);
        this.engines.textContent = capabilities ? t("at_work", {segmenter, eraser}) : "";
        this.engines.title = this.engines.textContent;
        this.hint.textContent = editor.ready ? t(editor.regions ? "hint.everything" : `hint.${editor.tool.name}`) : "";
        const {width, height} = editor.size;
        const percent = state.selection ? (100 * state.selection.area) / (width * height) : 0;
        this.selected.textContent = !editor.ready ? "" : state.selection ? t("selected", {percent: percent < 1 ? percent.toFixed(1) : Math.round(percent)}) : t("selected.none");
        this.picture.textContent = editor.ready ? [state.name, t("dimensions", {width, height})].filter(Boolean).join(" · ") : "";
        this.picture.title = editor.ready ? `${this.picture.textContent} · ${t("megapixels", {n: ((width * height) / 1e6).toFixed(1)})}` : "";
    }
}

/** "Classic is at work … Download MobileSAM (39 MB)", then the download's progress. */
const DISMISSED = "clickpaint:offer_dismissed";

export class Offer {
    #dismissed = false;
    /** @type {any[] | null} */
    #models = null;
    /** The file that is offered. @type {any} */
    model = null;

    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {import("../server/downloads.mjs").Downloads} downloads
     * @param {Storage | null} storage where it is kept that the user does not want it
     */
    constructor(editor, downloads, storage) {
        this.editor = editor;
        this.downloads = downloads;
        this.storage = storage;
        this.#dismissed = storage?.getItem(DISMISSED) === "1";
        this.text = h("span");
        this.button = h("button.cp-text.cp-strong", {type: "button", onclick: () => this.model && downloads.start(this.model.name)});
        this.bar = h("div.cp-progress-fill");
        this.track = h("div.cp-progress-track", {role: "progressbar", "aria-label": t("progress"), hidden: true}, this.bar);
        this.element = h("div.cp-offer", {hidden: true, role: "status"}, icon("download"), this.text, this.track, this.button, iconButton("close", t("close"), () => this.dismiss()));
    }

    get shown() {
        return !this.element.hidden;
    }

    /** It does not come back in this tab; the list of models has what it offered. */
    dismiss() {
        this.#dismissed = true;
        this.storage?.setItem(DISMISSED, "1");
        this.update();
    }

    models(list) {
        this.#models = list;
        this.update();
    }

    update() {
        const {editor} = this, {capabilities} = editor;
        this.model = betterSegmenter(capabilities, editor.segmenter, this.#models);
        const unable = this.model ? null : blockedSegmenter(capabilities, editor.segmenter);
        this.element.hidden = this.#dismissed || (!this.model && !unable);
        if (!capabilities) return;
        const classic = capabilities.segmenters.find((one) => one.name === "classic")?.title ?? "Classic";
        if (unable) {
            this.text.textContent = `${t("blocked", {title: classic, better: unable.title, reason: said(unable, "reason")})} ${t("blocked.remedy")}`;
            this.track.hidden = this.button.hidden = true;
        }
        if (!this.model) return;
        const {name, title} = this.model, task = this.downloads.task(name);
        this.text.textContent = task ? downloadText(title, task) : capabilities.offline ? `${t("classic", {title: classic, better: title})} ${t("offline")}` : t("classic", {title: classic, better: title});
        this.track.hidden = !task;
        this.bar.style.width = `${Math.round(100 * (task?.fraction ?? 0))}%`;
        this.button.hidden = Boolean(task) || capabilities.offline;
        this.button.textContent = t("offer", {title, size: bytes(this.model.bytes)});
    }
}

export function downloadText(title, task) {
    const parts = [t("downloading", {title})];
    if (task.total) parts.push(`${bytes(task.done ?? 0)} / ${bytes(task.total)}`);
    if (task.seconds_left > 1) parts.push(t("busy.left", {time: duration(task.seconds_left)}));
    return parts.join(" · ");
}
