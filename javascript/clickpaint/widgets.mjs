/** The widgets beside the canvas, which Gradio makes: found by their ids, read from the page. */

import {t} from "./i18n.mjs";
import {showTab} from "./webui.mjs";

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

/** What stands in the prompt of a task's tab; "" where it has none. */
export function promptOf(task) {
    return document.querySelector(`#clickpaint_${task}_prompt textarea`)?.value ?? "";
}

/** Parameters were read into the widgets: open the tab of their task. `mark`: "fill 7", of which the number only makes it new. */
export function pasted(canvas, mark) {
    const [task] = mark.split(" ");
    if (task === "none") canvas.toasts.bad(t("nothing_to_read"), t("nothing_to_read.remedy"));
    else if (task) showTab(`clickpaint_tab_${task}`);
}
