/** Short messages: what went well stands in the line under the picture, what went wrong over the stage. Both leave by themselves and by Esc. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {bytes, duration, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

/** Milliseconds for which a message stays: a good one, one that can be undone, and a bad one, which takes longer the more it says. */
const GOOD = 3200, UNDOABLE = 8000, BAD = 8000, A_LETTER = 60;
const MOST = 3;
const LOSSES = ["frames", "trailer", "channels", "depth"];
/** What was done that Undo takes back. */
const STEPS = new Set(["removed", "painted", "cropped"]);

export class Toasts {
    /** @param {() => void} undo */
    constructor(undo) {
        this.undo = undo;
        this.element = h("div.cp-toasts", {"aria-live": "polite", role: "log", "aria-label": t("messages")});
        this.notices = h("div.cp-notices", {"aria-live": "polite", role: "status"});
    }

    /** Whether there is any message. */
    get shown() {
        return this.element.children.length + this.notices.children.length > 0;
    }

    /** Take all messages away; whether one of them lay over the picture. */
    clear() {
        const over = this.element.children.length > 0;
        this.element.replaceChildren();
        this.notices.replaceChildren();
        return over;
    }

    /** Something else begins: what was done before is old news, and its Undo would take back the new. */
    next() {
        for (const notice of [...this.notices.children]) if (!notice.classList.contains("cp-lost")) notice.remove();
    }

    /** What of an opened file is neither edited nor kept. @param {{code: string, text: string}[]} losses */
    losses(losses) {
        this.notices.replaceChildren();
        if (!losses.length) return;
        const text = losses.map(lossText).join(" ");
        const notice = h("div.cp-notice.cp-lost", {}, icon("warning"), h("span", {title: text}, text), iconButton("close", t("close"), () => notice.remove()));
        this.notices.replaceChildren(notice);
        leave(notice, BAD + A_LETTER * text.length);
    }

    good(message, {undoable = false} = {}) {
        const undo = h("button.cp-text", {type: "button", onclick: () => (notice.remove(), this.undo())}, t("undo"));
        const notice = h("div.cp-notice", {}, icon("check"), h("span", {}, message), undoable ? undo : null);
        this.notices.replaceChildren(notice);
        leave(notice, undoable ? UNDOABLE : GOOD);
    }

    bad(message, remedy = "") {
        this.#alert(message, remedy);
    }

    /** A model is missing: with the button that gets it. */
    missing(error, label, start) {
        const toast = this.#alert(said(error, "message"), said(error, "remedy"));
        const go = () => (start(), toast.remove());
        toast.querySelector(".cp-toast-text").append(h("button.cp-text.cp-strong", {type: "button", onclick: go}, label));
    }

    /** One that says the same takes the place of the one before. */
    #alert(message, remedy) {
        const close = () => toast.remove();
        const text = h("div.cp-toast-text", {}, h("strong", {}, message), remedy ? h("span", {}, remedy) : null);
        const toast = h("div.cp-toast.cp-bad", {role: "alert", "data-says": `${message} ${remedy}`}, icon("warning"), text, iconButton("close", t("close"), close));
        for (const other of [...this.element.children]) if (/** @type {HTMLElement} */ (other).dataset.says === toast.dataset.says) other.remove();
        while (this.element.children.length >= MOST) this.element.firstChild.remove();
        this.element.append(toast);
        leave(toast, BAD + A_LETTER * toast.dataset.says.length);
        return toast;
    }

    /** An `ApiError` with its remedy; whatever else went wrong is a fault of the page and is logged too. */
    error(error) {
        if (error.kind === "Unreachable") return this.bad(t("error.unreachable"), t("error.unreachable.remedy"));
        if (error.kind === "NoSelection") return this.bad(t("error.no_selection"), t("error.no_selection.remedy"));
        if (error.kind) return this.bad(said(error, "message") || t("error"), said(error, "remedy"));
        console.error(error);
        return this.bad(t("error.script", {message: error.message}));
    }

    done({key, milliseconds, ...values}) {
        if (key === "undone" || key === "redone") return this.notices.replaceChildren(); // its Undo would take back something else
        return this.good(t(key, {...values, time: duration((milliseconds ?? 0) / 1000)}), {undoable: STEPS.has(key)});
    }
}

/** The sentence for what is lost; the server's own where the page has none. */
function lossText({code, text, ...values}) {
    const size = values.bytes === undefined ? {} : {size: bytes(values.bytes)};
    return LOSSES.includes(code) ? t(`loss.${code}`, {...values, ...size}) : text;
}

/** Let a message go after a while, but not while somebody reads it (the pointer is over it) or is about to press its button. */
function leave(element, milliseconds) {
    const look = () => (element.matches(":hover, :focus-within") ? setTimeout(look, GOOD) : element.remove());
    setTimeout(look, milliseconds);
}
