/** The results of this session and those that pictures came back with, whether a list of them is on the page yet or not. */

const MOST = 60;

/** @typedef {{id: string, version: number, name: string}} MadeResult id: of the workspace; name: of its file */

/** Events: "change". */
export class MadeResults extends EventTarget {
    /** The newest first. @type {MadeResult[]} */
    list = [];

    /** @param {import("./editor.mjs").Editor} editor */
    constructor(editor) {
        super();
        this.editor = editor;
    }

    /** @param {import("../common/dom.mjs").Listeners} listeners */
    listen(listeners) {
        listeners.on(this.editor, "result", ({detail}) => this.#add(detail.workspace, [detail.version]));
        listeners.on(this.editor, "opened", ({detail}) => this.#add(detail.id, detail.versions ?? []));
    }

    /**
     * @param {string} id
     * @param {number[]} versions
     */
    #add(id, versions) {
        const {name} = this.editor.state;
        const added = versions.filter((version) => version > 0 && !this.list.some((made) => made.id === id && made.version === version));
        if (!added.length) return;
        this.list = [...added.map((version) => ({id, version, name})).reverse(), ...this.list].slice(0, MOST);
        this.dispatchEvent(new CustomEvent("change"));
    }
}
