/** What buttons and keys can do with the canvas. */

/**
 * What buttons and keys can do.
 *
 * @typedef {object} Actions
 * @property {() => void} open
 * @property {() => void} save
 * @property {() => void} copy
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {() => void} everything
 * @property {() => void} text
 * @property {() => void} compare
 * @property {() => void} remove
 * @property {() => void} act what the open tab does with the selection
 * @property {() => void} vary paint another one like what is selected
 * @property {() => void} help
 * @property {() => void} settings
 * @property {() => void} history
 * @property {() => void} datasets
 * @property {() => void} training
 * @property {() => void} keep what is selected, for training
 * @property {() => void} escape
 * @property {() => void} fit
 * @property {(factor: number) => void} zoom
 * @property {(sign: number) => void} resize grow or shrink the selection
 * @property {() => void} dropSpecks
 */

/**
 * @param {import("./canvas.mjs").ClickpaintCanvas} canvas
 * @returns {Omit<Actions, "datasets" | "training" | "keep">} those are training's
 */
export function actionsOf(canvas) {
    const {editor, selecting, timeline, diffusion} = canvas.workbench;
    /** How much Grow grows: about two screen pixels of the whole picture. */
    const step = () => Math.max(Math.round(Math.max(editor.size.width, editor.size.height) / 500), 1);
    return {
        open: () => canvas.files.choose(),
        save: () => canvas.files.save(),
        copy: () => canvas.files.copy(),
        undo: () => editor.tool.undo?.() || (editor.clip ?? timeline).undo(),
        redo: () => editor.tool.redo?.() || (editor.clip ?? timeline).redo(),
        everything: () => selecting.everything(),
        text: () => selecting.text(),
        compare: () => canvas.compare.toggle(),
        remove: () => canvas.begin("remove"),
        act: () => canvas.begin(diffusion.action),
        vary: () => canvas.begin("vary"),
        help: () => canvas.help.toggle(),
        settings: () => canvas.dispatchEvent(new CustomEvent("clickpaint:settings", {bubbles: true})),
        history: () => canvas.keeping.history.toggle().catch((error) => canvas.toasts.error(error)),
        escape: () => canvas.escape(),
        fit: () => (canvas.view.fit(), editor.viewChanged()),
        zoom: (factor) => (canvas.view.zoom(factor), editor.viewChanged()),
        resize: (sign) => selecting.adjust({op: sign > 0 ? "grow" : "shrink", amount: step()}),
        dropSpecks: () => selecting.adjust({op: "drop_specks", amount: 16 * step() ** 2}),
    };
}
