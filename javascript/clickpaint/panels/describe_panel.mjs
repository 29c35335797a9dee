/** <clickpaint-describe>: says what is clicked. What it says goes into the panel, over the canvas, and from there into a prompt. */

import {h} from "../common/dom.mjs";
import {fillPrompt, paints, resolutionOf} from "../host/widgets.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {ApiError} from "../server/api.mjs";
import {CanvasPanel} from "./canvas_panel.mjs";
import {CaptionForm} from "./caption_form.mjs";
import {CaptionResult, fault} from "./caption_result.mjs";
import {CaptionSession} from "./caption_session.mjs";
import {Chat} from "./chat.mjs";
import {RegionList} from "./region_list.mjs";
import {SpeechBubble} from "./speech_bubble.mjs";

export class DescribePanel extends CanvasPanel {
    /** @type {import("../picture/workbench.mjs").Workbench} */
    workbench;
    /** @type {CaptionSession} */
    captions;
    /** @type {CaptionForm} */
    form;
    /** @type {CaptionResult} */
    result;
    /** @type {Chat} */
    chat;
    /** @type {RegionList} */
    regions;
    /** @type {SpeechBubble} */
    bubble;
    /** @type {HTMLButtonElement} */
    describe;
    /** @type {HTMLInputElement} */
    continuous;
    /** @type {HTMLButtonElement} */
    stroke;
    /** @type {HTMLElement} */
    notice;
    /** @type {HTMLElement} */
    body;
    /** @type {HTMLInputElement} */
    phrase;
    /** @type {HTMLButtonElement} */
    find;
    /** Who looks for the phrase: "" for the best that is here, or the checkpoint. @type {HTMLSelectElement} */
    finder;
    /** What might be there instead, for the checkpoint. @type {HTMLInputElement} */
    instead;
    /** @type {HTMLElement} */
    looking;
    /** @type {HTMLElement} */
    where;
    /** Of the loaded checkpoint when it was asked what can be had. @type {string | undefined} */
    #checkpoint;

    build(canvas) {
        const {workbench} = canvas, {editor} = workbench, listeners = this.listeners;
        this.workbench = workbench;
        this.form = new CaptionForm();
        const captions = (this.captions = new CaptionSession(workbench, () => this.form.body));
        const act = {copy: (words) => this.#copy(words), use: fillPrompt, save: (blob, name) => this.#save(blob, name), keep: (wanted) => canvas.training.keep(wanted)};
        this.result = new CaptionResult(captions, act, () => this.#cannotPaint());
        this.chat = new Chat(captions);
        this.regions = new RegionList(captions, workbench, act);
        this.bubble = new SpeechBubble(captions, act.copy);
        this.describe = h("button.cp-text.cp-strong.cp-wide", {type: "button", onclick: () => captions.describe()}, t("describe"));
        this.continuous = h("input", {type: "checkbox", onchange: () => (captions.continuous = this.continuous.checked)});
        this.stroke = h("button.cp-text.cp-wide", {type: "button", title: t("describe.stroke.title"), onclick: () => editor.use(editor.tool.name === "stroke" ? "click" : "stroke")}, t("describe.stroke"));
        this.notice = h("div.cp-notice", {role: "status"}, h("p", {}, t("busy.timeline")));
        const always = h("label.cp-check", {title: t("describe.continuous.title")}, this.continuous, h("span", {}, t("describe.continuous")));
        this.body = h("div.cp-body", {hidden: true}, this.form.element, h("div.cp-row", {}, this.describe, always), h("div.cp-row", {}, this.stroke), this.result.element, this.#finding(), this.chat.element, this.regions.element);
        this.replaceChildren(this.notice, this.body);
        canvas.compare.element.after(this.regions.labels.element, this.bubble.element);
        for (const part of [captions, this.bubble, this.regions.labels]) part.listen(listeners);
        listeners.on(captions, "known", () => this.#know());
        listeners.on(captions, "caption", () => this.#update());
        listeners.on(captions, "chat", () => this.chat.update());
        listeners.on(captions, "regions", () => this.regions.update());
        listeners.on(editor, "opened", () => this.#update());
        listeners.on(editor, "change", () => this.#tool());
        listeners.on(editor, "traced", () => captions.describe());
        listeners.on(document, "clickpaint:models", () => this.#load());
        canvas.shown.then(() => this.#load()).then(() => captions.begin());
    }

    async #load() {
        this.#checkpoint = this.workbench.editor.capabilities?.paint.checkpoint ?? undefined;
        try {
            await this.captions.load();
        } catch (error) {
            this.notice.hidden = false;
            this.notice.replaceChildren(fault(error));
        }
    }

    /** Offer what can be had here; without any captioner, the way to one. */
    #know() {
        const {caption} = this.captions.known.controls, {available} = caption;
        this.body.hidden = false;
        this.form.draw(this.captions.known);
        this.form.element.hidden = !available;
        this.notice.hidden = available;
        this.notice.replaceChildren(h("p", {}, said(caption, "reason")), h("clickpaint-models", {"data-role": "captioner"}));
        this.#update();
        this.chat.update();
        this.regions.update();
    }

    #update() {
        const {known, editor} = this.captions;
        if (!known) return;
        const {caption, find} = known.controls;
        this.describe.disabled = !caption.available || !editor.ready;
        this.describe.title = said(caption, "reason");
        this.stroke.disabled = this.continuous.disabled = !caption.available;
        this.#tool();
        this.find.disabled = this.phrase.disabled = !find.available || !editor.ready;
        this.find.title = this.phrase.title = said(find, "reason");
        this.looking.hidden = !known.controls.checkpoint.available;
        this.instead.hidden = this.finder.value === "";
        this.result.update();
    }

    #tool() {
        const {editor} = this.captions, checkpoint = editor.capabilities?.paint.checkpoint;
        if (this.captions.known && checkpoint && checkpoint !== this.#checkpoint) this.#load(); // it looks for words, too
        const on = this.captions.editor.tool.name === "stroke";
        this.stroke.setAttribute("aria-pressed", `${on}`);
        this.stroke.classList.toggle("cp-on", on);
    }

    /** A phrase, and the button that selects what it names. */
    #finding() {
        this.phrase = h("input", {type: "text", maxLength: 200, placeholder: t("describe.phrase"), "aria-label": t("describe.phrase")});
        this.find = h("button.cp-text", {type: "submit"}, t("describe.find"));
        this.where = h("p.cp-note", {role: "status", hidden: true});
        const finders = [["", t("find.best")], ["checkpoint", t("find.checkpoint")]];
        this.finder = h("select", {"aria-label": t("find.by"), onchange: () => this.#update()}, ...finders.map(([value, name]) => h("option", {value}, name)));
        this.instead = h("input", {type: "text", maxLength: 200, placeholder: t("find.instead"), "aria-label": t("find.instead"), hidden: true});
        this.looking = h("div.cp-looking", {hidden: true}, h("label.cp-field", {}, h("span", {}, t("find.by")), this.finder), this.instead);
        const submit = async (event) => {
            event.preventDefault();
            const phrase = this.phrase.value.trim();
            if (!phrase || this.find.disabled) return;
            this.find.disabled = true;
            this.where.hidden = true;
            const how = this.looking.hidden || !this.finder.value ? {} : {instead: this.instead.value.trim(), resolution: resolutionOf()};
            const found = await this.workbench.selecting.find(phrase, how);
            this.#update();
            this.where.hidden = !found;
            if (found) this.where.textContent = t("describe.found", {phrase, by: found.found_by, n: Math.round(100 * found.score)});
        };
        return h("div.cp-find", {}, h("form.cp-row", {role: "search", onsubmit: submit}, this.phrase, this.find), this.looking, this.where);
    }

    /** Why words cannot become a prompt, "" where they can. */
    #cannotPaint() {
        return paints() ? "" : said(this.captions.editor.capabilities?.paint ?? {}, "reason") || t("describe.cannot_paint");
    }

    async #copy(words) {
        const {editor} = this.captions;
        try {
            await navigator.clipboard.writeText(words);
            editor.emit("done", {key: "copied"});
        } catch {
            editor.emit("error", new ApiError(0, {error: "Clipboard", message: t("error.clipboard"), remedy: t("describe.clipboard.remedy")}));
        }
    }

    #save(blob, name) {
        const stem = this.captions.editor.state.name.replace(/\.\w+$/, "");
        const link = h("a", {href: URL.createObjectURL(blob), download: stem ? `${stem}-${name}` : name, hidden: true});
        this.append(link);
        link.click();
        link.remove();
        setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }
}
