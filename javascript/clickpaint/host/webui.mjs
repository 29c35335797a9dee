/** Inside a web UI: pictures from its galleries, and ours into its tabs. Everything is found by its id, nothing by its place. */

import {t} from "../language/language.mjs";
import {isClip} from "../video/clip_files.mjs";

const PATIENCE = 15_000;
const PERIOD = 50;
const INPUT = "_input_image";

/** What stands before the ids in the first unit of a tab's ControlNet, whose name differs from fork to fork; null where there is none. */
function unit(tab) {
    const id = document.querySelector(`[id^="${tab}_controlnet"][id$="${INPUT}"]`)?.id;
    return id ? `#${id.slice(0, -INPUT.length)}` : null;
}

/** The address of the picture that is selected in a gallery, of the first one if none is; null in an empty one. */
export function pictureOf(gallery) {
    const chosen = [".thumbnail-item.selected img", ".preview .media-button img", ".preview > button img", ".preview > img", ".thumbnail-item img", ".grid-container img"];
    for (const selector of chosen) {
        const found = gallery?.querySelector(selector);
        if (found?.src && !found.closest(".livePreview")) return found.src;
    }
    return null;
}

/** The name of the file that an address of the web UI stands for. */
export function fileName(address) {
    const path = decodeURIComponent(address.split("?")[0]);
    return path.startsWith("data:") ? "picture.png" : (path.split(/[\\/]/).pop() ?? "") || "picture.png";
}

/** The address of the clip that a player shows, where the web UI makes videos (Forge Neo); null where it shows none. */
export function clipOf(player) {
    const video = player?.querySelector("video"), address = video?.currentSrc || video?.src || "";
    return address && video.checkVisibility?.() !== false ? address : null;
}

/** Open the picture of a gallery in the canvas, or the clip that stands in its place, and its tab. */
export async function receive(canvas, source) {
    const address = clipOf(document.querySelector(`#${source}_player`)) ?? pictureOf(document.querySelector(`#${source}_gallery`));
    showTab("tab_clickpaint");
    return address ? openAddress(canvas, address) : canvas.toasts.bad(t("gallery.empty"));
}

/** Open a picture that the web UI pasted: a data URL, or where its server has the file. */
export function take(canvas, picture) {
    const address = typeof picture === "string" ? picture : picture.url;
    return openAddress(canvas, address);
}

async function openAddress(canvas, address) {
    await canvas.shown; // what was open before a reload of the page comes first
    try {
        const answer = await fetch(address, {credentials: "same-origin"});
        if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
        const blob = await answer.blob(), file = new File([blob], fileName(address), {type: blob.type});
        return (await isClip(file)) ? canvas.files.open([file]) : canvas.workbench.opening.open(file, file.name);
    } catch (error) {
        return canvas.toasts.bad(t("gallery.unreadable"), /** @type {Error} */ (error).message);
    }
}

/** Open the tab whose panel has this id. Newer versions of Gradio name its button, and make the panel only then. */
export function showTab(id) {
    const named = document.getElementById(`${id}-button`), panel = document.getElementById(id);
    const row = panel?.parentElement;
    if (named || !row) return named?.click();
    const panels = [...row.children].filter((element) => element.classList.contains("tabitem"));
    const buttons = row.querySelector(":scope > .tab-nav")?.querySelectorAll("button") ?? [];
    return buttons[panels.indexOf(panel)]?.click();
}

/** Open our section of the web UI's settings. */
export function openSettings() {
    showTab("tab_settings");
    showTab("settings_clickpaint");
}

/** What `find` returns as soon as that is something. */
export async function appeared(find) {
    const until = performance.now() + PATIENCE;
    for (;;) {
        const found = find();
        if (found) return found;
        if (performance.now() > until) throw new Error("The web UI has no place for this picture.");
        await new Promise((done) => setTimeout(done, PERIOD));
    }
}

/** Give a picture to an image component of the web UI, as if the user had dropped it there. */
async function put(selector, blob, name) {
    const place = await appeared(() => document.querySelector(selector));
    // Forge's canvas listens as soon as it has its height, which it gets when the page has been loading for a while
    const upload = () => place.querySelector(".forge-container:not([style*=height])") ? null : place.querySelector("input[type=file]");
    if (!upload()) place.querySelector("button[aria-label=Clear], button[aria-label='Remove Image']")?.click();
    const input = await appeared(upload);
    const carrier = new DataTransfer();
    carrier.items.add(new File([blob], name, {type: blob.type}));
    input.files = carrier.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
}

/**
 * What the canvas shows, for the web UI's server: [workspace, version, index of the result or -1, how the open tab is to paint, as JSON].
 * Without a picture it fails.
 */
export function sending(canvas) {
    const {editor, diffusion} = canvas.workbench;
    if (editor.clip && !editor.begun) return editor.settled().then(() => sending(canvas));
    if (editor.ready) return [editor.id, editor.state.version, diffusion.chosen ?? -1, JSON.stringify(formOf(diffusion.task))];
    canvas.toasts.bad(t("nothing_to_send"));
    throw new Error(t("nothing_to_send"));
}

/** What the open tab's widgets say, as far as the page shows it: a list shows its choice, every other widget its value. */
function formOf(task) {
    const ids = {
        prompt: `${task}_prompt`, negative_prompt: `${task}_negative`, steps: "steps", sampler: "sampler", scheduler: "scheduler",
        cfg_scale: "cfg_scale", denoising_strength: "denoising",
    };
    /** @type {(id: string) => HTMLInputElement | null} */
    const field = (id) => document.querySelector(`#clickpaint_${id} textarea, #clickpaint_${id} input[type=number], #clickpaint_${id} input:not([type=range])`);
    return Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, field(id)?.value ?? ""]));
}

/** To inpainting: with the mask if something is selected, otherwise as the web UI sends pictures there. */
export async function toInpaint(canvas) {
    try {
        const masked = canvas.workbench.editor.state.selection !== null;
        document.getElementById(`clickpaint_send_${masked ? "parameters" : "unmasked"}`)?.click(); // the first comes back to `toMasked`
    } catch (error) {
        canvas.toasts.error(error);
    }
}

/** To the first unit of the web UI's ControlNet in txt2img, which makes its control map of it. */
export async function toControlNet(canvas) {
    const {api, editor} = canvas.workbench, {state} = editor;
    if (!state.workspace) return canvas.toasts.bad(t("nothing_to_send"));
    try {
        await editor.settled();
        await giveControlNet(canvas, await api.picture(state.workspace.id, state.version), "txt2img");
    } catch (error) {
        canvas.toasts.error(error);
    }
}

/** The web UI's tabs that have a ControlNet. */
export function controlNets() {
    return ["txt2img", "img2img"].filter((tab) => document.querySelector(`#${tab}_controlnet`));
}

/** A Blob to the first unit of the ControlNet in `tab`; in img2img the unit is told to have a picture of its own. */
export async function giveControlNet(canvas, picture, tab) {
    try {
        showTab(`tab_${tab}`);
        /** @type {HTMLInputElement | null} */
        const own = document.querySelector(`${unit(tab)}_controlnet_same_img2img_checkbox input`);
        if (own && !own.checked) own.click();
        await put(`${unit(tab)}${INPUT}`, picture, "picture.png");
    } catch (error) {
        canvas.toasts.error(error);
    }
}

/** Open an accordion; resolves to what `selector` finds in it, which Gradio may only make now. */
export async function unfold(id, selector) {
    /** @type {HTMLElement | null} */
    const head = document.querySelector(`#${id} .label-wrap`);
    if (head && !head.classList.contains("open")) head.click();
    return appeared(() => document.querySelector(`#${id} ${selector}`));
}

/** Say what our buttons in the web UI's rows do, and show the one for ControlNet where there is one. */
export function nameButtons() {
    document.querySelector("#clickpaint_send_controlnet")?.classList.toggle("cp-hidden", !unit("txt2img"));
    for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("#txt2img_send_to_clickpaint, #img2img_send_to_clickpaint"))) {
        button.title = button.ariaLabel = t("send_here");
    }
}

/** To img2img's "Inpaint upload": the picture, what is selected in it, and the parameters, which are in their hidden component if there are any. */
export async function toMasked(canvas, text) {
    try {
        const {api, editor} = canvas.workbench;
        await editor.settled();
        const {id, state} = editor, [picture, mask] = await Promise.all([api.picture(id, state.version), api.mask(id)]);
        const paste = text ? document.getElementById("clickpaint_paste_parameters_text") : null;
        paste?.click();
        // after pasting, the web UI opens img2img by itself: what it opens there last must be ours
        if (paste) await appeared(() => document.getElementById("tab_img2img")?.getClientRects().length);
        await giveMasked(picture, mask);
    } catch (error) {
        canvas.toasts.error(error);
    }
}

async function giveMasked(picture, mask) {
    showTab("tab_img2img");
    showTab("img2img_inpaint_upload_tab");
    await put("#img_inpaint_base", picture, "picture.png");
    await put("#img_inpaint_mask", mask, "mask.png");
}
