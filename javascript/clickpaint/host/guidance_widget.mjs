/** Widgets that act on some models only: the page says which kind is loaded, so that what Gradio puts into it later follows as well. */

import {canvas} from "./elements.mjs";

export function showGuidance() {
    const page = document.getElementById("clickpaint_page"), family = canvas()?.editor.capabilities?.paint.family;
    page?.classList.toggle("cp-guided", Boolean(family?.guidance)); // guidance that was distilled into a model, or its schedule's shift
    page?.classList.toggle("cp-edits", Boolean(family?.instructs) && !family?.name.includes("instruct-pix2pix"));
}
