/** Mouse, pen and fingers on the stage: panning and pinching here, everything else to the tool. */

const STILL = 5;

export class Pointers {
    /** Where each pointer that is down is. @type {Map<number, import("../picture/editor.mjs").Point>} */
    #down = new Map();
    /** @type {"pinch" | "pan" | "tap" | "draw" | null} */
    #gesture = null;
    /** Where the first one went down. @type {import("../picture/editor.mjs").Point} */
    #start = {x: 0, y: 0};
    /** Whether the space bar is held. */
    space = false;

    /**
     * @param {HTMLElement} stage what is touched
     * @param {import("../picture/viewport.mjs").View} view moved by panning and pinching
     * @param {import("../picture/editor.mjs").Editor} editor whose tool gets the rest
     * @param {import("../common/dom.mjs").Listeners} listeners
     */
    constructor(stage, view, editor, listeners) {
        this.stage = stage;
        this.view = view;
        this.editor = editor;
        listeners.on(stage, "pointerdown", (event) => this.#press(event));
        listeners.on(stage, "pointermove", (event) => this.#move(event));
        listeners.on(stage, "pointerup", (event) => this.#release(event));
        listeners.on(stage, "pointercancel", (event) => this.#cancel(event));
        listeners.on(stage, "pointerleave", () => this.#leave());
        listeners.on(stage, "contextmenu", (event) => this.#onPicture(event) && event.preventDefault());
        listeners.on(stage, "wheel", (event) => this.#wheel(event), {passive: false});
        listeners.on(stage, "auxclick", (event) => event.preventDefault());
    }

    #onPicture(event) {
        return this.editor.ready && !event.target.closest("button, input, .cp-bar, .cp-panel");
    }

    #screen(event) {
        const {left, top} = this.stage.getBoundingClientRect();
        return {x: event.clientX - left - this.stage.clientLeft, y: event.clientY - top - this.stage.clientTop};
    }

    #point(screen) {
        return this.view.toPicture(screen.x, screen.y);
    }

    #press(event) {
        if (!this.#onPicture(event)) return;
        const at = this.#screen(event);
        this.#down.set(event.pointerId, at);
        this.stage.setPointerCapture(event.pointerId);
        this.stage.focus({preventScroll: true});
        this.editor.crosshair = null;
        if (this.#down.size === 2) {
            this.editor.tool.cancel?.();
            this.#gesture = "pinch";
        } else if (this.#down.size === 1) {
            this.#start = at;
            this.#gesture = event.button === 1 || this.space ? "pan" : this.editor.tool.pans ? "tap" : "draw";
            if (event.button === 1) event.preventDefault();
            if (this.#gesture === "draw") this.editor.tool.start?.(this.#point(at), event);
        }
        this.editor.redraw();
    }

    #move(event) {
        if (!this.editor.ready) return;
        const at = this.#screen(event), before = this.#down.get(event.pointerId);
        if (!before) {
            this.editor.pointer = this.#onPicture(event) ? this.#point(at) : null;
            if (this.editor.pointer) this.editor.tool.hover?.(this.editor.pointer, event);
            return this.editor.redraw();
        }
        const others = [...this.#down.values()];
        this.#down.set(event.pointerId, at);
        this.editor.pointer = this.#point(at);
        if (this.#gesture === "pinch") {
            this.view.pinch(others, [...this.#down.values()]);
            return this.editor.viewChanged();
        }
        if (this.#gesture === "tap" && Math.hypot(at.x - this.#start.x, at.y - this.#start.y) > STILL) this.#gesture = "pan";
        if (this.#gesture === "pan") {
            this.view.pan(at.x - before.x, at.y - before.y);
            return this.editor.viewChanged();
        }
        if (this.#gesture === "draw") {
            for (const part of event.getCoalescedEvents?.() ?? [event]) this.editor.tool.move?.(this.#point(this.#screen(part)), part);
        }
        this.editor.redraw();
    }

    #release(event) {
        if (!this.#down.delete(event.pointerId)) return;
        if (this.#gesture === "pinch") {
            if (!this.#down.size) this.#gesture = null;
            return;
        }
        const point = this.#point(this.#screen(event)), gesture = this.#gesture;
        this.#gesture = null;
        if (gesture === "tap") this.editor.tool.tap?.(point, event);
        else if (gesture === "draw") this.editor.tool.end?.(point, event);
        if (event.pointerType === "touch") this.editor.pointer = null;
        this.editor.redraw();
    }

    #cancel(event) {
        this.#down.delete(event.pointerId);
        this.#gesture = null;
        this.editor.tool.cancel?.();
        this.editor.redraw();
    }

    #leave() {
        if (this.#down.size) return;
        this.editor.pointer = null;
        this.editor.hover(null);
        this.editor.redraw();
    }

    /** A wheel zooms at the pointer; a trackpad's pinch comes as a wheel with Ctrl and small steps. */
    #wheel(event) {
        if (!this.#onPicture(event)) return;
        event.preventDefault();
        const at = this.#screen(event);
        const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
        const delta = Math.min(Math.max(event.deltaY * lines, -240), 240);
        this.view.zoomAt(at.x, at.y, Math.exp(-delta * (event.ctrlKey ? 0.01 : 0.0018)));
        this.editor.viewChanged();
    }
}
