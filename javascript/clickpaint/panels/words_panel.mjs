/** <clickpaint-words>: where the checkpoint sees the words of what a picture shows, over the picture and as a selection. */

import {h} from "../common/dom.mjs";
import {range, valuesOf} from "../common/form_fields.mjs";
import {resolutionOf} from "../host/widgets.mjs";
import {t} from "../language/language.mjs";
import {blobOf} from "../picture/mask_layer.mjs";
import {CanvasPanel} from "./canvas_panel.mjs";

const OPACITY = 0.75;
const THRESHOLD = 0.5;

/** What stands in a field beside the canvas. @param {string} id */
function written(id) {
    const field = /** @type {HTMLTextAreaElement | HTMLInputElement | null} */ (document.querySelector(`#${id} textarea, #${id} input[type=number]`));
    return field?.value.trim() ?? "";
}

export class WordsPanel extends CanvasPanel {
    /** @type {import("../picture/workbench.mjs").Workbench} */
    workbench;
    /** Where each word is seen, and in which version of the picture. @type {{prompt: string, resolution: number, version: number, words: {text: string, map: string}[]} | null} */
    seen = null;
    /** The word that lies over the picture, by its index. */
    shown = -1;

    build({workbench}) {
        const {editor} = workbench;
        this.workbench = workbench;
        this.look = h("button.cp-text", {type: "button", onclick: () => this.#look()}, t("words.show"));
        this.differ = h("button.cp-text", {type: "button", title: t("words.differ.title"), onclick: () => this.#differ()}, t("words.differ"));
        this.words = h("div.cp-seen-words", {role: "group", "aria-label": t("words.seen"), hidden: true});
        this.threshold = range(t("words.threshold"), "threshold", {minimum: 0.05, maximum: 0.95, step: 0.05, value: THRESHOLD});
        this.select = h("button.cp-text", {type: "button", onclick: () => this.#select()}, t("words.select"));
        this.selecting = h("div.cp-row", {hidden: true}, this.threshold, this.select);
        this.note = h("p.cp-note", {role: "status", hidden: true});
        this.replaceChildren(h("div.cp-row", {}, this.look, this.differ), this.note, this.words, this.selecting);
        this.listeners.on(editor, "opened", () => this.#forget());
        this.listeners.on(editor, "change", () => this.#update());
        this.#update();
    }

    #update() {
        const {editor, versions} = this.workbench;
        if (this.seen && this.seen.version !== editor.state.version) this.#forget();
        if (this.shown >= 0 && !versions.over) this.#mark(-1); // something else hid it
        for (const button of [this.look, this.differ]) button.disabled = !editor.ready;
    }

    #forget() {
        if (this.shown >= 0) this.workbench.versions.cover(null);
        this.seen = null;
        this.#mark(-1);
        this.words.hidden = true;
        this.note.hidden = true;
    }

    #mark(index) {
        this.shown = index;
        this.selecting.hidden = index < 0;
        [...this.words.children].forEach((button, i) => button.setAttribute("aria-pressed", `${i === index}`));
    }

    #say(text) {
        this.note.hidden = !text;
        this.note.textContent = text;
    }

    /** What the picture shows, as it is written; "" with a word about it where nothing is. */
    #source() {
        const source = written("clickpaint_source_prompt");
        this.#say(source ? "" : t("words.say"));
        return source;
    }

    async #look() {
        const {api, editor} = this.workbench, prompt = this.#source(), resolution = resolutionOf();
        if (!prompt) return;
        const {version} = editor.state;
        const answer = await editor.change("find", () => api.request("POST", `workspaces/${editor.id}/word-maps`, {body: {prompt, resolution}}));
        if (!answer || editor.state.version !== version) return;
        this.seen = {prompt, resolution, version, words: answer.words};
        this.words.replaceChildren(
            ...answer.words.map(({text}, i) => h("button.cp-text", {type: "button", "aria-pressed": "false", onclick: () => this.#show(i === this.shown ? -1 : i)}, text)),
        );
        this.words.hidden = false;
        const names = answer.words.map(({text}) => text);
        await this.#show(names.reduce((best, text, i) => (text.length > names[best].length ? i : best), 0));
    }

    /** Lay a word's map over the picture; none of them for -1. */
    async #show(index) {
        const {versions} = this.workbench;
        if (index < 0 || !this.seen) {
            versions.cover(null);
            return this.#mark(-1);
        }
        const {version, words} = this.seen, bitmap = await createImageBitmap(blobOf(words[index].map));
        versions.cover({bitmap, opacity: OPACITY, version});
        return this.#mark(index);
    }

    async #select() {
        const {api, editor, selecting, versions} = this.workbench;
        if (!this.seen || this.shown < 0) return;
        const {threshold} = valuesOf(this.selecting), {mode} = editor;
        const {prompt, resolution} = this.seen, body = {prompt, resolution, index: this.shown, threshold, mode};
        const answer = await selecting.reselect(() => api.find(editor.id, body, "word-maps/select"));
        if (!answer) return;
        versions.cover(null);
        this.#mark(-1);
        this.#say(t("words.selected", {word: answer.word}));
    }

    /** Select by words: where what the picture shows and what it shall be differ, by the checkpoint. */
    async #differ() {
        const phrase = this.#source();
        if (!phrase) return;
        const mask_ratio = Number(written("clickpaint_mask_ratio")) || undefined;
        const answer = await this.workbench.selecting.find(phrase, {instead: written("clickpaint_edit_prompt"), mask_ratio, resolution: resolutionOf()});
        if (answer) this.#say(t("words.differs"));
    }
}
