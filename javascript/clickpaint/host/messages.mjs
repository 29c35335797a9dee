/** What the widgets beside the canvas send to it: data, which the server's page puts into each of them. See `ui.gradio_compat.send`. */

import {METHODS, OF_THE_HOST} from "../picture/diffusion.mjs";
import {marginsFor} from "../picture/expand_margins.mjs";
import {canvas, steered, units} from "./elements.mjs";
import {chooseHow, fillRemoval, showGuidance} from "./guidance_widget.mjs";
import {receive} from "./webui.mjs";
import {shownValues} from "./widgets.mjs";

/**
 * From a message's `do` to what happens: called with the message and the values that Gradio has for the widget's inputs, gives the values of
 * its outputs. Nothing fails where there is no canvas (yet): the page may be hidden or still loading.
 *
 * @type {Record<string, (message: any, values: any[]) => any[] | Promise<any[]>>}
 */
const HANDLERS = {
    /** A widget's value changed. `names`: what the canvas calls what a list shows. */
    option({option, names = {}}, [value]) {
        const name = names[value] ?? value;
        canvas()?.editor.setOption(option, name);
        if (option === "format") document.querySelector("#clickpaint_quality")?.classList.toggle("cp-hidden", name !== "jpeg" && name !== "webp");
        return [];
    },

    /**
     * The button of a task was pressed.
     *
     * `options`, `widgets`: ids of widgets by their names, those of the canvas's options and those that say how to paint; their values come in
     * this order. `names`: what the canvas calls what a list of an option shows. `used`: widgets whose values are given back, zero once the
     * task is done: what was added to a picture is not to be added once more.
     */
    async begin({task, options = {}, widgets = {}, names = {}, used = []}, values) {
        const count = Object.keys(options).length, workbench = canvas()?.workbench;
        const chosen = shownValues(options, values.slice(0, count)), how = shownValues(widgets, values.slice(count));
        for (const [option, labels] of Object.entries(names)) chosen[option] = labels[chosen[option]] ?? chosen[option];
        const painted = task !== "remove" || (chosen.eraser === "diffusion" && !workbench?.editor.clip);
        try {
            if (painted) Object.assign(how, steered(task));
        } catch (error) {
            workbench?.editor.emit("error", error);
            return used.map((/** @type {string} */ name) => how[name]);
        }
        const begun = task === "remove" ? workbench?.remove(chosen, how) : workbench?.diffusion.paint(task, how, units());
        // a web UI loads what was chosen in its list only now, and other settings may belong to it
        Promise.resolve(begun).then(() => workbench?.opening.loadCapabilities()).catch(() => {});
        if (!used.length) return [];
        return (await begun) ? used.map(() => 0) : used.map((/** @type {string} */ name) => how[name]);
    },

    /** Which of the tasks' tabs is open: it decides what is drawn over the picture. */
    tab({task}) {
        const workbench = canvas()?.workbench;
        workbench?.diffusion.setTask(task);
        workbench?.opening.loadCapabilities().catch(() => {}); // the web UI may have loaded another model, to which other settings belong
        return [];
    },

    /** Which engine paints: `host` is what the list shows for the host's own. `only`: from an element's id to the one engine that it is for. */
    engine({host, only = {}}, [engine]) {
        for (const [id, wanted] of Object.entries(only)) document.getElementById(id)?.classList.toggle("cp-hidden", engine !== wanted);
        const panel = document.querySelector("clickpaint-control"), ours = engine !== host;
        if (panel) /** @type {any} */ (panel).ours = ours;
        chooseHow({engine: OF_THE_HOST.has(engine) ? "auto" : engine.toLowerCase()});
        if (ours) canvas()?.workbench.api.prepareCheckpoint().catch(() => {}); // only a head start: painting says what is wrong
        return [];
    },

    /** How an edit by words is done. `only`: as for `engine`. */
    method({only}, [method]) {
        chooseHow({method: METHODS[method] ?? "p2p"});
        for (const [id, wanted] of Object.entries(only)) document.getElementById(id)?.classList.toggle("cp-hidden", method !== wanted);
        return [];
    },

    /** Margins to expand by changed: left, top, right, bottom. */
    margins(_, margins) {
        canvas()?.workbench.diffusion.setMargins(margins);
        return [];
    },

    /** The margins of a preset for the picture shown. */
    preset({preset}) {
        const editor = canvas()?.editor;
        return editor?.ready ? marginsFor(preset, editor.size) : [0, 0, 0, 0];
    },

    /** What a sampling starts with was changed. */
    start() {
        showGuidance();
        return [];
    },

    /** The words by which the loaded model removes something. */
    removal() {
        fillRemoval();
        return [];
    },

    /** The seed of the result that was shown last, -1 before there was one. */
    seed() {
        return [canvas()?.workbench.diffusion.seed ?? -1];
    },

    save() {
        canvas()?.files.save();
        return [];
    },

    /** Inside a web UI: take the picture of its gallery `source`. */
    receive({source}) {
        const here = canvas();
        if (here) receive(here, source);
        return [];
    },
};

/**
 * A widget's message.
 *
 * @param {{do: string}} message
 * @param {any[]} values
 */
export function handle(message, values) {
    return HANDLERS[message.do](message, values);
}
