/** The widgets that say how removing is done: how far beyond the selection, by itself or by sliders, and with how much grain. */

import {t} from "../language/language.mjs";
import {bandOf} from "../picture/removal_band.mjs";
import {canvas} from "./elements.mjs";

/** Show those that act. */
export function showEdge() {
    const editor = canvas()?.editor, follows = editor?.options.auto_edge ?? true, {edge} = editor?.state ?? {};
    for (const name of ["grow", "feather"]) document.getElementById(`clickpaint_${name}`)?.classList.toggle("cp-hidden", follows);
    document.getElementById("clickpaint_grain")?.classList.toggle("cp-hidden", !editor?.choosesGrain);
    const shown = document.querySelector("#clickpaint_edge p");
    if (!shown) return;
    const band = editor && bandOf(editor, "remove"), acts = band ?? (editor?.options.eraser === "diffusion" ? null : edge);
    const text = acts ? t("edge", acts) : "";
    document.getElementById("clickpaint_edge")?.classList.toggle("cp-hidden", !follows || !text);
    if (shown.textContent !== text) shown.textContent = text;
}
