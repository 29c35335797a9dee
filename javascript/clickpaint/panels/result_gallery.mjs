/** <clickpaint-results>: every result of this session as a small copy, each of which gives the full file in its own format. */

import {h, Listeners, showBlob} from "../common/dom.mjs";
import {t} from "../language/language.mjs";

const MOST = 60, SIDE = 320;

export class ResultGallery extends HTMLElement {
    #listeners = new Listeners();
    /** By workspace and version, the newest first. @type {Map<string, HTMLElement>} */
    #items = new Map();
    /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas | null} */
    canvas = null;

    connectedCallback() {
        this.classList.add("cp");
        document.addEventListener("clickpaint:ready", this.#attach);
        this.#attach();
    }

    disconnectedCallback() {
        document.removeEventListener("clickpaint:ready", this.#attach);
        this.#listeners.off();
    }

    /** The canvas may come before or after this list. */
    #attach = () => {
        this.#listeners.off();
        this.canvas = document.querySelector("clickpaint-canvas");
        const editor = this.canvas?.editor;
        if (!editor) return;
        this.#listeners.on(editor, "result", ({detail}) => this.#add(detail.workspace, detail.version));
        this.#listeners.on(editor, "opened", ({detail}) => this.#addAll(detail));
        this.#draw();
    };

    /** The results that a picture came back with. */
    #addAll({id, versions = []}) {
        for (const version of versions) if (version > 0) this.#add(id, version);
    }

    #add(id, version) {
        const {workbench, files} = /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas} */ (this.canvas), key = `${id} ${version}`;
        if (this.#items.has(key)) return;
        const label = t("gallery.download", {name: workbench.editor.state.name || t("history.unnamed"), number: version});
        const picture = h("img", {alt: "", draggable: false});
        showBlob(picture, workbench.api.small(id, version, SIDE));
        const button = h("button.cp-made", {type: "button", title: label, "aria-label": label, onclick: () => files.download(id, version)}, picture);
        this.#items = new Map([[key, h("div", {role: "listitem"}, button)], ...[...this.#items].slice(0, MOST - 1)]);
        this.#draw();
    }

    #draw() {
        const items = [...this.#items.values()];
        this.replaceChildren(h("p.cp-made-hint", {}, t(items.length ? "gallery.hint" : "gallery.none")), h("div.cp-made-list", {role: "list", hidden: !items.length}, ...items));
    }
}
