/** The floating bars: tools on the left, the picture's actions and the zoom on the right. `update()` follows the editor. */

import {h, iconButton, toolbar} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {CropOptions} from "./crop_options.mjs";
import {BRUSHES, PICTURES_ONLY, TOOLS} from "./tools.mjs";

const KEYS = {click: "C", box: "R", lasso: "L", brush: "B", eraser: "E", quick: "Q", crop: "X"};
/** @type {import("../server/answers.mjs").Mode[]} */
const MODES = ["replace", "add", "subtract", "intersect"];

function pressed(button, on) {
    button.classList.toggle("cp-on", on);
    button.setAttribute("aria-pressed", on);
}

export class ToolBar {
    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "editor" | "selecting" | "versions">} workbench */
    constructor({editor, selecting, versions}) {
        this.editor = editor;
        this.versions = versions;
        this.transparent = iconButton("transparent", t("transparent"), () => selecting.adjust({op: "transparent", mode: editor.mode}));
        /** @type {Record<string, HTMLButtonElement>} */
        this.buttons = Object.fromEntries(TOOLS.map((name) => [name, iconButton(name, t(`tool.${name}`), () => editor.use(name), {key: KEYS[name]})]));
        this.everything = iconButton("everything", t("everything"), () => selecting.everything(), {key: "A"});
        this.text = iconButton("text", t("text"), () => selecting.text(), {key: "T"});
        this.element = toolbar("cp-tools", t("tools"), ...Object.values(this.buttons), h("hr"), this.everything, this.text, this.transparent);
    }

    update() {
        const {editor} = this;
        for (const [name, button] of Object.entries(this.buttons)) pressed(button, editor.tool.name === name && !(editor.regions && name === "click"));
        for (const name of PICTURES_ONLY) this.buttons[name].hidden = editor.clip !== null;
        pressed(this.everything, Boolean(editor.regions?.overview));
        pressed(this.text, Boolean(editor.regions && !editor.regions.overview));
        this.transparent.hidden = !this.versions.transparent;
        this.element.hidden = !editor.ready;
    }
}

/** What belongs to the tool in hand: plus or minus, the size of the brush, how a shape is combined. */
export class ToolOptions {
    /** @param {import("../picture/editor.mjs").Editor} editor */
    constructor(editor) {
        this.editor = editor;
        this.plus = iconButton("plus", t("plus"), () => editor.setNegative(false));
        this.minus = iconButton("minus", t("minus"), () => editor.setNegative(true));
        this.signs = h("div.cp-group", {role: "group"}, this.plus, this.minus);
        this.radius = h("input.cp-range", {type: "range", min: "0", max: "100", "aria-label": t("size"), title: t("size")});
        this.radius.addEventListener("input", () => editor.setRadius(radiusAt(Number(this.radius.value))));
        this.pixels = h("output.cp-number");
        this.brush = h("div.cp-group", {}, this.radius, this.pixels);
        this.modes = MODES.map((mode) => h("button.cp-text", {type: "button", onclick: () => editor.setMode(mode)}, t(`mode.${mode}`)));
        this.mode = h("div.cp-group", {role: "group", "aria-label": t("mode"), title: t("mode")}, ...this.modes);
        this.crop = new CropOptions(editor);
        this.element = toolbar("cp-options", t("tool.options"), this.signs, this.brush, this.mode, this.crop.element);
    }

    update() {
        const {editor} = this, {name} = editor.tool, brush = BRUSHES.includes(name);
        this.element.hidden = !editor.ready;
        this.signs.hidden = name !== "click" || Boolean(editor.regions);
        this.brush.hidden = !brush;
        this.mode.hidden = brush || name === "crop";
        this.crop.update();
        pressed(this.plus, !editor.negative);
        pressed(this.minus, editor.negative);
        MODES.forEach((mode, i) => pressed(this.modes[i], editor.mode === mode));
        this.radius.value = positionOf(editor.radius);
        this.pixels.textContent = `${Math.round(2 * editor.radius)} px`;
    }
}

/** The slider is logarithmic: 0..100 is a radius of 1..512 pixels. */
export const radiusAt = (position) => 2 ** ((position / 100) * 9);
export const positionOf = (radius) => Math.round((Math.log2(radius) / 9) * 100);

export class ActionBar {
    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {import("./actions.mjs").Actions} actions
     * @param {import("./more_menu.mjs").MoreMenu} more
     */
    constructor(editor, actions, more) {
        this.editor = editor;
        this.more = more;
        this.undo = iconButton("undo", t("undo"), actions.undo, {key: "Ctrl+Z"});
        this.redo = iconButton("redo", t("redo"), actions.redo, {key: "Shift+Ctrl+Z"});
        this.compare = iconButton("compare", t("compare"), actions.compare, {key: "Tab"});
        this.copy = iconButton("copy", t("copy"), actions.copy, {key: "Ctrl+C"});
        this.save = iconButton("save", t("save"), actions.save, {key: "Ctrl+S", className: "cp-strong"});
        this.open = iconButton("open", t("open"), actions.open, {key: "Ctrl+O"});
        this.history = iconButton("history", t("history"), actions.history, {key: "H"});
        this.datasets = iconButton("datasets", t("train.sets"), actions.datasets, {key: "D"});
        this.element = toolbar("cp-actions", t("actions"), this.open, this.history, this.datasets, h("hr"), this.undo, this.redo, this.compare, h("hr"), this.copy, this.save, more.element);
    }

    update(comparing) {
        const {editor} = this, {state} = editor;
        this.element.hidden = !editor.ready;
        const {canUndo, canRedo} = editor.clip ?? state;
        this.undo.disabled = !(canUndo || editor.tool.canUndo);
        this.redo.disabled = !(canRedo || editor.tool.canRedo);
        this.compare.disabled = !editor.comparable;
        this.copy.hidden = editor.clip !== null;
        this.datasets.hidden = editor.capabilities?.public ?? false;
        pressed(this.compare, comparing);
        this.more.update();
    }
}

export class ZoomBar {
    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {import("./actions.mjs").Actions} actions
     */
    constructor(editor, actions) {
        this.editor = editor;
        this.percent = h("button.cp-text.cp-number", {type: "button", title: t("zoom.fit"), onclick: actions.fit});
        this.element = toolbar(
            "cp-zoom",
            t("zoom"),
            iconButton("minus", t("zoom.out"), () => actions.zoom(1 / 1.4)),
            this.percent,
            iconButton("plus", t("zoom.in"), () => actions.zoom(1.4)),
            iconButton("fit", t("zoom.fit"), actions.fit, {key: "0"}),
        );
    }

    update() {
        this.element.hidden = !this.editor.ready;
        this.percent.textContent = `${Math.round(100 * this.editor.view.scale)} %`;
        this.percent.setAttribute("aria-label", `${this.percent.textContent}, ${t("zoom.fit")}`);
    }
}
