/** Stand-alone only: does to Gradio's labels what a web UI does by itself, with the same table (localizations/zh_CN.json). */

import {languageOf} from "../language/language.mjs";

const tables = JSON.parse(document.getElementById("clickpaint_localization")?.textContent ?? "{}");
const table = tables[languageOf("auto")];

function translate(node) {
    if (node.nodeType === Node.TEXT_NODE) {
        const text = node.data.trim(), better = table[text];
        if (better && better !== text && !node.parentElement?.closest("clickpaint-canvas, clickpaint-models, clickpaint-describe, clickpaint-settings, script, style, textarea")) node.data = node.data.replace(text, better);
        return;
    }
    if (node.title && table[node.title]) node.title = table[node.title];
    if (node.ariaLabel && table[node.ariaLabel]) node.ariaLabel = table[node.ariaLabel];
    node.childNodes.forEach(translate);
}

if (table) {
    document.documentElement.lang = "zh-CN";
    translate(document.body);
    new MutationObserver((changes) => {
        for (const {addedNodes, target, type} of changes) {
            if (type === "characterData") translate(target);
            addedNodes.forEach(translate);
        }
    }).observe(document.body, {childList: true, subtree: true, characterData: true});
}
