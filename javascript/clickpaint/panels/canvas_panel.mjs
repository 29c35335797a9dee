/** What panels share that work on the canvas. */

import {Listeners} from "../common/dom.mjs";

/** A panel that works on the page's canvas, which may come before or after it and may be made anew. */
export class CanvasPanel extends HTMLElement {
    /** Of what happens on the canvas; gone with it. */
    listeners = new Listeners();
    /** The canvas that this works on. @type {any} */
    #attached = null;

    connectedCallback() {
        this.classList.add("cp");
        document.addEventListener("clickpaint:ready", this.#attach);
        this.#attach();
    }

    disconnectedCallback() {
        document.removeEventListener("clickpaint:ready", this.#attach);
        this.listeners.off();
        this.#attached = null;
    }

    #attach = () => {
        const canvas = document.querySelector("clickpaint-canvas");
        if (!canvas?.workbench || canvas === this.#attached) return;
        this.listeners.off();
        this.#attached = canvas;
        this.build(canvas);
    };

    /** Make the panel's parts, on a canvas that is ready. @param {any} _canvas */
    build(_canvas) {
        throw new Error("a panel has parts");
    }
}
