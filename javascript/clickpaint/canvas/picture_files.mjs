/** Pictures in and out: choosing, dropping, pasting, saving, copying. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {ApiError} from "../server/api.mjs";

const isPicture = (file) => file.type.startsWith("image/") || /\.(png|jpe?g|webp|tiff?|bmp|gif|hei[cf]|avif)$/i.test(file.name ?? "");

/** Milliseconds for which a saved picture's address is kept: browsers read it after the click. */
const KEPT = 60_000;

/** The first picture among dropped or pasted things; undefined if there is none. */
export function pictureIn(transfer) {
    return [...(transfer?.files ?? [])].find(isPicture);
}

export class PictureFiles {
    /**
     * @param {HTMLElement} root the canvas's element
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor" | "opening">} workbench
     */
    constructor(root, {api, editor, opening}) {
        this.root = root;
        this.api = api;
        this.editor = editor;
        this.opening = opening;
        this.input = h("input.cp-file", {type: "file", accept: "image/*,.tif,.tiff,.heic,.heif,.avif", tabIndex: -1, "aria-hidden": "true"});
    }

    /** `wanted(target)`: whether a paste there is meant for the canvas. */
    listen(listeners, wanted) {
        const {root} = this;
        listeners.on(this.input, "change", () => {
            const [file] = this.input.files;
            if (file) this.open(file);
            this.input.value = "";
        });
        this.#drop(root, listeners);
        listeners.on(document, "paste", (event) => {
            if (!wanted(event.target)) return;
            const file = pictureIn(event.clipboardData);
            if (file) this.open(file);
            else if (event.clipboardData?.types.includes("Files")) this.#none();
            else return;
            event.preventDefault();
        });
    }

    #drop(root, listeners) {
        const carries = (event) => event.dataTransfer?.types.includes("Files");
        let depth = 0;
        const mark = (over) => root.classList.toggle("cp-dropping", over);
        listeners.on(root, "dragenter", (event) => carries(event) && (event.preventDefault(), depth++, mark(true)));
        listeners.on(root, "dragover", (event) => carries(event) && event.preventDefault());
        listeners.on(root, "dragleave", (event) => carries(event) && --depth <= 0 && ((depth = 0), mark(false)));
        listeners.on(root, "drop", (event) => {
            if (!carries(event)) return;
            event.preventDefault();
            event.stopPropagation();
            depth = 0;
            mark(false);
            const file = pictureIn(event.dataTransfer);
            if (file) this.open(file);
            else this.#none();
        });
    }

    #none() {
        this.editor.emit("error", new ApiError(0, {error: "InvalidInput", message: t("error.no_picture")}));
    }

    open(file) {
        return this.opening.open(file, file.name);
    }

    choose() {
        this.input.click();
    }

    /** Let the browser download the picture shown, in the format of the options, and the program put it into its folder for saved ones;
     * whether that worked. */
    async save() {
        const {editor} = this;
        if (!editor.ready) return false;
        const {format, quality} = editor.options;
        const wanted = {version: editor.state.version, format, quality: format === "jpeg" || format === "webp" ? quality : null};
        try {
            const {blob, name} = await this.api.file(`workspaces/${editor.id}/image`, {...wanted, download: 1});
            const link = h("a", {href: URL.createObjectURL(blob), download: name, hidden: true});
            this.root.append(link);
            link.click();
            link.remove();
            setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
            editor.keepSaved();
            if (!editor.capabilities?.public) await this.api.save(editor.id, wanted);
            return true;
        } catch (error) {
            editor.emit("error", error);
            return false;
        }
    }

    async copy() {
        const {editor} = this;
        if (!editor.ready) return;
        try {
            // The promise goes into the item: Safari allows writing only if it starts within the click.
            await navigator.clipboard.write([new ClipboardItem({"image/png": this.api.picture(editor.id, editor.state.version)})]);
            editor.keepSaved();
            editor.emit("done", {key: "copied"});
        } catch (error) {
            if (error instanceof ApiError) editor.emit("error", error);
            else editor.emit("error", new ApiError(0, {error: "Clipboard", message: t("error.clipboard"), remedy: t("error.clipboard.remedy")}));
        }
    }
}
