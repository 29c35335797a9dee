/** <clickpaint-checkpoint>: what paints, where that is ours to choose and not a web UI's. Its files are looked for when it is seen. */

import {Api, rootOf} from "./api.mjs";
import {h} from "./dom.mjs";
import {t} from "./i18n.mjs";
import {spoken} from "./spoken.mjs";

export class ClickpaintCheckpoint extends HTMLElement {
    #observer = null;
    #api = null;

    connectedCallback() {
        this.classList.add("cp");
        this.#api = new Api(rootOf(import.meta.url, document.baseURI));
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.load());
        this.#observer.observe(this);
    }

    disconnectedCallback() {
        this.#observer.disconnect();
    }

    /** Show what there is now: a file may have come since. */
    async load() {
        try {
            const {paint} = await this.#api.capabilities();
            if (!paint.own_sampler) this.#show(paint);
        } catch (error) {
            this.replaceChildren(h("p", {}, spoken(error.message) || t("error.unreachable")));
        }
    }

    #show({checkpoints, checkpoint, reason}) {
        const told = h("p", {role: "status"}, checkpoint ? "" : spoken(reason));
        if (!checkpoints.length) return this.replaceChildren(told);
        const options = checkpoints.map((name) => h("option", {value: name, selected: name === checkpoint}, name));
        const select = h("select", {"aria-label": t("checkpoint")}, ...options);
        select.addEventListener("change", async () => {
            try {
                const {name} = await this.#api.chooseCheckpoint(select.value);
                told.textContent = t("checkpoint.chosen", {name});
                checkpoint = name;
            } catch (error) {
                told.textContent = spoken(error.message);
                select.value = checkpoint;
            }
        });
        this.replaceChildren(h("label", {}, h("span", {}, t("checkpoint")), select), told);
    }
}
