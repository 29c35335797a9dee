/** Puts together what works on one picture. Each part of the page takes from here what it needs. */

import {Diffusion} from "./diffusion.mjs";
import {Editor} from "./editor.mjs";
import {MaskDetail, maskSide} from "./mask_detail.mjs";
import {Opening} from "./opening.mjs";
import {Previews} from "./previews.mjs";
import {Selecting} from "./selecting.mjs";
import {Shadows} from "./shadows.mjs";
import {Timeline} from "./timeline.mjs";
import {Versions} from "./versions.mjs";

export class Workbench {
    /**
     * @param {import("../server/api.mjs").Api} api
     * @param {import("./viewport.mjs").View} view
     */
    constructor(api, view) {
        this.api = api;
        const editor = (this.editor = new Editor(view));
        this.versions = new Versions(editor, api);
        this.selecting = new Selecting(editor, api);
        this.shadows = new Shadows(editor, api, () => this.diffusion.action === "remove" && editor.options.eraser !== "diffusion");
        this.timeline = new Timeline(editor, api, this.versions, this.shadows);
        this.diffusion = new Diffusion(editor, api, this.timeline);
        this.opening = new Opening(editor, api, this.versions, this.diffusion);
        this.previews = new Previews(editor, api);
        this.detail = new MaskDetail(editor, api);
        api.maskSide = () => maskSide(editor);
    }

    /**
     * Remove what is selected.
     *
     * @param {Record<string, any>} options of the canvas that change with it; the eraser "diffusion" is the host's checkpoint
     * @param {Record<string, any>} values of the page's widgets: how the checkpoint is to paint
     */
    remove(options = {}, values = {}) {
        const {editor} = this;
        Object.assign(editor.options, options);
        if (editor.clip) return editor.clip.erase(editor.options);
        editor.options.eraser = editor.engineName("erasers", editor.options.eraser);
        if (editor.options.eraser !== "diffusion") return this.timeline.erase();
        const {auto_edge, grow, feather} = editor.options, edge = auto_edge ? {} : {grow, feather};
        return this.diffusion.paint("remove", {...values, ...edge});
    }

    dispose() {
        this.previews.stop();
        this.shadows.stop();
        this.detail.stop();
        this.diffusion.dispose();
    }
}
