/** The line under the stage: which engines are at work, what is selected, the picture's size. */

import {h, iconButton} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {translated} from "../language/server_sentences.mjs";

export class StatusBar {
    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {import("./actions.mjs").Actions} actions
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
            {role: "region", "aria-label": t("status")}, // it may stand outside of the page's other landmarks
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
        const title = (list, name) => translated(list?.find((one) => one.name === name)?.title ?? name);
        const segmenter = title(capabilities?.segmenters, editor.segmenter), eraser = title(capabilities?.erasers, editor.eraser);
        this.engines.textContent = capabilities ? t("at_work", {segmenter, eraser}) : "";
        this.engines.title = this.engines.textContent;
        const tool = editor.clip && editor.tool.name === "click" ? "clip" : editor.tool.name;
        this.hint.textContent = editor.ready ? t(`hint.${editor.regions ? (editor.regions.overview ? "everything" : "text") : tool}`) : "";
        const {width, height} = editor.size;
        const percent = state.selection ? (100 * state.selection.area) / (width * height) : 0;
        this.selected.textContent = !editor.ready ? "" : state.selection ? t("selected", {percent: percent < 1 ? percent.toFixed(1) : Math.round(percent)}) : t("selected.none");
        this.picture.textContent = editor.ready ? [state.name, t("dimensions", {width, height})].filter(Boolean).join(" · ") : "";
        this.picture.title = editor.ready ? `${this.picture.textContent} · ${t("megapixels", {n: ((width * height) / 1e6).toFixed(1)})}` : "";
    }
}
