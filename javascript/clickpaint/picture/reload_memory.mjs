/** What survives the page: which picture was open, what was painted last, and which pictures were ever opened here. */

/** Of how many pictures the browser remembers that they were opened here; the server is asked for those by their ids. */
const MOST = 200;
/** Of how many it remembers what was painted, which may be much. */
const MOST_PAINTED = 8;

/**
 * @typedef {object} Kept
 * @property {string} id of the workspace
 * @property {string} [name] of the file
 * @property {any} [painted] see `Diffusion.kept`
 * @property {"open" | "left" | ""} [state] whether a tab has it, had it when it went, or gave it up for another
 */

/**
 * What a reload brings back is kept by the tab from the end of the page to its next start and no longer, so that a tab that is a copy of
 * another never gets it: two tabs do not work on one picture. What a closed tab had is kept by the browser, and goes to the next tab that
 * opens the page; that no other tab has it yet is known by a lock, which a tab that crashed does not hold.
 */
export class ReloadMemory {
    #release = () => {};

    /**
     * @param {Pick<import("./workbench.mjs").Workbench, "api" | "editor" | "diffusion">} workbench
     * @param {Storage | null} tab
     * @param {Storage | null} browser
     * @param {LockManager | undefined} locks undefined where the page came over an address that browsers do not trust
     */
    constructor({api, editor, diffusion}, tab, browser, locks = globalThis.navigator?.locks) {
        this.editor = editor;
        this.diffusion = diffusion;
        this.tab = tab;
        this.browser = browser;
        this.locks = locks;
        this.key = `${api.base}workspace`;
    }

    listen(listeners) {
        listeners.on(globalThis, "pagehide", () => this.keep());
        listeners.on(globalThis, "pageshow", () => this.take()); // brought back as it was
        listeners.on(this.editor, "opened", ({detail}) => this.#opened(detail.id));
        listeners.on(this.editor, "gone", ({detail}) => this.forget(detail));
        listeners.on(this.editor, "result", () => this.#remember("open"));
    }

    keep() {
        const {editor} = this;
        if (!editor.ready || editor.clip) return;
        this.tab?.setItem(this.key, JSON.stringify(this.#kept("left")));
        this.#remember("left");
    }

    /** What was open in this tab before a reload of the page, once; null for nothing. @returns {Kept | null} */
    take() {
        const kept = this.tab?.getItem(this.key) ?? null;
        this.tab?.removeItem(this.key);
        return kept === null ? null : JSON.parse(kept);
    }

    /** What a tab had that is closed, the one used last; null for nothing. @returns {Promise<Kept | null>} */
    async takeClosed() {
        for (const kept of this.#all()) {
            if (!kept.state || (kept.state === "open" && !this.locks)) continue;
            if (await this.#hold(kept.id)) return kept;
        }
        return null;
    }

    /** The ids of the pictures that were opened here, the newest first. */
    get ids() {
        return this.#all().map(({id}) => id);
    }

    /** What is known of one. @param {string} id @returns {Kept} */
    of(id) {
        return this.#all().find((kept) => kept.id === id) ?? {id};
    }

    /** Whether no other tab has it, as far as browsers tell. @param {string} id */
    async free(id) {
        if (this.held === id || !this.locks) return true;
        return !(await this.locks.query()).held?.some(({name}) => name === `${this.key} ${id}`);
    }

    /** @param {string} id */
    forget(id) {
        this.#write(this.#all().filter((kept) => kept.id !== id));
    }

    /** @param {string} id */
    #opened(id) {
        const before = this.held;
        if (before && before !== id) this.#write(this.#all().map((kept) => (kept.id === before ? {...kept, state: ""} : kept)));
        this.#hold(id);
        this.#remember("open");
    }

    /** The workspace that this tab holds. @type {string | null} */
    held = null;

    /** Let no other tab have it; whether none has. @returns {Promise<boolean>} */
    #hold(id) {
        if (this.held === id || !this.locks) {
            this.held = id;
            return Promise.resolve(true);
        }
        this.#release();
        this.held = null;
        return new Promise((answer) => {
            const holding = (lock) => {
                if (!lock) return answer(false);
                this.held = id;
                answer(true);
                return new Promise((release) => (this.#release = () => release(undefined)));
            };
            this.locks?.request(`${this.key} ${id}`, {ifAvailable: true}, holding).catch(() => answer(true));
        });
    }

    /** @param {"open" | "left"} state */
    #kept(state) {
        const {editor} = this;
        return {id: editor.id, name: editor.state.name, painted: this.diffusion.kept(), state};
    }

    #remember(state) {
        if (!this.editor.ready || this.editor.clip) return;
        const mine = this.#kept(state);
        this.#write([mine, ...this.#all().filter((kept) => kept.id !== mine.id)]);
    }

    /** @returns {Kept[]} */
    #all() {
        try {
            return JSON.parse(this.browser?.getItem(`${this.key}s`) ?? "[]");
        } catch {
            return [];
        }
    }

    /** @param {Kept[]} all */
    #write(all) {
        const plain = (/** @type {Kept} */ {id, name, state}) => ({id, name, state});
        const bounded = all.slice(0, MOST).map((kept, i) => (i < MOST_PAINTED ? kept : plain(kept)));
        for (const list of [bounded, bounded.map(plain)]) {
            try {
                return this.browser?.setItem(`${this.key}s`, JSON.stringify(list));
            } catch {
                // the browser's room is used up: without what was painted it fits
            }
        }
        return undefined;
    }
}

/** What this tab keeps; null where the user does not allow it. */
export function tabStorage() {
    try {
        return globalThis.sessionStorage;
    } catch {
        return null;
    }
}

/** What the browser keeps; null where the user does not allow it. */
export function browserStorage() {
    try {
        return globalThis.localStorage;
    } catch {
        return null;
    }
}
