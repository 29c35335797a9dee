/** The bar that comes with a selection: its other candidates, what can be done to it, and Remove. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {t} from "../language/language.mjs";
import {drawSilhouette, layerOf, squaresAround} from "../picture/mask_layer.mjs";

export class SelectionBar {
    #drawn = null;
    #buttons = [];

    /**
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting" | "previews" | "diffusion" | "shadows">} workbench
     * @param {import("./actions.mjs").Actions} actions
     */
    constructor({editor, selecting, previews, diffusion, shadows}, actions) {
        this.editor = editor;
        this.selecting = selecting;
        this.previews = previews;
        this.diffusion = diffusion;
        this.shadows = shadows;
        const adjust = (op) => () => selecting.adjust({op});
        this.candidates = h("div.cp-candidates", {role: "radiogroup", "aria-label": t("candidates")});
        this.label = h("span");
        this.remove = h("button.cp-remove", {type: "button", onclick: actions.act}, icon("remove"), this.label);
        const label = h("span", {}, t("shadow"));
        this.shadow = h("button.cp-with-shadow", {type: "button", title: t("shadow.title"), hidden: true, onclick: () => shadows.toggle()}, icon("shadow"), label);
        this.vary = iconButton("vary", t("vary.title"), actions.vary, {className: "cp-vary"});
        this.keep = iconButton("keep", t("train.keep"), actions.keep, {key: "K"});
        this.edits = h(
            "div.cp-group.cp-edits",
            {},
            iconButton("shrink", t("shrink"), () => actions.resize(-1), {key: "-"}),
            iconButton("grow", t("grow"), () => actions.resize(1), {key: "+"}),
            iconButton("specks", t("drop_specks"), actions.dropSpecks),
            iconButton("holes", t("fill_holes"), adjust("fill_holes"), {key: "F"}),
            iconButton("invert", t("invert"), adjust("invert"), {key: "I"}),
            iconButton("clear", t("clear"), adjust("clear"), {key: "Esc"}),
            this.keep,
        );
        this.element = h("div.cp-bar.cp-selection", {role: "toolbar", "aria-label": t("selection"), hidden: true}, this.candidates, this.edits, this.shadow, this.vary, this.remove);
    }

    update() {
        const {state} = this.editor;
        this.element.hidden = !state.selection;
        this.keep.hidden = this.editor.capabilities?.public ?? false;
        const {action} = this.diffusion, name = this.editor.clip ? t("clip.remove") : action === "remove" ? t("remove") : t(`task.${action}`);
        this.label.textContent = name;
        this.remove.title = action === "remove" ? `${name} (Delete)` : name;
        const {paint} = this.editor.capabilities ?? {};
        this.vary.hidden = Boolean(this.editor.clip) || action === "vary" || !paint?.available || !paint.varies;
        const {layer, taken} = this.shadows;
        this.shadow.hidden = layer === null;
        this.shadow.classList.toggle("cp-on", taken);
        this.shadow.setAttribute("aria-pressed", String(taken));
        const {candidates, chosen} = state.prompts;
        if (candidates !== this.#drawn) this.#draw(candidates);
        this.#buttons.forEach((button, i) => {
            button.classList.toggle("cp-on", i === chosen);
            button.setAttribute("aria-checked", i === chosen);
        });
    }

    #draw(candidates) {
        this.#drawn = candidates;
        const {selecting, previews} = this, squares = squaresAround(candidates.map((candidate) => candidate.box));
        this.#buttons = candidates.map((candidate, i) => {
            const score = Math.round(100 * candidate.score);
            const picture = h("canvas", {width: 88, height: 88});
            this.#silhouette(picture, candidate, squares[i]);
            return h(
                "button.cp-candidate",
                {
                    type: "button",
                    role: "radio",
                    title: t("candidate", {number: i + 1, score}),
                    "aria-label": t("candidate", {number: i + 1, score}),
                    onclick: () => selecting.choose(i),
                    onpointerenter: () => previews.candidate(i),
                    onpointerleave: () => previews.candidate(-1),
                },
                picture,
                h("span", {}, `${score}`),
            );
        });
        this.candidates.replaceChildren(...this.#buttons);
        this.candidates.hidden = candidates.length < 2;
    }

    async #silhouette(canvas, {mask, box}, square) {
        const layer = await layerOf(mask, box, this.editor.size);
        drawSilhouette(canvas, layer, square, getComputedStyle(this.element).getPropertyValue("--cp-tint"));
        layer?.close();
    }
}
