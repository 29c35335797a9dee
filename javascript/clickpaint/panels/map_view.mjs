/** A control map that was made: looked at in the panel and over the picture, and what can be done with it. */

import {PoseTool} from "../canvas/pose_tool.mjs";
import {contextOf} from "../common/context.mjs";
import {h} from "../common/dom.mjs";
import {field, range, valuesOf} from "../common/form_fields.mjs";
import {controlNets, giveControlNet, unfold} from "../host/webui.mjs";
import {t} from "../language/language.mjs";
import {noneOf} from "./controlnet_unit.mjs";
import {hasPoses} from "../picture/keypoints.mjs";
import {ApiError} from "../server/api.mjs";

const OPACITY = 0.7;

/** What a unit of ControlNet is told of a map; see `ClickpaintControl.use`. */
export function useOf({map, title, body, info}) {
    const [{values, resolution}] = body.layers, names = [info.name, info.label, ...info.aliases];
    return {map, title, names, values, resolution: body.pixel_perfect ? null : resolution, patterns: info.control_models};
}

/** #rrggbb of [r, g, b], and back. */
export const hexOf = (colour) => `#${colour.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
export const colourOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

export class MapView {
    /** The map that is seen, with what made it. @type {any} */
    made = null;

    constructor(panel) {
        this.panel = panel;
        this.workbench = panel.workbench;
        this.editor = panel.workbench.editor;
        this.tool = this.editor.tools.pose = new PoseTool(this.editor, (poses) => this.#draw(poses, this.made.extra.parts, true));
        this.picture = h("canvas.cp-map", {role: "img"});
        this.picture.addEventListener("click", (event) => this.#pick(event));
        this.opacity = range(t("maps.opacity"), "opacity", {minimum: 0, maximum: 1, step: 0.05, value: OPACITY});
        this.opacity.addEventListener("input", () => this.#lay());
        this.over = h("button.cp-text", {type: "button", onclick: () => this.#turnOver()});
        this.note = h("p.cp-note", {role: "status"});
        this.actions = h("div.cp-actions");
        this.selecting = this.#selecting();
        this.shown = h("figure.cp-result-map", {hidden: true}, this.picture, this.note, this.opacity, this.actions, this.selecting);
        this.posing = this.#posing();
        this.element = h("div.cp-mapped", {}, this.posing, this.shown);
    }

    #selecting() {
        const number = (key, name, value) => range(t(key), name, {minimum: 0, maximum: 255, step: 1, value});
        this.bright = h("div.cp-fields", {}, number("maps.from", "from", 128), number("maps.to", "to", 255));
        this.colour = h("div.cp-fields", {}, field(t("maps.colour"), h("input", {type: "color", name: "colour", value: "#ffffff"})), number("maps.tolerance", "tolerance", 0));
        this.classes = h("div.cp-classes", {role: "group", "aria-label": t("maps.classes")});
        return h("details.cp-selecting", {}, h("summary", {}, t("maps.select")),
            this.bright, button("maps.by_brightness", () => this.#selectBrightness()),
            this.colour, button("maps.by_colour", () => this.#selectColour()), this.classes);
    }

    #posing() {
        this.edit = h("button.cp-text", {type: "button", "aria-pressed": "false", onclick: () => this.#takeUp()}, t("maps.edit_pose"));
        this.savePose = button("maps.save_pose", () => saveBlob(new Blob([JSON.stringify(this.made.extra.poses)], {type: "application/json"}), this.#fileName("json")));
        this.file = h("input.cp-hidden", {type: "file", accept: ".json,application/json", tabIndex: -1, "aria-hidden": "true"});
        this.file.addEventListener("change", () => this.#load(this.file.files[0]));
        return h("div.cp-actions", {hidden: true}, this.edit, this.savePose, button("maps.load_pose", () => this.file.click()), this.file);
    }

    /** `info`: the preprocessor that is chosen in the panel. */
    update(info) {
        const poses = hasPoses(this.made?.extra.poses);
        this.posing.hidden = !this.editor.ready || !(poses || info.types.includes("OpenPose"));
        this.edit.hidden = this.savePose.hidden = !poses;
        const active = this.editor.tool === this.tool;
        this.edit.classList.toggle("cp-on", active);
        this.edit.setAttribute("aria-pressed", active);
        this.shown.hidden = !this.made;
        this.#nameOver();
    }

    show(made) {
        this.made = made;
        const {picture} = this;
        [picture.width, picture.height] = [made.bitmap.width, made.bitmap.height];
        contextOf(picture, {willReadFrequently: true}).drawImage(made.bitmap, 0, 0);
        picture.setAttribute("aria-label", t("maps.of", {name: made.title, width: made.width, height: made.height}));
        picture.title = t("maps.pick");
        this.note.textContent = made.extra.note ?? t("dimensions", made);
        this.tool.poses = hasPoses(made.extra.poses) ? made.extra.poses : null;
        this.tool.parts = made.extra.parts;
        if (!made.edited) this.tool.begin();
        if (!this.tool.poses) this.#leave();
        this.#lay();
        this.actions.replaceChildren(...this.#buttons());
        this.classes.replaceChildren(...(made.extra.classes ?? []).map((one) => this.#class(one)));
        this.#follow();
        this.update(made.info);
    }

    /** The picture is another one: this map is not its. */
    forget() {
        this.made = this.tool.poses = null;
        this.#leave();
        document.querySelector("clickpaint-control")?.dropMaps?.();
        this.shown.hidden = true;
    }

    #leave() {
        if (this.editor.tool === this.tool) this.editor.use("click");
    }

    /** Lay the map over its picture; once it was taken away its bitmap is closed, and made anew. */
    async #lay() {
        const {made} = this, {versions} = this.workbench;
        if (!made.bitmap.width) made.bitmap = await createImageBitmap(made.picture);
        if (made !== this.made) return;
        versions.cover({bitmap: made.bitmap, version: made.version, ...valuesOf(this.opacity)});
        this.#nameOver();
    }

    /** The button takes the map from the picture, or lays it there again. */
    #nameOver() {
        this.over.textContent = t(this.workbench.versions.over ? "maps.hide" : "maps.show");
    }

    #turnOver() {
        const {versions} = this.workbench;
        if (!versions.over) return this.#lay();
        versions.cover(null);
        return this.editor.changed();
    }

    #buttons() {
        const {made, panel} = this, {api, timeline} = this.workbench;
        const keep = () => timeline.repaint("timeline", () => api.keepMap(made.id, made.map, valuesOf(this.opacity).opacity));
        return [
            this.over,
            document.getElementById("clickpaint_controlnet") && button("maps.use", () => this.#use()),
            button("maps.keep", keep),
            !this.editor.capabilities?.public && button("train.map", () => panel.canvas.training.keep({what: "map", map: made.map})),
            ...controlNets().map((tab) => h("button.cp-text", {type: "button", onclick: () => giveControlNet(panel.canvas, made.picture, tab)}, t("maps.send", {tab}))),
            button("save", () => saveBlob(made.picture, this.#fileName("png"))),
        ].filter(Boolean);
    }

    #fileName(ending) {
        const stem = (this.editor.state.name || "picture").replace(/\.\w+$/, "");
        return `${stem}-${this.made.info.name}.${ending}`;
    }

    async #use() {
        try {
            const control = await unfold("clickpaint_controlnet", "clickpaint-control");
            const {number, model} = await control.use(useOf(this.made));
            if (model) this.editor.emit("done", {key: "maps.used", number, model});
            else this.panel.canvas.toasts.bad(t(number ? "maps.no_model" : noneOf(this.editor.capabilities)), number ? t("maps.no_model.remedy", {number}) : "");
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    /** A unit that has the map before this one gets this one. */
    #follow() {
        const control = document.querySelector("clickpaint-control");
        if (control?.hasMap) control.use(useOf(this.made));
    }

    #pick({offsetX, offsetY}) {
        const {picture} = this, scale = picture.width / picture.clientWidth;
        const {data} = contextOf(picture).getImageData(Math.floor(offsetX * scale), Math.floor(offsetY * scale), 1, 1);
        this.selecting.open = true;
        this.colour.querySelector("[name=colour]").value = hexOf([...data].slice(0, 3));
    }

    #class({name, color}) {
        const swatch = h("span.cp-swatch", {style: `background: ${hexOf(color)}`});
        return h("button.cp-text", {type: "button", onclick: () => this.#select({color, tolerance: 0})}, swatch, name);
    }

    #selectBrightness() {
        const {from, to} = valuesOf(this.bright);
        return this.#select({brightness: [Math.min(from, to), Math.max(from, to)]});
    }

    #selectColour() {
        const {colour, tolerance} = valuesOf(this.colour);
        return this.#select({color: colourOf(colour), tolerance});
    }

    #select(body) {
        const {made} = this, {api, editor, selecting} = this.workbench, {mode} = editor;
        return selecting.reselect(() => api.selectByMap(made.id, made.map, {...body, mode}));
    }

    /** Take up the tool that drags joints, or put it down. */
    #takeUp() {
        this.editor.use(this.editor.tool === this.tool ? "click" : "pose");
    }

    /** Let the server draw poses that were edited or read; `parts`: what of them (all). */
    #draw(poses, parts, edited = false) {
        const {editor, panel} = this, [layer] = panel.layers, {info} = this.made ?? layer;
        const source = {...(this.made ?? {body: panel.body(), info, title: info.label}), edited};
        return panel.show(source, () => this.workbench.api.drawPoses(editor.id, poses, parts));
    }

    async #load(file) {
        this.file.value = "";
        if (!file) return;
        try {
            await this.#draw(JSON.parse(await file.text()));
        } catch {
            this.editor.emit("error", new ApiError(0, {error: "InvalidInput", message: t("maps.no_json")}));
        }
    }
}

function button(key, onclick) {
    return h("button.cp-text", {type: "button", onclick}, t(key));
}

/** Let the browser save a Blob. */
function saveBlob(blob, name) {
    const link = h("a", {href: URL.createObjectURL(blob), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
