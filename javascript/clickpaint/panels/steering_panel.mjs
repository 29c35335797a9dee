/** <clickpaint-steering>: what paints in the checkpoint's place, what guides, and what the result is to resemble. Only what acts is seen. */

import {h, Listeners} from "../common/dom.mjs";
import {choice, field, options, range, valuesOf} from "../common/form_fields.mjs";
import {canvas} from "../host/elements.mjs";
import {t} from "../language/language.mjs";
import {said, translated} from "../language/server_sentences.mjs";
import {LOOK, steeringOf} from "../picture/steering.mjs";
import {apiOfPage} from "../server/api.mjs";
import {filePlace} from "./file_place.mjs";
import {PictureChoice} from "./picture_choice.mjs";

const GUIDES = ["none", "clip", "picture", "classifier"];
const HIGHEST = 10_000;
/** Reference pictures after the first, at most. */
const FURTHER = 3;

export class SteeringPanel extends HTMLElement {
    #listeners = new Listeners();
    /** @type {IntersectionObserver | null} */
    #observer = null;
    #api = apiOfPage();
    /** What can steer here; null before that is known. @type {any} */
    #known = null;
    /** @type {Promise<void> | null} */
    #loading = null;
    #task = "";
    /** Of the checkpoint that the answer was about. */
    #family = "";
    #workbench = () => canvas()?.workbench;
    /** @type {PictureChoice} */
    #guiding;
    /** @type {PictureChoice} */
    #resembled;
    /** What a model that edits looks at besides. @type {PictureChoice[]} */
    #further = [];

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.load());
        this.#observer.observe(this);
        this.#listeners.on(document, "clickpaint:models", () => this.#again());
        this.#listeners.on(document, "clickpaint:change", () => this.update());
        this.addEventListener("change", () => this.update());
    }

    disconnectedCallback() {
        this.#observer?.disconnect();
        this.#listeners.off();
    }

    /** Ask once what there is, when it is seen first. */
    load() {
        return (this.#loading ??= this.#ask());
    }

    get #familyNow() {
        return this.#workbench()?.editor.capabilities?.paint.family?.name ?? "";
    }

    /** A file has come or gone, or another checkpoint. */
    #again() {
        if (this.#loading) this.#loading = this.#ask();
    }

    async #ask() {
        try {
            const [able, systems] = await Promise.all(["steering", "systems"].map((path) => this.#api.request("GET", path)));
            this.#known = {...able, systems};
            this.#family = this.#familyNow;
            this.#guiding ??= new PictureChoice(t("steering.guide.picture"), this.#workbench);
            this.#resembled ??= new PictureChoice(t("steering.reference.picture"), this.#workbench);
            while (this.#further.length < FURTHER) this.#further.push(new PictureChoice(t("steering.reference.further"), this.#workbench));
            this.#draw();
        } catch (error) {
            this.#loading = null;
            this.replaceChildren(h("p", {}, said(error, "message") || t("error.unreachable")));
        }
    }

    #draw() {
        const before = valuesOf(this), {adapters} = this.#known, choose = this.#workbench()?.editor.capabilities?.paint.own_sampler === false;
        const share = (name, value) => range(t(`steering.${name}`), `reference_${name}`, {minimum: 0, maximum: 1, step: 0.05, value});
        this.system = h("fieldset", {}, h("legend", {}, t("steering.system")), choice(t("steering.system"), "system", []), h("p.cp-gives", {}));
        this.guide = h(
            "fieldset",
            {},
            h("legend", {}, t("steering.guide")),
            choice(t("steering.guide.by"), "guide", GUIDES.map((guide) => [guide, t(`steering.guide.${guide}`)])),
            field(t("steering.guide.words"), h("input", {type: "text", name: "guide_words", maxLength: 500})),
            this.#guiding.element,
            field(t("steering.guide.scale"), h("input", {type: "number", name: "guide_scale", min: "0", max: `${HIGHEST}`, step: "10", value: "100"})),
            h("div.cp-lacking", {}),
        );
        const looks = [["", t("control.off")], [LOOK, t("steering.reference.look")], ...adapters.map((name) => [name, `IP-Adapter: ${name}`])];
        this.reference = h(
            "fieldset",
            {},
            h("legend", {}, t("steering.reference")),
            choice(t("steering.reference.by"), "reference", looks),
            this.#resembled.element,
            ...this.#further.map(({element}) => element),
            share("weight", 1),
            share("fidelity", 0.5),
            share("start", 0),
            share("end", 1),
            h("p.cp-note", {}),
            h("div.cp-lacking", {}, h("p", {}, t("steering.reference.adapters")), filePlace("ControlNet", {choose}), h("clickpaint-models", {"data-role": "adapter"})),
        );
        this.replaceChildren(this.system, this.guide, this.reference);
        this.#task = "";
        this.update();
        for (const [name, value] of Object.entries(before)) this.#put(name, value);
        this.update();
    }

    #put(name, value) {
        const input = this.#input(name);
        if (!input || (input instanceof HTMLSelectElement && ![...input.options].some((option) => option.value === value && !option.disabled))) return;
        input.value = `${value}`;
        input.dispatchEvent(new Event("input"));
    }

    /** @returns {any} */
    #input(name) {
        return this.querySelector(`[name=${name}]`);
    }

    /** Show what acts on what the open tab does. */
    update() {
        const known = this.#known, workbench = this.#workbench();
        if (!known || !workbench) return;
        if (this.#family !== this.#familyNow) {
            this.#family = this.#familyNow;
            this.#again();
        }
        const {action} = workbench.diffusion, able = known.systems.filter(({tasks}) => tasks.includes(action));
        if (action !== this.#task) this.#offer(action, able);
        const {system, guide, reference} = valuesOf(this), chosen = able.find(({name}) => name === system);
        const clip = workbench.editor.clip !== null;
        this.hidden = action === "edit";
        this.system.hidden = !able.length || clip;
        this.system.querySelector(".cp-gives").textContent = chosen ? `${chosen.title}: ${translated(chosen.gives)}. ${t("steering.system.acts")}` : "";
        this.guide.hidden = this.reference.hidden = Boolean(chosen);
        const lacking = guide !== "none" && !known.guides[guide].available;
        this.#seen("guide_words", guide === "clip" || guide === "classifier");
        this.#input("guide_words").placeholder = t(guide === "classifier" ? "steering.guide.class" : "steering.guide.phrases");
        this.#seen("guide_scale", guide !== "none");
        this.#guiding.element.hidden = guide !== "picture";
        this.#lack(lacking ? known.guides[guide] : null);
        if (!known.adjustable) this.#moveUp();
        const looks = known.reference.available, adjusts = looks && known.adjustable, note = this.reference.querySelector(".cp-note");
        for (const name of ["weight", "start", "end"]) this.#seen(`reference_${name}`, adjusts && reference !== "");
        this.#seen("reference_fidelity", adjusts && reference === LOOK);
        this.#seen("reference", looks);
        this.#resembled.element.hidden = !looks || reference === "";
        this.#further.forEach(({element}, i) => (element.hidden = !looks || known.adjustable || reference === "" || ![this.#resembled, ...this.#further][i].value));
        note.textContent = looks ? (action === "vary" && reference ? t("steering.reference.vary") : "") : said(known.reference, "reason");
        note.hidden = !note.textContent;
        this.reference.querySelector(".cp-lacking").hidden = !adjusts || known.adapters.length > 0 || reference === "";
    }

    /** One of several reference pictures that is taken away leaves no gap, in which the next ones would be neither seen nor sent. */
    #moveUp() {
        const places = [this.#resembled, ...this.#further], values = places.map(({value}) => value).filter((value) => value !== null);
        places.forEach((place, i) => place.show(values[i] ?? null));
    }

    #seen(name, shown) {
        this.#input(name).closest("label").hidden = !shown;
    }

    /** The lists that are others for another task. */
    #offer(task, able) {
        this.#task = task;
        const list = this.#input("system"), before = list.value, first = this.#input("reference").options[0];
        const entries = able.map(({name, title, available, reason}) => [name, `${title} (${name})`, {disabled: !available, title: reason || null}]);
        list.replaceChildren(...options([["", t("steering.checkpoint")], ...entries]));
        if (entries.some(([name, , {disabled}]) => name === before && !disabled)) list.value = before;
        first.textContent = task === "vary" ? t("steering.reference.shown") : t("control.off");
    }

    /** What a guide lacks, and where that goes. */
    #lack(able) {
        const place = this.guide.querySelector(".cp-lacking");
        place.hidden = able === null;
        if (able && place.dataset.reason !== able.reason) place.replaceChildren(h("p", {}, said(able, "reason")), filePlace("captioner", {choose: false}));
        place.dataset.reason = able?.reason ?? "";
    }

    /** How the task is steered, as the API takes it; an error is thrown for what would change nothing. @param {string} task */
    steered(task) {
        if (!this.#known || this.hidden) return {};
        const values = /** @type {any} */ (valuesOf(this)), system = this.#known.systems.find(({name, tasks}) => name === values.system && tasks.includes(task));
        const scale = Math.min(Math.max(Number(values.guide_scale) || 0, 0), HIGHEST);
        return steeringOf(task, {
            ...values, guide_scale: scale, system: system?.name ?? "", acts: system?.acts[task] ?? [], guide_picture: this.#guiding.value, adjustable: this.#known.adjustable,
            reference: this.#known.reference.available ? values.reference : "", reference_picture: this.#resembled.value,
            further_references: this.#further.filter(({element}) => !element.hidden).map(({value}) => value).filter((value) => value !== null),
        });
    }
}
