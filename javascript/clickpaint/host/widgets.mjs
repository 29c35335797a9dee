/** The widgets beside the canvas, which Gradio makes: found by their ids, read from the page. */

import {t} from "../language/language.mjs";
import {appeared, showTab} from "./webui.mjs";

const FIELD = "input[type=number], input[type=checkbox], textarea";

/**
 * What widgets show, by their names. Gradio hands values on a moment after they were typed, so that a button pressed at once would get
 * the ones before.
 *
 * @param ids the widgets' ids by their names
 * @param values what Gradio has for each, in that order: for lists, and for widgets that it has not made yet
 */
export function shownValues(ids, values) {
    return Object.fromEntries(Object.entries(ids).map(([name, id], i) => [name, shown(document.getElementById(id)?.querySelector(FIELD), values[i])]));
}

function shown(field, value) {
    if (!field) return value;
    if (field.type === "checkbox") return field.checked;
    return field.type === "number" ? number(field) : field.value;
}

/** Kept within the limits of its field, as Gradio does when the user leaves it; null for none. */
export function number({value, min, max}) {
    if (value === "" || !Number.isFinite(Number(value))) return null;
    const low = min === "" ? -Infinity : Number(min), high = max === "" ? Infinity : Number(max);
    return Math.min(Math.max(Number(value), low), high);
}

/**
 * The prompt of a task's tab; null where it has none.
 *
 * @returns {HTMLTextAreaElement | null}
 */
export function promptField(task) {
    return document.querySelector(`#clickpaint_${task}_prompt textarea`);
}

/** What stands in it; "" where there is none. */
export function promptOf(task) {
    return promptField(task)?.value ?? "";
}

/** The side of the square that the checkpoint works in, as Sampling says; 0 for its own. */
export function resolutionOf() {
    const field = /** @type {HTMLInputElement | null} */ (document.querySelector("#clickpaint_resolution input[type=number]"));
    return Math.round(Number(field?.value)) || 0;
}

/** Put words into the prompt of a task's tab, as if they were typed, and open it. */
export async function fillPrompt(task, words) {
    showTab(`clickpaint_tab_${task}`);
    const field = await appeared(() => promptField(task)); // Gradio makes what is in a tab when it is opened
    field.value = words;
    field.dispatchEvent(new Event("input", {bubbles: true}));
}

/** Whether the page has tabs that paint. */
export function paints() {
    return document.querySelector("#clickpaint_tab_fill, #clickpaint_tab_fill-button") !== null;
}

/** Parameters were read into the widgets: open the tab of their task. `mark`: "fill 7", of which the number only makes it new. */
export function pasted(canvas, mark) {
    const [task] = mark.split(" ");
    if (task === "none") canvas.toasts.bad(t("nothing_to_read"), t("nothing_to_read.remedy"));
    else if (task) showTab(`clickpaint_tab_${task}`);
}
