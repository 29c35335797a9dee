/** What was done to one picture, done to others: the selection is found in each, then the same task begins, one picture after another. */

/**
 * What was done.
 *
 * @typedef {object} Deed
 * @property {string} task "remove", "fill" …
 * @property {Record<string, any> | null} body of the painting's request; null where the eraser did it
 * @property {Record<string, any>} options of the eraser
 * @property {{workspace: string, version: number}} of the picture that it made, and its workspace; what was selected then counts
 */

/**
 * Where it is done: in the same place, in what the segmenter finds in the same box, or in what words name.
 *
 * @typedef {{how: "place" | "box"} | {how: "words", phrase: string}} Where
 */

/** Tasks that need no selection. */
const WHOLE = new Set(["expand", "instruct", "edit", "vary"]);

export class SameAgain {
    /** The entry that is worked on. @type {import("./picture_set.mjs").Entry | null} */
    at = null;
    /** How many pictures it is done to. */
    total = 0;
    #stopped = false;

    /** @param {import("./picture_set.mjs").PictureSet} pictures */
    constructor(pictures) {
        this.pictures = pictures;
    }

    get running() {
        return this.at !== null;
    }

    /** Whether it needs a selection in each picture. */
    static selects(deed) {
        return !WHOLE.has(deed.task);
    }

    /**
     * Do it to some pictures; of each its entry tells how it went.
     *
     * @param {import("./picture_set.mjs").Entry[]} entries
     * @param {Deed} deed
     * @param {Where} where
     */
    async run(entries, deed, where) {
        if (this.running) return;
        this.#stopped = false;
        this.total = entries.length;
        for (const entry of entries) Object.assign(entry, {state: "", error: null});
        for (const entry of entries) {
            if (this.#stopped) break;
            this.at = entry;
            entry.state = "working";
            this.pictures.tell();
            try {
                await this.#do(entry, deed, where);
                entry.state = "done";
            } catch (error) {
                Object.assign(entry, this.#stopped ? {state: ""} : {state: "failed", error});
            }
        }
        this.at = null;
        this.pictures.tell();
    }

    /** Stop after what is under way was interrupted. */
    stop() {
        this.#stopped = true;
        return this.at?.id ? this.pictures.workbench.api.interrupt(this.at.id).catch(() => {}) : undefined;
    }

    async #do(entry, deed, where) {
        const {api, editor} = this.pictures.workbench;
        if (!entry.id) {
            const answer = await api.open(entry.blob, entry.name);
            Object.assign(entry, {id: answer.id, blob: null});
        }
        const {id} = entry, {segmenter} = editor.options;
        if (SameAgain.selects(deed)) {
            if (where.how === "words") await api.find(id, {phrase: where.phrase, mode: "replace", segmenter});
            else await api.selectAsIn(id, {...deed.of, how: where.how, segmenter});
        }
        if (this.#stopped) throw new Error("stopped");
        const answer = await (deed.body ? api.paint(id, deed.body) : api.erase(id, deed.options));
        await this.pictures.changed(entry, answer);
    }
}
