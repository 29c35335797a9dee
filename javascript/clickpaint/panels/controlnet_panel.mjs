/** <clickpaint-control>: the units of ControlNet. Their names are asked for when it is seen first, for they may be many. */

import {h} from "../common/dom.mjs";
import {choice, options, range, valuesOf} from "../common/form_fields.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {apiOfPage} from "../server/api.mjs";
import {canvas} from "../host/elements.mjs";
import {filePlace} from "./file_place.mjs";
import {fittingModel, MAP, noneOf, unitOf} from "./controlnet_unit.mjs";

/**
 * A map that was made, for a unit to work with.
 *
 * @typedef {object} Made
 * @property {string} map its id
 * @property {string} title
 * @property {string[]} names of what made it
 * @property {Record<string, number>} values how that was set
 * @property {number | null} resolution
 * @property {string[]} patterns parts of the names of models that understand it
 */

const UNITS = 2;
const MODES = ["balanced", "prompt", "control"];

export class ControlNetPanel extends HTMLElement {
    /** @type {Promise<void> | null} */
    #loading = null;
    /** @type {IntersectionObserver | null} */
    #observer = null;
    /** What made the map that each unit was given last. @type {WeakMap<HTMLElement, Made>} */
    #made = new WeakMap();
    #ours = false;

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#load());
        this.#observer.observe(this);
        document.addEventListener("clickpaint:models", this.#came);
    }

    disconnectedCallback() {
        this.#observer?.disconnect();
        document.removeEventListener("clickpaint:models", this.#came);
    }

    /** A first file may have come. */
    #came = () => {
        if (!this.#units.length && this.getClientRects().length) this.#load();
    };

    get #units() {
        return [...this.querySelectorAll("fieldset")];
    }

    /** The units work for an engine of ours, whose preprocessors and ControlNets are others than the host's. */
    set ours(ours) {
        if (ours === this.#ours) return;
        this.#ours = ours;
        if (this.#loading) this.#loading = this.#ask();
    }

    /** The units at work, as the API takes them. */
    units() {
        return this.#units.map((unit) => unitOf(valuesOf(unit), this.#made.get(unit))).filter((unit) => unit.model);
    }

    /** Whether a unit works with a map that was made beforehand. */
    get hasMap() {
        return this.#units.some(mapOption);
    }

    /**
     * Let a unit work with a map: the one that has one already, else the first that is off, else the first.
     *
     * @param {Made} made
     * @returns {Promise<{number: number, model: string}>} the unit's number, and its model: "" where none fits
     */
    async use(made) {
        await this.#load();
        const units = this.#units, free = units.find(mapOption) ?? units.find((unit) => !valuesOf(unit).model) ?? units[0];
        if (!free) return {number: 0, model: ""};
        const models = list(free, "model"), preprocessors = list(free, "preprocessor");
        models.value = fittingModel([...models.options].map(({value}) => value).filter(Boolean), made.patterns, models.value);
        mapOption(free)?.remove();
        preprocessors.prepend(...options([[MAP + made.map, t("control.map", {title: made.title})]]));
        preprocessors.selectedIndex = 0;
        this.#made.set(free, made);
        return {number: units.indexOf(free) + 1, model: models.value};
    }

    /** The maps are gone, as their picture is: units that had one make their own. */
    dropMaps() {
        for (const unit of this.#units) {
            const option = mapOption(unit), preprocessors = list(unit, "preprocessor"), chosen = option?.selected;
            option?.remove();
            const names = this.#made.get(unit)?.names ?? [];
            if (chosen) preprocessors.value = [...preprocessors.options].find(({value}) => names.includes(value))?.value ?? preprocessors.options[0].value;
        }
    }

    #load() {
        return (this.#loading ??= this.#ask());
    }

    async #ask() {
        this.replaceChildren(h("p", {}, t("busy.timeline")));
        try {
            const {preprocessors, models} = await apiOfPage().controlNames(this.#ours);
            const usable = models.filter((name) => name.toLowerCase() !== "none");
            if (usable.length) this.replaceChildren(...Array.from({length: UNITS}, (_, i) => unitFields(i + 1, preprocessors, usable)));
            else {
                this.#loading = null; // a file may come
                const says = noneOf(canvas()?.workbench.editor.capabilities), own = says === "control.none_here";
                this.replaceChildren(h("p", {}, t(says)), ...(own ? [filePlace("ControlNet")] : []));
            }
        } catch (error) {
            this.#loading = null;
            this.replaceChildren(h("p", {}, said(error, "message") || t("error.unreachable")));
        }
    }
}

function unitFields(number, preprocessors, models) {
    const same = (names) => names.map((name) => [name, name]);
    const amount = (name, value, maximum) => range(t(`control.${name}`), name, {minimum: 0, maximum, step: 0.05, value});
    return h(
        "fieldset",
        {},
        h("legend", {}, t("control.unit", {number})),
        choice(t("control.model"), "model", [["", t("control.off")], ...same(models)]),
        choice(t("control.preprocessor"), "preprocessor", same(preprocessors.length ? preprocessors : ["none"])),
        amount("weight", 1, 2),
        amount("start", 0, 1),
        amount("end", 1, 1),
        choice(t("control.mode"), "mode", MODES.map((mode) => [mode, t(`control.mode.${mode}`)])),
    );
}

/** @returns {HTMLSelectElement} */
const list = (unit, name) => unit.querySelector(`[name=${name}]`);

/** @returns {HTMLOptionElement | null} */
const mapOption = (unit) => unit.querySelector(`[name=preprocessor] option[value^="${MAP}"]`);
