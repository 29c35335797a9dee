/** Everything in the picture: how many regions, the list of them, and what can be done with it. */

import {Labels, colourOf} from "./bubble.mjs";
import {surety} from "./describing.mjs";
import {h} from "./dom.mjs";
import {t} from "./i18n.mjs";
import {blobOf} from "./mask.mjs";
import {layerOfRuns, pictureOfRuns} from "./runs.mjs";
import {fault, textButton} from "./said.mjs";
import {spoken} from "./spoken.mjs";
import {modeOf} from "./tools.mjs";
import {everythingOf} from "./wording.mjs";

const MOST = 200, USUAL = 10;

/** What is exported: without what only the page needs. */
export function exported({overview, failure, milliseconds, version, ...rest}) {
    return rest;
}

export class PanoramaList {
    #pointed = 0;
    #drawn = null;

    constructor(describing, act) {
        Object.assign(this, {describing, editor: describing.editor, act});
        this.labels = new Labels(describing, (index, event) => this.#pick(index, event), (index) => this.#point(index));
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
            textButton(t("describe.copy"), () => act.copy(this.describing.regions.paragraph)),
            textButton("JSON", () => this.#json(), {title: t("describe.json")}),
            textButton(t("describe.picture"), () => act.save(blobOf(describing.regions.overview), "labelled.png")),
            textButton(t("clear"), () => describing.clearRegions()),
        );
        this.found = h("div.cp-found", {hidden: true}, this.paragraph, this.list, h("label.cp-check", {}, showing, h("span", {}, t("describe.labels"))), this.buttons);
        this.element = h("details", {}, h("summary", {}, t("describe.everything")), most, this.go, this.fault, this.found);
    }

    #start() {
        const {describing, editor, most} = this;
        if (describing.exploring) return editor.interrupt();
        return describing.everything(everythingOf(describing.asked(), Math.min(Math.max(Math.round(Number(most.value)) || USUAL, 1), MOST)));
    }

    #json() {
        this.act.save(new Blob([JSON.stringify(exported(this.describing.regions), null, 1)], {type: "application/json"}), "regions.json");
    }

    update() {
        const {exploring, known, regions, failure} = this.describing, speaks = known?.controls.caption ?? {available: false, reason: ""};
        this.go.textContent = exploring ? t("stop") : t("describe.everything");
        this.go.disabled = !speaks.available || !this.editor.ready;
        this.go.title = speaks.available ? "" : spoken(speaks.reason);
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
        for (const type of ["pointerenter", "focus"]) button.addEventListener(type, () => this.#point(index));
        for (const type of ["pointerleave", "blur"]) button.addEventListener(type, () => this.#point(null));
        return h("li", {}, button);
    }

    /** Show a region on the canvas; null for none. */
    async #point(index) {
        const turn = ++this.#pointed, {previews} = this.editor;
        [...this.labels.element.children].forEach((label, i) => label.classList.toggle("cp-on", i === index));
        previews.stop();
        if (index === null) return previews.show(null);
        const {segmentation, box} = this.describing.regions.regions[index];
        const layer = await layerOfRuns(segmentation, box);
        return turn === this.#pointed ? previews.show(layer) : layer.close();
    }

    /** Select a region, combined as with the canvas's tools. */
    async #pick(index, event) {
        const {editor, describing} = this, {segmentation} = describing.regions.regions[index];
        await editor.adjust({op: "upload", image: await pictureOfRuns(segmentation), mode: modeOf(event, editor.mode)});
    }
}
