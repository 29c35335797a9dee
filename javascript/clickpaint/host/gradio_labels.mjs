/** Stand-alone only: does to Gradio's labels what a web UI does by itself, with the same table (localizations/zh_CN.json). */

import {languageOf} from "../language/language.mjs";

const tables = JSON.parse(document.getElementById("clickpaint_localization")?.textContent ?? "{}");
const table = tables[languageOf("auto")];

const ATTRIBUTES = ["title", "aria-label", "placeholder"];
/** What Gradio calls the parts of a widget, after which comes the widget's label. */
const PARTS = /^(number input for|range slider for) (.+)$/;

/** An attribute in the page's language. */
function reword(element, name) {
    const text = element.getAttribute(name), [, part, label] = text.match(PARTS) ?? [];
    const better = part ? table[part] && `${table[label] ?? label}${table[part]}` : table[text];
    if (better && better !== text) element.setAttribute(name, better); // which is seen as a change again
}

const TEXT = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value"));

/**
 * The chosen line of a closed list is the value of an input, which only Gradio sets and reads: it goes on doing so in English.
 * @param {HTMLInputElement} input
 */
function wordChosen(input) {
    if (Object.hasOwn(input, "value")) return;
    let english = "";
    const shown = () => TEXT.get?.call(input);
    const show = (/** @type {string} */ text) => {
        english = text;
        TEXT.set?.call(input, table[text] ?? text);
    };
    Object.defineProperty(input, "value", {configurable: true, get: () => shown() === table[english] ? english : shown(), set: show});
    show(shown());
}

function translate(node) {
    if (node.nodeType === Node.TEXT_NODE) {
        const text = node.data.trim(), better = table[text];
        if (better && better !== text && !node.parentElement?.closest("clickpaint-canvas, clickpaint-models, clickpaint-describe, clickpaint-words, clickpaint-settings, script, style, textarea")) node.data = node.data.replace(text, better);
        return;
    }
    for (const name of ATTRIBUTES) if (node.hasAttribute?.(name)) reword(node, name);
    if (node.matches?.("input[role=combobox], input[role=listbox]")) wordChosen(node);
    node.childNodes.forEach(translate);
}

if (table) {
    document.documentElement.lang = "zh-CN";
    translate(document.body);
    new MutationObserver((changes) => {
        for (const {addedNodes, attributeName, target, type} of changes) {
            if (type === "characterData") translate(target);
            if (type === "attributes") reword(target, attributeName);
            addedNodes.forEach(translate);
        }
    }).observe(document.body, {childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES});
}
