/** One preprocessor of the panel of control maps: which one, what it lacks, and its sliders. */

import {downloadText} from "../canvas/offer.mjs";
import {h} from "../common/dom.mjs";
import {choice, options, range, valuesOf} from "../common/form_fields.mjs";
import {bytes, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

const LOADABLE = ["missing", "partial", "corrupt"];

/** The preprocessors that make maps, of a control type or of all (""), as the server orders them. */
export function mapping(preprocessors, type = "") {
    return preprocessors.filter((one) => one.returns === "map" && (!type || one.types.includes(type)));
}

/** The names of the files that alone are missing, if they can be downloaded; else none. */
export function loadable({available, runs, models}) {
    const missing = models.filter(({state}) => state !== "present");
    return !available && runs && missing.every(({state}) => LOADABLE.includes(state)) ? missing.map(({name}) => name) : [];
}

/** The one to begin with: the best of a type that can run, else that can be downloaded, else the first. */
export function preferred(list) {
    return list.find((one) => one.available) ?? list.find((one) => loadable(one).length) ?? list[0];
}

/** A layer as the API takes it, from what its fields say. */
export function layerOf({preprocessor, resolution = null, weight = 1, type, ...values}) {
    return {preprocessor, values, resolution, weight};
}

/** The body of a request for a map, from what the panel's fields say. */
export function mapBody(layers, {blend, object_only, background, pixel_perfect}) {
    return {layers, blend, object_only, background, pixel_perfect};
}

export class PreprocessorForm {
    /** @type {any[]} */
    #list = [];

    /** `offer`: {list, types, first}: the server's preprocessors, and the name of the one to begin with. */
    constructor(canvas, {list, types, first}, title) {
        this.canvas = canvas;
        const used = types.filter((type) => mapping(list, type).length);
        const type = choice(t("maps.type"), "type", [["", t("maps.all")], ...used.map((one) => [one, one])]);
        const name = choice(t("control.preprocessor"), "preprocessor", []);
        /** @type {HTMLSelectElement} */
        this.type = type.querySelector("select");
        /** @type {HTMLSelectElement} */
        this.name = name.querySelector("select");
        this.note = h("p.cp-note", {role: "status", hidden: true});
        this.sliders = h("div.cp-sliders");
        this.element = h("fieldset", {}, title ? h("legend", {}, title) : null, type, name, this.note, this.sliders);
        this.type.addEventListener("change", () => this.#choose(preferred(mapping(this.#list, this.type.value)).name));
        this.name.addEventListener("change", () => this.#chosen());
        this.offer(list);
        this.#choose(first);
    }

    /** The preprocessor that is chosen, as the server describes it. */
    get info() {
        return this.#list.find(({name}) => name === this.name.value);
    }

    value() {
        return layerOf(valuesOf(this.element));
    }

    /** Other states of the same preprocessors: a file may have come. */
    offer(list) {
        const chosen = this.name.value;
        this.#list = list;
        if (chosen) this.#choose(chosen);
    }

    showWeight(shown) {
        const weight = this.element.querySelector(".cp-weight");
        if (shown && !weight) this.element.append(h("div.cp-weight", {}, range(t("control.weight"), "weight", {minimum: 0, maximum: 1, step: 0.05, value: 1})));
        if (!shown) weight?.remove();
    }

    setPixelPerfect(on) {
        for (const input of this.sliders.querySelectorAll("[name=resolution]")) input.disabled = on;
    }

    #choose(name) {
        const listed = mapping(this.#list, this.type.value);
        const text = (one) => (one.available ? one.label : loadable(one).length ? t("maps.loadable", {name: one.label}) : t("maps.impossible", {name: one.label}));
        const entries = listed.map((one) => [one.name, text(one), {disabled: !one.available && !loadable(one).length, title: said(one, "reason") || null}]);
        const before = this.info?.name;
        this.name.replaceChildren(...options(entries));
        this.name.value = listed.some((one) => one.name === name) ? name : listed[0].name;
        if (this.info.name === before) this.update();
        else this.#chosen();
    }

    #chosen() {
        const {resolution, parameters} = this.info;
        const sliders = [resolution, ...parameters].filter(Boolean);
        this.sliders.replaceChildren(...sliders.map((one) => range(one.label, one.key, {...one, value: one.default})));
        this.update();
        this.name.dispatchEvent(new Event("clickpaint:chosen", {bubbles: true}));
    }

    /** Why it cannot run, and the way out of that. */
    update() {
        const {info} = this, {downloads} = this.canvas, {editor} = this.canvas.workbench;
        const missing = loadable(info), task = missing.map((name) => downloads.task(name)).find(Boolean);
        const models = missing.map((name) => downloads.list?.find((one) => one.name === name)).filter(Boolean);
        const size = models.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
        const start = () => missing.forEach((name) => downloads.start(name));
        const title = models.map((one) => one.title).join(", ");
        const button = models.length && !task && !editor.capabilities?.offline ? h("button.cp-text", {type: "button", onclick: start}, t("offer", {title, size: bytes(size)})) : null;
        const why = task ? downloadText(title, task) : t("maps.reason", {reason: said(info, "reason")});
        this.note.hidden = info.available;
        this.note.replaceChildren(h("span", {}, why), ...[button].filter(Boolean));
    }
}
