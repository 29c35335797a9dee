/** The shadow and the reflection that belong to the selection: looked for after each selection, shown before they are removed with it. */

import {Latest} from "../common/request_order.mjs";
import {layerOf} from "./mask_layer.mjs";

export class Shadows {
    #latest = new Latest();

    /** What was found for the selection. @type {import("./mask_layer.mjs").MaskLayer | null} */
    #layer = null;
    #taken = false;

    /**
     * @param {import("./editor.mjs").Editor} editor
     * @param {import("../server/api.mjs").Api} api
     * @param {() => boolean} removing whether the next task is removing, by an eraser of ours
     */
    constructor(editor, api, removing) {
        this.editor = editor;
        this.api = api;
        this.removing = removing;
        editor.addEventListener("layer", () => this.#look());
    }

    /** What is shown. @type {import("./mask_layer.mjs").MaskLayer | null} */
    get layer() {
        return this.removing() ? this.#layer : null;
    }

    /** For who draws it. */
    get shown() {
        const {layer, taken} = this;
        return layer && {layer, taken};
    }

    /** Whether it goes with the selection. */
    get taken() {
        return this.#taken && this.layer !== null;
    }

    toggle() {
        this.#taken = !this.#taken;
        this.editor.changed();
    }

    stop() {
        this.#latest.cancel();
    }

    /** A selection that changed has another shadow. What goes wrong here is no one's loss: then there is none to take along. */
    async #look() {
        const {editor} = this;
        this.#layer?.close();
        this.#layer = null;
        this.#taken = false;
        if (!editor.layer || !editor.begun || editor.clip) return this.stop();
        const found = await this.#latest
            .run(async (signal) => {
                const {mask, box, sure} = await this.api.shadow(editor.id, signal);
                return {layer: await layerOf(mask, box, editor.size), sure};
            })
            .catch(() => undefined);
        if (!found) return undefined;
        this.#layer = found.layer;
        this.#taken = found.sure;
        return editor.changed();
    }
}
