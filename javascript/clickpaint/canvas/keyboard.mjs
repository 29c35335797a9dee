/** The keyboard on the canvas: from keys to what the canvas can do. Only while the canvas is in use and seen. */

import {BRUSHES, PICTURES_ONLY} from "./tools.mjs";
import {actionOf, arrow, belongsToField, isText} from "./shortcuts.mjs";

export class Keyboard {
    #compared = null;

    /**
     * @param {import("./canvas.mjs").ClickpaintCanvas} canvas
     * @param {import("../common/dom.mjs").Listeners} listeners
     */
    constructor(canvas, listeners) {
        this.canvas = canvas;
        listeners.on(document, "keydown", (event) => this.#down(event));
        listeners.on(document, "keyup", (event) => this.#up(event));
        listeners.on(window, "blur", () => this.#release());
    }

    #down(event) {
        const {canvas} = this;
        if (event.defaultPrevented || event.isComposing || !canvas.isActive(event.target)) return;
        if (belongsToField(event) && !this.#leavesField(event)) return;
        if (event.key === " " && !canvas.editor.clip) {
            if (canvas.editor.crosshair !== null) this.#press(event);
            else canvas.holdSpace(true);
            return event.preventDefault();
        }
        const action = actionOf(event, canvas.editor.clip !== null);
        if (action && this.#do(action, event)) {
            event.preventDefault();
            event.stopPropagation();
        }
    }

    #up(event) {
        if (event.key === " ") this.canvas.holdSpace(false);
        if (event.key === this.#compared) this.#release();
    }

    #release() {
        if (this.#compared !== null) this.canvas.showOriginal(false);
        this.#compared = null;
        this.canvas.holdSpace(false);
    }

    /** Esc closes messages even while somebody writes. */
    #leavesField(event) {
        return actionOf(event) === "escape" && isText(event.target) && this.canvas.toasts.shown;
    }

    /** Whether the key was used. */
    #do(action, event) {
        const {canvas} = this, {editor, selecting} = canvas.workbench;
        const simple = canvas.actions[action];
        if (["help", "open", "escape"].includes(action)) return simple(), true;
        if (!editor.ready) return false;
        if (canvas.film.playing && !(action in canvas.film.keys) && !["compare", "fit", "save"].includes(action)) return canvas.film.clip.player.stop(), true;
        if (action in canvas.film.keys) return event.repeat && action === "film:play" ? true : (canvas.film.keys[action](), true);
        if (action.startsWith("tool:") && editor.clip && PICTURES_ONLY.includes(action.slice(5))) return true;
        if (action.startsWith("tool:")) return editor.use(action.slice(5)), true;
        switch (action) {
            case "smaller":
            case "larger":
                editor.setRadius(action === "larger" ? Math.max(editor.radius * 1.2, editor.radius + 1) : Math.min(editor.radius / 1.2, editor.radius - 1));
                return true;
            case "candidate":
                selecting.choose(Number(event.key) - 1);
                return true;
            case "resize":
                simple(event.key === "-" ? -1 : 1);
                return true;
            case "invert":
            case "fill_holes":
                selecting.adjust({op: action});
                return true;
            case "compare":
                return this.#compare(event);
            case "move":
                return this.#move(event);
            case "press":
                return this.#press(event);
            case "copy":
                if (String(getSelection())) return false;
                simple();
                return true;
            default:
                simple();
                return true;
        }
    }

    /** Tab compares under the pointer; elsewhere it goes on to the next control, as it must. */
    #compare(event) {
        if (event.key === "Tab" && (!this.canvas.overStage || event.shiftKey)) return false;
        if (!event.repeat) this.canvas.showOriginal(true);
        this.#compared = event.key;
        return true;
    }

    #move(event) {
        if (document.activeElement !== this.canvas.stage) return false;
        const {x, y} = arrow(event.key), {editor} = this.canvas.workbench;
        const step = Math.max(Math.round((event.shiftKey ? 40 : 6) / editor.view.scale), 1);
        editor.moveCrosshair(x * step, y * step);
        return true;
    }

    #press(event) {
        const {stage} = this.canvas, {editor} = this.canvas.workbench;
        if (document.activeElement === stage && editor.tool.apply && editor.tool.drafting && !editor.tool.underWay) return editor.tool.apply(), true;
        if (document.activeElement !== stage || !editor.crosshair) return false;
        const at = {...editor.crosshair}, {tool} = editor;
        const like = {button: 0, altKey: event.altKey, shiftKey: event.shiftKey, pointerType: "keyboard"};
        if (tool.pans) tool.tap?.(at, like);
        else if (BRUSHES.includes(tool.name)) {
            tool.start?.(at, like);
            tool.end?.(at, like);
        } else this.#corner(tool, at, like);
        return true;
    }

    /** Box and lasso by keyboard: Enter sets one corner after another; at the first one again (or the box's second) it is done. */
    #corner(tool, at, like) {
        if (!tool.drafting) tool.start(at, like);
        else if (tool.name === "box" || tool.closes(at)) tool.end(at, like);
        else tool.move(at);
        this.canvas.workbench.editor.redraw();
    }
}
