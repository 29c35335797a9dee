/** How well each of a painting's results fits its prompt, by CLIP. Asked for only while the user wants it. */

import {said} from "../language/server_sentences.mjs";

/** The index of the best of several scores; null where there is nothing to choose from. */
export function bestOf(scores) {
    return scores && scores.length > 1 ? scores.indexOf(Math.max(...scores)) : null;
}

export class Ranking {
    /** The results that were ranked last. @type {any[] | null} */
    #asked = null;
    /** @type {Promise<unknown> | null} */
    #known = null;

    /** How well each result fits, while that is known. @type {number[] | null} */
    scores = null;
    /** Whether there is a CLIP, and if not, why. */
    available = false;
    reason = "";

    /**
     * @param {Pick<import("./workbench.mjs").Workbench, "api" | "editor" | "diffusion">} workbench
     * @param {Storage | null} storage where the user's wish is kept, null for nowhere
     */
    constructor({api, editor, diffusion}, storage) {
        this.api = api;
        this.editor = editor;
        this.diffusion = diffusion;
        this.storage = storage;
        this.key = `${api.base}rank`;
        this.on = storage?.getItem(this.key) === "on";
    }

    /** Whether there is something to rank. */
    get possible() {
        const {results, asked} = this.diffusion;
        return results.length > 1 && Boolean(asked?.prompt?.trim());
    }

    set(on) {
        this.on = on;
        this.storage?.setItem(this.key, on ? "on" : "off");
        this.#asked = this.scores = null;
        this.editor.changed();
    }

    /** Models were fetched or deleted: what is available is asked once more. */
    forget() {
        this.#known = null;
        this.editor.changed();
    }

    /** The results may have changed: rank them once, if that is wished for and there is a CLIP. */
    follow() {
        const {results} = this.diffusion;
        if (results !== this.#asked) this.scores = null;
        if (!this.possible) return;
        if (this.#known === null) this.#known = this.api.captioners().then(({controls}) => this.#learn(controls.clip), () => (this.#known = null));
        if (!this.on || !this.available || results === this.#asked) return;
        this.#asked = results;
        this.#rank(results);
    }

    #learn(clip) {
        this.available = clip.available;
        this.reason = said(clip, "reason");
        this.editor.changed();
    }

    async #rank(results) {
        const {editor, diffusion} = this, prompt = diffusion.asked?.prompt, {id} = editor;
        const answer = await editor.beside("rank", () => this.api.rank(id, prompt));
        if (!answer || diffusion.results !== results) return;
        this.scores = answer.scores;
        editor.changed();
    }
}
