/** <clickpaint-animate>: the picture begins to move, where a system is here that can do that; the clip is opened in the film strip. */

import {h, Listeners} from "../common/dom.mjs";
import {choice, field, options, range, valuesOf} from "../common/form_fields.mjs";
import {canvas} from "../host/elements.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

export class AnimatePanel extends HTMLElement {
    #listeners = new Listeners();
    /** @type {Promise<void> | null} */
    #loading = null;

    connectedCallback() {
        this.classList.add("cp");
        this.#listeners.on(document, "clickpaint:models", () => this.#loading && (this.#loading = this.#ask()));
        this.#listeners.on(document, "clickpaint:change", () => this.#update());
        this.#update();
    }

    disconnectedCallback() {
        this.#listeners.off();
    }

    load() {
        return (this.#loading ??= this.#ask());
    }

    async #ask() {
        const api = canvas()?.workbench.api;
        const known = await api?.request("GET", "systems").catch(() => null);
        if (!known) return void (this.#loading = null);
        const able = known.filter(({tasks}) => tasks.includes("animate"));
        if (!able.length) return this.replaceChildren();
        const usable = able.filter(({available}) => available);
        const list = choice(t("steering.system"), "system", []);
        list.querySelector("select").append(...options(usable.map(({name, title}) => [name, `${title} (${name})`])));
        const number = (name, value, low, high) => field(t(`animate.${name}`), h("input", {type: "number", name, min: `${low}`, max: `${high}`, step: "1", value: `${value}`}));
        this.button = h("button.cp-text.cp-make", {type: "button", onclick: () => this.#animate()}, t("animate.do"));
        const form = [list, number("frames", 14, 2, 64), number("fps", 7, 1, 120), range(t("animate.motion"), "motion", {minimum: 1, maximum: 255, step: 1, value: 127}), number("steps", 20, 1, 150), this.button];
        const why = able.filter(({available}) => !available).map((system) => h("p", {}, `${system.name}: ${said(system, "reason")}`));
        this.replaceChildren(h("fieldset", {}, h("legend", {}, t("animate")), h("p", {}, t("animate.about")), ...(usable.length ? form : []), ...why));
        this.#update();
    }

    #update() {
        const {editor, diffusion} = canvas()?.workbench ?? {};
        if (diffusion?.task === "vary") this.load(); // once, when its tab is open
        if (this.button) this.button.disabled = !editor?.ready || editor.clip !== null;
    }

    #animate() {
        const here = canvas(), {system, frames, fps, motion, steps} = /** @type {any} */ (valuesOf(this));
        return here?.film.clip.made("generate", (id) => here.workbench.api.request("POST", `workspaces/${id}/animate`, {body: {system, frames: Number(frames), fps: Number(fps), motion, steps: Number(steps)}}));
    }
}
