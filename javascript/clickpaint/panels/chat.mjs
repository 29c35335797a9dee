/** Questions about what is selected, and their answers. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {fault, textButton} from "./caption_result.mjs";

const LONGEST = 2000;

export class Chat {
    /** @param {import("./caption_session.mjs").CaptionSession} captions */
    constructor(captions) {
        this.captions = captions;
        this.log = h("div.cp-chat", {role: "log", "aria-label": t("describe.chat")});
        this.question = h("input", {type: "text", maxLength: LONGEST, placeholder: t("describe.question"), "aria-label": t("describe.question")});
        this.send = h("button.cp-text.cp-strong", {type: "submit"}, t("describe.ask"));
        this.forget = textButton(t("describe.forget"), () => captions.forgetTurns());
        this.note = h("p.cp-note");
        const form = h("form.cp-row", {onsubmit: (event) => this.#ask(event)}, this.question, this.send);
        this.element = h("details", {}, h("summary", {}, t("describe.chat")), this.log, this.note, form, h("div.cp-buttons", {}, this.forget));
    }

    #ask(event) {
        event.preventDefault();
        const question = this.question.value.trim();
        if (!question || this.captions.answering || this.send.disabled) return;
        this.question.value = "";
        this.captions.ask(question);
    }

    update() {
        const {turns, answering, known, editor} = this.captions, control = known?.controls.chat, available = Boolean(control?.available), reason = control ? said(control, "reason") : "";
        const box = `${editor.state.selection?.box ?? ""}`;
        this.log.setAttribute("aria-busy", answering);
        this.log.hidden = !turns.length;
        this.log.replaceChildren(...turns.map((turn) => exchange(turn, box)));
        this.log.scrollTop = this.log.scrollHeight;
        this.send.disabled = !available || !editor.ready || answering;
        this.question.disabled = !available;
        this.question.title = this.send.title = available ? "" : reason;
        this.note.hidden = available;
        this.note.textContent = reason;
        this.forget.hidden = !turns.length || answering;
    }
}

/** One question with its answer; what was asked about another object stands back. */
function exchange(turn, box) {
    const answer = h("p.cp-answer", {}, turn.answer || (turn.writing ? "…" : ""));
    const element = h("div.cp-turn", {}, h("p.cp-question", {}, turn.question), turn.answer || turn.writing ? answer : null, fault(turn.failure));
    if (`${turn.box ?? ""}` !== box) {
        element.classList.add("cp-stale");
        element.title = t("describe.other");
    }
    return element;
}
