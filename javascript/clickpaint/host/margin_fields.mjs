/** The margins of the Expand tab follow the frame that was dragged on the canvas. */

const SIDES = ["left", "top", "right", "bottom"];

/**
 * Put margins into the fields of the tab, as if they were typed.
 *
 * @param {number[]} margins left, top, right, bottom
 */
export function fillMargins(margins) {
    SIDES.forEach((side, i) => {
        /** @type {HTMLInputElement | null} */
        const field = document.querySelector(`#clickpaint_expand_${side} input[type=number]`);
        if (!field || Number(field.value) === margins[i]) return;
        field.value = `${margins[i]}`;
        field.dispatchEvent(new Event("input", {bubbles: true}));
        field.dispatchEvent(new Event("change", {bubbles: true}));
    });
}
