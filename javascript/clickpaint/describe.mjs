/** <clickpaint-describe>: says what is clicked. What it says goes into the panel, over the canvas, and from there into a prompt. */

import {ApiError} from "./api.mjs";
import {Bubble} from "./bubble.mjs";
import {Chat} from "./chat.mjs";
import {Describing} from "./describing.mjs";
import {h, Listeners} from "./dom.mjs";
import {t} from "./i18n.mjs";
import {PanoramaList} from "./panorama.mjs";
import {fault, Said} from "./said.mjs";
import {spoken} from "./spoken.mjs";
import {fillPrompt, paints} from "./widgets.mjs";
import {WordingForm} from "./wording.mjs";

export class ClickpaintDescribe extends HTMLElement {
    #listeners = new Listeners();
    #attached = null;

    connectedCallback() {
        this.classList.add("cp");
        document.addEventListener("clickpaint:ready", this.#attach);
        this.#attach();
    }

    disconnectedCallback() {
        document.removeEventListener("clickpaint:ready", this.#attach);
        this.#listeners.off();
        this.#attached = null;
    }

    /** The canvas may come before or after this panel, and may be made anew. */
    #attach = () => {
        const canvas = document.querySelector("clickpaint-canvas");
        if (!canvas?.editor || canvas === this.#attached) return;
        this.#listeners.off();
        this.#attached = canvas;
        this.#build(canvas);
    };

    #build(canvas) {
        const {editor} = canvas, listeners = this.#listeners;
        this.form = new WordingForm();
        const describing = (this.describing = new Describing(editor, () => this.form.body));
        const act = {copy: (words) => this.#copy(words), use: fillPrompt, save: (blob, name) => this.#save(blob, name)};
        this.said = new Said(describing, act, () => this.#cannotPaint());
        this.chat = new Chat(describing);
        this.panorama = new PanoramaList(describing, act);
        this.bubble = new Bubble(describing, act.copy);
        this.describe = h("button.cp-text.cp-strong.cp-wide", {type: "button", onclick: () => describing.describe()}, t("describe"));
        this.continuous = h("input", {type: "checkbox", onchange: () => (describing.continuous = this.continuous.checked)});
        this.stroke = h("button.cp-text.cp-wide", {type: "button", title: t("describe.stroke.title"), onclick: () => editor.use(editor.tool.name === "stroke" ? "click" : "stroke")}, t("describe.stroke"));
        this.notice = h("div.cp-notice", {role: "status"}, h("p", {}, t("busy.timeline")));
        const always = h("label.cp-check", {title: t("describe.continuous.title")}, this.continuous, h("span", {}, t("describe.continuous")));
        this.body = h("div.cp-body", {hidden: true}, this.form.element, h("div.cp-row", {}, this.describe, always), h("div.cp-row", {}, this.stroke), this.said.element, this.#finding(), this.chat.element, this.panorama.element);
        this.replaceChildren(this.notice, this.body);
        canvas.compare.element.after(this.panorama.labels.element, this.bubble.element);
        for (const part of [describing, this.bubble, this.panorama.labels]) part.listen(listeners);
        listeners.on(describing, "known", () => this.#know());
        listeners.on(describing, "caption", () => this.#update());
        listeners.on(describing, "chat", () => this.chat.update());
        listeners.on(describing, "regions", () => this.panorama.update());
        listeners.on(editor, "opened", () => this.#update());
        listeners.on(editor, "change", () => this.#tool());
        listeners.on(editor, "traced", () => describing.describe());
        listeners.on(document, "clickpaint:models", () => this.#load());
        this.#load().then(() => describing.begin());
    }

    async #load() {
        try {
            await this.describing.load();
        } catch (error) {
            this.notice.hidden = false;
            this.notice.replaceChildren(fault(error));
        }
    }

    /** Offer what can be had here; without any captioner, the way to one. */
    #know() {
        const {controls} = this.describing.known, {available, reason} = controls.caption;
        this.body.hidden = false;
        this.form.draw(this.describing.known);
        this.form.element.hidden = !available;
        this.notice.hidden = available;
        this.notice.replaceChildren(h("p", {}, spoken(reason)), h("clickpaint-models", {"data-role": "captioner"}));
        this.#update();
        this.chat.update();
        this.panorama.update();
    }

    #update() {
        const {known, editor} = this.describing;
        if (!known) return;
        const {caption, find} = known.controls;
        this.describe.disabled = !caption.available || !editor.ready;
        this.describe.title = spoken(caption.reason);
        this.stroke.disabled = this.continuous.disabled = !caption.available;
        this.#tool();
        this.find.disabled = this.phrase.disabled = !find.available || !editor.ready;
        this.find.title = this.phrase.title = spoken(find.reason);
        this.said.update();
    }

    #tool() {
        const on = this.describing.editor.tool.name === "stroke";
        this.stroke.setAttribute("aria-pressed", on);
        this.stroke.classList.toggle("cp-on", on);
    }

    /** A phrase, and the button that selects what it names. */
    #finding() {
        this.phrase = h("input", {type: "text", maxLength: 200, placeholder: t("describe.phrase"), "aria-label": t("describe.phrase")});
        this.find = h("button.cp-text", {type: "submit"}, t("describe.find"));
        this.where = h("p.cp-note", {role: "status", hidden: true});
        const submit = async (event) => {
            event.preventDefault();
            const phrase = this.phrase.value.trim();
            if (!phrase || this.find.disabled) return;
            this.find.disabled = true;
            this.where.hidden = true;
            const found = await this.describing.editor.find(phrase);
            this.#update();
            this.where.hidden = !found;
            if (found) this.where.textContent = t("describe.found", {phrase, by: found.found_by, n: Math.round(100 * found.score)});
        };
        return h("div.cp-find", {}, h("form.cp-row", {role: "search", onsubmit: submit}, this.phrase, this.find), this.where);
    }

    /** Why words cannot become a prompt, "" where they can. */
    #cannotPaint() {
        return paints() ? "" : this.describing.editor.capabilities?.paint.reason || t("describe.cannot_paint");
    }

    async #copy(words) {
        const {editor} = this.describing;
        try {
            await navigator.clipboard.writeText(words);
            editor.emit("done", {key: "copied"});
        } catch {
            editor.emit("error", new ApiError(0, {error: "Clipboard", message: t("error.clipboard"), remedy: t("describe.clipboard.remedy")}));
        }
    }

    #save(blob, name) {
        const stem = this.describing.editor.state.name.replace(/\.\w+$/, "");
        const link = h("a", {href: URL.createObjectURL(blob), download: stem ? `${stem}-${name}` : name, hidden: true});
        this.append(link);
        link.click();
        link.remove();
        setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }
}
