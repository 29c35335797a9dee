/** The clips that were opened before and that the server still has: a part of the history. */

import {h, iconButton, showBlob} from "../common/dom.mjs";
import {ago, bytes, t} from "../language/language.mjs";
import {moment} from "./frame_times.mjs";

/** Of how many clips the browser remembers that they were opened here. */
const MOST = 100;
/** Of their pictures, in pixels. */
const WIDTH = 320;

export class PastClips {
    /**
     * @param {import("./clip.mjs").Clip} clip
     * @param {Storage | null} storage
     */
    constructor(clip, storage) {
        this.clip = clip;
        this.storage = storage;
        this.key = `${clip.workbench.api.base}videos`;
        this.list = h("div.cp-past", {role: "list", "aria-label": t("clip.past")});
        this.element = h("section.cp-past-clips", {hidden: true}, h("h3", {}, t("clip.past")), this.list);
        clip.addEventListener("strip", () => this.#remember());
    }

    /** @returns {string[]} */
    get #ids() {
        return JSON.parse(this.storage?.getItem(this.key) ?? "[]");
    }

    #remember() {
        const {info} = this.clip;
        if (info) this.storage?.setItem(this.key, JSON.stringify([info.id, ...this.#ids.filter((id) => id !== info.id)].slice(0, MOST)));
    }

    /** Ask the server which there are. */
    async load() {
        const {videos} = this.clip, all = await videos.list(), known = new Set(all.map(({id}) => id));
        const mine = this.#ids.filter((id) => !known.has(id)); // of a server with several users, the browser knows its own
        const clips = [...all, ...(mine.length ? await videos.list(mine) : [])].sort((a, b) => b.changed - a.changed);
        this.list.replaceChildren(...clips.map((clip) => this.#card(clip)));
        this.element.hidden = !clips.length;
    }

    #card(past) {
        const {id, name, width, height, duration_s, changed, bytes: size} = past, {clip} = this, open = clip.info?.id === id;
        const image = h("img", {alt: "", draggable: false});
        showBlob(image, clip.videos.frame(id, 0, {version: null, width: Math.min(WIDTH, width)}));
        const facts = [moment(duration_s), t("dimensions", {width, height}), bytes(size), ago(changed)].join(" · "), label = `${name}. ${facts}`;
        const button = h("button.cp-past-open", {type: "button", title: label, "aria-label": label, onclick: () => this.#open(past)}, image);
        const words = h("div.cp-past-text", {}, h("strong", {}, name), h("span.cp-past-now", {}, t("history.now")), h("span", {}, facts));
        const item = h(`div.cp-past-item${open ? ".cp-on" : ""}`, {role: "listitem"}, button, words, iconButton("clear", t("history.remove", {name}), () => this.#remove(past)));
        return item;
    }

    #open({id, name}) {
        this.element.closest("dialog")?.close();
        if (this.clip.info?.id !== id) this.clip.reopen({id, name});
    }

    async #remove({id}) {
        const {clip} = this;
        await clip.videos.remove(id).catch((error) => error.kind === "NotFound" || clip.editor.emit("error", error));
        this.storage?.setItem(this.key, JSON.stringify(this.#ids.filter((other) => other !== id)));
        await this.load();
    }
}
