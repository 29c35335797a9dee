/** Registers the page's elements and gives Gradio's handlers something to call: `window.clickpaint`. */

import {ClickpaintCanvas} from "./clickpaint/canvas/canvas.mjs";
import {canvas} from "./clickpaint/host/elements.mjs";
import {fillMargins} from "./clickpaint/host/margin_fields.mjs";
import {handle} from "./clickpaint/host/messages.mjs";
import {followPreferences} from "./clickpaint/host/preferences.mjs";
import {joinTaskButtons} from "./clickpaint/host/task_buttons.mjs";
import {nameButtons, openSettings, sending, showTab, take, toControlNet, toInpaint, toMasked} from "./clickpaint/host/webui.mjs";
import {pasted, promptOf} from "./clickpaint/host/widgets.mjs";
import {CheckpointPanel} from "./clickpaint/panels/checkpoint_panel.mjs";
import {ControlNetPanel} from "./clickpaint/panels/controlnet_panel.mjs";
import {DataSetPanel} from "./clickpaint/panels/data_set_panel.mjs";
import {DescribePanel} from "./clickpaint/panels/describe_panel.mjs";
import {HistoryPanel} from "./clickpaint/panels/history_panel.mjs";
import {MapPanel} from "./clickpaint/panels/map_panel.mjs";
import {ModelList} from "./clickpaint/panels/model_list.mjs";
import {SettingsDialog} from "./clickpaint/panels/settings_dialog.mjs";
import {ModelManager} from "./clickpaint/panels/model_manager.mjs";
import {ResultGallery} from "./clickpaint/panels/result_gallery.mjs";
import {TouchUpPicker} from "./clickpaint/panels/touchup_picker.mjs";
import {AnimatePanel} from "./clickpaint/panels/animate_panel.mjs";
import {SteeringPanel} from "./clickpaint/panels/steering_panel.mjs";
import {TrainingPanel} from "./clickpaint/panels/training_panel.mjs";
import {WordsPanel} from "./clickpaint/panels/words_panel.mjs";

const ELEMENTS = {
    "clickpaint-canvas": ClickpaintCanvas,
    "clickpaint-models": ModelList,
    "clickpaint-model-manager": ModelManager,
    "clickpaint-checkpoint": CheckpointPanel,
    "clickpaint-control": ControlNetPanel,
    "clickpaint-maps": MapPanel,
    "clickpaint-describe": DescribePanel,
    "clickpaint-settings": SettingsDialog,
    "clickpaint-history": HistoryPanel,
    "clickpaint-datasets": DataSetPanel,
    "clickpaint-training": TrainingPanel,
    "clickpaint-results": ResultGallery,
    "clickpaint-touchup": TouchUpPicker,
    "clickpaint-words": WordsPanel,
    "clickpaint-steering": SteeringPanel,
    "clickpaint-animate": AnimatePanel,
};

joinTaskButtons();
followPreferences();
if (!customElements.get("clickpaint-canvas")) for (const [name, element] of Object.entries(ELEMENTS)) customElements.define(name, element);

/** What widgets may ask of the canvas. Nothing fails where there is no canvas (yet): the page may be hidden or still loading. */
globalThis.clickpaint = {
    /** A widget of ours sends data; see host/messages.mjs. */
    send: handle,

    /** Gradio's widgets have come: what they show of the canvas is told them once more. */
    joined() {
        canvas()?.editor.changed();
        document.dispatchEvent(new CustomEvent("clickpaint:joined"));
    },

    /** Where to look for parameters: the open tab's prompt, and [workspace, version, index of the result or -1] of the picture shown. */
    reading() {
        const {editor, diffusion} = canvas()?.workbench ?? {};
        return [promptOf(diffusion?.task), ...(editor?.ready ? [editor.id, editor.state.version, diffusion?.chosen ?? -1] : ["", 0, -1])];
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

    /** Inside a web UI: what is to be sent to another tab; see `sending` of host/webui.mjs. */
    sending() {
        return sending(canvas());
    },

    /** Inside a web UI: the hidden components hold the picture and its infotext; let the web UI paste them. */
    paste(target, text) {
        const complete = text ? document.getElementById(`clickpaint_paste_${target}_text`) : null;
        (complete ?? document.getElementById(`clickpaint_paste_${target}`))?.click();
    },

    /** Inside a web UI: to inpainting, with the mask if something is selected. */
    toInpaint() {
        return toInpaint(canvas());
    },

    /** Inside a web UI: to inpainting with the mask; `text`: parameters that the hidden component holds. */
    toMasked(text) {
        return toMasked(canvas(), text);
    },

    /** Inside a web UI: to its ControlNet. */
    toControlNet() {
        return toControlNet(canvas());
    },
};

globalThis.onUiLoaded?.(nameButtons);

// What the web UI calls, by these names, when it has pasted something into our tab.
globalThis.switch_to_clickpaint = () => (showTab("tab_clickpaint"), []);
globalThis.recalculate_prompts_clickpaint = (...values) => values;
// It asks for this one after pasting an infotext into inpainting, and does not have it.
globalThis.recalculate_prompts_inpaint ??= (...values) => globalThis.recalculate_prompts_img2img?.(...values) ?? values;

document.addEventListener("clickpaint:settings", openSettings);
document.addEventListener("clickpaint:margins", (event) => fillMargins(/** @type {CustomEvent} */ (event).detail));
for (const type of ["clickpaint:models", "clickpaint:checkpoint"]) document.addEventListener(type, () => canvas()?.workbench.opening.loadCapabilities().catch(() => {}));
document.addEventListener("clickpaint:models", () => document.getElementById("clickpaint_refresh")?.click());
