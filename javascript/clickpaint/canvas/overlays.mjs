/** What lies over the stage now and then: the welcome with its samples, and the help. */

import {h, iconButton, showBlob} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {t} from "../language/language.mjs";
import {SHORTCUTS} from "./shortcuts.mjs";

/** What can be done here, each with its icon. */
const CAN = {remove: "remove", fill: "brush", expand: "fit", describe: "image", many: "everything"};
/** The samples for which the page has words of its own. */
const HINTS = new Set(["beach", "bricks", "meadow"]);

export class Welcome {
    /**
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor" | "opening">} workbench
     * @param {import("./picture_files.mjs").PictureFiles} files
     */
    constructor({api, editor, opening}, files) {
        this.api = api;
        this.editor = editor;
        this.opening = opening;
        this.samples = h("div.cp-samples", {role: "list"});
        this.some = h("div.cp-some", {hidden: true}, h("p", {}, t("welcome.samples")), this.samples);
        this.element = h(
            "div.cp-welcome.cp-panel",
            {},
            h("div.cp-emblem", {}, icon("click")),
            h("h2", {}, t("welcome.title")),
            h("p", {}, t("welcome.text"), " ", h("button.cp-link", {type: "button", onclick: () => files.choose()}, t("welcome.choose"))),
            h("ul.cp-can", {"aria-label": t("welcome.can")}, ...Object.entries(CAN).map(([what, sign]) => h("li", {}, icon(sign), h("span", {}, t(`welcome.can.${what}`))))),
            this.some,
            h("clickpaint-history.cp-some", {"data-most": "6"}),
        );
    }

    async load() {
        const {api} = this;
        const list = await api.samples();
        this.samples.replaceChildren(
            ...list.map(({name, title}) => {
                const picture = h("img", {alt: "", draggable: false});
                showBlob(picture, api.sampleThumbnail(name));
                const open = async () => this.opening.open(await api.sample(name), `${name}.png`);
                const words = h("span.cp-sample-words", {}, h("strong", {}, HINTS.has(name) ? t(`sample.${name}`) : title), HINTS.has(name) ? h("small", {}, t(`sample.${name}.hint`)) : null);
                const button = h("button.cp-sample", {type: "button", onclick: () => open().catch((error) => this.editor.emit("error", error))}, h("span.cp-sample-picture", {}, picture), words);
                return h("div", {role: "listitem"}, button);
            }),
        );
        this.some.hidden = !list.length;
    }

    update() {
        this.element.hidden = this.editor.ready || this.editor.restoring !== null;
    }
}

/** A modal list of all keys and gestures; gives the focus back where it was. */
export class Help {
    constructor() {
        const close = iconButton("close", t("close"), () => this.element.close());
        const groups = ["tools", "selection", "picture", "view", "film"].map((group) =>
            h("section", {}, h("h3", {}, t(`help.${group}`)), h("dl", {}, ...SHORTCUTS.filter((one) => one.group === group).flatMap(row))),
        );
        this.element = h("dialog.cp-help", {"aria-label": t("help")}, h("header", {}, h("h2", {}, t("help")), close), h("div.cp-help-groups", {}, ...groups));
        this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    }

    toggle() {
        if (this.element.open) this.element.close();
        else this.element.showModal();
    }
}

const NAMES = {
    "tool:click": "tool.click",
    "tool:box": "tool.box",
    "tool:lasso": "tool.lasso",
    "tool:brush": "tool.brush",
    "tool:eraser": "tool.eraser",
    "tool:quick": "tool.quick",
    "tool:crop": "tool.crop",
    fit: "zoom.fit",
    help: "help",
    act: "help.act",
    keep: "train.keep",
    datasets: "train.sets",
    training: "learn.open",
    "film:play": "help.play",
    "film:back": "clip.back",
    "film:forth": "clip.forth",
    "film:in": "clip.in",
    "film:out": "clip.out",
    "film:previous": "clip.previous_mark",
    "film:next": "clip.next_mark",
    "film:masks": "clip.masks",
};
const OWN = new Set(["smaller", "larger", "candidate", "resize", "escape", "move", "press"]);

/** Of what is pressed, what is a word and not what stands on the key. */
const WORDS = {Click: "key.click", "Right click": "key.right_click", Drag: "key.drag", "Middle drag": "key.middle_drag", Wheel: "key.wheel", Arrows: "key.arrows", Space: "key.space"};

const keyName = (keys) => (keys === "+" ? keys : keys.split("+").map((key) => (WORDS[key] ? t(WORDS[key]) : key)).join("+"));

function row({keys, action}) {
    const name = action.startsWith("help:") ? action.replace(":", ".") : OWN.has(action) ? `help.${action}` : (NAMES[action] ?? action);
    return [h("dt", {}, ...keys.flatMap((key, i) => [i ? " " : "", h("kbd", {}, keyName(key))])), h("dd", {}, t(name))];
}
