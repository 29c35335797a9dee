/**
 * A clip that is open: which frame the canvas shows, what is followed through it, and in which range. Knows no elements of the page.
 *
 * A frame becomes a workspace of the server, as a picture is one, when it is first worked on: all that selects in pictures selects in frames.
 * What is selected in it then is where the object is, and goes to the clip.
 */

import {Videos} from "../server/videos.mjs";
import {ClipFacts} from "./clip_facts.mjs";
import {ClipFrames, widthFor} from "./clip_frames.mjs";
import {ClipMasks} from "./clip_masks.mjs";
import {ClipWork} from "./clip_work.mjs";
import {FrameWorkspace} from "./frame_workspace.mjs";
import {neighbour, timesOf, within} from "./frame_times.mjs";
import {Player} from "./player.mjs";

/** @typedef {import("../server/videos.mjs").VideoAnswer} VideoAnswer */

/** Events: "change" (what is shown of it is to be drawn anew), "strip" (its thumbnails are others). */
export class Clip extends ClipFacts {
    /** The frame as it is, and as it was. @type {{now: import("./clip_frames.mjs").FramePicture | null, before: import("./clip_frames.mjs").FramePicture | null}} */
    stills = {now: null, before: null};
    /** All masks of the frame shown. @type {Map<string, import("./clip_masks.mjs").FrameMask>} */
    frameMasks = new Map();
    /** The picture that was open before, as `Opening.restore` takes it. @type {any} */
    #before = null;
    #savedVersion = 0;
    /** @type {Promise<void> | null} */
    #seeking = null;

    /** @param {import("../picture/workbench.mjs").Workbench} workbench */
    constructor(workbench) {
        super();
        const {editor} = workbench, {view} = editor;
        this.workbench = workbench;
        this.editor = editor;
        this.videos = new Videos(workbench.api);
        const nearness = () => view.scale * Math.min(globalThis.devicePixelRatio || 1, 2);
        this.frames = new ClipFrames(this.videos, nearness);
        this.masks = new ClipMasks(this.videos, ({width}) => widthFor(width, Math.min(nearness(), 1)));
        this.worked = new FrameWorkspace(this);
        this.work = new ClipWork(this);
        this.player = new Player(this);
        editor.addEventListener("opened", () => this.#displaced());
        editor.addEventListener("view", () => this.#sharpen());
    }

    get unsaved() {
        return this.version > 0 && this.version !== this.#savedVersion;
    }

    get canUndo() {
        return this.editor.state.past.length > 0 || this.work.canUndo;
    }

    get canRedo() {
        return this.editor.state.future.length > 0 || this.work.canRedo;
    }

    /** What the canvas draws. */
    get pictures() {
        return this.player.pictures ?? this.stills;
    }

    /** The masks that are drawn besides the selection. */
    get others() {
        if (!this.masksShown) return [];
        const shown = this.player.playing ? this.player.masks : this.frameMasks;
        return [...shown].filter(([object]) => this.player.playing || object !== this.object).map(([object, {layer}]) => ({layer, colour: this.colourOf(object)}));
    }

    tell() {
        this.dispatchEvent(new Event("change"));
        this.editor.redraw();
    }

    /**
     * Open a file in the place of what is open; that comes back when the clip is closed.
     *
     * @param {File} file
     */
    async load(file) {
        const {editor, workbench} = this;
        await editor.changes.idle();
        if (this.info && !(await workbench.opening.mayOpen())) return undefined;
        return editor.change("open", async () => this.#begin(await this.videos.open(file, file.name)));
    }

    /**
     * A clip that the server makes of the open picture takes its place; the picture comes back when the clip is closed.
     *
     * @param {string} kind of the task
     * @param {(id: string) => Promise<VideoAnswer>} ask gets the picture's workspace
     */
    async made(kind, ask) {
        const {editor} = this;
        await editor.changes.idle();
        return editor.change(kind, async () => this.#begin(await ask(editor.id)));
    }

    /** Go on with what a reload of the page interrupted. @param {any} kept see `kept` @param {Promise<void>} seen when the canvas is seen for the first time */
    resume(kept, seen) {
        const {editor} = this;
        editor.restore({id: "", name: kept.name});
        const resuming = async () => {
            await seen;
            if (kept.workspace) this.workbench.api.close(kept.workspace).catch(() => {});
            const answer = await this.videos.get(kept.id).catch((error) => (error.kind === "NotFound" ? null : Promise.reject(error)));
            return answer && this.#begin(answer, kept);
        };
        return editor.change("open", () => resuming().finally(() => editor.restore(null)));
    }

    /** One of before takes the place of what is open. @param {{id: string, name: string}} past */
    async reopen(past) {
        const {editor, workbench} = this;
        await editor.changes.idle();
        return !this.info || (await workbench.opening.mayOpen()) ? this.resume(past, Promise.resolve()) : undefined;
    }

    /** What `resume` takes. */
    kept() {
        const {info, frame, object, masksShown} = this;
        return info && {id: info.id, name: info.name, workspace: this.editor.state.workspace?.id, frame, object, masksShown, saved: this.#savedVersion, before: this.#before};
    }

    /** @param {VideoAnswer} answer @param {any} [kept] */
    async #begin(answer, kept = null) {
        const {editor, workbench} = this, {state} = editor;
        this.player.forget();
        if (this.info) this.worked.leave();
        else this.#before = kept && "before" in kept ? kept.before : editor.ready ? {id: editor.id, name: state.name, painted: workbench.diffusion.kept()} : null;
        this.frames.forget();
        this.masks.clear();
        this.info = answer;
        this.times = timesOf(answer, answer.timestamps);
        this.frame = within(kept?.frame ?? answer.in_mark, answer.frames);
        this.object = kept?.object ?? answer.objects[0]?.id ?? "1";
        this.masksShown = kept?.masksShown ?? true;
        this.#savedVersion = kept?.saved ?? answer.version; // of one of the history nothing is lost
        this.stills = {now: null, before: null};
        this.frameMasks = new Map();
        editor.use("click");
        editor.clip = this;
        editor.hover(null);
        workbench.versions.begin({id: ""}, new Map());
        workbench.diffusion.forget();
        workbench.diffusion.setTask(workbench.diffusion.task);
        this.#swap();
        editor.view.setPicture(answer.width, answer.height);
        editor.radius = Math.max(Math.round(Math.min(answer.width, answer.height) / 28), 4);
        editor.viewChanged();
        this.dispatchEvent(new Event("strip"));
        this.show(this.frame); // behind this change, for which it waits
        this.work.resume();
        return answer;
    }

    /** Back to pictures: the one that was open before, or none. The server keeps the clip. */
    async close() {
        const {editor, workbench} = this;
        if (!this.info || !(await workbench.opening.mayOpen())) return;
        this.player.pause();
        await this.worked.settled();
        this.worked.leave();
        const before = this.#before;
        this.end();
        editor.setLayer(null);
        editor.state.close();
        editor.leaveEverything();
        if (before) await workbench.opening.restore(before);
    }

    /** Nothing of a clip is here any more. */
    end() {
        this.player.forget();
        this.info = this.editor.clip = this.#before = null;
        this.stills = {now: null, before: null};
        this.frames.forget();
        this.masks.clear();
        this.tell();
    }

    /** A picture took the clip's place. */
    #displaced() {
        if (!this.info) return;
        const before = this.#before?.id;
        if (before && !this.workbench.opening.stays(before)) this.workbench.api.close(before, true).catch(() => {});
        this.end();
    }

    /**
     * Show a frame; asked for another one meanwhile, that one instead.
     *
     * @param {number} number
     */
    show(number) {
        this.player.pause();
        this.frame = within(number, this.open.frames);
        this.tell();
        this.#seeking ??= this.#seek().finally(() => (this.#seeking = null));
        return this.#seeking;
    }

    async #seek() {
        try {
            for (let shown = -1; this.info && shown !== this.frame; ) {
                const {info, frame, version} = this, number = (shown = frame);
                const [now, masks] = await Promise.all([this.frames.get(info, version, number), this.masks.at(info, number)]);
                await this.editor.changes.idle();
                if (this.info?.id !== info.id) return;
                this.stills = {now, before: this.frames.known(0, number)};
                this.#swap(number, masks);
            }
            await this.#compare();
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    /** The frame as it came in, once the other one is seen. */
    async #compare() {
        const {info, frame, stills} = this;
        if (!info || !info.version || stills.before) return;
        const before = await this.frames.get(info, 0, frame);
        if (this.stills !== stills) return;
        stills.before = before;
        this.editor.redraw();
    }

    /** The view came nearer than the frame is sharp. */
    #sharpen() {
        const {now} = this.stills;
        if (!this.info || !now || this.player.playing || this.frames.sharp(now) || this.#seeking) return;
        this.#seeking = this.#sharper().finally(() => (this.#seeking = null));
    }

    async #sharper() {
        const {info, frame, version} = this, now = info && (await this.frames.get(info, version, frame).catch(() => null));
        if (!now || frame !== this.frame) return;
        this.stills = {...this.stills, now};
        this.editor.redraw();
    }

    /** Another frame, or the same with other masks, is what the canvas works on. */
    #swap(number = this.frame, masks = this.frameMasks) {
        const {editor, open: {id, name, width, height, version}} = this, mask = this.masksShown ? masks.get(this.object) : undefined;
        this.worked.leave();
        this.frameMasks = masks;
        editor.state.open({id: "", frame: `${id} ${number} ${version} ${this.object}`, name, width, height, format: "png"});
        this.worked.show(mask ? {mask: "", box: mask.box, area: mask.area} : null);
        editor.setLayer(mask?.layer ?? null);
        editor.pending = [];
        this.workbench.versions.cover(null);
        if (editor.regions) editor.leaveEverything();
        editor.emit("frame");
        editor.changed();
        this.tell();
    }

    /** See `OpenClip`. */
    begin() {
        return this.worked.begin();
    }

    /** Ask what the server knows of the clip now. */
    async refresh() {
        const {info} = this, answer = info && (await this.videos.get(info.id));
        if (answer && this.info?.id === answer.id) this.become(answer);
        return answer;
    }

    /** @param {VideoAnswer} answer */
    become(answer) {
        const other = answer.version !== this.version;
        this.info = answer;
        if (other) this.dispatchEvent(new Event("strip"));
        this.tell();
    }

    /** The frame shown once more: another version of it, or other masks. */
    again() {
        if (!this.info) return undefined;
        this.frameMasks = new Map();
        return this.show(this.frame);
    }

    /** @param {number} way */
    step(way) {
        return this.show(this.frame + way);
    }

    /** The next frame that was corrected or is doubtful. @param {number} way */
    mark(way) {
        const ends = this.current.doubtful.flat(), next = neighbour([...this.corrected, ...ends], this.frame, way);
        return next === null ? undefined : this.show(next);
    }

    /** The frame shown becomes the first or the last that is worked on; if it is, the clip's own is. @param {"in_mark" | "out_mark"} which */
    limit(which) {
        const {open: {id, frames, ...marks}, frame} = this, own = {in_mark: 0, out_mark: frames - 1}, place = marks[which] === frame ? own[which] : frame;
        const moved = {in_mark: marks.in_mark, out_mark: marks.out_mark};
        moved[which] = own[which] = place;
        const wanted = moved.in_mark <= moved.out_mark ? moved : own;
        return this.editor.report("mark", this.videos.mark(id, wanted).then((answer) => this.become(answer)));
    }

    /** @param {string} object */
    async choose(object) {
        if (object === this.object) return;
        await this.worked.settled();
        this.object = object;
        this.masksShown = true;
        await this.again();
    }

    /** One more object. */
    add() {
        const numbers = this.open.objects.map(({id}) => Number(id)).filter(Number.isFinite);
        return this.choose(`${Math.max(0, ...numbers) + 1}`);
    }

    /** An object is not followed any more. @param {string} object */
    async drop(object) {
        await this.worked.settled();
        const {open} = this, known = open.objects.some(({id}) => id === object);
        if (known) await this.editor.report("mark", this.videos.forget(open.id, object));
        this.masks.forget(object);
        await this.refresh();
        if (object === this.object) this.object = this.open.objects[0]?.id ?? "1";
        await this.again();
    }

    async showMasks(shown = !this.masksShown) {
        await this.worked.settled();
        this.masksShown = shown;
        await this.again();
    }

    undo() {
        return this.editor.state.past.length ? this.workbench.timeline.undo() : this.work.travel("undo");
    }

    redo() {
        return this.editor.state.future.length ? this.workbench.timeline.redo() : this.work.travel("redo");
    }

    /** See `OpenClip`. @param {Record<string, any>} options of the canvas */
    erase(options = this.editor.options) {
        return this.work.erase(options);
    }

    /** See `OpenClip`. @param {string} task @param {Record<string, any>} body */
    paint(task, body) {
        return this.work.paint(task, body);
    }

    /** The result as a file, in its own container. */
    async file() {
        const {version} = this, file = await this.work.patiently((id) => this.videos.file(id, version));
        this.#savedVersion = version;
        this.tell();
        return file;
    }
}
