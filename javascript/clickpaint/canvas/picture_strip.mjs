/** The row of several open pictures, below the stage: which is shown, how each fared, and what can be done with all of them. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

/** The icon of an entry's state. */
const SIGNS = {done: "check", failed: "warning"};

export class PictureStrip {
    /** By their entries. @type {Map<import("../picture/picture_set.mjs").Entry, HTMLElement>} */
    #items = new Map();

    /**
     * @param {import("../picture/picture_set.mjs").PictureSet} pictures
     * @param {{add: () => void, again: () => void, download: () => void, save: () => void}} actions
     */
    constructor(pictures, actions) {
        this.pictures = pictures;
        this.list = h("div.cp-strip-list", {role: "list", "aria-label": t("pictures")});
        this.count = h("span.cp-strip-count", {"aria-live": "polite"});
        this.again = h("button.cp-text.cp-strong", {type: "button", onclick: actions.again}, t("again"));
        this.stop = h("button.cp-text", {type: "button", hidden: true, onclick: () => pictures.again.stop()}, t("stop"));
        const download = iconButton("archive", t("again.zip"), actions.download), save = iconButton("save", t("again.save"), actions.save);
        const doing = h("div.cp-strip-actions", {}, this.count, this.again, this.stop, download, save);
        this.element = h("div.cp-strip", {hidden: true, role: "region", "aria-label": t("pictures")}, this.list, iconButton("plus", t("open"), actions.add), doing);
        this.list.addEventListener("keydown", (event) => this.#key(event));
        pictures.addEventListener("change", () => this.update());
    }

    update() {
        const {pictures} = this, {entries, current, again, deed} = pictures;
        this.element.hidden = !pictures.shown;
        if (!pictures.shown) return;
        for (const entry of [...this.#items.keys()]) if (!entries.includes(entry)) this.#items.delete(entry);
        const items = entries.map((entry) => this.#item(entry));
        if (items.some((item, i) => this.list.children[i] !== item) || items.length !== this.list.children.length) this.list.replaceChildren(...items);
        for (const [entry, item] of this.#items) this.#mark(entry, item, entry === current);
        this.again.hidden = again.running;
        this.again.disabled = !deed;
        this.again.title = deed ? "" : t("again.first");
        this.stop.hidden = !again.running;
        const done = entries.filter((entry) => entry.state === "done").length, failed = entries.filter((entry) => entry.state === "failed").length;
        this.count.textContent = again.running ? t("again.progress", {done: done + failed + 1, total: again.total}) : t("pictures.count", {n: entries.length});
    }

    #item(entry) {
        const known = this.#items.get(entry);
        if (known) return known;
        const {pictures} = this, show = h("button.cp-strip-picture", {type: "button", onclick: () => pictures.show(entry)}, h("canvas"), h("span.cp-strip-sign"));
        const item = h("div.cp-strip-item", {role: "listitem"}, show, iconButton("close", `${t("close")}: ${entry.name}`, () => pictures.remove(entry), {className: "cp-strip-close"}));
        this.#items.set(entry, item);
        return item;
    }

    #mark(entry, item, shown) {
        const [button] = item.children, [canvas, sign] = button.children;
        const why = entry.error ? `${said(entry.error, "message") || t("error.unreachable")} ${said(entry.error, "remedy")}`.trim() : "";
        const state = why || (entry.state ? t(`again.${entry.state}`) : "");
        button.title = state ? `${entry.name}. ${state}` : entry.name;
        button.setAttribute("aria-label", button.title);
        button.setAttribute("aria-current", shown);
        if (shown && button.className !== "cp-strip-picture cp-on") item.scrollIntoView?.({block: "nearest", inline: "nearest"});
        button.className = shown ? "cp-strip-picture cp-on" : "cp-strip-picture";
        const name = entry.state === "working" ? "working" : (SIGNS[entry.state] ?? (entry.version > 0 && entry.saved ? "saved" : ""));
        if (sign.dataset.sign !== name) {
            sign.dataset.sign = name;
            sign.replaceChildren(...(name === "working" ? [h("span.cp-spinner")] : name === "saved" ? [icon("save")] : name ? [icon(name)] : []));
        }
        const {thumbnail} = entry;
        if (!thumbnail || canvas.drawn === thumbnail) return;
        Object.assign(canvas, {width: thumbnail.width, height: thumbnail.height, drawn: thumbnail});
        canvas.getContext("2d").drawImage(thumbnail, 0, 0);
    }

    /** Arrows go from picture to picture. */
    #key(event) {
        const way = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
        if (!way) return;
        event.preventDefault();
        event.stopPropagation();
        const buttons = [...this.list.querySelectorAll(".cp-strip-picture")];
        buttons[buttons.indexOf(document.activeElement) + way]?.focus();
    }
}
