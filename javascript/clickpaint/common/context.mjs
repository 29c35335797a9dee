/** What draws on a canvas. */

/**
 * @param {HTMLCanvasElement | OffscreenCanvas} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 * @returns {CanvasRenderingContext2D} of an offscreen canvas one that draws alike
 */
export function contextOf(canvas, settings) {
    const context = canvas.getContext("2d", settings);
    if (context === null) throw new Error("The browser has no memory left for a canvas.");
    return /** @type {CanvasRenderingContext2D} */ (context);
}
