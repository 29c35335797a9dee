/** A clip's frame as a workspace of the server, for as long as it is worked on: what is selected in it goes to the clip. */

import {Serial} from "../common/request_order.mjs";
import {urlOf} from "../picture/mask_layer.mjs";

export class FrameWorkspace {
    /** The selection that the clip knows. @type {unknown} */
    #known = null;
    #pushes = new Serial();

    /** @param {import("./clip.mjs").Clip} clip */
    constructor(clip) {
        this.clip = clip;
        this.editor = clip.editor;
        this.api = clip.workbench.api;
        this.videos = clip.videos;
        clip.editor.addEventListener("change", () => this.#follow());
    }

    /** Another frame is shown, in which this is selected. @param {any} selection */
    show(selection) {
        this.editor.state.selection = this.#known = selection;
    }

    /** See `OpenClip`. */
    async begin() {
        const {clip, editor, api} = this, {open, frame, object} = clip, {state} = editor;
        if (!state.workspace || editor.begun) return;
        const shown = state.workspace.frame, file = await this.videos.frame(open.id, frame, {version: open.version, format: "png"});
        const answer = await api.open(file, `${open.name.replace(/\.[^.]*$/, "")}_${frame}.png`), mask = (await clip.masks.at(open, frame)).get(object);
        editor.segmenter = answer.segmenter ?? editor.segmenter;
        let selection = null;
        if (mask) {
            const image = await urlOf(await this.videos.mask(open.id, object, frame));
            ({selection} = await api.adjust(answer.id, [{op: "upload", image, mode: "replace"}]));
        }
        if (state.workspace?.frame !== shown) return void api.close(answer.id).catch(() => {});
        state.workspace = {...state.workspace, id: answer.id};
        this.show(selection);
        if (mask && !editor.layer) editor.setLayer(mask.layer);
        clip.masksShown = true;
    }

    /** The frame that was shown is not worked on any more. */
    leave() {
        const {workspace} = this.editor.state;
        if (workspace?.frame && workspace.id) this.#pushes.idle().then(() => this.api.close(workspace.id)).catch(() => {});
    }

    /** What is selected in the frame changed: that is where the object is. */
    #follow() {
        const {clip, editor} = this, {state} = editor;
        if (!clip.info || !editor.begun || editor.changes.pending || state.selection === this.#known) return;
        this.#known = state.selection;
        const {id, object, frame} = clip, workspace = editor.id, cleared = state.selection === null;
        clip.masksShown = true;
        editor.report("mask", this.#pushes.run(async () => {
            await this.videos.point(id, object, {[frame]: cleared ? null : {mask: await urlOf(await this.api.mask(workspace))}});
            clip.masks.forget(object, frame);
            await clip.refresh();
            if (cleared && clip.frame === frame) await clip.again(); // what a tracker found there is seen again
        }));
    }

    /** Resolves when the server knows all that was selected. */
    async settled() {
        await this.editor.changes.idle();
        await this.#pushes.idle();
    }
}
