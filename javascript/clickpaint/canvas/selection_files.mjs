/** What is selected, as files: cut out of the picture, and as a mask that is saved, copied and loaded. */

import {downloaded, h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {blobOf, urlOf} from "../picture/mask_layer.mjs";
import {ApiError} from "../server/api.mjs";
import {MoreMenu} from "./more_menu.mjs";

export class SelectionFiles {
    /**
     * @param {HTMLElement} root the canvas's element
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor" | "selecting">} workbench
     */
    constructor(root, {api, editor, selecting}) {
        this.root = root;
        this.api = api;
        this.editor = editor;
        this.selecting = selecting;
        this.input = h("input.cp-mask-file", {type: "file", accept: "image/*,.tif,.tiff", tabIndex: -1, "aria-hidden": "true"});
        this.input.addEventListener("change", () => {
            const [file] = this.input.files;
            if (file) this.loadMask(file);
            this.input.value = "";
        });
        this.menu = new MoreMenu(editor, [
            {key: "cut_out.save", icon: "cutout", run: () => this.cutOut(), needs: "selection"},
            {key: "cut_out.whole", icon: "cutout", run: () => this.cutOut({whole: true}), needs: "selection"},
            {key: "cut_out.copy", icon: "copy", run: () => this.cutOut({copy: true}), needs: "selection"},
            {key: "mask.save", icon: "mask", run: () => this.saveMask(), needs: "selection"},
            {key: "mask.copy", icon: "copy", run: () => this.copyMask(), needs: "selection"},
            {key: "mask.load", icon: "open", run: () => this.chooseMask(), needs: "picture"},
        ]);
    }

    /** A picture that is dropped on the lower part of the stage, while one is open, is a mask; whether it was. */
    take(file, {clientY}, stage) {
        const {top, height} = stage.getBoundingClientRect(), low = this.editor.ready && clientY > top + 0.7 * height;
        if (low) this.loadMask(file);
        return low;
    }

    /**
     * Cut out what is selected: a PNG with transparency.
     *
     * @param {{copy?: boolean, whole?: boolean}} how copy: to the clipboard, not to a file; whole: as large as the picture
     */
    cutOut({copy = false, whole = false} = {}) {
        const {editor, api} = this;
        return editor.beside("cutout", async () => {
            if (!editor.state.selection) throw new ApiError(400, {error: "NoSelection"});
            const asked = api.request("POST", `workspaces/${editor.id}/cutout`, {body: {whole}}), file = asked.then((answer) => blobOf(answer.image));
            if (copy) await written(file);
            const answer = await asked;
            if (!copy) downloaded(this.root, await file, answer.name);
            editor.emit("done", {key: answer.method === "feathered" ? "cut_out.feathered" : "cut_out", pixels: answer.feather});
            return answer;
        });
    }

    get #name() {
        return `${this.editor.state.name.replace(/\.[^.]*$/, "") || "picture"}_mask.png`;
    }

    saveMask() {
        return this.#mask(async (file) => downloaded(this.root, await file, this.#name), "mask.saved");
    }

    copyMask() {
        return this.#mask(written, "mask.copied");
    }

    #mask(use, key) {
        const {editor, api} = this;
        return editor.beside("mask", async () => {
            if (!editor.state.selection) throw new ApiError(400, {error: "NoSelection"});
            await use(api.mask(editor.id));
            editor.emit("done", {key});
        });
    }

    chooseMask() {
        this.input.click();
    }

    /**
     * Select what a file shows in white, or opaque; combined with the selection as the mode says.
     *
     * @param {File} file
     */
    async loadMask(file) {
        const {editor} = this, {width, height} = editor.size;
        const [image, own] = await Promise.all([urlOf(file), sizeOf(file)]);
        const answer = await this.selecting.adjust({op: "upload", image, mode: editor.state.selection ? editor.mode : "replace"});
        if (!answer) return;
        const scaled = own && (own.width !== width || own.height !== height);
        const sizes = scaled ? {from: t("dimensions", own), to: t("dimensions", {width, height})} : {};
        editor.emit("done", {key: scaled ? "mask.scaled" : "mask.loaded", ...sizes});
    }
}

/** Put a picture on the clipboard. The promise goes into the item: Safari allows writing only if it starts within the click. */
async function written(file) {
    try {
        await navigator.clipboard.write([new ClipboardItem({"image/png": file})]);
    } catch (error) {
        await file; // what went wrong on the server comes first
        throw error instanceof ApiError ? error : new ApiError(0, {error: "Clipboard", message: t("error.clipboard"), remedy: t("error.clipboard.remedy")});
    }
}

/** The size of a picture's file; null where the browser cannot read it. */
async function sizeOf(file) {
    try {
        const bitmap = await createImageBitmap(file), {width, height} = bitmap;
        bitmap.close();
        return {width, height};
    } catch {
        return null;
    }
}
