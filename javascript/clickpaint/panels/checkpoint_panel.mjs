/** <clickpaint-checkpoint>: what paints, where that is ours to choose and not a web UI's. Its files are looked for when it is seen. */

import {h, Listeners} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {apiOfPage} from "../server/api.mjs";
import {filePlace} from "./file_place.mjs";

/** Milliseconds between two looks for a file that was put into the folder, while there is none and the panel is seen. */
const PERIOD = 4000;

export class CheckpointPanel extends HTMLElement {
    #listeners = new Listeners();
    #empty = false;
    #seen = false;
    /** @type {ReturnType<typeof setInterval> | undefined} */
    #timer;

    /** @type {IntersectionObserver | null} */
    #observer = null;
    #api = apiOfPage();

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => {
            this.#seen = entries[entries.length - 1].isIntersecting;
            if (this.#seen) this.load();
        });
        this.#observer.observe(this);
        this.#listeners.on(document, "clickpaint:models", () => this.load());
        this.#timer = setInterval(() => this.#empty && this.#seen && !document.hidden && this.load(), PERIOD);
    }

    disconnectedCallback() {
        this.#observer?.disconnect();
        this.#listeners.off();
        clearInterval(this.#timer);
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
        const {checkpoints} = paint, empty = !checkpoints.length;
        let {checkpoint} = paint;
        if (empty && this.#empty) return; // as it is shown: a download may be under way in its list
        this.#empty = empty;
        const notice = h("p", {role: "status"}, checkpoint ? "" : empty ? t("checkpoint.none") : said(paint, "reason"));
        if (empty) return this.replaceChildren(notice, filePlace("Stable-diffusion"), h("p", {}, t("checkpoint.get")), h("clickpaint-models", {"data-role": "checkpoint"}));
        const options = checkpoints.map((name) => h("option", {value: name, selected: name === checkpoint}, name));
        const select = h("select", {"aria-label": t("checkpoint")}, ...options);
        select.addEventListener("change", async () => {
            try {
                const {name} = await this.#api.chooseCheckpoint(select.value);
                notice.textContent = t("checkpoint.chosen", {name});
                checkpoint = name;
                document.dispatchEvent(new CustomEvent("clickpaint:checkpoint"));
            } catch (error) {
                notice.textContent = said(error, "message");
                select.value = checkpoint;
            }
        });
        this.replaceChildren(h("label", {}, h("span", {}, t("checkpoint")), select), notice);
    }
}
