/** <clickpaint-touchup>: in txt2img and img2img, the picture on which the points of the touch-up are clicked in place of writing them. */

import {h} from "../common/dom.mjs";
import {pictureOf} from "../host/webui.mjs";
import {t} from "../language/language.mjs";

const DIGITS = 4;
const REACH = 12;
const STARTS = ["#img2img_image", "#img2img_sketch", "#img2maskimg", "#inpaint_sketch", "#img_inpaint_base"];

/**
 * @typedef {object} Mark a point as a text field has it
 * @property {number} x share of the picture's width, or pixels
 * @property {number} y share of its height, or pixels
 * @property {number} label 0: what lies there is not meant
 * @property {boolean} shares
 */

/**
 * What is written, as `segment.pointing` of the server reads it; what it would refuse is left out.
 *
 * @param {string} text
 * @returns {Mark[]}
 */
export function marksOf(text) {
    const rows = text.split(/[;\n]/).map((row) => row.split(/[,\s]+/).filter(Boolean)).filter((row) => row.length === 2 || row.length === 3);
    return rows.flatMap((row) => {
        const [x, y, label = 1] = row.map(Number), place = row.slice(0, 2);
        const shares = Math.min(x, y) >= 0 && Math.max(x, y) <= 1 && place.some((number) => number.includes("."));
        return [x, y, label].every(Number.isFinite) ? [{x, y, label, shares}] : [];
    });
}

/** @param {Mark[]} marks */
export function textOf(marks) {
    const number = (value, shares) => (shares ? value.toFixed(DIGITS) : `${value}`);
    return marks.map(({x, y, label, shares}) => [number(x, shares), number(y, shares), ...(label ? [] : ["0"])].join(",")).join("; ");
}

/** The address of the picture that an img2img starts from; null where there is none. */
export function startOf(page = document) {
    /** @type {HTMLImageElement[]} */
    const images = STARTS.flatMap((place) => [.../** @type {NodeListOf<HTMLImageElement>} */ (page.querySelectorAll(`${place} img`))]);
    const found = images.find((image) => image.naturalWidth > 1 && image.closest(".tabitem")?.getClientRects().length !== 0) ?? images.find((image) => image.naturalWidth > 1);
    return found?.src ?? null;
}

export class TouchUpPicker extends HTMLElement {
    /** @type {IntersectionObserver | null} */
    #observer = null;
    #image = h("img.cp-pick-image", {draggable: false, alt: ""});
    #marks = h("div.cp-pick-marks");
    #stage = h("div.cp-pick-stage", {hidden: true}, this.#image, this.#marks);
    #notice = h("p");

    connectedCallback() {
        this.classList.add("cp");
        this.#observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#appeared());
        this.#observer.observe(this);
    }

    disconnectedCallback() {
        this.#observer?.disconnect();
    }

    /** The text field that the points are written into. @returns {HTMLInputElement | HTMLTextAreaElement | null} */
    get field() {
        return document.querySelector(`#${CSS.escape(this.dataset.points ?? "")} :is(textarea, input)`);
    }

    #appeared() {
        if (!this.firstChild) this.#build();
        this.#show(this.#newest());
    }

    #build() {
        const button = (key, onclick) => h("button.cp-text", {type: "button", onclick}, t(key));
        const buttons = [button("touchup.result", () => this.#show(this.#result()))];
        if (this.dataset.tab === "img2img") buttons.push(button("touchup.start", () => this.#show(startOf())));
        buttons.push(button("touchup.clear", () => this.#write([])));
        this.#stage.title = t("touchup.help");
        this.#stage.setAttribute("aria-label", t("touchup"));
        this.#stage.addEventListener("click", (event) => this.#point(event, event.altKey ? 0 : 1));
        this.#stage.addEventListener("contextmenu", (event) => (event.preventDefault(), this.#point(event, 0)));
        this.#image.addEventListener("load", () => this.#draw());
        this.addEventListener("pointerenter", () => this.#draw()); // what was pasted into the field came without an event
        this.field?.addEventListener("input", () => this.#draw());
        this.replaceChildren(h("div.cp-pick-buttons", {}, ...buttons), this.#stage, this.#notice);
    }

    #result() {
        return pictureOf(document.querySelector(`#${this.dataset.tab}_gallery`));
    }

    #newest() {
        return this.#result() ?? (this.dataset.tab === "img2img" ? startOf() : null);
    }

    /** @param {string | null} address */
    #show(address) {
        this.#stage.hidden = !address;
        this.#notice.textContent = t(address ? "touchup.help" : "touchup.empty");
        if (address && this.#image.src !== address) this.#image.src = address;
        this.#draw();
    }

    #point({clientX, clientY}, label) {
        const frame = this.#image.getBoundingClientRect();
        if (!frame.width || !this.#image.naturalWidth) return;
        const marks = marksOf(this.field?.value ?? "");
        const near = marks.findIndex((mark) => {
            const {left, top} = this.#place(mark);
            return Math.hypot(left * frame.width - (clientX - frame.left), top * frame.height - (clientY - frame.top)) < REACH;
        });
        if (near >= 0) marks.splice(near, 1);
        else {
            const share = (value) => Math.min(Math.max(value, 0), 1);
            marks.push({x: share((clientX - frame.left) / frame.width), y: share((clientY - frame.top) / frame.height), label, shares: true});
        }
        this.#write(marks);
    }

    /** Where a mark lies, in shares of the picture. @param {Mark} mark */
    #place({x, y, shares}) {
        return shares ? {left: x, top: y} : {left: x / (this.#image.naturalWidth || 1), top: y / (this.#image.naturalHeight || 1)};
    }

    #write(marks) {
        const {field} = this;
        if (!field) return;
        field.value = textOf(marks);
        field.dispatchEvent(new Event("input", {bubbles: true}));
        this.#draw();
    }

    #draw() {
        const marks = marksOf(this.field?.value ?? "").map((mark) => {
            const {left, top} = this.#place(mark), element = h(`span.cp-pick-mark${mark.label ? "" : ".cp-pick-minus"}`);
            element.style.left = `${100 * left}%`;
            element.style.top = `${100 * top}%`;
            return element;
        });
        this.#marks.replaceChildren(...marks);
    }
}
