/** <clickpaint-model-manager>: all models in one place: what is there, what is used, what can be had, and what they take. */

import {h, Listeners} from "../common/dom.mjs";
import {canvas} from "../host/elements.mjs";
import {bytes, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {apiOfPage} from "../server/api.mjs";
import {filePlace} from "./file_place.mjs";

/** Kinds whose models are whole folders, which a browser cannot bring. */
const FOLDERS = ["captioner", "diffusers"];

export class ModelManager extends HTMLElement {
    #listeners = new Listeners();
    #seen = false;
    /** @type {IntersectionObserver | null} */
    #observer = null;
    #api = apiOfPage();
    #usage = h("p.cp-usage", {role: "status"});
    #own = h("section.cp-own");
    #places = h("details.cp-places", {}, h("summary", {}, t("place.all")));
    #free = h("button.cp-text", {type: "button", onclick: () => this.#show(this.#api.freeMemory())}, t("models.free"));
    #refresh = h("button.cp-text", {type: "button", onclick: () => this.refresh()}, t("models.refresh"));

    connectedCallback() {
        this.classList.add("cp");
        this.replaceChildren(h("div.cp-manager-top", {}, this.#usage, this.#refresh, this.#free), this.#own, this.#places, h("clickpaint-models"));
        this.#places.addEventListener("toggle", () => this.#fill());
        this.#observer = new IntersectionObserver((entries) => {
            const seen = entries[entries.length - 1].isIntersecting;
            if (seen && !this.#seen) this.refresh();
            this.#seen = seen;
        });
        this.#observer.observe(this);
        // a file may have been put into a folder meanwhile
        this.#listeners.on(window, "focus", () => this.#seen && this.refresh());
        this.#listeners.on(document, "clickpaint:models", () => this.#seen && this.#show(this.#api.modelUsage()));
    }

    disconnectedCallback() {
        this.#observer?.disconnect();
        this.#listeners.off();
    }

    /** What is inside of the list of folders is made when it is opened first. */
    #fill() {
        if (this.#places.children.length > 1) return;
        const kinds = ["Stable-diffusion", "VAE", "Lora", "embeddings", "ControlNet", "captioner", "diffusers"];
        const choose = canvas()?.workbench.editor.capabilities?.paint.own_sampler === false;
        this.#places.append(...kinds.map((kind) => h("div", {}, h("strong", {}, t(`kind.${kind}`)), filePlace(kind, {choose: choose && !FOLDERS.includes(kind)}))));
    }

    /** Look for files that came or went. */
    async refresh() {
        await canvas()?.downloads.refresh().catch(() => {}); // what is shown next says what is wrong
        await this.#show(this.#api.modelUsage());
    }

    /** @param {Promise<any>} asked what models take */
    async #show(asked) {
        try {
            this.#draw(await asked);
        } catch (error) {
            this.#usage.textContent = said(error, "message") || t("error.unreachable");
        }
    }

    #draw({disk_free: free, disk_used: disk, memory_used: memory, memory_budget: budget, loaded, files}) {
        const parts = [t("models.disk", {used: bytes(disk), free: free === null ? "?" : bytes(free)}), t("models.memory", {used: bytes(memory), budget: bytes(budget)})];
        this.#usage.textContent = parts.join(" · ");
        this.#usage.title = loaded.map((model) => `${model.name}: ${bytes(model.bytes)}`).join(", ");
        this.#free.disabled = !memory;
        this.#free.hidden = canvas()?.workbench.editor.capabilities?.public ?? false;
        const rows = files.map((file) =>
            h(
                "li",
                {},
                h("div.cp-model-text", {}, h("strong", {}, file.name), h("small", {}, [bytes(file.bytes), t(`kind.${file.kind}`)].join(" · "))),
                h("span.cp-state.cp-present", {}, t(file.used ? "models.used" : "state.present")),
            ),
        );
        this.#own.replaceChildren(...(rows.length ? [h("h2", {}, t("models.own")), h("ul", {}, ...rows)] : []));
    }
}
