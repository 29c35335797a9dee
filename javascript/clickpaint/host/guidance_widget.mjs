/** The widget for guidance that was distilled into a model, or for its schedule's shift: shown where the loaded model has one of them. */

import {canvas} from "./elements.mjs";

export function showGuidance() {
    const guidance = canvas()?.editor.capabilities?.paint.family?.guidance;
    document.getElementById("clickpaint_distilled")?.classList.toggle("cp-hidden", !guidance);
}
