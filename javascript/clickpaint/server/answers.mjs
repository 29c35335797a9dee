/**
 * What the API answers, as far as the page relies on it. Types only.
 *
 * @typedef {{x: number, y: number}} Point in pixels of the picture, from its upper left corner
 * @typedef {[number, number, number, number]} Box left, top, right, bottom in pixels; right and bottom are excluded
 * @typedef {"replace" | "add" | "subtract" | "intersect"} Mode how a selection is combined with the one before
 *
 * @typedef {object} Selection
 * @property {string} mask a PNG as a data URL, white where selected
 * @property {Box | null} box around it; null where nothing is selected
 * @property {number} area in pixels
 *
 * @typedef {object} Candidate one of a click's masks
 * @property {string} mask
 * @property {Box | null} box
 * @property {number} area
 * @property {number} score 0..1
 *
 * @typedef {object} Prompts what a selection was made of
 * @property {(Point & {label: number})[]} points
 * @property {Box | null} box
 * @property {Mode} mode
 * @property {Candidate[]} [candidates]
 * @property {number | null} [chosen] the candidate that is the selection
 * @property {number | null} [previous] the candidate that a click goes on with
 *
 * @typedef {object} Engine a segmenter or an eraser
 * @property {string} name
 * @property {string} title
 * @property {boolean} available
 * @property {string} reason why it is not
 * @property {string | null} model the name of its file
 * @property {boolean} [blocked] whether a package is missing, so that its file would not help
 * @property {string[]} [options] what only some engines can be told, such as an eraser's "grain"
 *
 * @typedef {object} Capabilities
 * @property {Engine[]} segmenters
 * @property {Engine[]} erasers
 * @property {Engine[]} trackers
 * @property {{segmenter: string, eraser: string}} defaults
 * @property {{segmenter: string, eraser: string}} automatic what "auto" stands for
 * @property {boolean} offline
 * @property {boolean} public
 * @property {Record<string, number>} limits of the settings, by their keys
 * @property {{available: boolean, varies: boolean, own_sampler: boolean, checkpoints: string[], checkpoint: string | null, reason: string, family: {name: string, guidance: string, instructs: boolean, anew: boolean, shift: number} | null, preset: {cfg_scale: number, distilled_cfg_scale: number}, idle: Record<string, Record<string, string[]>>, removal_prompt: string}} paint
 *
 * @typedef {object} Problem the body of an error
 * @property {string} [error] the kind, such as "NotFound"
 * @property {string} [message]
 * @property {string} [remedy]
 * @property {string} [code] the template that the message is made of
 * @property {string} [remedy_code] the remedy's
 * @property {Record<string, any>} [data] the values in both, and other facts
 */

export {};
