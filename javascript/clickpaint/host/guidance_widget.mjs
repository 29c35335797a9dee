/** Widgets that act on some models only, and what a strength means for the loaded one: the page says which kind that is, so that what Gradio
 * puts into it later follows as well. */

import {t} from "../language/language.mjs";
import {idleOptions} from "../picture/acting.mjs";
import {canvas} from "./elements.mjs";
import {fillPrompt, number, promptOf} from "./widgets.mjs";

/** From here on nothing of a picture is left in the noise that a sampling begins with. */
const NOTHING_LEFT = 0.995;

/** What the loaded model can do; null as long as nothing is known. */
const painting = () => canvas()?.editor.capabilities?.paint ?? null;

/** How the open tab's task is done: the engine, and an edit's method, by their names in the API. */
const chosen = {engine: "auto", method: "p2p"};

/** @param {{engine?: string, method?: string}} choice */
export function chooseHow(choice) {
    Object.assign(chosen, choice);
    showGuidance();
}

/** What stands in the field of a slider; null where there is none. @param {string} id */
function value(id) {
    const field = /** @type {HTMLInputElement | null} */ (document.querySelector(`#${id} input[type=number]`));
    return field && number(field);
}

export function showGuidance() {
    const page = document.getElementById("clickpaint_page"), family = painting()?.family;
    page?.classList.toggle("cp-edits", Boolean(family?.anew));
    const task = canvas()?.workbench?.diffusion.action ?? "", how = task === "edit" ? chosen.method : chosen.engine;
    const idle = idleOptions(painting(), task, how, {cfgScale: value("clickpaint_cfg_scale"), prompt: promptOf(task)});
    if (page) page.dataset.idle = idle.join(" "); // the style sheet hides their fields
    showStart();
}

/**
 * The share of noise that image to image begins with, on a model whose schedule is a flow's; null on others, whose strength is what it says.
 *
 * @param {number} strength 0 to 1
 * @param {number} shift of the schedule
 */
export const noiseAt = (strength, shift) => (shift ? (shift * strength) / (1 + (shift - 1) * strength) : null);

/** Say how much noise the strength is; where it is all there is, what the masked area holds first cannot act. */
export function showStart() {
    const line = document.querySelector("#clickpaint_start p"), paint = painting(), family = paint?.family;
    if (!line) return;
    const own = family?.guidance === "shift" ? value("clickpaint_distilled_cfg_scale") || paint?.preset.distilled_cfg_scale : 0;
    const strength = value("clickpaint_denoising"), noise = strength === null ? null : noiseAt(strength, own || family?.shift || 0);
    const text = noise === null ? "" : noise >= NOTHING_LEFT ? t("start.noise_only") : t("start.noise", {percent: Math.round(100 * noise)});
    document.getElementById("clickpaint_start")?.classList.toggle("cp-hidden", !text);
    if (line.textContent !== text) line.textContent = text;
}

/** Write into the prompt of *Instruct* what the loaded model is told so that it removes what is selected. */
export async function fillRemoval() {
    const prompt = painting()?.removal_prompt;
    if (prompt) await fillPrompt("instruct", prompt);
}
