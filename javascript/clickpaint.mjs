/** Registers the canvas and gives Gradio's handlers something to call: `window.clickpaint`. */

import {ClickpaintCanvas} from "./clickpaint/canvas.mjs";
import {ClickpaintCheckpoint} from "./clickpaint/checkpoint.mjs";
import {ClickpaintControl} from "./clickpaint/control.mjs";
import {ClickpaintDescribe} from "./clickpaint/describe.mjs";
import {marginsFor} from "./clickpaint/expand.mjs";
import {ClickpaintMaps} from "./clickpaint/maps.mjs";
import {ClickpaintModels} from "./clickpaint/models.mjs";
import {nameButtons, receive, sending, showTab, take, toControlNet, toInpaint} from "./clickpaint/webui.mjs";
import {pasted, promptOf, shownValues} from "./clickpaint/widgets.mjs";

if (!customElements.get("clickpaint-canvas")) {
    customElements.define("clickpaint-canvas", ClickpaintCanvas);
    customElements.define("clickpaint-models", ClickpaintModels);
    customElements.define("clickpaint-checkpoint", ClickpaintCheckpoint);
    customElements.define("clickpaint-control", ClickpaintControl);
    customElements.define("clickpaint-maps", ClickpaintMaps);
    customElements.define("clickpaint-describe", ClickpaintDescribe);
}

const canvas = () => document.querySelector("clickpaint-canvas");
const units = () => document.querySelector("clickpaint-control")?.units() ?? [];

/** What widgets may ask of the canvas. Nothing fails where there is no canvas (yet): the page may be hidden or still loading. */
window.clickpaint = {
    /** A widget's value changed: segmenter, eraser, grow, feather, preview, format, quality. */
    option(name, value) {
        canvas()?.editor.setOption(name, value);
        if (name === "format") document.querySelector("#clickpaint_quality")?.classList.toggle("cp-hidden", value !== "jpeg" && value !== "webp");
    },

    /** What widgets show now, by their names; see `shownValues`. */
    values: shownValues,

    /** Remove by the eraser of `options`; `values`: how to paint, where the eraser is the host's checkpoint. */
    remove(options, values) {
        return canvas()?.editor.erase(options, values);
    },

    /** Fill, replace or expand; `values`: those of the page's widgets by their names. */
    paint(task, values) {
        return canvas()?.editor.painting.paint(task, values, units());
    },

    /** Which engine paints: `host` tells whether it is the host's own. */
    engine(host) {
        const control = document.querySelector("clickpaint-control");
        if (control) control.ours = !host;
        if (!host) canvas()?.editor.api.prepareCheckpoint().catch(() => {}); // only a head start: painting says what is wrong
    },

    /** Which of the tabs is open: it decides what is drawn over the picture. */
    task(name) {
        const painting = canvas()?.editor.painting;
        if (painting) painting.setTask(name);
    },

    /** Margins to expand by changed. */
    margins(...margins) {
        canvas()?.editor.painting.setMargins(margins);
    },

    /** The margins of a preset for the picture shown. */
    preset(name) {
        const editor = canvas()?.editor;
        return editor?.ready ? marginsFor(name, editor.size) : [0, 0, 0, 0];
    },

    /** The seed of the result that was shown last, -1 before there was one. */
    seed() {
        return canvas()?.editor.painting.seed ?? -1;
    },

    /** Where to look for parameters: the open tab's prompt, and [workspace, version, index of the result or -1] of the picture shown. */
    reading() {
        const {id, state, painting, ready} = canvas()?.editor ?? {};
        return [promptOf(painting?.task), ...(ready ? [id, state.version, painting.chosen ?? -1] : ["", 0, -1])];
    },

    /** Parameters were read back; `mark`: "fill 7", of which the number only makes it new. */
    pasted(mark) {
        const here = canvas();
        if (here && mark) pasted(here, mark);
    },

    /** Inside a web UI: a picture that it pasted. */
    take(picture) {
        const here = canvas();
        return here && picture ? take(here, picture) : undefined;
    },

    /** Inside a web UI: take the picture of its gallery. */
    receive(source) {
        const here = canvas();
        return here ? receive(here, source) : undefined;
    },

    /** Inside a web UI: what is to be sent to another tab, [workspace, version, index of the result or -1]. */
    sending() {
        return sending(canvas());
    },

    /** Inside a web UI: the hidden components hold the picture and its infotext; let the web UI paste them. */
    paste(target, text) {
        const complete = text ? document.querySelector(`#clickpaint_paste_${target}_text`) : null;
        (complete ?? document.querySelector(`#clickpaint_paste_${target}`))?.click();
    },

    /** Inside a web UI: to inpainting, with the mask if something is selected. */
    toInpaint() {
        return toInpaint(canvas());
    },

    /** Inside a web UI: to its ControlNet. */
    toControlNet() {
        return toControlNet(canvas());
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

globalThis.onUiLoaded?.(nameButtons);

// What the web UI calls, by these names, when it has pasted something into our tab.
globalThis.switch_to_clickpaint = () => (showTab("tab_clickpaint"), []);
globalThis.recalculate_prompts_clickpaint = (...values) => values;

document.addEventListener("clickpaint:result", () => document.querySelector("#clickpaint_result")?.click());
document.addEventListener("clickpaint:models", () => document.querySelector("#clickpaint_refresh")?.click());
