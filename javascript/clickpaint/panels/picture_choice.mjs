/** A picture that something is to be like: a file, or what is selected in the open picture. */

import {contextOf} from "../common/context.mjs";
import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {urlOf} from "../picture/mask_layer.mjs";
import {ApiError} from "../server/api_error.mjs";

/** Longer side in pixels of what is sent: no network looks at more of it. */
const LONGEST = 1024;

export class PictureChoice {
    /** As a data URL; null for none. @type {string | null} */
    value = null;

    /**
     * @param {string} label
     * @param {() => import("../picture/workbench.mjs").Workbench | undefined} workbench
     */
    constructor(label, workbench) {
        this.workbench = workbench;
        this.input = h("input", {type: "file", accept: "image/*", hidden: true, "aria-label": label});
        this.input.addEventListener("change", () => this.#take(this.input.files?.[0] ?? null));
        this.shown = h("img", {alt: label, hidden: true});
        const away = t("steering.picture.drop");
        this.drop = h("button.cp-text", {type: "button", hidden: true, title: away, "aria-label": away, onclick: () => this.#set(null)}, "×");
        this.element = h(
            "div.cp-picture-choice",
            {role: "group", "aria-label": label},
            h("span", {}, label),
            this.shown,
            h("button.cp-text", {type: "button", onclick: () => this.input.click()}, t("steering.picture.file")),
            h("button.cp-text", {type: "button", onclick: () => this.#selection()}, t("steering.picture.selection")),
            this.drop,
            this.input,
        );
    }

    /** @param {File | null} file */
    async #take(file) {
        this.input.value = "";
        if (file) await this.#read(async () => file);
    }

    /** The box around what is selected, with a little of what is around it. */
    #selection() {
        return this.#read(async () => {
            const {api, editor} = this.workbench() ?? {}, box = editor?.state.selection?.box;
            if (!editor || !api || !box) throw new ApiError(400, {error: "NoSelection"});
            const {width, height} = editor.size, around = Math.round(Math.max(box[2] - box[0], box[3] - box[1]) / 8);
            const [left, top] = [Math.max(box[0] - around, 0), Math.max(box[1] - around, 0)];
            return api.picture(editor.id, editor.state.version, [left, top, Math.min(box[2] + around, width), Math.min(box[3] + around, height)]);
        });
    }

    /** @param {() => Promise<Blob>} find */
    async #read(find) {
        try {
            this.#set(await reduced(await find()));
        } catch (error) {
            const said = error instanceof ApiError ? error : new ApiError(0, {error: "InvalidInput", message: t("steering.picture.unreadable"), remedy: t("steering.picture.unreadable.remedy")});
            this.workbench()?.editor.emit("error", said);
        }
    }

    #set(value) {
        this.show(value);
        this.element.dispatchEvent(new Event("change", {bubbles: true}));
    }

    /** Without telling of a change. @param {string | null} value a data URL; null for none */
    show(value) {
        if (value === this.value) return;
        this.value = value;
        this.shown.hidden = this.drop.hidden = value === null;
        if (value === null) this.shown.removeAttribute("src");
        else this.shown.src = value;
    }
}

/** @param {Blob} file */
async function reduced(file) {
    const bitmap = await createImageBitmap(file), share = Math.min(LONGEST / Math.max(bitmap.width, bitmap.height), 1);
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(Math.round(side * share), 1)), canvas = new OffscreenCanvas(width, height);
    contextOf(canvas).drawImage(bitmap, 0, 0, width, height);
    bitmap.close();
    return urlOf(await canvas.convertToBlob({type: "image/jpeg", quality: 0.95}));
}
