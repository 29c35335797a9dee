/** Questions about what is selected, and their answers. */

import {h} from "./dom.mjs";
import {t} from "./i18n.mjs";
import {fault, textButton} from "./said.mjs";
import {spoken} from "./spoken.mjs";

const LONGEST = 2000;

export class Chat {
    constructor(describing) {
        this.describing = describing;
        this.log = h("div.cp-chat", {role: "log", "aria-label": t("describe.chat")});
        this.question = h("input", {type: "text", maxLength: LONGEST, placeholder: t("describe.question"), "aria-label": t("describe.question")});
        this.send = h("button.cp-text.cp-strong", {type: "submit"}, t("describe.ask"));
        this.forget = textButton(t("describe.forget"), () => describing.forgetTurns());
        this.note = h("p.cp-note");
        const form = h("form.cp-row", {onsubmit: (event) => this.#ask(event)}, this.question, this.send);
        this.element = h("details", {}, h("summary", {}, t("describe.chat")), this.log, this.note, form, h("div.cp-buttons", {}, this.forget));
    }

    #ask(event) {
        event.preventDefault();
        const question = this.question.value.trim();
        if (!question || this.describing.answering || this.send.disabled) return;
        this.question.value = "";
        this.describing.ask(question);
    }

    update() {
        const {turns, answering, known, editor} = this.describing, {available = false, reason = ""} = known?.controls.chat ?? {};
        const box = `${editor.state.selection?.box ?? ""}`;
        this.log.setAttribute("aria-busy", answering);
        this.log.hidden = !turns.length;
        this.log.replaceChildren(...turns.map((turn) => said(turn, box)));
        this.log.scrollTop = this.log.scrollHeight;
        this.send.disabled = !available || !editor.ready || answering;
        this.question.disabled = !available;
        this.question.title = this.send.title = available ? "" : spoken(reason);
        this.note.hidden = available;
        this.note.textContent = spoken(reason);
        this.forget.hidden = !turns.length || answering;
    }
}

/** One question with its answer; what was asked about another object stands back. */
function said(turn, box) {
    const answer = h("p.cp-answer", {}, turn.answer || (turn.writing ? "…" : ""));
    const one = h("div.cp-turn", {}, h("p.cp-question", {}, turn.question), turn.answer || turn.writing ? answer : null, fault(turn.failure));
    if (`${turn.box ?? ""}` !== box) {
        one.classList.add("cp-stale");
        one.title = t("describe.other");
    }
    return one;
}
