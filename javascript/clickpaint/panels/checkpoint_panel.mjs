/** <clickpaint-checkpoint>: what paints, where that is ours to choose and not a web UI's. Its files are looked for when it is seen. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {Api, rootOf} from "../server/api.mjs";

export class CheckpointPanel extends HTMLElement {
    /** @type {IntersectionObserver | null} */
    #observer = null;
    #api = new Api(rootOf(import.meta.url, document.baseURI));

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.load());
        this.#observer.observe(this);
    }

    disconnectedCallback() {
        this.#observer?.disconnect();
    }

    /** Show what there is now: a file may have come since. */
    async load() {
        try {
            const {paint} = await this.#api.capabilities();
            if (!paint.own_sampler) this.#show(paint);
        } catch (error) {
            this.replaceChildren(h("p", {}, said(error, "message") || t("error.unreachable")));
        }
    }

    #show(paint) {
        const {checkpoints} = paint;
        let {checkpoint} = paint;
        const notice = h("p", {role: "status"}, checkpoint ? "" : said(paint, "reason"));
        if (!checkpoints.length) return this.replaceChildren(notice);
        const options = checkpoints.map((name) => h("option", {value: name, selected: name === checkpoint}, name));
        const select = h("select", {"aria-label": t("checkpoint")}, ...options);
        select.addEventListener("change", async () => {
            try {
                const {name} = await this.#api.chooseCheckpoint(select.value);
                notice.textContent = t("checkpoint.chosen", {name});
                checkpoint = name;
            } catch (error) {
                notice.textContent = said(error, "message");
                select.value = checkpoint;
            }
        });
        this.replaceChildren(h("label", {}, h("span", {}, t("checkpoint")), select), notice);
    }
}
