/** Which options act on the loaded model: the server's table says which would change nothing. Those are not seen, and not sent. */

/**
 * The options that change nothing, by their names in the API.
 *
 * @param {any} paint what the server said of painting; null before it did
 * @param {string} task
 * @param {string} how the engine, or of an edit by words the method, by its name in the API
 * @param {{cfgScale?: number | null, prompt?: string}} [said] the CFG scale (0: the model's own) and the prompt
 * @returns {string[]}
 */
export function idleOptions(paint, task, how, {cfgScale = 0, prompt = ""} = {}) {
    const idle = paint?.idle?.[task]?.[how] ?? [], scale = cfgScale || paint?.preset?.cfg_scale;
    const alone = scale === 1 && !prompt.includes(" AND ") && !["diffedit", "ledits"].includes(how); // the prompt alone is asked for
    return alone ? [...idle, "negative_prompt", "reference_fidelity"] : idle;
}

/**
 * The body of a painting without what would change nothing.
 *
 * @param {Record<string, any>} body
 * @param {any} paint what the server said of painting
 * @param {boolean} masked whether something is selected
 */
export function actingOnly(body, paint, masked) {
    if (body.system) return body;
    const said = {cfgScale: body.cfg_scale, prompt: body.prompt}, how = (body.task === "edit" ? body.edit_method : body.engine) ?? "auto";
    const idle = new Set(idleOptions(paint, body.task, how, said));
    if (!masked && ["instruct", "edit", "vary"].includes(body.task)) idle.add("soft_inpainting");
    return Object.fromEntries(Object.entries(body).filter(([name]) => !idle.has(name)));
}
