/** Asks before a result that was never saved makes room for another picture. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";

export class UnsavedQuestion {
    /** What the question was answered with. @type {(open: boolean) => void} */
    #answer = () => {};

    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {() => Promise<boolean>} save whether it was saved
     */
    constructor(editor, save) {
        this.editor = editor;
        const button = (key, onclick, strong = "") => h(`button.cp-text${strong}`, {type: "button", onclick}, t(key));
        const saving = async () => (await save()) && this.#close(true);
        this.element = h(
            "dialog.cp-help.cp-ask",
            {"aria-label": t("unsaved")},
            h("h2", {}, t("unsaved")),
            h("p", {}, t("unsaved.text")),
            h("div.cp-ask-buttons", {}, button("unsaved.cancel", () => this.#close(false)), button("unsaved.drop", () => this.#close(true)), button("unsaved.save", saving, ".cp-strong")),
        );
        this.element.addEventListener("cancel", () => this.#answer(false));
    }

    /** Whether another picture may be opened; asks the user where a result would be lost. */
    async mayOpen() {
        const {unsaved} = this.editor;
        if (!unsaved) return true;
        this.#answer(false); // who asked before is overtaken
        if (!this.element.open) this.element.showModal();
        return new Promise((done) => (this.#answer = done));
    }

    #close(open) {
        this.element.close();
        this.#answer(open);
    }
}
