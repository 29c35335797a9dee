/** Asks where in the other pictures the same is to be done, and begins it. */

import {h, iconButton} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {SameAgain} from "../picture/same_again.mjs";

export class SameAgainDialog {
    /** @param {import("../picture/picture_set.mjs").PictureSet} pictures */
    constructor(pictures) {
        this.pictures = pictures;
        this.what = h("p");
        this.words = h("input", {type: "text", "aria-label": t("again.phrase"), placeholder: t("again.phrase"), oninput: () => (this.#radio("words").checked = true)});
        this.reason = h("p.cp-quiet", {hidden: true});
        const way = (how, ...more) => h("label.cp-way", {}, h("input", {type: "radio", name: "cp-again", value: how}), h("span", {}, h("strong", {}, t(`again.${how}`)), h("small", {}, t(`again.${how}.help`)), ...more));
        this.ways = h("fieldset", {}, h("legend", {}, t("again.where")), way("place"), way("box"), way("words", this.words, this.reason));
        this.all = h("input", {type: "checkbox", checked: true});
        this.rest = h("label.cp-way", {}, this.all, h("span", {}, t("again.skip")));
        const start = h("button.cp-text.cp-strong", {type: "submit"}, t("again.start"));
        const form = h("form", {method: "dialog", onsubmit: (event) => this.#start(event)}, this.what, this.ways, this.rest, h("div.cp-ask-buttons", {}, h("button.cp-text", {type: "button", onclick: () => this.element.close()}, t("unsaved.cancel")), start));
        this.element = h("dialog.cp-help.cp-ask.cp-again", {"aria-label": t("again")}, h("header", {}, h("h2", {}, t("again")), iconButton("close", t("close"), () => this.element.close())), form);
        this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    }

    /** @param {string} how @returns {HTMLInputElement} */
    #radio(how) {
        return /** @type {HTMLInputElement} */ (this.ways.querySelector(`input[value=${how}]`));
    }

    /** The pictures it would be done to. */
    get #others() {
        const {pictures} = this, {deed} = pictures;
        return pictures.entries.filter((entry) => entry.id === null || entry.id !== deed?.of.workspace).filter((entry) => !this.all.checked || entry.version === 0);
    }

    async open() {
        const {pictures} = this, {deed} = pictures;
        if (!deed || pictures.again.running) return;
        const {task, body} = deed, name = task === "remove" ? t("remove") : t(`task.${task}`);
        this.what.textContent = body?.prompt ? t("again.prompt", {name, prompt: body.prompt}) : name;
        this.ways.hidden = !SameAgain.selects(deed);
        this.#radio("place").checked = true;
        this.element.showModal();
        const find = await pictures.workbench.api.captioners().then(({controls}) => controls.find, () => null);
        this.#radio("words").disabled = this.words.disabled = !find?.available;
        this.reason.textContent = said(find, "reason");
        this.reason.hidden = Boolean(find?.available);
    }

    #start(event) {
        const {deed, again} = this.pictures, how = /** @type {HTMLInputElement | null} */ (this.ways.querySelector("input:checked"))?.value ?? "place";
        const phrase = this.words.value.trim();
        if (how === "words" && !phrase) return event.preventDefault(), this.words.focus();
        if (!deed) return undefined;
        return void again.run(this.#others, deed, /** @type {import("../picture/same_again.mjs").Where} */ (how === "words" ? {how, phrase} : {how}));
    }
}
