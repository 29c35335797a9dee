/** What belongs to the crop tool: the ratio, and the buttons that do it or leave it. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {RATIOS} from "../picture/cropping.mjs";

export class CropOptions {
    /** @param {import("../picture/editor.mjs").Editor} editor */
    constructor(editor) {
        this.editor = editor;
        const named = (name) => (name === "free" || name === "original" ? t(`crop.${name}`) : name);
        this.ratio = h("select.cp-select", {"aria-label": t("crop.ratio"), title: t("crop.ratio")}, ...RATIOS.map(([name]) => h("option", {value: name}, named(name))));
        this.ratio.addEventListener("change", () => this.#choose());
        this.apply = h("button.cp-text.cp-strong", {type: "button", onclick: () => this.#tool.apply()}, t("tool.crop"));
        this.leave = h("button.cp-text", {type: "button", onclick: () => editor.use("click")}, t("unsaved.cancel"));
        this.element = h("div.cp-group", {}, this.ratio, this.apply, this.leave);
    }

    /** @returns {import("./crop_tool.mjs").CropTool} */
    get #tool() {
        return /** @type {any} */ (this.editor.tools.crop);
    }

    #choose() {
        const {width, height} = this.editor.size, value = RATIOS.find(([name]) => name === this.ratio.value)?.[1] ?? null;
        this.#tool.setRatio(value === 0 ? width / height : value);
    }

    update() {
        this.element.hidden = this.editor.tool.name !== "crop";
        if (!this.element.hidden) this.apply.disabled = !this.#tool.drafting;
    }
}
