/** <clickpaint-control>: the units of the host's ControlNet. Its names are asked for when it is seen first, for they may be many. */

import {Api, rootOf} from "./api.mjs";
import {h} from "./dom.mjs";
import {t} from "./i18n.mjs";

const UNITS = 2;
const MODES = ["balanced", "prompt", "control"];

export class ClickpaintControl extends HTMLElement {
    #asked = false;
    #observer = null;

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#load());
        this.#observer.observe(this);
    }

    disconnectedCallback() {
        this.#observer.disconnect();
    }

    /** The units at work, as the API takes them. */
    units() {
        return [...this.querySelectorAll("fieldset")].map(read).filter((unit) => unit.model);
    }

    async #load() {
        if (this.#asked) return;
        this.#asked = true;
        this.replaceChildren(h("p", {}, t("busy.timeline")));
        try {
            const {preprocessors, models} = await new Api(rootOf(import.meta.url, document.baseURI)).controlNames();
            const usable = models.filter((name) => name.toLowerCase() !== "none");
            if (usable.length) this.replaceChildren(...Array.from({length: UNITS}, (_, i) => unit(i + 1, preprocessors, usable)));
            else this.replaceChildren(h("p", {}, t("control.none")));
        } catch (error) {
            this.#asked = false;
            this.replaceChildren(h("p", {}, error.message || t("error.unreachable")));
        }
    }
}

function unit(number, preprocessors, models) {
    const choice = (name, label, entries) => field(label, h("select", {name}, ...entries.map(([value, text]) => h("option", {value}, text))));
    const range = (name, value, max) => {
        const shown = h("output", {}, value.toFixed(2));
        const input = h("input", {type: "range", name, min: "0", max: `${max}`, step: "0.05", value: `${value}`});
        input.addEventListener("input", () => (shown.textContent = Number(input.value).toFixed(2)));
        return field(t(`control.${name}`), input, shown);
    };
    const same = (names) => names.map((name) => [name, name]);
    return h(
        "fieldset",
        {},
        h("legend", {}, t("control.unit", {number})),
        choice("model", t("control.model"), [["", t("control.off")], ...same(models)]),
        choice("preprocessor", t("control.preprocessor"), same(preprocessors.length ? preprocessors : ["none"])),
        range("weight", 1, 2),
        range("start", 0, 1),
        range("end", 1, 1),
        choice("mode", t("control.mode"), MODES.map((mode) => [mode, t(`control.mode.${mode}`)])),
    );
}

function field(label, ...inputs) {
    return h("label", {}, h("span", {}, label), ...inputs);
}

/** What a unit's fields say. */
function read(fieldset) {
    const value = (name) => fieldset.querySelector(`[name=${name}]`).value;
    const [weight, start, end] = ["weight", "start", "end"].map((name) => Number(value(name)));
    return {model: value("model"), preprocessor: value("preprocessor"), weight, start: Math.min(start, end), end: Math.max(start, end), mode: value("mode")};
}
