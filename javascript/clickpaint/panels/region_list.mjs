/** Everything in the picture: how many regions, the list of them, and what can be done with it. */

import {modeOf} from "../canvas/tools.mjs";
import {h, iconButton} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {blobOf} from "../picture/mask_layer.mjs";
import {layerOfRuns, pictureOfRuns} from "../picture/run_lengths.mjs";
import {everythingOf} from "./caption_form.mjs";
import {fault, textButton} from "./caption_result.mjs";
import {surety} from "./caption_session.mjs";
import {RegionLabels, colourOf} from "./speech_bubble.mjs";

const MOST = 200, USUAL = 10;

/** What is exported: without what only the page needs. */
export function exported({overview, failure, milliseconds, version, ...rest}) {
    return rest;
}

export class RegionList {
    #pointed = 0;
    /** @type {any} */
    #drawn = null;
    /** @type {any} */
    failure = null;

    /**
     * @param {import("./caption_session.mjs").CaptionSession} captions
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "selecting" | "previews" | "opening">} workbench
     * @param {{copy: (words: string) => void, save: (blob: Blob, name: string) => void, keep: (wanted: import("../canvas/training.mjs").Wanted) => void}} act
     */
    constructor(captions, {selecting, previews, opening}, act) {
        this.captions = captions;
        this.editor = captions.editor;
        this.selecting = selecting;
        this.previews = previews;
        this.opening = opening;
        this.act = act;
        this.labels = new RegionLabels(captions, (index, event) => this.#pick(index, event), (index) => this.#point(index));
        this.most = h("input", {type: "number", min: "1", max: `${MOST}`, value: `${USUAL}`});
        const most = h("label.cp-field", {}, h("span", {}, t("describe.most")), this.most);
        this.go = h("button.cp-text.cp-strong", {type: "button", onclick: () => this.#start()});
        this.fault = h("div");
        this.paragraph = h("p.cp-words");
        this.list = h("ul.cp-regions", {"aria-label": t("describe.regions")});
        const showing = h("input", {type: "checkbox", checked: true, onchange: () => this.labels.show(showing.checked)});
        this.buttons = h(
            "div.cp-buttons",
            {},
            textButton(t("describe.copy"), () => act.copy(this.captions.regions.paragraph)),
            textButton("JSON", () => this.#json(), {title: t("describe.json")}),
            textButton(t("describe.picture"), () => act.save(blobOf(captions.regions.overview), "labelled.png")),
            textButton(t("train.regions"), () => this.#keep()),
            textButton(t("clear"), () => captions.clearRegions()),
        );
        this.found = h("div.cp-found", {hidden: true}, this.paragraph, this.list, h("label.cp-check", {}, showing, h("span", {}, t("describe.labels"))), this.buttons);
        this.element = h("details", {}, h("summary", {}, t("describe.everything")), most, this.go, this.fault, this.found);
    }

    #start() {
        const {captions, opening, most} = this;
        if (captions.exploring) return opening.interrupt();
        return captions.everything(everythingOf(captions.asked(), Math.min(Math.max(Math.round(Number(most.value)) || USUAL, 1), MOST)));
    }

    #json() {
        this.act.save(new Blob([JSON.stringify(exported(this.captions.regions), null, 1)], {type: "application/json"}), "regions.json");
    }

    /** Keep all regions for training, with their words. */
    #keep() {
        const {regions} = this.captions.regions;
        this.#ask(regions.map((_, index) => index));
    }

    /** @param {number[]} indices */
    #ask(indices) {
        const captions = indices.map((index) => this.captions.regions.regions[index].caption);
        this.act.keep({what: "regions", regions: indices, captions});
    }

    update() {
        const {exploring, known, regions, failure} = this.captions, caption = known?.controls.caption ?? {available: false, reason: ""};
        this.go.textContent = exploring ? t("stop") : t("describe.everything");
        this.go.disabled = !caption.available || !this.editor.ready;
        this.go.title = caption.available ? "" : said(caption, "reason");
        this.found.hidden = !regions;
        if (regions === this.#drawn && failure === this.failure) return;
        this.#drawn = regions;
        this.failure = failure;
        this.fault.replaceChildren(...[fault(failure ?? regions?.failure)].filter(Boolean));
        this.paragraph.textContent = regions ? regions.paragraph || t("describe.nothing") : "";
        this.list.replaceChildren(...(regions?.regions ?? []).map((region, i) => this.#row(region, i)));
    }

    #row(region, index) {
        const sure = surety(region), dot = h("i.cp-dot", {"aria-hidden": "true"});
        dot.style.background = colourOf(index);
        const button = h("button.cp-wording-one", {type: "button", onclick: (event) => this.#pick(index, event)}, dot, h("span", {}, region.caption), sure === null ? null : h("small", {}, t("describe.sure", {n: sure})));
        const keep = iconButton("keep", t("train.keep"), () => this.#ask([index]));
        keep.hidden = this.editor.capabilities?.public ?? false;
        const row = h("li", {}, button, keep);
        for (const type of ["pointerenter", "focusin"]) row.addEventListener(type, () => this.#point(index));
        for (const type of ["pointerleave", "focusout"]) row.addEventListener(type, () => this.#point(null));
        return row;
    }

    /** Show a region on the canvas; null for none. */
    async #point(index) {
        const turn = ++this.#pointed, {previews} = this;
        [...this.labels.element.children].forEach((label, i) => label.classList.toggle("cp-on", i === index));
        previews.stop();
        if (index === null) return previews.show(null);
        const {segmentation, box} = this.captions.regions.regions[index];
        const layer = await layerOfRuns(segmentation, box);
        return turn === this.#pointed ? previews.show(layer) : layer.close();
    }

    /** Select a region, combined as with the canvas's tools. */
    async #pick(index, event) {
        const {editor, captions, selecting} = this, {segmentation} = captions.regions.regions[index];
        await selecting.adjust({op: "upload", image: await pictureOfRuns(segmentation), mode: modeOf(event, editor.mode)});
    }
}
