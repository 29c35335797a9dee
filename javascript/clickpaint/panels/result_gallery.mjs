/** <clickpaint-results>: every result as a small copy, each of which gives the full file in its own format. */

import {h, Listeners, showBlob} from "../common/dom.mjs";
import {t} from "../language/language.mjs";

const SIDE = 320;

export class ResultGallery extends HTMLElement {
    #listeners = new Listeners();
    /** By workspace and version. @type {Map<string, HTMLElement>} */
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
        this.#items.clear();
    }

    /** The canvas may come before or after this list. */
    #attach = () => {
        this.#listeners.off();
        this.canvas = document.querySelector("clickpaint-canvas");
        const made = this.canvas?.keeping?.made;
        if (made) this.#listeners.on(made, "change", () => this.#draw());
        this.#draw();
    };

    #draw() {
        const list = this.canvas?.keeping?.made.list ?? [];
        this.#items = new Map(list.map((made) => [`${made.id} ${made.version}`, this.#items.get(`${made.id} ${made.version}`) ?? this.#item(made)]));
        const items = h("div.cp-made-list", {role: "list", hidden: !list.length}, ...this.#items.values());
        this.replaceChildren(h("p.cp-made-hint", {}, t(list.length ? "gallery.hint" : "gallery.none")), items);
    }

    /** @param {import("../picture/made_results.mjs").MadeResult} made */
    #item({id, version, name}) {
        const {workbench, files} = /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas} */ (this.canvas);
        const label = t("gallery.download", {name: name || t("history.unnamed"), number: version});
        const picture = h("img", {alt: "", draggable: false});
        showBlob(picture, workbench.api.small(id, version, SIDE));
        return h("div", {role: "listitem"}, h("button.cp-made", {type: "button", title: label, "aria-label": label, onclick: () => files.download(id, version)}, picture));
    }
}
