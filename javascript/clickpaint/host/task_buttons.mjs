/** The buttons of the tasks, which have the options of their tabs: the canvas begins a task by them, and they show whether they can do anything. */

import {showEdge} from "./edge_pixels.mjs";
import {canvas} from "./elements.mjs";
import {showGuidance} from "./guidance_widget.mjs";
import {appeared, showTab} from "./webui.mjs";

const NEED_A_SELECTION = ["remove", "fill", "replace"];

/** @param {string} task */
const button = (task) => document.getElementById(`clickpaint_${task}`);

/** Whether what the open tab does is painted by a checkpoint, so that its options are of use. */
function paints(here) {
    return here !== null && (here.workbench.diffusion.action !== "remove" || (here.editor.options.eraser === "diffusion" && !here.editor.clip));
}

/** What is there for pictures only goes while a clip is open. @param {boolean} open */
function showClip(open) {
    const page = document.getElementById("clickpaint_page");
    if (!page || page.classList.contains("cp-with-clip") === open) return;
    page.classList.toggle("cp-with-clip", open);
    const {task, action} = canvas()?.workbench.diffusion ?? {};
    if (open && task !== action) showTab("clickpaint_tab_remove");
}

/** Keep buttons and canvas together, whichever of them comes first. */
export function joinTaskButtons() {
    document.addEventListener("clickpaint:begin", (event) => {
        const {task} = /** @type {CustomEvent} */ (event).detail, found = button(task), tab = `clickpaint_tab_${task}`;
        if (!found && !document.getElementById(tab) && !document.getElementById(`${tab}-button`)) return;
        event.preventDefault();
        if (found) return found.click();
        showTab(tab); // which makes the button
        appeared(() => button(task)).then((made) => made.click(), () => {});
    });
    document.addEventListener("keydown", (event) => {
        const starts = event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing, {target} = event;
        const tasks = starts && target instanceof Element && target.closest("textarea, input") ? target.closest("#clickpaint_tasks") : null;
        const found = tasks && button(canvas()?.workbench.diffusion.action ?? "");
        if (!found) return;
        event.preventDefault();
        found.click();
    });
    document.addEventListener("clickpaint:change", (event) => {
        const {selected, clip} = /** @type {CustomEvent} */ (event).detail;
        showClip(clip);
        for (const task of NEED_A_SELECTION) button(task)?.classList.toggle("cp-idle", !selected);
        showEdge();
        showGuidance();
        document.getElementById("clickpaint_painting")?.classList.toggle("cp-shown", paints(canvas()));
    });
}
