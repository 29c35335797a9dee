/** Registers the canvas and gives Gradio's handlers something to call: `window.clickpaint`. */

import {ClickpaintCanvas} from "./clickpaint/canvas.mjs";
import {ClickpaintModels} from "./clickpaint/models.mjs";

if (!customElements.get("clickpaint-canvas")) {
    customElements.define("clickpaint-canvas", ClickpaintCanvas);
    customElements.define("clickpaint-models", ClickpaintModels);
}

const canvas = () => document.querySelector("clickpaint-canvas");

/** What widgets may ask of the canvas. Nothing fails where there is no canvas (yet): the page may be hidden or still loading. */
window.clickpaint = {
    /** A widget's value changed: segmenter, eraser, grow, feather, preview, format, quality. */
    option(name, value) {
        canvas()?.editor.setOption(name, value);
        if (name === "format") document.querySelector("#clickpaint_quality")?.classList.toggle("cp-hidden", value !== "jpeg" && value !== "webp");
    },

    remove(options) {
        return canvas()?.editor.erase(options);
    },

    save() {
        canvas()?.files.save();
    },

    /** The picture that the gallery asked for: [workspace, version], or two nulls. */
    shown() {
        const state = canvas()?.editor.state;
        return state?.workspace ? [state.workspace.id, state.version] : [null, null];
    },
};

document.addEventListener("clickpaint:result", () => document.querySelector("#clickpaint_result")?.click());
