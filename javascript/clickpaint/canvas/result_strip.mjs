/** What painting gave and gives: the results to choose from, and the picture that is being painted. */

import {h, iconButton, showBlob} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {bestOf, Ranking} from "../picture/ranking.mjs";
import {browserStorage} from "../picture/reload_memory.mjs";

export class ResultStrip {
    /** @type {any} */
    #drawn = null;
    /** @type {any[]} */
    #items = [];

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor" | "diffusion">} workbench */
    constructor(workbench) {
        this.editor = workbench.editor;
        this.api = workbench.api;
        this.diffusion = workbench.diffusion;
        this.ranking = new Ranking(workbench, browserStorage());
        this.rank = iconButton("rank", t("rank"), () => this.ranking.set(!this.ranking.on), {className: "cp-rank"});
        this.list = h("div.cp-results-list", {role: "radiogroup", "aria-label": t("results")});
        this.element = h("div.cp-bar.cp-results", {hidden: true}, this.rank, this.list);
    }

    update() {
        const {diffusion, ranking} = this, {chosen, results} = diffusion;
        this.element.hidden = chosen === null;
        if (results !== this.#drawn) this.#draw(results);
        if (chosen !== null) ranking.follow();
        const {scores} = ranking, best = bestOf(scores);
        this.rank.hidden = !ranking.possible;
        this.rank.disabled = !ranking.available;
        this.rank.title = ranking.available ? t("rank") : ranking.reason || t("rank");
        this.rank.classList.toggle("cp-on", ranking.on && ranking.available);
        this.rank.setAttribute("aria-pressed", ranking.on && ranking.available);
        this.#items.forEach(({thumbnail, refine, score, name}, i) => {
            const fits = scores ? t(i === best ? "rank.best" : "rank.score", {n: scores[i].toFixed(3)}) : "";
            score.hidden = !scores;
            score.textContent = scores ? scores[i].toFixed(3) : "";
            score.classList.toggle("cp-best", i === best);
            thumbnail.title = fits ? `${name}. ${fits}` : name;
            thumbnail.setAttribute("aria-label", thumbnail.title);
            thumbnail.classList.toggle("cp-on", i === chosen);
            thumbnail.setAttribute("aria-checked", i === chosen);
            refine.hidden = !diffusion.refinable;
        });
    }

    #draw(results) {
        this.#drawn = results;
        const {api, editor, diffusion} = this;
        this.#items = results.map(({index, seed}) => {
            const name = t("result", {number: index + 1, seed});
            const picture = h("img", {alt: "", draggable: false});
            showBlob(picture, api.result(editor.id, index, editor.state.version));
            const score = h("small.cp-score", {"aria-hidden": "true", hidden: true});
            const thumbnail = h("button.cp-thumbnail", {type: "button", role: "radio", onclick: () => diffusion.use(index)}, picture, score);
            const refine = iconButton("refine", t("refine", {number: index + 1}), () => diffusion.refine(index), {className: "cp-refine"});
            return {thumbnail, refine, score, name, element: h("div.cp-result-item", {}, thumbnail, refine)};
        });
        this.list.replaceChildren(...this.#items.map((item) => item.element));
        this.#items.at(-1)?.thumbnail.scrollIntoView?.({block: "nearest"});
    }
}

/** A card in the corner with the picture that is being painted. */
export class LivePreview {
    /** @type {string | null} */
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
