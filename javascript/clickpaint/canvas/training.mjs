/** Training: what is clicked is kept for it, the data sets that come of that, and what is learned from them. */

import {h, iconButton} from "../common/dom.mjs";
import {field} from "../common/form_fields.mjs";
import {t} from "../language/language.mjs";
import {DataSets} from "../picture/data_sets.mjs";
import {browserStorage} from "../picture/reload_memory.mjs";
import {Trainings} from "../picture/training_runs.mjs";
import {ApiError} from "../server/api.mjs";

export class Training {
    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor">} workbench */
    constructor(workbench) {
        this.editor = workbench.editor;
        this.sets = new DataSets(workbench, browserStorage());
        this.trainings = new Trainings(workbench, browserStorage());
        this.question = new KeepDialog(this.sets);
        this.panel = new PanelDialog("train.sets", "clickpaint-datasets", () => this.sets.load());
        this.learning = new PanelDialog("learn.open", "clickpaint-training", () => Promise.all([this.trainings.load(), this.#setOf()]));
        /** What buttons and keys can do. */
        this.actions = {
            datasets: () => this.#toggle(this.panel),
            training: () => this.#toggle(this.learning),
            keep: () => this.keep(),
        };
    }

    /** What lies over the page. */
    get dialogs() {
        return [this.question.element, this.panel.element, this.learning.element];
    }

    /** Show the data set that is to be learned; the one used last, where none was chosen. */
    async #setOf() {
        const {sets, trainings} = this;
        await sets.load(false);
        const {dataset} = trainings.wish, name = sets.list?.some((set) => set.name === dataset) ? dataset : sets.name;
        if (name && name !== dataset) trainings.want({dataset: name});
        if (name) await sets.show(name);
    }

    /** @param {PanelDialog} dialog */
    #toggle(dialog) {
        if (this.editor.capabilities?.public) return;
        for (const other of [this.panel, this.learning]) if (other !== dialog) other.element.close();
        dialog.toggle().catch((error) => this.editor.emit("error", error));
    }

    /** Keep something of the picture. @param {Wanted} [wanted] */
    keep(wanted = {what: "selection"}) {
        if (!this.editor.capabilities?.public) this.question.open(wanted);
    }
}

/**
 * What is to be kept; `regions` and their `captions` of the last "everything", `map`: a control map's id.
 *
 * @typedef {{what: "selection" | "edit" | "regions" | "map", regions?: number[], captions?: string[], map?: string}} Wanted
 */

/** Asks into which data set, and with which words. */
class KeepDialog {
    /** @type {Wanted} */
    #wanted = {what: "selection"};
    #speaks = false;

    /** @param {DataSets} sets */
    constructor(sets) {
        this.sets = sets;
        this.editor = sets.editor;
        this.what = h("select", {name: "what", onchange: () => this.#update()});
        this.known = h("datalist", {id: "cp-datasets"});
        this.name = h("input", {type: "text", name: "dataset", required: true, autocomplete: "off", maxLength: 80, placeholder: t("train.set.name"), oninput: () => this.#update()});
        this.name.setAttribute("list", "cp-datasets");
        this.trigger = h("input", {type: "text", name: "trigger", autocomplete: "off", maxLength: 80, placeholder: t("train.trigger.help")});
        this.caption = h("textarea", {name: "caption", rows: 2, maxLength: 4000});
        this.caption.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && (event.preventDefault(), this.form.requestSubmit()));
        this.repeats = h("input", {type: "number", name: "repeats", min: "1", max: "1000", value: "1", required: true});
        this.triggerField = field(t("train.trigger"), this.trigger);
        this.captionField = field(t("train.caption"), this.caption);
        const keep = h("button.cp-text.cp-strong", {type: "submit"}, t("train.keep"));
        const buttons = h("div.cp-ask-buttons", {}, h("button.cp-text", {type: "button", onclick: () => this.element.close()}, t("unsaved.cancel")), keep);
        this.form = h("form.cp-keep-form", {method: "dialog", onsubmit: () => this.#keep()}, field(t("train.what"), this.what), field(t("train.set"), this.name), this.known,
            this.triggerField, this.captionField, field(t("train.repeats"), this.repeats), buttons);
        this.element = h("dialog.cp-help.cp-ask.cp-keep", {"aria-label": t("train.keep")}, h("header", {}, h("h2", {}, t("train.keep")), iconButton("close", t("close"), () => this.element.close())), this.form);
        this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    }

    /** @param {Wanted} wanted */
    async open(wanted) {
        const {editor, sets} = this, {state} = editor;
        if (!editor.ready || this.element.open) return;
        this.#wanted = wanted;
        const can = wanted.what === "selection" ? [state.selection && "selection", state.version > 0 && "edit"].filter(Boolean) : [wanted.what];
        if (!can.length) return editor.emit("error", new ApiError(0, {error: "NoSelection"}));
        this.what.replaceChildren(...can.map((what) => h("option", {value: what}, t(`train.what.${what}`, {n: wanted.regions?.length ?? 0}))));
        this.caption.value = "";
        this.element.showModal();
        try {
            const [captioners] = await Promise.all([sets.api.captioners(), sets.load(false)]);
            this.#speaks = captioners.controls.caption.available;
        } catch (error) {
            this.element.close();
            return editor.emit("error", error);
        }
        this.known.replaceChildren(...(sets.list ?? []).map(({name}) => h("option", {value: name})));
        this.name.value ||= sets.name;
        this.#update();
        return this.name.value ? this.caption.focus() : this.name.focus();
    }

    #update() {
        const what = this.what.value, old = this.sets.list?.find(({name}) => name === this.name.value.trim());
        this.triggerField.hidden = Boolean(old);
        this.captionField.hidden = what === "regions";
        this.caption.placeholder = t(what === "edit" ? "train.caption.edit" : this.#speaks ? "train.caption.auto" : "train.caption.none");
    }

    #keep() {
        const {editor, sets} = this, {regions, captions, map} = this.#wanted;
        const body = {
            dataset: this.name.value.trim(), trigger: this.triggerField.hidden ? null : this.trigger.value.trim(), what: this.what.value,
            caption: this.caption.value.trim() || null, repeats: Number(this.repeats.value), ...(regions ? {regions, captions} : {}), ...(map ? {map} : {}),
        };
        return void editor.beside("dataset", async () => {
            const kept = await sets.keep(body);
            editor.emit("done", {key: "train.kept", name: kept.dataset, n: kept.examples});
            if (kept.failure) editor.emit("error", new ApiError(0, kept.failure));
        });
    }
}

/** A panel over the page, like the history. */
class PanelDialog {
    /**
     * @param {string} title key of its sentence
     * @param {string} panel name of its element
     * @param {() => Promise<unknown>} load what it shows, every time it is opened
     */
    constructor(title, panel, load) {
        this.load = load;
        const close = iconButton("close", t("close"), () => this.element.close());
        this.element = h("dialog.cp-help.cp-sets", {"aria-label": t(title)}, h("header", {}, h("h2", {}, t(title)), close), h(panel));
        this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    }

    async toggle() {
        if (this.element.open) return this.element.close();
        this.element.showModal();
        return this.load();
    }
}
