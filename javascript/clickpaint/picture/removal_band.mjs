/** How far around an object the loaded model may change what the object does to its surroundings, where it is told to remove it. */

/** Shares of the object's diagonal and of the picture's, and the most of each in pixels; as image/soft_edge.py decides it. */
const BESIDE = 0.3, SEEN = 0.016, GROW = 256, FEATHER = 128;

/**
 * What fits an object, in pixels of the picture.
 *
 * @param {{width: number, height: number}} size of the picture
 * @param {number[]} box of the object: left, top, right, bottom
 */
export function fittingBand({width, height}, [left, top, right, bottom]) {
    const half = Math.max(BESIDE * Math.hypot(right - left, bottom - top), SEEN * Math.hypot(width, height)) / 2;
    return {grow: Math.min(Math.round(half), GROW), feather: Math.min(Math.round(half), FEATHER)};
}

/**
 * What acts if the selection is removed now; null where an eraser does it, or a model that only fills its place.
 *
 * @param {import("./editor.mjs").Editor} editor
 * @param {string} action what the open tab does
 */
export function bandOf(editor, action) {
    const {options, state, capabilities} = editor, prompt = capabilities?.paint?.removal_prompt;
    if (action !== "remove" || options.eraser !== "diffusion" || !prompt || !state.selection?.box || editor.clip) return null;
    const {auto_edge, grow, feather} = options;
    return auto_edge ? fittingBand(editor.size, state.selection.box) : {grow: grow ?? 0, feather: feather ?? 0};
}
