/** The widgets that say how far beyond the selection removing goes: by themselves, in the pixels of the picture that is open, or by sliders. */

import {t} from "../language/language.mjs";
import {bandOf} from "../picture/removal_band.mjs";
import {canvas} from "./elements.mjs";

/** Show those that act. */
export function showEdge() {
    const editor = canvas()?.editor, follows = editor?.options.auto_edge ?? true, {edge} = editor?.state ?? {};
    for (const name of ["grow", "feather"]) document.getElementById(`clickpaint_${name}`)?.classList.toggle("cp-hidden", follows);
    const shown = document.querySelector("#clickpaint_edge p");
    if (!shown) return;
    const band = editor && bandOf(editor, "remove"), acts = band ?? (editor?.options.eraser === "diffusion" ? null : edge);
    const text = acts ? t("edge", acts) : "";
    document.getElementById("clickpaint_edge")?.classList.toggle("cp-hidden", !follows || !text);
    if (shown.textContent !== text) shown.textContent = text;
}
