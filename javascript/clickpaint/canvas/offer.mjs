/** The offer of what is worth downloading first, under the stage: one button for all of it, then its progress. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {bytes, duration, t} from "../language/language.mjs";
import {said, translated} from "../language/server_sentences.mjs";

const GETTABLE = ["missing", "partial", "corrupt"];
const DISMISSED = "clickpaint:offer_dismissed";

/** The recommended models that can be had. @param {any[] | null} models as the server lists them */
export function recommended(models) {
    return (models ?? []).filter((model) => model.recommended && model.bytes && GETTABLE.includes(model.state));
}

/** The first segmenter with weights, where all of them lack a package, so that no download helps; null if one could run. */
export function blockedSegmenter(capabilities, segmenter) {
    const others = capabilities?.segmenters.filter((one) => one.model) ?? [];
    return segmenter === "classic" && others.length && others.every((one) => one.blocked) ? others[0] : null;
}

/**
 * How far several downloads are, as one.
 *
 * @param {any[]} models
 * @param {(name: string) => any} task of a model's download, undefined for none under way
 */
export function together(models, task) {
    const done = models.map((model) => (model.state === "present" ? model.bytes : (task(model.name)?.done ?? model.bytes_done ?? 0)));
    const sum = (/** @type {number[]} */ numbers) => numbers.reduce((all, one) => all + one, 0);
    const left = models.map((model) => task(model.name)?.seconds_left ?? 0);
    const total = sum(models.map((model) => model.bytes));
    return {done: sum(done), total, fraction: total ? sum(done) / total : 0, seconds_left: Math.max(0, ...left)};
}

export class Offer {
    #dismissed = false;
    /** @type {any[] | null} */
    #models = null;
    /** Names of what the button began to download. @type {string[]} */
    #begun = [];

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
        this.button = h("button.cp-text.cp-strong", {type: "button", onclick: () => this.start()});
        this.stop = h("button.cp-text", {type: "button", onclick: () => this.#begun.forEach((name) => downloads.cancel(name))}, t("models.cancel"));
        this.bar = h("div.cp-progress-fill");
        this.track = h("div.cp-progress-track", {role: "progressbar", "aria-label": t("progress"), hidden: true}, this.bar);
        const close = iconButton("close", t("close"), () => this.dismiss());
        this.element = h("div.cp-offer", {hidden: true, role: "status"}, icon("download"), this.text, this.track, this.button, this.stop, close);
    }

    get shown() {
        return !this.element.hidden;
    }

    start() {
        this.#begun = recommended(this.#models).map((model) => model.name);
        for (const name of this.#begun) this.downloads.start(name);
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
        const task = (/** @type {string} */ name) => this.downloads.task(name);
        if (!this.#begun.some(task)) this.#begun = [];
        const running = (this.#models ?? []).filter((model) => this.#begun.includes(model.name));
        const offered = recommended(this.#models), unable = offered.length || running.length ? null : blockedSegmenter(capabilities, editor.segmenter);
        this.element.hidden = this.#dismissed || capabilities?.public || !(offered.length || running.length || unable);
        if (!capabilities) return;
        this.track.hidden = this.stop.hidden = !running.length;
        this.button.hidden = Boolean(running.length || unable || capabilities.offline);
        const names = (/** @type {any[]} */ models) => models.map((model) => model.title).join(" + ");
        if (running.length) {
            const progress = together(running, task);
            this.text.textContent = downloadText(names(running), progress);
            this.bar.style.width = `${Math.round(100 * progress.fraction)}%`;
        } else if (unable) {
            const classic = translated(capabilities.segmenters.find((one) => one.name === "classic")?.title ?? "Classic");
            this.text.textContent = `${t("blocked", {title: classic, better: translated(unable.title), reason: said(unable, "reason")})} ${t("blocked.remedy")}`;
        } else if (offered.length) {
            this.text.textContent = capabilities.offline ? `${t("better.why", {names: names(offered)})} ${t("offline")}` : t("better.why", {names: names(offered)});
            this.button.textContent = t(offered.length > 1 ? "better" : `better.${offered[0].role}`, {size: bytes(offered.reduce((sum, model) => sum + model.bytes, 0))});
        }
    }
}

export function downloadText(title, task) {
    const parts = [t(task.kind === "verify" ? "models.checking" : "downloading", {title})];
    if (task.total) parts.push(`${bytes(task.done ?? 0)} / ${bytes(task.total)}`);
    if (task.seconds_left > 1) parts.push(t("busy.left", {time: duration(task.seconds_left)}));
    return parts.join(" · ");
}
