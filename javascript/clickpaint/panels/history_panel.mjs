/** <clickpaint-history>: what was opened and made before. With `data-most` only the last few, to be seen where no picture is open. */

import {h, iconButton, Listeners, showBlob} from "../common/dom.mjs";
import {ago, bytes, t} from "../language/language.mjs";

/** What the server calls its steps, and the sentences for them. */
const STEPS = {Remove: "remove", Fill: "task.fill", Replace: "task.replace", Expand: "task.expand", Instruct: "task.instruct", Edit: "task.edit", Vary: "task.vary", "Control map": "history.map"};

/** What was done to a picture, in a few words. @param {string[]} steps */
export function summaryOf(steps) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const step of steps) {
        const word = STEPS[step] ? t(STEPS[step]) : /^Result \d+$/.test(step) ? null : step;
        if (word !== null) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    return [...counts].map(([word, count]) => (count > 1 ? `${word} × ${count}` : word)).join(", ");
}

export class HistoryPanel extends HTMLElement {
    #listeners = new Listeners();
    /** By the ids of workspaces and when they were changed: what is drawn stays. @type {Map<string, HTMLElement>} */
    #cards = new Map();
    #sure = false;

    connectedCallback() {
        const canvas = /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas} */ (this.closest("clickpaint-canvas"));
        this.past = canvas.keeping.past;
        this.editor = canvas.editor;
        this.most = Number(this.dataset.most ?? Infinity);
        this.cards = h("div.cp-past", {role: "list"});
        this.empty = h("p.cp-past-none", {}, t("history.none"));
        this.bounds = h("p.cp-past-bounds");
        this.all = h("button.cp-text", {type: "button", onclick: () => this.#removeAll(), onblur: () => this.#ask(false)});
        const short = [h("p", {}, t("history.last"), " ", h("button.cp-link", {type: "button", onclick: () => canvas.actions.history()}, t("history.all"))), this.cards];
        this.replaceChildren(...(this.dataset.most ? short : [h("div.cp-past-head", {}, this.bounds, this.all), this.empty, this.cards]));
        this.#listeners.on(this.past, "change", () => this.#update());
        this.#listeners.on(this.editor, "change", () => this.#update());
        this.#update();
    }

    disconnectedCallback() {
        this.#listeners.off();
        this.#cards.clear();
    }

    get #shown() {
        return (this.past?.list ?? []).slice(0, this.most);
    }

    #update() {
        const shown = this.#shown, {bounds} = /** @type {NonNullable<typeof this.past>} */ (this.past), open = this.editor?.state.workspace?.id;
        /** @type {Map<string, HTMLElement>} */
        const cards = new Map(shown.map((picture) => [`${picture.id} ${picture.changed}`, this.#cards.get(`${picture.id} ${picture.changed}`) ?? this.#card(picture)]));
        if ([...cards.keys()].join() !== [...this.#cards.keys()].join()) this.cards?.replaceChildren(...cards.values());
        this.#cards = cards;
        for (const card of cards.values()) card.classList.toggle("cp-on", card.dataset.id === open);
        this.hidden = Boolean(this.dataset.most) && !shown.length;
        const off = bounds !== null && (!bounds.days || !bounds.bytes);
        if (this.empty) {
            this.empty.hidden = shown.length > 0 || this.past?.list === null;
            this.empty.textContent = t(off ? "history.off" : "history.none");
        }
        if (this.bounds) this.bounds.textContent = bounds && !off ? t("history.bounds", {days: bounds.days, size: bytes(bounds.bytes)}) : "";
        if (this.all) {
            this.all.hidden = !this.#removable.length;
            this.all.textContent = this.#sure ? t("history.sure", {n: this.#removable.length}) : t("history.remove_all");
            this.all.classList.toggle("cp-danger", this.#sure);
        }
    }

    /** @param {import("../picture/past_pictures.mjs").PastPicture} picture */
    #card(picture) {
        const {id, name, width, height, steps, changed} = picture, made = summaryOf(steps);
        const image = h("img", {alt: "", draggable: false});
        showBlob(image, /** @type {NonNullable<typeof this.past>} */ (this.past).api.thumbnail(id));
        const facts = [made || t("history.opened"), ago(changed), t("dimensions", {width, height})].filter(Boolean).join(" · ");
        const label = `${name || t("history.unnamed")}. ${facts}`;
        const button = h("button.cp-past-open", {type: "button", title: label, "aria-label": label, onclick: () => this.#open(picture)}, image);
        const texts = this.dataset.most ? [] : [h("strong", {}, name || t("history.unnamed")), h("span.cp-past-now", {}, t("history.now")), h("span", {}, facts)];
        const remove = this.dataset.most ? null : iconButton("clear", t("history.remove", {name: name || t("history.unnamed")}), () => this.#remove([picture]));
        return h("div.cp-past-item", {role: "listitem", "data-id": id}, button, h("div.cp-past-text", {hidden: !texts.length}, ...texts), remove);
    }

    async #open(picture) {
        this.closest("dialog")?.close();
        await this.past?.open(picture).catch((/** @type {unknown} */ error) => this.editor?.emit("error", error));
    }

    get #removable() {
        return this.#shown.filter(({id}) => id !== this.editor?.state.workspace?.id);
    }

    /** @param {import("../picture/past_pictures.mjs").PastPicture[]} pictures */
    async #remove(pictures) {
        await this.past?.remove(pictures).catch((/** @type {unknown} */ error) => this.editor?.emit("error", error));
    }

    #removeAll() {
        if (!this.#sure) return this.#ask(true);
        this.#ask(false);
        return this.#remove(this.#removable);
    }

    #ask(sure) {
        this.#sure = sure;
        this.#update();
    }
}
