/** Several pictures that are open at once: which there are, which one is shown, and what was done to each. Knows no elements of the page. */

import {contextOf} from "../common/context.mjs";
import {SameAgain} from "./same_again.mjs";

/** Of a thumbnail's longer side, in pixels. */
const THUMBNAIL = 160;

/**
 * One of the pictures.
 *
 * @typedef {object} Entry
 * @property {string} name of its file
 * @property {Blob | null} blob its file, as long as no workspace has it
 * @property {string | null} id of its workspace; null before it was opened
 * @property {number} version shown last, 0 for the original
 * @property {any} kept what `Opening.restore` needs besides the id
 * @property {"" | "working" | "done" | "failed"} state of doing the same again
 * @property {any} error why it failed; null for nothing
 * @property {boolean} saved whether what it shows was saved
 * @property {OffscreenCanvas | null} thumbnail
 */

/** Events: "change" (what is shown of it is to be drawn anew). */
export class PictureSet extends EventTarget {
    /** @type {Entry[]} */
    entries = [];
    /** What was done last to a picture, so that it can be done to others. @type {import("./same_again.mjs").Deed | null} */
    deed = null;
    #busy = false;
    /** The one that is opened now. @type {Entry | null} */
    #opening = null;

    /** @param {import("./workbench.mjs").Workbench} workbench */
    constructor(workbench) {
        super();
        this.workbench = workbench;
        this.again = new SameAgain(this);
        const {editor, opening} = workbench;
        opening.stays = (id) => this.holds(id);
        editor.addEventListener("opened", (event) => this.#opened(/** @type {CustomEvent} */ (event).detail));
        editor.addEventListener("result", () => this.#made());
        editor.addEventListener("done", (event) => this.#did(/** @type {CustomEvent} */ (event).detail.key));
        editor.addEventListener("change", () => this.#follow());
    }

    /** Whether there is more than one picture, so that they are shown. */
    get shown() {
        return this.entries.length > 1;
    }

    /** The entry of the picture that is open; undefined for none. */
    get current() {
        const id = this.workbench.editor.state.workspace?.id;
        return id === undefined ? undefined : this.entries.find((entry) => entry.id === id);
    }

    /** Whether a workspace is one of several, so that nothing of it is lost when another picture is shown. */
    holds(id) {
        return this.shown && this.entries.some((entry) => entry.id === id);
    }

    tell() {
        this.dispatchEvent(new CustomEvent("change"));
    }

    /**
     * Pictures were chosen: they join those that are here, and the first of them is shown.
     *
     * @param {File[]} files
     */
    async add(files) {
        const {editor} = this.workbench;
        if (editor.ready && !this.current) this.entries.push(this.#entry(editor.state.name, null, editor.id, editor.state.version));
        const added = files.map((file) => this.#entry(file.name, file, null));
        this.entries.push(...added);
        this.tell();
        const shown = this.show(added[0]);
        for (const entry of added) await this.#draw(entry, entry.blob);
        return shown;
    }

    #entry(name, blob, id, version = 0) {
        /** @type {Entry} */
        const entry = {name, blob, id, version, kept: null, state: "", error: null, saved: false, thumbnail: null};
        if (id) this.#drawShown(entry);
        return entry;
    }

    /**
     * Show one of them; the one before stays as it is.
     *
     * @param {Entry} entry
     */
    async show(entry) {
        const {editor, opening} = this.workbench;
        if (this.#busy || entry === this.current) return;
        this.#busy = true;
        this.#opening = entry;
        try {
            await editor.changes.idle();
            this.keep();
            if (entry.id) await opening.restore({id: entry.id, name: entry.name, painted: entry.kept});
            else if (entry.blob) await opening.open(entry.blob, entry.name);
        } finally {
            this.#busy = false;
            this.#opening = null;
            this.tell();
        }
    }

    /** The one before (-1) or after (1) the one shown. */
    step(way) {
        const {current} = this, at = current ? this.entries.indexOf(current) : -1, next = this.entries[at + way];
        return next && this.show(next);
    }

    /** Remember of the picture shown what the server does not tell. */
    keep() {
        const {current, workbench: {diffusion}} = this;
        if (current) current.kept = diffusion.kept();
    }

    /**
     * One leaves; where it is shown, its neighbour is. Its workspace stays in the history.
     *
     * @param {Entry} entry
     */
    async remove(entry) {
        const at = this.entries.indexOf(entry), shown = entry === this.current, neighbour = this.entries[at + 1] ?? this.entries[at - 1];
        if (at < 0 || entry.state === "working") return;
        if (shown && neighbour) await this.show(neighbour);
        this.entries = this.entries.filter((other) => other !== entry);
        if (entry.id && this.workbench.editor.state.workspace?.id !== entry.id) this.workbench.api.close(entry.id, true).catch(() => {});
        if (this.entries.length === 1 && this.entries[0].id) this.entries = [];
        this.tell();
    }

    /** What `resume` takes after a reload of the page: those that the server has. */
    remembered() {
        this.keep();
        return (this.shown ? this.#known : []).map(({name, id, version, kept, saved}) => ({name, id, version, kept, saved}));
    }

    /** The pictures of before a reload of the page. @param {Entry[]} remembered */
    async resume(remembered) {
        this.entries = remembered.map((one) => ({...one, blob: null, state: "", error: null, thumbnail: null}));
        this.tell();
        for (const entry of this.entries) await this.#draw(entry, await this.workbench.api.thumbnail(entry.id).catch(() => null));
    }

    /** The files of all in one. @returns {Promise<{blob: Blob, name: string}>} */
    async archive() {
        const {api, editor} = this.workbench, {format, quality} = editor.options, entries = this.#known;
        const file = await api.archive({pictures: entries.map(({id, version}) => ({workspace: id, version})), ...formatOf(format, quality)});
        this.#saved(entries);
        return file;
    }

    /** Save all in the program's folder; how many. */
    async save() {
        const {api, editor} = this.workbench, {format, quality} = editor.options, entries = this.#known;
        for (const {id, version} of entries) if (id) await api.save(id, {version, ...formatOf(format, quality)});
        this.#saved(entries);
        return entries.length;
    }

    /** Those that the server has. */
    get #known() {
        return this.entries.filter((entry) => entry.id !== null);
    }

    #saved(entries) {
        for (const entry of entries) entry.saved = true;
        if (this.current) this.workbench.editor.keepSaved();
        this.tell();
    }

    /** A picture was opened, by us or by somebody else. */
    #opened({id, name, version = 0}) {
        const opened = this.entries.find((entry) => entry.id === id) ?? this.#opening;
        if (opened && this.entries.includes(opened)) Object.assign(opened, {id, version, blob: null});
        else if (this.entries.length) this.entries.push(this.#entry(name ?? "", null, id, version));
        this.tell();
    }

    /** @param {string} key of what was done to the open picture */
    #did(key) {
        const {diffusion, editor, timeline} = this.workbench;
        if ((key !== "removed" && key !== "painted") || editor.clip) return;
        const body = key === "painted" ? diffusion.asked : null, of = {workspace: editor.id, version: editor.state.version};
        this.deed = {task: body?.task ?? "remove", body, options: timeline.erased, of};
        this.tell();
    }

    /** The open picture was changed. */
    #made() {
        const {current, workbench} = this, {editor} = workbench;
        if (!current) return;
        Object.assign(current, {version: editor.state.version, saved: false, state: ""});
        this.#drawShown(current);
        this.tell();
    }

    /** Undo, redo and saving change what an entry says, too. */
    #follow() {
        const {current, workbench: {editor}} = this;
        if (!current) return;
        const {version} = editor.state, saved = version > 0 && !editor.unsaved;
        if (current.version === version && current.saved === saved) return;
        if (current.version !== version) this.#drawShown(current);
        Object.assign(current, {version, saved});
        this.tell();
    }

    #drawShown(entry) {
        const {editor, versions} = this.workbench, shown = versions.at(editor.state.version);
        const level = shown?.at(THUMBNAIL / Math.max(shown.width, shown.height, 1));
        if (level) entry.thumbnail = small(level);
    }

    /**
     * The picture of an entry that is not shown.
     *
     * @param {Entry} entry
     * @param {Blob | null} blob
     */
    async #draw(entry, blob) {
        const bitmap = blob && (await createImageBitmap(blob).catch(() => null)); // what only the server can read stays without
        if (!bitmap) return;
        if (entry !== this.current || !entry.thumbnail) entry.thumbnail = small(bitmap);
        bitmap.close();
        this.tell();
    }

    /**
     * An entry has another picture, by other means than the canvas's.
     *
     * @param {Entry} entry
     * @param {Record<string, any>} answer the server's
     */
    async changed(entry, {version, width, height}) {
        const {id} = entry, {opening} = this.workbench;
        Object.assign(entry, {version, saved: false, kept: null});
        if (id && entry === this.current) await opening.restore({id, name: entry.name, painted: null});
        if (id) await this.#draw(entry, await this.workbench.api.picture(id, version, [0, 0, width, height]).catch(() => null));
    }
}

/** How files are written, as the API takes it. */
const formatOf = (format, quality) => ({format, quality: format === "jpeg" || format === "webp" ? quality : null});

/** A small copy of a picture. */
function small(bitmap) {
    const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
    const canvas = new OffscreenCanvas(Math.max(Math.round(bitmap.width * scale), 1), Math.max(Math.round(bitmap.height * scale), 1));
    const context = contextOf(canvas);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
}
