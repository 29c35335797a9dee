/** What the canvas does when model files come, go, or are missing. */

import {bytes, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {blocked} from "../server/downloads.mjs";

/** @typedef {import("./canvas.mjs").ClickpaintCanvas} ClickpaintCanvas */

/**
 * @param {ClickpaintCanvas} canvas
 * @param {import("../common/dom.mjs").Listeners} listeners
 */
export function listenToDownloads(canvas, listeners) {
    const {downloads, toasts, bars} = canvas;
    const on = (/** @type {string} */ type, /** @type {(event: any) => void} */ handler) => listeners.on(downloads, type, handler);
    const title = (/** @type {string} */ name) => downloads.list?.find((file) => file.name === name)?.title ?? name;
    on("models", ({detail}) => bars.offer.models(detail));
    on("tasks", () => bars.offer.update());
    on("error", ({detail}) => toasts.error(detail));
    on("failed", ({detail}) => toasts.bad(said(detail, "text")));
    on("done", ({detail}) => toasts.good(t("downloaded", {title: title(detail)})));
    on("verified", ({detail}) => verified(canvas, detail, title(detail)));
    on("moved", () => moved(canvas));
}

/** A check has ended: the file is right, or it was set aside. */
function verified({downloads, toasts}, name, title) {
    const model = downloads.list?.find((file) => file.name === name);
    if (model?.state === "present") toasts.good(t("models.right", {title}));
    else toasts.bad(t("models.wrong", {title}), said(model ?? {}, "reason"));
}

/** Files came or went: what works now may be something else. */
async function moved(canvas) {
    canvas.editor.segmenter = canvas.editor.eraser = "";
    await canvas.workbench.opening.loadCapabilities().catch((/** @type {any} */ error) => canvas.toasts.error(error));
    canvas.dispatchEvent(new CustomEvent("clickpaint:models", {bubbles: true}));
}

/**
 * An error; one that a download would heal comes with the offer of it.
 *
 * @param {ClickpaintCanvas} canvas
 * @param {any} error
 */
export function failed({downloads, editor, toasts}, error) {
    const name = error.data?.model ?? error.data?.name;
    const model = error.kind === "ModelMissing" || error.kind === "CorruptModel" ? downloads.list?.find((file) => file.name === name) : null;
    const {capabilities} = editor, offline = capabilities?.offline || (model && blocked(capabilities, model.name));
    const able = model?.bytes && !offline && ["missing", "partial", "corrupt"].includes(model.state);
    if (!able) return toasts.error(error);
    return toasts.missing(error, t("offer", {title: model.title, size: bytes(model.bytes)}), () => downloads.start(name));
}
