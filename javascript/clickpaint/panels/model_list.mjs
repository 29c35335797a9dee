/** <clickpaint-models>: the files that can be had, their licences, and what can be done with them; with data-role only those for one purpose. */

import {downloadText} from "../canvas/offer.mjs";
import {h, Listeners} from "../common/dom.mjs";
import {bytes, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {blocked} from "../server/downloads.mjs";

const ROLES = ["checkpoint", "segmenter", "eraser", "preprocessor", "captioner", "tracker", "adapter", "system"];
const GETTABLE = ["missing", "partial", "corrupt"];
/** Milliseconds in which the second press must come that deletes. */
const SURE = 5000;

export class ModelList extends HTMLElement {
    #listeners = new Listeners();
    /** Which model's deletion waits for its second press. */
    #asked = "";
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
        this.#listeners.off();
        this.canvas = document.querySelector("clickpaint-canvas");
        this.downloads = this.canvas?.downloads;
        if (this.downloads) for (const type of ["models", "tasks"]) this.#listeners.on(this.downloads, type, () => this.#draw());
        this.#draw();
    };

    disconnectedCallback() {
        document.removeEventListener("clickpaint:ready", this.#attach);
        this.#listeners.off();
    }

    #draw() {
        const list = this.downloads?.list;
        if (!list) return this.replaceChildren(h("p", {}, t("models.empty")));
        const roles = this.dataset.role ? [this.dataset.role] : ROLES;
        const groups = roles.map((role) => ({role, models: list.filter((model) => model.role === role)})).filter(({models}) => models.length);
        const focused = this.contains(document.activeElement) ? document.activeElement?.getAttribute("data-does") : null;
        this.replaceChildren(
            ...groups.map(({role, models}) => h("section", {}, h("h2", {}, t(`role.${role}`)), h("ul", {}, ...models.map((model) => this.#row(model))))),
        );
        if (focused) /** @type {HTMLElement | null} */ (this.querySelector(`[data-does="${focused}"]`))?.focus();
    }

    #row(model) {
        const task = this.downloads?.task(model.name);
        const system = model.role === "system", here = model.state === "present", size = model.bytes ?? (system ? model.bytes_done : 0);
        const facts = [size ? bytes(size) : "", model.licence].filter(Boolean).join(" · ");
        const unable = this.#unable(model), shown = unable ? "unavailable" : model.state;
        const word = shown === "present" && model.used ? t("models.used") : t(`state.${shown}`);
        const state = h(`span.cp-state.cp-${shown}`, {title: said(unable ?? model, "reason")}, word);
        const away = {href: model.source, target: "_blank", rel: "noreferrer noopener", title: t("models.source")};
        const title = /^https?:/.test(model.source ?? "") ? h("a", away, model.title) : model.title;
        return h(
            "li",
            {},
            h("div.cp-model-text", {}, h("strong", {}, title), h("small", {title: model.note || null}, facts), system ? h("small", {}, here ? model.note : said(model, "reason")) : null),
            model.recommended && !task ? h("span.cp-state.cp-wanted", {}, t("models.recommended")) : null,
            task ? this.#running(model, task) : shown === "missing" ? null : state,
            ...this.#buttons(model, task),
        );
    }

    /** What its file is for, where that lacks a package and no download helps; null for a file that is here. */
    #unable(model) {
        return model.state === "present" ? null : blocked(this.canvas?.workbench.editor.capabilities, model.name);
    }

    #running(model, task) {
        const fill = h("div.cp-progress-fill"), text = downloadText(model.title, task);
        fill.style.width = `${Math.round(100 * (task.fraction ?? 0))}%`;
        return h("div.cp-progress-track", {role: "progressbar", title: text, "aria-label": text}, fill);
    }

    #buttons(model, task) {
        const {downloads} = this, capabilities = this.canvas?.workbench.editor.capabilities;
        if (capabilities?.public) return [];
        if (task) return [this.#button("cancel", t("models.cancel"), model, () => downloads?.cancel(model.name))];
        const buttons = [];
        if (!capabilities?.offline && GETTABLE.includes(model.state) && !this.#unable(model))
            buttons.push(this.#button("download", t(model.state === "corrupt" ? "models.retry" : "models.download"), model, () => downloads?.start(model.name)));
        if (model.state === "present" && model.role !== "system") buttons.push(this.#button("verify", t("models.verify"), model, () => downloads?.verify(model.name)));
        if (model.removable) buttons.push(this.#button("remove", t(this.#asked === model.name ? "models.sure" : "models.remove"), model, () => this.#remove(model)));
        return buttons;
    }

    /** Only the second press deletes. */
    #remove(model) {
        if (this.#asked === model.name) {
            this.#asked = "";
            return this.downloads?.remove(model.name);
        }
        this.#asked = model.name;
        setTimeout(() => this.#asked === model.name && ((this.#asked = ""), this.#draw()), SURE);
        return this.#draw();
    }

    #button(does, label, model, onclick) {
        return h("button.cp-text", {type: "button", "aria-label": `${label} ${model.title}`, "data-does": `${does} ${model.name}`, onclick}, label);
    }
}
