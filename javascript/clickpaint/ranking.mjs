/** How well each of a painting's results fits its prompt, by CLIP. Asked for only while the user wants it. */

/** The index of the best of several scores; null where there is nothing to choose from. */
export function bestOf(scores) {
    return scores && scores.length > 1 ? scores.indexOf(Math.max(...scores)) : null;
}

export class Ranking {
    #asked = null;
    #known = null;

    /** @param storage where the user's wish is kept, null for nowhere */
    constructor(editor, storage) {
        Object.assign(this, {editor, storage, scores: null, available: false, reason: ""});
        this.key = `${editor.api.base}rank`;
        this.on = storage?.getItem(this.key) === "on";
    }

    /** Whether there is something to rank. */
    get possible() {
        const {results, asked} = this.editor.painting;
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
        const {editor} = this, {results} = editor.painting;
        if (results !== this.#asked) this.scores = null;
        if (!this.possible) return;
        this.#known ??= editor.api.captioners().then(({controls}) => this.#learn(controls.clip), () => (this.#known = null));
        if (!this.on || !this.available || results === this.#asked) return;
        this.#asked = results;
        this.#rank(results);
    }

    #learn({available, reason}) {
        Object.assign(this, {available, reason});
        this.editor.changed();
    }

    async #rank(results) {
        const {editor} = this, {asked} = editor.painting, {id} = editor;
        const answer = await editor.beside("rank", () => editor.api.rank(id, asked.prompt));
        if (!answer || editor.painting.results !== results) return;
        this.scores = answer.scores;
        editor.changed();
    }
}
