/** Labelled inputs of the panels beside the canvas. */

import {h} from "./dom.mjs";

export function field(label, ...inputs) {
    return h("label", {}, h("span", {}, label), ...inputs);
}

/** A list to choose from. `entries`: [value, text, more attributes of the option]. */
export function choice(label, name, entries) {
    return field(label, h("select", {name}, ...options(entries)));
}

export function options(entries) {
    return entries.map(([value, text, more]) => h("option", {value, ...more}, text));
}

/** A slider that says its number. */
export function range(label, name, {minimum, maximum, step, value}) {
    const digits = decimals(step), shown = h("output", {}, value.toFixed(digits));
    const input = h("input", {type: "range", name, min: `${minimum}`, max: `${maximum}`, step: `${step}`, value: `${value}`});
    input.addEventListener("input", () => (shown.textContent = Number(input.value).toFixed(digits)));
    return field(label, input, shown);
}

export function decimals(step) {
    return `${step}`.split(".")[1]?.length ?? 0;
}

export function checkbox(label, name) {
    return h("label.cp-check", {}, h("input", {type: "checkbox", name}), h("span", {}, label));
}

/** What the inputs within `element` say, by their names. */
export function valuesOf(element) {
    const read = (input) => (input.type === "checkbox" ? input.checked : input.type === "range" ? Number(input.value) : input.value);
    return Object.fromEntries([...element.querySelectorAll("[name]")].map((input) => [input.name, read(input)]));
}
