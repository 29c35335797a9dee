/** <clickpaint-training>: a data set becomes a LoRA or something else; how far that is, and what it paints by now. */

import {h, Listeners, showBlob} from "../common/dom.mjs";
import {choice, field, options} from "../common/form_fields.mjs";
import {fillPrompt, paints} from "../host/widgets.mjs";
import {bytes, duration, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {fault, textButton} from "./caption_result.mjs";
import {curveOf} from "./loss_curve.mjs";
import {fieldsOf} from "./training_fields.mjs";

const QUALITIES = ["quick", "good", "best"], KINDS = ["lora", "dreambooth", "embedding", "controlnet", "instruct", "finetune"];
/** Kinds whose result can be named in a prompt. */
const PROMPTED = {lora: (name) => `<lora:${name}:1>`, dreambooth: (name) => `<lora:${name}:1>`, embedding: (name) => name};

export class TrainingPanel extends HTMLElement {
    #listeners = new Listeners();
    /** What the folded fields were made for. */
    #asked = "";
    /** By address, the samples that are shown. @type {Map<string, HTMLElement>} */
    #samples = new Map();
    /** @type {import("../picture/training_runs.mjs").Trainings} */
    trainings;
    /** @type {import("../picture/data_sets.mjs").DataSets} */
    sets;

    connectedCallback() {
        const canvas = /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas} */ (this.closest("clickpaint-canvas"));
        ({trainings: this.trainings, sets: this.sets} = canvas.training);
        this.#build();
        this.#listeners.on(this.trainings, "change", () => this.#update());
        this.#listeners.on(this.sets, "change", () => this.#update());
        this.#update();
    }

    disconnectedCallback() {
        this.#listeners.off();
        this.#samples.clear();
        this.#asked = "";
    }

    #build() {
        const {trainings, sets} = this, {wish} = trainings;
        const wants = (name) => (event) => trainings.want({[name]: event.target.value});
        this.set = h("select", {name: "dataset", required: true, onchange: (event) => this.#choose(event.target.value)});
        this.word = h("input", {type: "text", name: "trigger", maxLength: 80, autocomplete: "off", placeholder: t("train.trigger.help"), onchange: () => sets.change({trigger: this.word.value})});
        this.name = h("input", {type: "text", name: "name", required: true, maxLength: 80, autocomplete: "off", value: wish.name, placeholder: t("train.set.name"), oninput: wants("name")});
        this.quality = choice(t("learn.quality"), "quality", QUALITIES.map((quality) => [quality, t(`learn.quality.${quality}`)]));
        this.kind = choice(t("learn.kind"), "kind", KINDS.map((kind) => [kind, t(`learn.kind.${kind}`)]));
        for (const name of ["quality", "kind"]) {
            const select = this[name].querySelector("select");
            select.value = wish[name];
            select.addEventListener("change", (event) => (trainings.want({[name]: event.target.value, ...(name === "kind" ? {settings: {}} : {})}), this.#fold()));
        }
        this.fields = h("div.cp-learn-fields");
        this.more = h("details.cp-learn-more", {ontoggle: () => this.#fold()}, h("summary", {}, t("learn.more")), this.kind, this.fields);
        this.look = textButton(t("learn.look"), () => this.form.reportValidity() && trainings.look());
        this.start = h("button.cp-text.cp-strong", {type: "submit"}, t("learn.start"));
        this.again = textButton(t("learn.restart"), () => this.form.reportValidity() && trainings.start(true));
        this.expected = h("p.cp-note", {role: "status"});
        this.form = h("form.cp-learn-form", {onsubmit: (event) => (event.preventDefault(), trainings.start())},
            h("div.cp-learn-simple", {}, field(t("train.set"), this.set), field(t("train.trigger"), this.word), field(t("learn.name"), this.name), this.quality),
            this.more, h("div.cp-learn-buttons", {}, this.look, this.again, this.start), this.expected);
        this.none = h("p.cp-quiet", {}, t("learn.none"));
        this.fault = h("div");

        this.heading = h("h3");
        this.at = h("p.cp-quiet", {role: "status"});
        this.bar = h("progress", {max: 1, "aria-label": t("learn.progress")});
        this.pause = textButton(t("learn.pause"), () => trainings.pause());
        this.resume = textButton(t("learn.resume"), () => trainings.resume());
        this.stop = textButton(t("stop"), () => trainings.stop());
        this.try = h("button.cp-text.cp-strong", {type: "button", onclick: () => this.#try()}, t("learn.try"));
        this.reason = h("div");
        this.curve = h("div.cp-learn-curve");
        this.samples = h("ul.cp-learn-samples", {"aria-label": t("learn.samples")});
        this.training = h("section.cp-learn-now", {hidden: true}, this.heading, this.bar, this.at, this.reason,
            h("div.cp-learn-buttons", {}, this.pause, this.resume, this.stop, this.try), this.curve, this.samples);
        this.replaceChildren(this.none, this.form, this.fault, this.training);
    }

    #choose(name) {
        this.trainings.want({dataset: name});
        return this.sets.show(name);
    }

    /** Make the folded fields, as soon as somebody looks at them. */
    async #fold() {
        const {trainings, more} = this, {kind, quality} = trainings.wish, asked = `${kind} ${quality}`;
        if (!more.open || this.#asked === asked) return;
        this.#asked = asked;
        const settings = await trainings.settings().catch(() => []);
        if (this.#asked !== asked) return;
        this.fields.replaceChildren(...fieldsOf(settings, trainings.wish.settings, (values) => trainings.want({settings: values})));
    }

    async #try() {
        const {name, kind, dataset} = this.trainings.last, word = this.sets.list?.find((set) => set.name === dataset)?.trigger ?? "";
        this.closest("dialog")?.close();
        await fillPrompt("fill", [PROMPTED[kind](name), kind === "embedding" ? "" : word].filter(Boolean).join(" "));
    }

    #update() {
        const {trainings, sets} = this, {wish, busy, active} = trainings, list = (sets.list ?? []).filter(({examples}) => examples);
        if (!this.set.options.length || this.set.options.length !== list.length + 1)
            this.set.replaceChildren(...options([["", t("learn.choose")], ...list.map(({name, examples}) => [name, `${name} (${examples})`])]));
        this.set.value = list.some(({name}) => name === wish.dataset) ? wish.dataset : "";
        this.none.hidden = list.length > 0 || sets.list === null;
        this.form.hidden = list.length === 0;
        const shown = sets.shown?.name === wish.dataset ? sets.shown : null;
        if (document.activeElement !== this.word) this.word.value = shown?.trigger ?? "";
        this.word.disabled = !shown;
        for (const button of [this.look, this.start, this.again]) button.disabled = busy || active;
        const {forecast, last} = trainings;
        this.again.hidden = !(last && !active && last.name === wish.name);
        this.expected.textContent = forecast ? t("learn.forecast", {memory: bytes(forecast.memory_bytes), free: bytes(forecast.free_bytes), time: span(forecast.seconds), steps: forecast.steps, side: forecast.resolution}) : busy ? t("learn.looking") : "";
        this.fault.replaceChildren(fault(trainings.failure) ?? "");
        this.training.hidden = !last;
        if (last) this.#show(last, active, busy);
    }

    #show(last, active, busy) {
        const {name, kind, step, steps, loss, held, state} = last;
        this.heading.textContent = t("learn.title", {name, kind: t(`learn.kind.${kind}`)});
        this.bar.value = step / steps;
        const parts = [t(active ? (held ? "learn.held" : last.paused ? "learn.makes way" : "learn.going") : `learn.state.${state}`), t("learn.steps", {step, steps})];
        if (loss !== null) parts.push(t("learn.loss", {loss: loss.toFixed(4)}));
        if (active && last.seconds_left !== null) parts.push(t("learn.left", {time: span(last.seconds_left)}));
        if (active && step === 0 && last.text) parts.push(said(last, "text"));
        if (last.memory_bytes) parts.push(t("learn.memory", {memory: bytes(last.memory_bytes)}));
        this.at.textContent = parts.join(" · ");
        this.reason.replaceChildren(fault(last.failure && state === "failed" ? last.failure : null) ?? "");
        this.pause.hidden = !active || held;
        this.resume.hidden = active ? !held : state === "done";
        this.stop.hidden = !active;
        this.try.hidden = state !== "done" || !PROMPTED[kind] || !paints();
        for (const button of [this.pause, this.resume, this.stop]) button.disabled = busy;
        this.curve.replaceChildren(...(this.trainings.losses.length ? [curveOf(this.trainings.losses)] : []));
        this.#pictures(last.samples);
    }

    /** @param {string[]} addresses */
    #pictures(addresses) {
        this.#samples = new Map(addresses.map((address) => [address, this.#samples.get(address) ?? this.#sample(address)]));
        const shown = [...this.#samples.values()];
        if (shown.length !== this.samples.children.length || shown.some((item, i) => item !== this.samples.children[i])) this.samples.replaceChildren(...shown);
    }

    #sample(address) {
        const step = Number(address.match(/(\d+)_\d+\.png$/)?.[1]), image = h("img", {alt: t("learn.sample", {step}), draggable: false});
        void showBlob(image, this.trainings.sample(address));
        return h("li", {}, image, h("span", {"aria-hidden": "true"}, `${step}`));
    }
}

/** As people say it, also where it takes a night. @param {number} seconds */
function span(seconds) {
    return seconds >= 7200 ? t("learn.hours", {n: (seconds / 3600).toFixed(seconds < 36000 ? 1 : 0)}) : duration(seconds);
}
