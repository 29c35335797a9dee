/** All that the canvas has for several open pictures: the set itself, its row below the stage, and the question of doing the same to all. */

import {PictureSet} from "../picture/picture_set.mjs";
import {PictureStrip} from "./picture_strip.mjs";
import {SameAgainDialog} from "./same_again_dialog.mjs";

export class SeveralPictures {
    /**
     * @param {import("../picture/workbench.mjs").Workbench} workbench
     * @param {() => import("./picture_files.mjs").PictureFiles} files
     * @param {Storage | null} storage where it is kept over a reload of the page which there are
     */
    constructor(workbench, files, storage) {
        this.opening = workbench.opening;
        this.storage = storage;
        this.key = `${workbench.api.base}pictures`;
        this.set = new PictureSet(workbench);
        this.dialog = new SameAgainDialog(this.set);
        const actions = {add: () => files().choose(), again: () => this.dialog.open(), download: () => files().downloadAll(), save: () => files().saveAll()};
        this.strip = new PictureStrip(this.set, actions);
    }

    /** Nothing has to be asked before one of several makes room for another: it stays. */
    keepOpen() {
        const {opening, set} = this, ask = opening.mayOpen;
        opening.mayOpen = async () => set.holds(set.workbench.editor.state.workspace?.id) || ask();
    }

    /** @param {import("../common/dom.mjs").Listeners} listeners */
    listen(listeners) {
        listeners.on(globalThis, "pagehide", () => {
            const remembered = this.set.remembered();
            if (remembered.length) this.storage?.setItem(this.key, JSON.stringify(remembered));
        });
        listeners.on(globalThis, "pageshow", () => this.#take()); // brought back as it was
    }

    /** Those of before a reload of the page are there again. */
    resume() {
        const remembered = this.#take();
        if (remembered) this.set.resume(remembered);
    }

    /** Once, so that a copy of the tab never gets it. */
    #take() {
        const kept = this.storage?.getItem(this.key) ?? null;
        this.storage?.removeItem(this.key);
        return kept === null ? null : JSON.parse(kept);
    }
}
