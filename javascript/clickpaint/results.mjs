/** What painting gave and gives: the results to choose from, and the picture that is being painted. */

import {h, iconButton} from "./dom.mjs";
import {t} from "./i18n.mjs";

export class ResultStrip {
    #drawn = null;
    #items = [];

    constructor(editor) {
        this.editor = editor;
        this.list = h("div.cp-results-list", {role: "radiogroup", "aria-label": t("results")});
        this.element = h("div.cp-bar.cp-results", {hidden: true}, this.list);
    }

    update() {
        const {painting} = this.editor, {chosen, results} = painting;
        this.element.hidden = chosen === null;
        if (results !== this.#drawn) this.#draw(results);
        this.#items.forEach(({thumbnail, refine}, i) => {
            thumbnail.classList.toggle("cp-on", i === chosen);
            thumbnail.setAttribute("aria-checked", i === chosen);
            refine.hidden = !painting.refinable;
        });
    }

    #draw(results) {
        this.#drawn = results;
        const {editor} = this, {api, painting} = editor;
        this.#items = results.map(({index, seed}) => {
            const name = t("result", {number: index + 1, seed});
            // the same address shows other results after the next painting
            const src = api.url(`workspaces/${editor.id}/results/${index}`, {of: editor.state.version});
            const picture = h("img", {src, alt: "", draggable: false});
            const thumbnail = h("button.cp-thumbnail", {type: "button", role: "radio", title: name, "aria-label": name, onclick: () => painting.use(index)}, picture);
            const refine = iconButton("refine", t("refine", {number: index + 1}), () => painting.refine(index), {className: "cp-refine"});
            return {thumbnail, refine, element: h("div.cp-result-item", {}, thumbnail, refine)};
        });
        this.list.replaceChildren(...this.#items.map((item) => item.element));
        this.#items.at(-1)?.thumbnail.scrollIntoView?.({block: "nearest"});
    }
}

/** A card in the corner with the picture that is being painted. */
export class LivePreview {
    #url = null;

    constructor() {
        this.picture = h("img", {alt: t("live"), draggable: false});
        this.element = h("figure.cp-live", {hidden: true}, this.picture);
    }

    /** `blob`: the picture; null takes it away. */
    show(blob) {
        const before = this.#url;
        this.#url = blob ? URL.createObjectURL(blob) : null;
        this.element.hidden = !blob;
        if (blob) this.picture.src = this.#url;
        else this.picture.removeAttribute("src");
        if (before) URL.revokeObjectURL(before);
    }
}
