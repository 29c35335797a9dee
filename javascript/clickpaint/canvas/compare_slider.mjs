/** Before and after: all of the original while a key is held, or left of a line that can be dragged. */

import {h} from "../common/dom.mjs";
import {t} from "../language/language.mjs";

export class CompareSlider {
    #fraction = 0.5;
    active = false;
    holding = false;

    /** @param {import("../picture/editor.mjs").Editor} editor */
    constructor(editor) {
        this.editor = editor;
        this.knob = h("button.cp-knob", {type: "button", role: "slider", "aria-label": t("compare"), "aria-valuemin": "0", "aria-valuemax": "100"});
        const label = (name) => h(`span.cp-tag.cp-${name}`, {}, t(`compare.${name}`));
        this.element = h("div.cp-compare", {hidden: true}, label("original"), label("result"), this.knob);
    }

    listen(stage, listeners) {
        listeners.on(this.knob, "pointerdown", (event) => (this.knob.setPointerCapture(event.pointerId), event.stopPropagation()));
        listeners.on(this.knob, "pointermove", (event) => {
            if (!this.knob.hasPointerCapture(event.pointerId)) return;
            const {view} = this.editor, x = event.clientX - stage.getBoundingClientRect().left;
            this.#set(view.toPicture(x, 0).x / view.picture.width);
        });
        listeners.on(this.knob, "keydown", (event) => {
            const step = {ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1}[event.key];
            if (step === undefined) return;
            event.preventDefault();
            this.#set(this.#fraction + step);
        });
    }

    #set(fraction) {
        this.#fraction = Math.min(Math.max(fraction, 0), 1);
        this.editor.redraw();
    }

    toggle() {
        this.active = !this.active && this.editor.comparable;
        this.editor.changed();
    }

    off() {
        this.active = false;
        this.editor.changed();
    }

    hold(holding) {
        this.holding = holding;
    }

    /** The screen's x left of which the original is shown; null for nowhere. */
    split(view) {
        if (this.holding) return Infinity;
        return this.active ? view.toScreen(this.#fraction * view.picture.width, 0).x : null;
    }

    update() {
        if (!this.editor.comparable) this.active = false;
        this.element.hidden = !this.active;
    }

    place(view) {
        if (!this.active) return;
        const x = this.split(view), top = Math.max(view.y, 0);
        this.element.style.transform = `translateX(${x}px)`;
        this.element.style.top = `${top}px`;
        this.element.style.height = `${Math.min(view.y + view.picture.height * view.scale, view.stage.height) - top}px`;
        this.knob.setAttribute("aria-valuenow", Math.round(100 * this.#fraction));
    }
}
