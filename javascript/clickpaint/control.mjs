/** <clickpaint-control>: the units of ControlNet. Their names are asked for when it is seen first, for they may be many. */

import {Api, rootOf} from "./api.mjs";
import {h} from "./dom.mjs";
import {choice, options, range, valuesOf} from "./fields.mjs";
import {t} from "./i18n.mjs";
import {fittingModel, MAP, unitOf} from "./units.mjs";

const UNITS = 2;
const MODES = ["balanced", "prompt", "control"];

export class ClickpaintControl extends HTMLElement {
    #loading = null;
    #observer = null;
    #ours = false;

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#load());
        this.#observer.observe(this);
    }

    disconnectedCallback() {
        this.#observer.disconnect();
    }

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
        return this.#units.map((one) => unitOf(valuesOf(one), one.made)).filter((one) => one.model);
    }

    /** Whether a unit works with a map that was made beforehand. */
    get hasMap() {
        return this.#units.some(mapOption);
    }

    /**
     * Let a unit work with a map: the one that has one already, else the first that is off, else the first.
     *
     * @param made {map, title, names, values, resolution, patterns}: the map's id; what made it, by all of its names, and how; parts of
     *     the names of models that understand it
     * @returns the unit's number, and its model: "" where none fits
     */
    async use(made) {
        await this.#load();
        const units = this.#units, one = units.find(mapOption) ?? units.find((unit) => !valuesOf(unit).model) ?? units[0];
        if (!one) return {number: 0, model: ""};
        const [models, preprocessors] = ["model", "preprocessor"].map((name) => one.querySelector(`[name=${name}]`));
        models.value = fittingModel([...models.options].map(({value}) => value).filter(Boolean), made.patterns, models.value);
        mapOption(one)?.remove();
        preprocessors.prepend(...options([[MAP + made.map, t("control.map", {title: made.title})]]));
        preprocessors.selectedIndex = 0;
        one.made = made;
        return {number: units.indexOf(one) + 1, model: models.value};
    }

    /** The maps are gone, as their picture is: units that had one make their own. */
    dropMaps() {
        for (const one of this.#units) {
            const option = mapOption(one), list = option?.parentElement, chosen = option?.selected;
            option?.remove();
            if (chosen) list.value = [...list.options].find(({value}) => one.made.names.includes(value))?.value ?? list.options[0].value;
        }
    }

    #load() {
        return (this.#loading ??= this.#ask());
    }

    async #ask() {
        this.replaceChildren(h("p", {}, t("busy.timeline")));
        try {
            const {preprocessors, models} = await new Api(rootOf(import.meta.url, document.baseURI)).controlNames(this.#ours);
            const usable = models.filter((name) => name.toLowerCase() !== "none");
            if (usable.length) this.replaceChildren(...Array.from({length: UNITS}, (_, i) => unit(i + 1, preprocessors, usable)));
            else this.replaceChildren(h("p", {}, t("control.none")));
        } catch (error) {
            this.#loading = null;
            this.replaceChildren(h("p", {}, error.message || t("error.unreachable")));
        }
    }
}

function unit(number, preprocessors, models) {
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

const mapOption = (unit) => unit.querySelector(`[name=preprocessor] option[value^="${MAP}"]`);
