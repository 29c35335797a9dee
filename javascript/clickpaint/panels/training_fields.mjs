/** Inputs for all that a training can be told; what is left empty is as the quality chooses it. */

import {h} from "../common/dom.mjs";
import {options} from "../common/form_fields.mjs";
import {currentLanguage, t} from "../language/language.mjs";
import {zh_CN} from "../language/training_settings_zh_CN.mjs";

/**
 * @param {any[]} settings the server's `TrainingSetting`s
 * @param {Record<string, any>} values that are said already, by name
 * @param {(values: Record<string, any>) => void} change told all that is said
 */
export function fieldsOf(settings, values, change) {
    const known = Object.fromEntries(Object.entries(values).filter(([name]) => settings.some((setting) => setting.name === name)));
    return settings.map((setting) => {
        const input = inputOf(setting, known[setting.name]);
        input.addEventListener("change", () => {
            if (input.value === "") delete known[setting.name];
            else if (input.checkValidity()) known[setting.name] = input.value;
            change({...known});
        });
        return h("label", {}, h("span", {}, labelOf(setting.name)), input, h("small", {}, helpOf(setting)));
    });
}

/** "text_learning_rate" as people write it. @param {string} name */
export function labelOf(name) {
    const label = name.replaceAll("_", " ");
    return currentLanguage() === "zh_CN" && zh_CN[name] ? zh_CN[name][0] : label[0].toUpperCase() + label.slice(1);
}

function helpOf({name, help}) {
    return currentLanguage() === "zh_CN" && zh_CN[name] ? zh_CN[name][1] : help;
}

function inputOf({name, default: chosen, choices, minimum, maximum}, value = "") {
    const values = choices ?? (typeof chosen === "boolean" ? ["true", "false"] : null);
    const shown = (one) => (typeof chosen === "boolean" ? (`${one}` === "true" ? t("learn.yes") : t("learn.no")) : `${one}`);
    if (values) {
        const select = h("select", {name}, ...options([["", t("learn.chosen", {value: shown(chosen)})], ...values.map((one) => [one, shown(one)])]));
        select.value = `${value}`;
        return select;
    }
    const placeholder = Array.isArray(chosen) ? chosen.join(" | ") : `${chosen}`;
    if (typeof chosen !== "number") return h("input", {type: "text", name, placeholder, value: `${value}`, autocomplete: "off"});
    return h("input", {type: "number", name, placeholder, value: `${value}`, min: minimum === null ? null : `${minimum}`, max: maximum === null ? null : `${maximum}`, step: "any"});
}
