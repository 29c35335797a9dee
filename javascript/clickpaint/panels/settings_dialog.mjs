/** <clickpaint-settings>: a button, and behind it all settings of the stand-alone program. What is changed is kept at once. */

import {h, iconButton} from "../common/dom.mjs";
import {currentLanguage, t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {zh_CN} from "../language/settings_zh_CN.mjs";
import {apiOfPage} from "../server/api.mjs";

/** @type {Record<string, Record<string, string>>} */
const NAMES = {zh_CN};
/** The choices that are words; other lists show names. */
const WORDS = new Set(["auto", "light", "dark", "full", "half", "en", "zh_CN", ""]);

/** A group, name or explanation in the page's language. */
const word = (english) => NAMES[currentLanguage()]?.[english] ?? english;

/**
 * Whether a setting is meant by what was typed: every word of it occurs in its names, in any language.
 *
 * @param {{key: string, group: string, label: string, help: string}} setting
 * @param {string} typed
 */
export function matches({key, group, label, help}, typed) {
    const text = [key, ...[group, label, help].flatMap((english) => [english, word(english)])].join(" ").toLowerCase();
    return typed.toLowerCase().split(/\s+/).every((part) => text.includes(part));
}

export class SettingsDialog extends HTMLElement {
    /** @type {any[]} */
    #settings = [];
    /** Rows by their settings' keys. @type {Map<string, HTMLElement>} */
    #rows = new Map();
    #api = apiOfPage();
    #built = false;

    connectedCallback() {
        if (this.#built) return;
        this.#built = true;
        this.classList.add("cp");
        this.search = h("input.cp-search", {type: "search", placeholder: t("settings.search"), "aria-label": t("settings.search"), oninput: () => this.#filter()});
        this.notice = h("p.cp-note", {role: "status", hidden: true});
        this.list = h("div.cp-settings-list");
        const head = h("div.cp-settings-head", {}, h("h2", {}, t("settings")), this.search, iconButton("close", t("close"), () => this.dialog.close()));
        this.dialog = h("dialog.cp-settings", {"aria-label": t("settings")}, head, this.notice, this.list);
        this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
        this.replaceChildren(iconButton("settings", t("settings"), () => this.open()), this.dialog);
    }

    async open() {
        this.dialog.showModal();
        this.search.value = "";
        try {
            const {changeable, settings} = await this.#api.settings();
            this.#say(changeable ? "" : t("settings.read_only"));
            this.#show(settings, changeable);
        } catch (error) {
            this.#say(said(error, "message") || t("error.unreachable"));
        }
    }

    #say(text) {
        this.notice.textContent = text;
        this.notice.hidden = !text;
    }

    #show(settings, changeable) {
        this.#settings = settings;
        this.#rows = new Map(settings.map((one) => [one.key, this.#row(one, changeable)]));
        const groups = [...new Set(settings.map((one) => one.group))];
        const rowsOf = (group) => settings.filter((one) => one.group === group).map((one) => this.#rows.get(one.key));
        this.list.replaceChildren(...groups.map((group) => h("section", {}, h("h3", {}, word(group)), ...rowsOf(group))), h("p.cp-none", {hidden: true}, t("settings.none")));
    }

    #filter() {
        for (const one of this.#settings) this.#rows.get(one.key)?.toggleAttribute("hidden", !matches(one, this.search.value.trim()));
        let any = false;
        for (const section of this.list.querySelectorAll("section")) {
            const empty = !section.querySelector(".cp-setting:not([hidden])");
            section.toggleAttribute("hidden", empty);
            any ||= !empty;
        }
        this.list.querySelector(".cp-none")?.toggleAttribute("hidden", any);
    }

    #row(setting, changeable) {
        const {key, label, help, fixed, restart} = setting, able = changeable && !fixed, id = `cp-setting-${key}`;
        const input = inputOf(setting, id);
        input.disabled = !able;
        const notice = h("p.cp-told", {role: "status", hidden: true});
        const back = iconButton("undo", `${t("settings.default")}: ${word(label)}`, () => this.#change(setting, null, row));
        back.hidden = !able || isDefault(setting);
        const notes = [help && word(help), fixed && t(`fixed.${fixed}`), restart && t("settings.restart")].filter(Boolean);
        const texts = h("div.cp-setting-text", {}, h("label", {for: id}, word(label)), ...notes.map((note) => h("p.cp-note", {}, note)), notice);
        const row = h("div.cp-setting", {"data-key": key}, texts, h("div.cp-setting-input", {}, back, input));
        input.addEventListener("change", () => this.#change(setting, valueOf(setting, input), row));
        return row;
    }

    async #change(setting, value, row) {
        const notice = row.querySelector(".cp-told"), bad = (text) => (notice.classList.add("cp-bad"), notice.replaceChildren(text));
        notice.hidden = false;
        if (value === undefined) return bad(t("settings.number", {minimum: setting.minimum, maximum: setting.maximum}));
        try {
            const {settings} = await this.#api.changeSettings({[setting.key]: value});
            const now = settings.find((one) => one.key === setting.key), fresh = this.#row(now, true);
            row.replaceWith(fresh);
            this.#rows.set(now.key, fresh);
            this.#settings = settings;
            const done = fresh.querySelector(".cp-told"), reload = h("button.cp-text", {type: "button", onclick: () => location.reload()}, t("settings.reload_now"));
            done.replaceChildren(t("settings.saved"), ...(now.key === "language" ? [" · ", t("settings.reload"), reload] : []));
            done.hidden = false;
            fresh.querySelector("input, select")?.focus();
            document.dispatchEvent(new CustomEvent("clickpaint:setting", {detail: {key: now.key, value: now.value}}));
        } catch (error) {
            bad([said(error, "message") || t("error.unreachable"), said(error, "remedy")].join(" ").trim());
        }
    }
}

/** @param {{value: any, default: any, secret: boolean, given: boolean}} setting */
const isDefault = (setting) => (setting.secret ? !setting.given : setting.value === setting.default);

/** The control for a setting: a switch, a list, a number or a text. */
function inputOf({kind, value, choices, minimum, maximum, secret, given, meant}, id) {
    if (kind === "bool") return h("input", {type: "checkbox", id, checked: value});
    if (choices) {
        const title = (choice) => (WORDS.has(choice.value) ? t(`choice.${choice.value}`) : choice.title);
        return h("select", {id}, ...choices.map((choice) => h("option", {value: choice.value, selected: choice.value === value}, title(choice))));
    }
    if (kind !== "str") return h("input", {type: "number", id, value: `${value}`, step: kind === "int" ? "1" : "any", min: limit(minimum), max: limit(maximum)});
    if (secret) return h("input", {type: "password", id, autocomplete: "off", placeholder: given ? t("settings.given") : ""});
    return h("input", {type: "text", id, value, placeholder: meant, spellcheck: "false", autocomplete: "off"});
}

const limit = (number) => (number === null ? null : `${number}`);

/** What the control says, as the setting's type; undefined for what is no number within its limits. */
function valueOf({kind, choices}, input) {
    if (kind === "bool") return input.checked;
    if (kind === "str" || choices) return input.value;
    return input.value !== "" && input.validity.valid ? Number(input.value) : undefined;
}
