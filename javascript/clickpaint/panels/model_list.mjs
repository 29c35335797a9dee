/** <clickpaint-models>: the files that can be had, their licences, and their downloads; with data-role only those for one purpose. */

import {downloadText} from "../canvas/status_bar.mjs";
import {h} from "../common/dom.mjs";
import {bytes, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {blocked} from "../server/downloads.mjs";

const ROLES = ["segmenter", "eraser", "checkpoint", "preprocessor", "captioner"];

export class ModelList extends HTMLElement {
    #redraw = () => this.#draw();
    /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas | null} */
    canvas = null;
    /** @type {import("../server/downloads.mjs").Downloads | undefined} */
    downloads;

    connectedCallback() {
        this.classList.add("cp");
        document.addEventListener("clickpaint:ready", this.#attach);
        this.#attach();
    }

    /** The canvas may come before or after this list. */
    #attach = () => {
        this.canvas = document.querySelector("clickpaint-canvas");
        this.downloads = this.canvas?.downloads;
        this.downloads?.addEventListener("models", this.#redraw);
        this.downloads?.addEventListener("tasks", this.#redraw);
        this.#draw();
    };

    disconnectedCallback() {
        document.removeEventListener("clickpaint:ready", this.#attach);
        this.downloads?.removeEventListener("models", this.#redraw);
        this.downloads?.removeEventListener("tasks", this.#redraw);
    }

    #draw() {
        const list = this.downloads?.list;
        if (!list) return this.replaceChildren(h("p", {}, t("models.empty")));
        const roles = this.dataset.role ? [this.dataset.role] : ROLES;
        const groups = roles.map((role) => ({role, models: list.filter((model) => model.role === role)})).filter(({models}) => models.length);
        return this.replaceChildren(
            ...groups.map(({role, models}) => h("section", {}, h("h2", {}, t(`role.${role}`)), h("ul", {}, ...models.map((model) => this.#row(model))))),
        );
    }

    #row(model) {
        const task = this.downloads?.task(model.name);
        const facts = [model.bytes ? bytes(model.bytes) : "", model.licence].filter(Boolean).join(" · ");
        const unable = this.#unable(model), shown = unable ? "unavailable" : model.state;
        const state = h(`span.cp-state.cp-${shown}`, {title: said(unable ?? model, "reason")}, t(`state.${shown}`));
        const away = {href: model.source, target: "_blank", rel: "noreferrer noopener", title: t("models.source")};
        const title = /^https?:/.test(model.source ?? "") ? h("a", away, model.title) : model.title;
        return h(
            "li",
            {},
            h("div.cp-model-text", {}, h("strong", {}, title), h("small", {title: model.note || null}, facts)),
            task ? this.#running(model, task) : shown === "missing" ? null : state,
            this.#button(model, task),
        );
    }

    /** What its file is for, where that lacks a package and no download helps; null for a file that is here. */
    #unable(model) {
        return model.state === "present" ? null : blocked(this.canvas?.workbench.editor.capabilities, model.name);
    }

    #running(model, task) {
        const fill = h("div.cp-progress-fill");
        fill.style.width = `${Math.round(100 * (task.fraction ?? 0))}%`;
        return h("div.cp-progress-track", {role: "progressbar", title: downloadText(model.title, task), "aria-label": downloadText(model.title, task)}, fill);
    }

    #button(model, task) {
        const {downloads} = this;
        if (task) return h("button.cp-text", {type: "button", onclick: () => downloads?.cancel(model.name)}, t("models.cancel"));
        if (this.canvas?.workbench.editor.capabilities?.offline || !["missing", "partial", "corrupt"].includes(model.state) || this.#unable(model)) return null;
        const label = t(model.state === "corrupt" ? "models.retry" : "models.download");
        return h("button.cp-text", {type: "button", "aria-label": `${label} ${model.title}`, onclick: () => downloads?.start(model.name)}, label);
    }
}
