/** Which language the page speaks, and its sentences. */

import {en, zh_CN} from "./sentences.mjs";

/** @type {Record<string, Record<string, string>>} */
const TABLES = {en, zh_CN};

/**
 * The language: that of the stand-alone program's settings, else `wanted` if it is one, else what the web UI chose (its table of translations names it), else the browser's.
 * A web UI in a language that we do not speak stays in English, like its other untranslated labels.
 */
export function languageOf(wanted, host = globalThis) {
    const chosen = host.clickpaintPreferences?.language ?? wanted;
    if (TABLES[chosen]) return chosen;
    if (host.localization) return TABLES[host.localization.clickpaint_language] ? host.localization.clickpaint_language : "en";
    return /^zh\b(?!-(tw|hk|hant))/i.test(host.navigator?.language ?? "") ? "zh_CN" : "en";
}

/** @type {Record<string, string>} */
let table = en;

export function useLanguage(language) {
    table = TABLES[language] ?? en;
}

/** The one in use. */
export function currentLanguage() {
    return Object.keys(TABLES).find((name) => TABLES[name] === table) ?? "en";
}

/** The sentence `key` with its values put in. */
export function t(key, values = {}) {
    const sentence = table[key] ?? en[key];
    if (sentence === undefined) throw new Error(`No such sentence: ${key}`);
    return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** 39 MB, 2.6 GB: as people say it. */
export function bytes(n) {
    if (n >= 1e9) return `${(n / 1e9).toFixed(1)} GB`;
    return n >= 1e6 ? `${Math.round(n / 1e6)} MB` : `${n ? Math.max(Math.round(n / 1e3), 1) : 0} kB`;
}

export function duration(seconds) {
    if (seconds >= 90) return t("minutes", {n: Math.round(seconds / 60)});
    return t("seconds", {n: seconds < 9.95 ? Math.max(seconds, 0.1).toFixed(1).replace(/\.0$/, "") : Math.round(seconds)});
}

/** How long ago a moment was, as people say it. @param {number} moment in seconds since 1970 @param {number} now */
export function ago(moment, now = Date.now() / 1000) {
    const format = new Intl.RelativeTimeFormat(currentLanguage().replace("_", "-"), {numeric: "auto", style: "long"});
    const seconds = Math.max(now - moment, 0);
    if (seconds < 3600) return format.format(-Math.round(seconds / 60), "minute");
    return seconds < 86400 ? format.format(-Math.round(seconds / 3600), "hour") : format.format(-Math.round(seconds / 86400), "day");
}
