/** What survives a reload of the page: which picture was open, and what was painted last. */

/**
 * It is kept from the end of the page to its next start and no longer, so that a tab that is a copy of another never gets it: two tabs
 * do not work on one picture.
 */
export class ReloadMemory {
    /**
     * @param {Pick<import("./workbench.mjs").Workbench, "api" | "editor" | "diffusion">} workbench
     * @param {Storage | null} storage
     */
    constructor({api, editor, diffusion}, storage) {
        this.editor = editor;
        this.diffusion = diffusion;
        this.storage = storage;
        this.key = `${api.base}workspace`;
    }

    listen(listeners) {
        listeners.on(globalThis, "pagehide", () => this.keep());
        listeners.on(globalThis, "pageshow", () => this.take()); // brought back as it was
    }

    keep() {
        const {editor} = this;
        if (!editor.ready) return;
        const kept = {id: editor.id, offsets: [...editor.state.offsets], painted: this.diffusion.kept()};
        this.storage?.setItem(this.key, JSON.stringify(kept));
    }

    /** {id, offsets, painted} of what was open, once; null for nothing. */
    take() {
        const kept = this.storage?.getItem(this.key) ?? null;
        this.storage?.removeItem(this.key);
        return kept === null ? null : JSON.parse(kept);
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
