/** Which language the page speaks, and its sentences. */

import {en, zh_CN} from "./strings.mjs";

const TABLES = {en, zh_CN};

/**
 * The language by the host's choice: `wanted` ("auto" or a key), else the web UI's own setting, else the browser's.
 * A web UI that has a localization we do not know stays in English, like its other untranslated labels.
 */
export function languageOf(wanted, host = globalThis) {
    if (TABLES[wanted]) return wanted;
    const chosen = host.opts?.localization;
    if (chosen !== undefined) return /^zh([_-](hans|cn)|$)/i.test(chosen) ? "zh_CN" : "en";
    return /^zh\b(?!-(tw|hk|hant))/i.test(host.navigator?.language ?? "") ? "zh_CN" : "en";
}

let table = en;

export function useLanguage(language) {
    table = TABLES[language] ?? en;
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
    return n >= 1e6 ? `${Math.round(n / 1e6)} MB` : `${Math.max(Math.round(n / 1e3), 1)} kB`;
}

export function duration(seconds) {
    if (seconds >= 90) return t("minutes", {n: Math.round(seconds / 60)});
    return t("seconds", {n: seconds < 9.95 ? Math.max(seconds, 0.1).toFixed(1).replace(/\.0$/, "") : Math.round(seconds)});
}
