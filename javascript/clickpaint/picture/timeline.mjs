/** Steps to another picture: erasing, painting's results, undo and redo. */

import {t} from "../language/language.mjs";
import {ApiError} from "../server/api.mjs";
import {showSelection} from "./selecting.mjs";

export class Timeline {
    /** How something was removed last: the body of the request. @type {Record<string, any>} */
    erased = {};

    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     * @param {import("./versions.mjs").Versions} versions
     * @param {Pick<import("./shadows.mjs").Shadows, "taken">} shadows
     */
    constructor(editor, api, versions, shadows) {
        this.editor = editor;
        this.api = api;
        this.versions = versions;
        this.shadows = shadows;
    }

    /**
     * A step to another picture, maybe of another size.
     *
     * @param {string} kind of the task
     * @param {() => Promise<any>} ask resolves to the server's answer
     * @param {[number, number]} [margins] left and top, that were added to the picture
     */
    repaint(kind, ask, margins) {
        const {editor} = this;
        if (editor.clip) return Promise.resolve(editor.emit("error", new ApiError(0, {error: "InvalidInput", message: t("clip.pictures"), remedy: t("clip.pictures.remedy")})));
        return editor.change(kind, async () => {
            const answer = await ask();
            await this.versions.show(answer.version, null, answer);
            await showSelection(editor, answer.selection, answer);
            editor.leaveEverything();
            editor.state.painted(answer, margins);
            editor.followSize();
            editor.emit("result", {workspace: editor.id, version: answer.version});
            return answer;
        });
    }

    /**
     * Let a part of the picture take its place.
     *
     * @param {import("../server/answers.mjs").Box} box
     */
    async crop(box) {
        const {editor} = this, answer = await this.repaint("crop", () => this.api.request("POST", `workspaces/${editor.id}/crop`, {body: {box}}), [-box[0], -box[1]]);
        if (answer) editor.emit("done", {key: "cropped", size: t("dimensions", answer)});
        return answer;
    }

    /**
     * Remove what is selected, by the eraser of the options.
     *
     * @param {Record<string, unknown>[]} [operations] as the API takes them: what they select instead; the selection stays then
     */
    erase(operations = []) {
        const {editor} = this;
        return editor.change("erase", async () => {
            if (!operations.length && !editor.state.selection) throw new ApiError(400, {error: "NoSelection"});
            const {eraser, auto_edge, grow, feather, grain} = editor.options, edge = auto_edge ? {grow: "auto", feather: "auto"} : {grow, feather};
            const wanted = {
                eraser: eraser === "diffusion" ? null : eraser, ...edge, shadow: !operations.length && this.shadows.taken,
                ...(editor.choosesGrain ? {grain} : {}),
            };
            if (!operations.length) this.erased = wanted; // what can be done to other pictures, too
            const answer = await this.api.erase(editor.id, {...wanted, operations});
            editor.eraser = answer.eraser;
            await this.versions.show(answer.version, answer.changed, editor.size);
            if (!operations.length) editor.setLayer(null);
            editor.leaveEverything();
            editor.state.painted(answer);
            editor.emit("done", {key: "removed", milliseconds: answer.milliseconds});
            editor.emit("result", {workspace: editor.id, version: answer.version});
            return answer;
        });
    }

    undo() {
        return this.#travel("undo");
    }

    redo() {
        return this.#travel("redo");
    }

    /** @param {"undo" | "redo"} way */
    #travel(way) {
        const {editor} = this;
        if (!editor.ready) return undefined;
        return editor.change("timeline", async () => {
            if (!(way === "undo" ? editor.state.canUndo : editor.state.canRedo)) return;
            const answer = await this.api[way](editor.id);
            await this.versions.show(answer.version, answer.changed ?? null, answer);
            await showSelection(editor, answer.selection, answer);
            editor.state[way === "undo" ? "undone" : "redone"](answer);
            editor.followSize();
            editor.emit("done", {key: way === "undo" ? "undone" : "redone"});
        });
    }
}
