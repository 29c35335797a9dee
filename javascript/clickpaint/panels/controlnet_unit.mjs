/** Units of ControlNet as data. */

/** How the value of a list of preprocessors begins that stands for a map made beforehand. */
export const MAP = "map:";

/**
 * A unit as the API takes it, from its fields' values.
 *
 * @param {any} values
 * @param {import("./controlnet_panel.mjs").Made | null} [made] the map it was given last; its values go with its preprocessor
 */
export function unitOf({model, preprocessor, weight, start, end, mode}, made = null) {
    const common = {model, weight, start: Math.min(start, end), end: Math.max(start, end), mode};
    if (preprocessor.startsWith(MAP)) return {...common, map: preprocessor.slice(MAP.length)};
    if (!made?.names.includes(preprocessor)) return {...common, preprocessor};
    return {...common, preprocessor, values: made.values, resolution: made.resolution ?? 0};
}

/** The model that understands a map best: `chosen` if it does, else the first by the order of `patterns`, else one for all kinds; "" for none. */
export function fittingModel(models, patterns, chosen = "") {
    const has = (name, pattern) => name.toLowerCase().includes(pattern);
    if (chosen && (!patterns.length || patterns.some((pattern) => has(chosen, pattern)))) return chosen;
    const found = patterns.map((pattern) => models.find((name) => has(name, pattern))).find(Boolean);
    return found ?? models.find((name) => has(name, "union")) ?? "";
}

/**
 * The sentence that says that there is no ControlNet, by its key: whose they would be.
 *
 * @param {import("../server/answers.mjs").Capabilities | null | undefined} capabilities
 */
export const noneOf = (capabilities) => (capabilities?.paint.own_sampler ? "control.none" : "control.none_here");
