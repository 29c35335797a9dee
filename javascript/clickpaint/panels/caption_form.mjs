/** How something is to be described: the form of the Describe panel, and what it says. */

import {h} from "../common/dom.mjs";
import {currentLanguage, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";

const SHORTEST = 10, LONGEST = 80, USUAL = 25;
const TAGS = {English: "en", Chinese: "zh", French: "fr", Spanish: "es", Arabic: "ar", Portuguese: "pt", Cantonese: "yue", German: "de", Italian: "it", Japanese: "ja", Korean: "ko", Russian: "ru", Hindi: "hi", Dutch: "nl", Polish: "pl", Turkish: "tr", Vietnamese: "vi", Indonesian: "id", Ukrainian: "uk"};

/** The values of the form as the API takes them: a caption's body. */
export function bodyOf({captioner, limited, words, form, sentiment, factuality, language, wiki, background, candidates, context}) {
    return {
        captioner: captioner || null,
        style: {length: limited ? Number(words) : null, form: form === "tags" ? "prompt" : form, sentiment, factuality, language, wiki},
        region: {background},
        candidates: Number(candidates),
        context,
        tags: form === "tags",
    };
}

/** Of a caption's body, what describing everything takes. */
export function everythingOf({captioner, style, region}, most) {
    return {captioner, style, region, sieve: {most}};
}

function languageName(name) {
    return TAGS[name] ? new Intl.DisplayNames([currentLanguage().replace("_", "-")], {type: "language"}).of(TAGS[name]) : name;
}

export class CaptionForm {
    constructor() {
        this.note = h("p.cp-note", {id: "clickpaint_describe_note", hidden: true});
        this.length = h("output", {});
        this.element = h("form.cp-wording", {onsubmit: (event) => event.preventDefault(), oninput: () => this.#lengthen()});
    }

    /** Offer what `known`, the server's answer, says; what the user chose before stays chosen where it still can. */
    draw({captioners, controls, styles}) {
        const before = this.element.childElementCount ? this.#values() : {};
        const say = (names) => names.map((name) => [name, t(`say.${name}`)]);
        const speaks = captioners.filter((captioner) => captioner.captions);
        const who = [["", t("describe.automatic")], ...speaks.map((captioner) => [captioner.name, captioner.title, captioner.available ? "" : said(captioner, "reason") || t("state.missing")])];
        const range = {type: "range", name: "words", min: `${SHORTEST}`, max: `${LONGEST}`, step: "1", value: `${USUAL}`, "aria-label": t("describe.words")};
        const limited = h("label.cp-check", {}, h("input", {type: "checkbox", name: "limited"}), h("span", {}, t("describe.length")));
        this.element.replaceChildren(
            choice("captioner", t("describe.captioner"), who),
            choice("form", t("describe.form"), [...say(styles.form), ["tags", t("say.tags"), controls.tags.available ? "" : said(controls.tags, "reason")]]),
            h("div.cp-field", {}, limited, h("input", range), this.length),
            choice("sentiment", t("describe.sentiment"), say(styles.sentiment), "natural"),
            choice("factuality", t("describe.factuality"), say(styles.factuality)),
            choice("language", t("describe.language"), styles.language.map((name) => [name, languageName(name)])),
            check("wiki", t("describe.wiki")),
            this.note,
            h(
                "details",
                {},
                h("summary", {}, t("describe.more")),
                choice("background", t("describe.background"), say(styles.background)),
                choice("candidates", t("describe.candidates"), ["1", "2", "3", "5", "8"].map((n) => [n, n]), "3"),
                check("context", t("describe.context")),
            ),
        );
        this.#able("language", controls.language);
        this.#able("wiki", controls.wiki);
        const missing = [controls.language, controls.wiki].find((control) => !control.available);
        this.note.hidden = !missing;
        this.note.textContent = missing ? said(missing, "reason") : "";
        this.#set(before);
        this.#lengthen();
    }

    /** A control that can do nothing here says why. */
    #able(name, control) {
        const {available} = control;
        const field = this.element.elements[name];
        field.disabled = !available;
        field.closest("label").title = available ? "" : said(control, "reason");
        if (!available) field.setAttribute("aria-describedby", this.note.id);
    }

    #lengthen() {
        const {words, limited} = this.element.elements;
        words.disabled = !limited.checked;
        this.length.textContent = limited.checked ? t("describe.count", {n: words.value}) : t("describe.any");
    }

    #values() {
        const fields = [...this.element.elements].filter((field) => field.name);
        return Object.fromEntries(fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value]));
    }

    #set(values) {
        for (const [name, value] of Object.entries(values)) {
            const field = this.element.elements[name];
            if (field.type === "checkbox") field.checked = value;
            else if (field.type === "range" || [...field.options].some((one) => one.value === value && !one.disabled)) field.value = value;
        }
    }

    get body() {
        return bodyOf(this.#values());
    }
}

/** `entries`: [value, text, why it cannot be chosen]. */
function choice(name, label, entries, chosen = entries[0][0]) {
    const options = entries.map(([value, text, reason = ""]) => {
        return h("option", {value, disabled: Boolean(reason), selected: value === chosen, title: reason || null}, reason ? `${text} (${t("describe.unavailable")})` : text);
    });
    return h("label.cp-field", {}, h("span", {}, label), h("select", {name}, ...options));
}

function check(name, label) {
    return h("label.cp-check", {}, h("input", {type: "checkbox", name}), h("span", {}, label));
}
