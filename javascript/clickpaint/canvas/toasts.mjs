/** Short messages over the stage: what went well fades, what went wrong stays until it is closed. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {duration, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

const GONE_AFTER = 3200;
const MOST = 3;

export class Toasts {
    constructor() {
        this.element = h("div.cp-toasts", {"aria-live": "polite", role: "log"});
    }

    good(message) {
        const toast = this.#show("good", "check", message);
        setTimeout(() => toast.remove(), GONE_AFTER);
    }

    bad(message, remedy = "") {
        const toast = this.#show("bad", "warning", message, remedy);
        toast.setAttribute("role", "alert");
    }

    /** A model is missing: with the button that gets it. */
    missing(error, label, start) {
        const toast = this.#show("bad", "warning", said(error, "message"), said(error, "remedy"));
        toast.setAttribute("role", "alert");
        const go = () => (start(), toast.remove());
        toast.querySelector(".cp-toast-text").append(h("button.cp-text.cp-strong", {type: "button", onclick: go}, label));
    }

    #show(kind, name, message, remedy = "") {
        const close = () => toast.remove();
        const text = h("div.cp-toast-text", {}, h("strong", {}, message), remedy ? h("span", {}, remedy) : null);
        const toast = h(`div.cp-toast.cp-${kind}`, {}, icon(name), text, iconButton("close", t("close"), close));
        while (this.element.children.length >= MOST) this.element.firstChild.remove();
        this.element.append(toast);
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
        if (key === "undone" || key === "redone") return;
        this.good(t(key, {...values, time: duration((milliseconds ?? 0) / 1000)}));
    }
}
