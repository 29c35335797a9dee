/** The page's own elements, which may not be there (yet). */

/** @returns {import("../canvas/canvas.mjs").ClickpaintCanvas | null} */
export function canvas() {
    return document.querySelector("clickpaint-canvas");
}

/** The units of ControlNet at work, as the API takes them. */
export function units() {
    const panel = /** @type {any} */ (document.querySelector("clickpaint-control"));
    return panel?.units() ?? [];
}
