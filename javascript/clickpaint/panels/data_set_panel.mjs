/** <clickpaint-datasets>: what was kept for training: looked through, its words edited in a row, described, masked, taken elsewhere. */

import {downloaded, h, iconButton, Listeners, showBlob} from "../common/dom.mjs";
import {field, options} from "../common/form_fields.mjs";
import {t} from "../language/language.mjs";
import {fault, textButton} from "./caption_result.mjs";

const RESOLUTIONS = [512, 640, 768, 1024];

export class DataSetPanel extends HTMLElement {
    #listeners = new Listeners();
    /** By id, what is drawn of each example. @type {Map<string, {row: HTMLElement, update: (example: any) => void}>} */
    #rows = new Map();
    #drawn = "";
    /** What asks for a picture as soon as it comes into sight: a set may have thousands. @type {WeakMap<Element, () => Promise<Blob>>} */
    #unseen = new WeakMap();
    #sight = new IntersectionObserver((entries) => entries.forEach(({isIntersecting, target}) => isIntersecting && this.#look(/** @type {HTMLImageElement} */ (target))), {rootMargin: "300px"});
    #sure = false;
    /** Of the set that could not be shown. @type {any} */
    #failure = null;
    /** @type {import("../picture/data_sets.mjs").DataSets} */
    sets;
    /** @type {import("../picture/editor.mjs").Editor} */
    editor;

    connectedCallback() {
        const canvas = /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas} */ (this.closest("clickpaint-canvas"));
        this.sets = canvas.training.sets;
        this.editor = canvas.editor;
        this.#build();
        this.#listeners.on(this.sets, "change", () => this.#update());
        this.#update();
    }

    disconnectedCallback() {
        this.#listeners.off();
        this.#sight.disconnect();
        this.#rows.clear();
        this.#drawn = "";
    }

    #build() {
        const {sets} = this;
        this.fault = h("div");
        this.news = h("p.cp-note", {role: "status"});
        this.choice = h("select", {name: "set", onchange: () => this.#do(() => sets.show(this.choice.value))});
        this.file = h("input.cp-hidden", {type: "file", accept: ".zip,application/zip", tabIndex: -1, "aria-hidden": "true"});
        this.file.addEventListener("change", () => this.#take());
        this.name = h("input", {type: "text", required: true, maxLength: 80, autocomplete: "off", placeholder: t("train.set.name")});
        this.word = h("input", {type: "text", maxLength: 80, autocomplete: "off"});
        this.making = h("form.cp-set-new", {hidden: true, onsubmit: (event) => this.#make(event)}, field(t("train.set"), this.name), field(t("train.trigger"), this.word),
            h("button.cp-text.cp-strong", {type: "submit"}, t("train.make")));
        this.create = textButton(t("train.new"), () => this.#open(this.making.hidden), {"aria-expanded": "false"});
        const head = h("div.cp-set-head", {}, (this.choices = field(t("train.set"), this.choice)), this.create, textButton(t("train.import"), () => this.file.click()), this.file,
            (this.learn = h("button.cp-text.cp-strong", {type: "button", onclick: () => this.#learn()}, t("learn.open"))));

        this.trigger = h("input", {type: "text", maxLength: 80, autocomplete: "off", onchange: () => this.#do(() => sets.change({trigger: this.trigger.value}))});
        this.resolution = h("select", {onchange: () => this.#do(() => ((sets.resolution = Number(this.resolution.value)), sets.show(sets.shown.name)))}, ...options(RESOLUTIONS.map((side) => [`${side}`, `${side}`])));
        this.layout = h("select", {name: "layout"});
        this.delete = h("button.cp-text", {type: "button", onclick: () => this.#remove(), onblur: () => this.#ask(false)});
        const facts = h("div.cp-set-facts", {}, field(t("train.trigger"), this.trigger), field(t("train.resolution"), this.resolution), field(t("train.export"), this.layout),
            textButton(t("train.export.go"), () => this.#save()), this.delete);
        this.balance = h("p.cp-quiet");
        this.describe = textButton(t("train.describe"), () => this.#through(() => sets.describe()));
        this.phrase = h("input", {type: "text", maxLength: 200, "aria-label": t("train.phrase"), placeholder: t("train.phrase"), oninput: () => this.#able()});
        this.mask = h("button.cp-text", {type: "submit"}, t("train.mask"));
        const masking = h("form.cp-set-mask", {onsubmit: (event) => (event.preventDefault(), this.#through(() => sets.mask(this.phrase.value.trim())))}, this.phrase, this.mask);
        this.work = h("p.cp-set-work", {role: "status", hidden: true}, (this.at = h("span")), textButton(t("stop"), () => sets.stop()));
        this.list = h("ul.cp-set-list", {"aria-label": t("train.sets")});
        this.body = h("div", {hidden: true}, facts, this.balance, h("div.cp-set-row-work", {}, this.describe, masking, this.work), this.list);
        this.none = h("p.cp-quiet");
        this.replaceChildren(head, this.making, this.fault, this.news, this.none, this.body);
    }

    /** @param {() => unknown} job what goes wrong in it is said here: a message over the canvas would lie under this dialog */
    async #do(job) {
        this.fault.replaceChildren();
        this.news.textContent = "";
        try {
            return await job();
        } catch (error) {
            if (!(/** @type {any} */ (error).kind)) console.error(error);
            this.fault.replaceChildren(fault(error) ?? "");
            return undefined;
        } finally {
            this.#update();
        }
    }

    #open(open) {
        this.making.hidden = !open;
        this.create.setAttribute("aria-expanded", String(open));
        if (open) this.name.focus();
    }

    #make(event) {
        event.preventDefault();
        return this.#do(async () => {
            await this.sets.make(this.name.value.trim(), this.word.value.trim());
            this.name.value = this.word.value = "";
            this.#open(false);
        });
    }

    #take() {
        const [file] = this.file.files ?? [];
        this.file.value = "";
        if (file) this.#do(async () => this.#say(t("train.imported", {n: await this.sets.take(file)})));
    }

    /** Train what is shown. */
    #learn() {
        const {training} = /** @type {import("../canvas/canvas.mjs").ClickpaintCanvas} */ (this.closest("clickpaint-canvas"));
        training.trainings.want({dataset: this.sets.shown.name});
        training.actions.training();
    }

    #save() {
        return this.#do(async () => {
            const {blob, name} = await this.sets.file(this.layout.value);
            downloaded(this, blob, name);
        });
    }

    #through(work) {
        return this.#do(async () => {
            const {done, failed} = await work();
            this.#say(t("train.worked", {n: done, failed}));
        });
    }

    #say(words) {
        this.news.textContent = words;
    }

    #remove() {
        if (!this.#sure) return this.#ask(true);
        this.#ask(false);
        return this.#do(() => this.sets.remove());
    }

    #ask(sure) {
        this.#sure = sure;
        this.#nameRemove();
    }

    #nameRemove() {
        this.delete.textContent = this.#sure ? t("train.delete.sure", {name: this.sets.shown?.name ?? ""}) : t("train.delete");
        this.delete.classList.toggle("cp-danger", this.#sure);
    }

    #update() {
        const {list, shown, work, loading, failure} = this.sets;
        if (failure !== this.#failure) this.fault.replaceChildren(fault(failure) ?? "");
        this.#failure = failure;
        this.choice.replaceChildren(...options((list ?? []).map(({name, examples}) => [name, `${name} (${examples})`])));
        this.choice.value = shown?.name ?? "";
        this.choices.hidden = !list?.length;
        this.body.hidden = !shown;
        this.learn.hidden = !shown?.examples.length;
        this.none.hidden = Boolean(shown?.examples.length || failure);
        this.none.textContent = t(loading ? "busy.timeline" : shown ? "train.empty" : "train.none");
        this.work.hidden = !work;
        if (work) this.at.textContent = t("train.working", work);
        if (!shown) return this.list.replaceChildren();
        if (document.activeElement !== this.trigger) this.trigger.value = shown.trigger;
        this.resolution.value = `${shown.resolution}`;
        if (!this.layout.options.length) {
            this.layout.replaceChildren(...options(Object.keys(shown.layouts).map((layout) => [layout, t(`layout.${layout}`)])));
            this.layout.value = "imagefolder";
        }
        this.#nameRemove();
        this.balance.textContent = balanceOf(shown);
        this.#able();
        this.#list(shown);
    }

    #able() {
        const {shown, work} = this.sets;
        this.describe.disabled = Boolean(work) || !shown?.captions || shown.examples.every(({caption}) => caption);
        this.mask.disabled = Boolean(work) || !this.phrase.value.trim() || shown.examples.every(({mask}) => mask);
    }

    /** What is drawn of an example stays, and is brought up to date: somebody may be writing in it. */
    #list(shown) {
        if (shown.name !== this.#drawn) this.#rows.clear();
        this.#drawn = shown.name;
        this.#rows = new Map(shown.examples.map((example) => [example.id, this.#rows.get(example.id) ?? this.#row(example)]));
        for (const example of shown.examples) this.#rows.get(example.id)?.update(example);
        const rows = [...this.#rows.values()].map(({row}) => row);
        if (rows.length !== this.list.children.length || rows.some((row, i) => row !== this.list.children[i])) this.list.replaceChildren(...rows);
    }

    #row({id}) {
        const pictures = h("div.cp-set-pictures"), marks = h("div.cp-set-marks");
        const words = h("textarea", {rows: 2, maxLength: 4000, "aria-label": t("train.example.caption", {id}), placeholder: t("train.caption.none")});
        words.addEventListener("change", () => this.#do(() => this.sets.change({examples: [{id, caption: words.value}]})));
        words.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && (event.preventDefault(), this.#next(words)));
        const times = h("input", {type: "number", min: "1", max: "1000", "aria-label": t("train.example.repeats", {id}), title: t("train.repeats")});
        times.addEventListener("change", () => this.#do(() => this.sets.change({examples: [{id, repeats: Number(times.value)}]})));
        const remove = iconButton("clear", t("train.example.delete", {id}), () => this.#do(() => this.sets.discard(id)));
        let seen = "";
        const update = (example) => {
            if (document.activeElement !== words) words.value = example.caption;
            if (document.activeElement !== times) times.value = `${example.repeats}`;
            marks.replaceChildren(...marksOf(example).map(([kind, text]) => h("span.cp-set-mark", {"data-mark": kind}, text)));
            const {mask, before, control_map} = example, looks = JSON.stringify([mask, before, control_map]);
            if (looks === seen) return;
            seen = looks;
            const shown = [["picture", "train.example"], before && ["before", "train.example.before"], control_map && ["map", "train.example.map"]].filter(Boolean);
            pictures.replaceChildren(...shown.map(([what, key]) => this.#image(id, what, t(key, {id}))));
        };
        return {update, row: h("li.cp-set-example", {"data-id": id}, pictures, h("div.cp-set-words", {}, words, marks), times, remove)};
    }

    /** @param {HTMLImageElement} image */
    #look(image) {
        const ask = this.#unseen.get(image);
        this.#sight.unobserve(image);
        if (ask) showBlob(image, ask());
    }

    #image(id, what, label) {
        const image = h("img", {alt: label, draggable: false});
        this.#unseen.set(image, () => this.sets.thumbnail(id, what));
        this.#sight.observe(image);
        return image;
    }

    /** Enter goes on to the next caption, as they are written in a row. @param {HTMLTextAreaElement} words */
    #next(words) {
        const all = [...this.list.querySelectorAll("textarea")], next = all[all.indexOf(words) + 1];
        if (next) next.focus();
        else words.blur();
    }
}

/** What is to be seen of an example at once: [kind, words]. */
export function marksOf({marks, same_as, before, control_map, mask}) {
    const seen = marks.map((mark) => [mark, t(`train.mark.${mark}`, {id: same_as})]);
    if (before) seen.push(["pair", t("train.mark.pair")]);
    if (control_map) seen.push(["map", t("train.mark.map")]);
    if (!mask) seen.push(["unmasked", t("train.mark.unmasked")]);
    return seen;
}

/** How the turns of a data set are distributed, in sentences. */
export function balanceOf({examples, balance}) {
    const {turns, masked, buckets, largest_source: largest, words} = balance;
    const sentences = [t("train.balance", {examples: examples.length, turns, masked})];
    if (buckets.length) sentences.push(t("train.buckets", {sizes: buckets.map(({width, height, turns: n}) => t("train.bucket", {width, height, n})).join(", ")}));
    if (largest > 0 && examples.length > 1) sentences.push(t("train.largest", {n: Math.round(100 * largest)}));
    const common = Object.entries(words).slice(0, 8).map(([word, n]) => `${word} ${n}`);
    if (common.length) sentences.push(t("train.words", {words: common.join(", ")}));
    return sentences.join(" ");
}
