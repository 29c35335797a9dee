/** What steers a sampling besides the prompt, as the API takes it. */

import {t} from "../language/language.mjs";
import {ApiError} from "../server/api_error.mjs";

/** The choice of a reference that the loaded network looks at by itself. */
export const LOOK = "look:";

/**
 * @typedef {object} Steering what the panel says
 * @property {string} system the name of a system that paints in the checkpoint's place, "" for none
 * @property {string[]} acts the options that act with it
 * @property {string} guide "none", "clip", "picture" or "classifier"
 * @property {string} guide_words
 * @property {number} guide_scale
 * @property {string | null} guide_picture a data URL
 * @property {string} reference "" for none, `LOOK`, or the name of an IP-Adapter
 * @property {string | null} reference_picture a data URL
 * @property {string[]} further_references data URLs, for models that edit
 * @property {boolean} adjustable whether it can be said how it is looked at
 * @property {number} reference_weight
 * @property {number} reference_fidelity
 * @property {number} reference_start
 * @property {number} reference_end
 */

/**
 * The fields of a request's body; with a system also `acts`, see `paintBody`. An error is thrown for what would change nothing.
 *
 * @param {string} task
 * @param {Steering} said
 */
export function steeringOf(task, said) {
    if (said.system) return {system: said.system, acts: said.acts};
    return {...guideOf(said), ...referenceOf(task, said)};
}

function guideOf({guide, guide_words, guide_scale, guide_picture}) {
    if (guide === "none") return {};
    return guide === "picture" ? {guide, guide_scale, guide_picture} : {guide, guide_scale, guide_words};
}

function referenceOf(task, said) {
    const {reference, reference_picture, reference_weight, reference_fidelity, reference_start, reference_end} = said;
    if (!reference) return {};
    if (!reference_picture && task !== "vary") throw new ApiError(400, {error: "InvalidInput", message: t("steering.no_picture"), remedy: t("steering.no_picture.remedy")});
    if (!said.adjustable) return said.further_references.length ? {reference_picture, further_references: said.further_references} : {reference_picture};
    const which = reference === LOOK ? {reference_fidelity} : {reference_adapter: reference};
    return {...which, ...(reference_picture ? {reference_picture} : {}), reference_weight, reference_start, reference_end};
}
