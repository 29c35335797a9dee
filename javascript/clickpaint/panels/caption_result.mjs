/** What was said about the selection: the words, other wordings, and what can be done with them. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {surety, wordsOf} from "./caption_session.mjs";

/** What went wrong and what to do, read out at once. */
export function fault(failure) {
    if (!failure) return null;
    const unreachable = failure.kind === "Unreachable";
    const message = unreachable ? t("error.unreachable") : said(failure, "message") || t("error");
    const remedy = unreachable ? t("error.unreachable.remedy") : said(failure, "remedy");
    return h("div.cp-fault", {role: "alert"}, h("strong", {}, message), remedy ? h("span", {}, remedy) : null);
}

export function textButton(label, onclick, properties = {}) {
    return h("button.cp-text", {type: "button", onclick, ...properties}, label);
}

export class CaptionResult {
    /** @type {any} */
    #failure = undefined;

    /**
     * @param {import("./caption_session.mjs").CaptionSession} captions
     * @param {{copy: (words: string) => void, use: (task: string, words: string) => void}} act
     * @param {() => string} cannot why the words cannot become a prompt, "" where they can
     */
    constructor(captions, act, cannot) {
        this.captions = captions;
        this.cannot = cannot;
        const words = () => wordsOf(captions.caption), prompt = () => captions.caption.prompt || words();
        this.words = h("p.cp-words");
        this.more = h("p.cp-note");
        this.fault = h("div");
        this.tags = h("p.cp-tags");
        this.wordings = h("div.cp-wordings", {role: "radiogroup", "aria-label": t("describe.wordings")});
        this.uses = ["fill", "replace"].map((task) => textButton(t(`describe.${task}`), () => act.use(task, prompt())));
        this.buttons = h("div.cp-buttons", {}, textButton(t("describe.copy"), () => act.copy(words())), ...this.uses);
        this.element = h("section.cp-said", {"aria-label": t("describe.said"), hidden: true}, this.words, this.more, this.fault, this.tags, this.wordings, this.buttons);
    }

    update() {
        const {caption, current, writing} = this.captions;
        this.element.hidden = !caption;
        if (!caption) return;
        const {wordings, tags, failure, background, context} = caption, words = wordsOf(caption);
        this.element.classList.toggle("cp-stale", !current);
        this.words.classList.toggle("cp-writing", writing && !caption.over);
        this.words.textContent = words || (failure ? "" : t("describe.looking"));
        this.more.textContent = [background, context && t("describe.around", {words: context})].filter(Boolean).join(" ");
        this.more.hidden = !this.more.textContent;
        if (failure !== this.#failure) this.fault.replaceChildren(...[fault(failure)].filter(Boolean));
        this.#failure = failure;
        this.tags.hidden = !tags.length;
        this.tags.replaceChildren(...tags.map(({name, score}) => h("span.cp-tagged", {title: `${Math.round(100 * score)} %`}, name)));
        this.buttons.hidden = !words;
        const cannot = this.cannot();
        for (const button of this.uses) {
            button.disabled = Boolean(cannot);
            button.title = cannot;
        }
        this.wordings.hidden = wordings.length < 2;
        const focused = [...this.wordings.children].indexOf(document.activeElement);
        this.wordings.replaceChildren(...wordings.map((wording, i) => this.#wording(wording, i, words)));
        this.wordings.children[focused]?.focus();
    }

    #wording(wording, index, words) {
        const {text, clip} = wording, sure = surety(wording);
        const score = [sure === null ? "" : t("describe.sure", {n: sure}), clip === null ? "" : t("describe.clip", {n: clip.toFixed(2)})].filter(Boolean).join(" · ");
        const chosen = text === words;
        const button = h("button.cp-wording-one", {type: "button", role: "radio", "aria-checked": `${chosen}`, onclick: () => this.captions.choose(index)}, h("span", {}, text), score ? h("small", {}, score) : null);
        button.classList.toggle("cp-on", chosen);
        return button;
    }
}
