/** Small helpers for making elements and for listeners that can be taken off again. */

import {icon} from "./icons.mjs";

/** Milliseconds for which a saved file's address is kept: browsers read it after the click. */
const KEPT = 60_000;

/** h("button.cp-x", {title, onclick, ariaLabel}, ...children) */
export function h(selector, properties = {}, ...children) {
    const [tag, ...classes] = selector.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(properties)) {
        if (value === null || value === undefined) continue;
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (name in element && typeof value !== "string") element[name] = value;
        else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/** A button with an icon; its name is both its tooltip and its label for screen readers. */
export function iconButton(name, label, onclick, {key = "", className = ""} = {}) {
    const button = h("button.cp-icon", {type: "button", title: key ? `${label} (${key})` : label, "aria-label": label, onclick});
    if (className) button.classList.add(className);
    button.append(icon(name));
    return button;
}

export function toolbar(className, label, ...children) {
    return h(`div.cp-bar.${className}`, {role: "toolbar", "aria-label": label}, ...children);
}

/**
 * Show a picture that was asked for; without it the place stays empty.
 *
 * @param {HTMLImageElement} picture
 * @param {Promise<Blob>} file
 */
export async function showBlob(picture, file) {
    const blob = await file.catch(() => null);
    if (!blob) return;
    const address = URL.createObjectURL(blob);
    picture.addEventListener("load", () => URL.revokeObjectURL(address), {once: true});
    picture.src = address;
}

/**
 * Let the browser save a file.
 *
 * @param {HTMLElement} root of the page's part that saves it
 * @param {Blob} blob
 * @param {string} name
 */
export function downloaded(root, blob, name) {
    const link = h("a", {href: URL.createObjectURL(blob), download: name, hidden: true});
    root.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}

/**
 * Tell the style where our part of the page begins: what stands above differs from web UI to web UI, and all is to fit below it.
 *
 * @param {Element} element in it
 */
export function tellTop(element) {
    /** @type {HTMLElement | null} */
    const container = element.closest(".gradio-container"), page = element.closest(".cp-page");
    if (page) container?.style.setProperty("--cp-top", `${Math.round(page.getBoundingClientRect().top + scrollY)}px`);
}

/** All listeners of a part, so that they go off together. */
export class Listeners {
    #off = [];

    on(target, type, handler, options) {
        target.addEventListener(type, handler, options);
        this.#off.push(() => target.removeEventListener(type, handler, options));
    }

    observe(observer, target, options) {
        observer.observe(target, options);
        this.#off.push(() => observer.disconnect());
    }

    add(off) {
        this.#off.push(off);
    }

    off() {
        for (const off of this.#off.splice(0)) off();
    }
}
