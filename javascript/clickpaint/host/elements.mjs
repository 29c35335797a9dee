/** The page's own elements, which may not be there (yet). */

/** @returns {import("../canvas/canvas.mjs").ClickpaintCanvas | null} */
export function canvas() {
    return document.querySelector("clickpaint-canvas");
}

/** What steers a task besides its prompt, as the API takes it; see `SteeringPanel.steered`. @param {string} task @returns {Record<string, any>} */
export function steered(task) {
    const panel = /** @type {any} */ (document.querySelector("clickpaint-steering"));
    return panel?.steered?.(task) ?? {};
}

/** The units of ControlNet at work, as the API takes them. */
export function units() {
    const panel = /** @type {any} */ (document.querySelector("clickpaint-control"));
    return panel?.units() ?? [];
}
