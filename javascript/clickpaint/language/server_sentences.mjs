/**
 * What the server says, in the page's language. It speaks English, and hands on what each sentence was made of: a template, which is its
 * code, and data. What is not in the table stays English.
 */

import {zh_CN as names} from "./catalog_zh_CN.mjs";
import {currentLanguage} from "./language.mjs";
import {zh_CN} from "./server_sentences_zh_CN.mjs";

/** From templates to templates. @type {Record<string, Record<string, string>>} */
const TABLES = {zh_CN: {...names, ...zh_CN}};

const PLACEHOLDER = /\{\{|\}\}|\{(\w+)(?:![rs])?(?::([^{}]*))?\}/g;

/**
 * A sentence of one of the server's answers.
 *
 * @param {any} record the answer's object
 * @param {string} key where the sentence stands in it; beside it stand `key_code` and `key_data`, of an error's message `code` and `data`
 * @returns {string} "" where there is none
 */
export function said(record, key) {
    const text = record?.[key];
    if (!text) return "";
    const code = record[`${key}_code`] ?? (key === "message" ? record.code : undefined);
    return translated(text, code, record[`${key}_data`] ?? record.data);
}

/**
 * @param {string} text in English
 * @param {string} [code] its template; the text itself where it has no values
 * @param {Record<string, any>} [data] the values
 */
export function translated(text, code = text, data = {}) {
    const template = TABLES[currentLanguage()]?.[code];
    return template === undefined ? text : filled(template, data);
}

/**
 * A template of Python's `str.format` with its values put in: names only, and of the formats those for numbers.
 *
 * @param {string} template
 * @param {Record<string, any>} data
 */
export function filled(template, data) {
    return template.replace(PLACEHOLDER, (all, name, format) => {
        if (name === undefined) return all[0];
        const value = data[name]; // maybe a sentence itself
        return typeof value === "string" ? translated(value, data[`${name}_code`], data[`${name}_data`]) : formatted(value, format);
    });
}

/**
 * @param {any} value that is no text
 * @param {string} [format] ".1f", ",", ",d", ".0%" …
 */
function formatted(value, format = "") {
    if (typeof value !== "number" || !format) return Array.isArray(value) ? value.join(", ") : `${value}`;
    const digits = Number(format.match(/\.(\d+)/)?.[1] ?? 0), fixed = {minimumFractionDigits: digits, maximumFractionDigits: digits};
    if (format.endsWith("%")) return `${(100 * value).toFixed(digits)}%`;
    if (format.includes(",")) return value.toLocaleString("en", fixed);
    return format.endsWith("f") ? value.toFixed(digits) : `${value}`;
}
