/** Pictures in and out: choosing, dropping, pasting, saving, copying. */

import {downloaded, h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {ApiError} from "../server/api.mjs";
import {CLIPS, isVideo} from "../video/clip_files.mjs";

const isPicture = (file) => file.type.startsWith("image/") || /\.(png|jpe?g|webp|tiff?|bmp|gif|hei[cf]|avif)$/i.test(file.name ?? "");

/** The pictures and clips among dropped or pasted things. */
export function picturesIn(transfer) {
    return [...(transfer?.files ?? [])].filter((file) => isPicture(file) || isVideo(file));
}

export class PictureFiles {
    /**
     * @param {HTMLElement} root the canvas's element
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor" | "opening">} workbench
     * @param {import("../picture/picture_set.mjs").PictureSet} pictures
     * @param {import("./film.mjs").Film} film
     */
    constructor(root, {api, editor, opening}, pictures, film) {
        this.pictures = pictures;
        this.film = film;
        this.root = root;
        this.api = api;
        this.editor = editor;
        this.opening = opening;
        this.input = h("input.cp-file", {type: "file", multiple: true, accept: `image/*,.tif,.tiff,.heic,.heif,.avif,${CLIPS}`, tabIndex: -1, "aria-hidden": "true"});
    }

    /** `wanted(target)`: whether a paste there is meant for the canvas. `taken(file, event)`: whether somebody else takes a picture that was
     * dropped there. */
    listen(listeners, wanted, taken = (_file, _event) => false) {
        const {root} = this;
        listeners.on(this.input, "change", () => {
            const files = [...this.input.files];
            if (files.length) this.open(files);
            this.input.value = "";
        });
        this.#drop(root, listeners, taken);
        listeners.on(document, "paste", (event) => {
            if (!wanted(event.target)) return;
            const files = picturesIn(event.clipboardData);
            if (files.length) this.open(files);
            else if (event.clipboardData?.types.includes("Files")) this.#none();
            else return;
            event.preventDefault();
        });
    }

    #drop(root, listeners, taken) {
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
            const files = picturesIn(event.dataTransfer);
            if (files.length === 1 && !isVideo(files[0]) && taken(files[0], event)) return;
            if (files.length) this.open(files);
            else this.#none();
        });
    }

    #none() {
        this.editor.emit("error", new ApiError(0, {error: "InvalidInput", message: t("error.no_picture")}));
    }

    /** One picture takes the place of the one that is open; several, or one more of several, stand beside it. A clip has its own place. @param {File[]} files */
    async open(files) {
        if (await this.film.take(files)) return undefined;
        return files.length > 1 || this.pictures.shown ? this.pictures.add(files) : this.opening.open(files[0], files[0].name);
    }

    choose() {
        this.input.click();
    }

    /** Let the browser download the picture shown, in the format of the options, and the program put it into its folder for saved ones;
     * whether that worked. */
    async save() {
        const {editor} = this;
        if (!editor.ready) return false;
        if (editor.clip) return this.#saveClip();
        const {format, quality} = editor.options;
        const wanted = {version: editor.state.version, format, quality: format === "jpeg" || format === "webp" ? quality : null};
        try {
            this.#hand(await this.api.file(`workspaces/${editor.id}/image`, {...wanted, download: 1}));
            editor.keepSaved();
            if (!editor.capabilities?.public) await this.api.save(editor.id, wanted);
            return true;
        } catch (error) {
            editor.emit("error", error);
            return false;
        }
    }

    async #saveClip() {
        const saved = await this.editor.report("export", this.film.clip.file().then((file) => (this.#hand(file), true)));
        return Boolean(saved);
    }

    /**
     * Let the browser download a version of a workspace, in the format that its picture came in.
     *
     * @param {string} id
     * @param {number} version
     */
    async download(id, version) {
        try {
            this.#hand(await this.api.file(`workspaces/${id}/image`, {version, format: "source", download: 1}));
            if (this.editor.state.workspace?.id === id && this.editor.state.version === version) this.editor.keepSaved();
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    /** Let the browser download all open pictures as one file. */
    async downloadAll() {
        try {
            this.#hand(await this.pictures.archive());
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    /** Save all open pictures in the program's folder. */
    async saveAll() {
        try {
            this.editor.emit("done", {key: "again.saved", n: await this.pictures.save()});
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    #hand({blob, name}) {
        downloaded(this.root, blob, name);
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
