/** The film strip below the stage: playing, stepping, marks, objects, and what is done to all frames. */

import {h, iconButton} from "../common/dom.mjs";
import {icon} from "../common/icons.mjs";
import {options} from "../common/form_fields.mjs";
import {t} from "../language/language.mjs";
import {translated} from "../language/server_sentences.mjs";
import {FilmTrack} from "./film_track.mjs";
import {moment} from "./frame_times.mjs";

export class FilmStrip {
    #objects = "";
    #engines = "";
    /** @type {boolean | null} */
    #playing = null;

    /** @param {import("./clip.mjs").Clip} clip */
    constructor(clip) {
        this.clip = clip;
        this.track = new FilmTrack(clip);
        this.play = iconButton("play", t("clip.play"), () => clip.player.toggle(), {className: "cp-film-play"});
        this.back = iconButton("step_back", t("clip.back"), () => clip.step(-1), {key: ","});
        this.forth = iconButton("step_forward", t("clip.forth"), () => clip.step(1), {key: "."});
        this.time = h("span.cp-film-time");
        this.first = iconButton("mark_in", t("clip.in"), () => clip.limit("in_mark"), {key: "I"});
        this.last = iconButton("mark_out", t("clip.out"), () => clip.limit("out_mark"), {key: "O"});
        this.previous = iconButton("mark_previous", t("clip.previous_mark"), () => clip.mark(-1), {key: "Shift+,"});
        this.next = iconButton("mark_next", t("clip.next_mark"), () => clip.mark(1), {key: "Shift+."});
        this.masks = iconButton("mask", t("clip.masks"), () => clip.showMasks(), {key: "M"});
        this.objects = h("div.cp-film-objects", {role: "radiogroup", "aria-label": t("clip.objects")});
        this.objects.addEventListener("keydown", (event) => this.#key(event));
        this.add = iconButton("plus", t("clip.add"), () => clip.add());
        this.drop = iconButton("clear", t("clip.drop"), () => clip.drop(clip.object));
        this.tracker = h("select.cp-select", {"aria-label": t("clip.tracker"), title: t("clip.tracker"), onchange: () => (clip.work.chosen.tracker = this.tracker.value || null)});
        this.eraser = h("select.cp-select", {"aria-label": t("clip.eraser"), title: t("clip.eraser"), onchange: () => (clip.work.chosen.eraser = this.eraser.value || null)});
        this.follow = h("button.cp-text.cp-film-do", {type: "button", onclick: () => clip.work.track()}, t("clip.track"));
        this.remove = h("button.cp-text.cp-film-do.cp-strong", {type: "button", onclick: () => clip.erase()}, icon("remove"), h("span", {}, t("clip.remove")));
        this.close = iconButton("close", t("clip.close"), () => clip.close(), {key: "Esc", className: "cp-film-close"});
        const group = (label, ...children) => h("div.cp-film-group", {role: "group", "aria-label": t(label)}, ...children);
        this.element = h(
            "div.cp-film",
            {hidden: true, role: "region", "aria-label": t("clip.strip")},
            h(
                "div.cp-film-bar",
                {},
                group("clip.playing", this.back, this.play, this.forth),
                this.time,
                group("clip.marks", this.first, this.last, this.previous, this.next),
                h("div.cp-film-group", {}, this.objects, this.add, this.drop, this.masks),
                h("div.cp-film-work", {}, h("div.cp-film-pair", {}, this.tracker, this.follow), h("div.cp-film-pair", {}, this.eraser, this.remove)),
                this.close,
            ),
            this.track.element,
        );
        clip.addEventListener("change", () => this.update());
    }

    /** @param {import("../common/dom.mjs").Listeners} listeners */
    listen(listeners) {
        this.track.listen(listeners);
    }

    update() {
        const {clip} = this, {info, editor: {capabilities}} = clip;
        this.element.hidden = info === null;
        if (info === null) return;
        const {frame, times, player, work, current, corrected} = clip, {in_mark, out_mark, frames} = info;
        if (player.playing !== this.#playing) this.#showPlaying((this.#playing = player.playing));
        this.play.setAttribute("aria-busy", `${player.waiting}`);
        this.time.textContent = `${moment(times[frame])} · ${t("clip.number", {n: frame, last: frames - 1})}`;
        this.back.disabled = frame === 0;
        this.forth.disabled = frame === frames - 1;
        this.previous.disabled = this.next.disabled = !corrected.length && !current.doubtful.length;
        pressed(this.first, in_mark > 0 && in_mark === frame);
        pressed(this.last, out_mark < frames - 1 && out_mark === frame);
        pressed(this.masks, clip.masksShown);
        this.follow.disabled = work.busy || !corrected.length;
        this.remove.disabled = work.busy || !clip.pointed;
        this.follow.title = this.follow.disabled && !work.busy ? t("clip.point_first") : "";
        this.remove.title = this.remove.disabled && !work.busy ? t("clip.point_first") : "";
        this.drop.disabled = !info.objects.length;
        this.#showObjects();
        this.#showEngines(capabilities);
        this.track.update();
    }

    #showPlaying(playing) {
        const label = t(playing ? "clip.pause" : "clip.play");
        this.play.replaceChildren(icon(playing ? "pause" : "play"));
        this.play.title = `${label} (${t("key.space")})`;
        this.play.setAttribute("aria-label", label);
    }

    #showObjects() {
        const {clip} = this, names = clip.objects.map(({id}) => id), state = JSON.stringify([names, clip.object]);
        if (state === this.#objects) return;
        this.#objects = state;
        const focused = this.objects.contains(document.activeElement);
        const chips = names.map((object, i) => {
            const on = object === clip.object, label = t("clip.object", {n: i + 1});
            const dot = h("span.cp-film-dot");
            dot.style.background = clip.colourOf(object);
            return h(`button.cp-film-object${on ? ".cp-on" : ""}`, {type: "button", role: "radio", tabIndex: on ? 0 : -1, title: label, "aria-label": label, "aria-checked": `${on}`, onclick: () => clip.choose(object)}, dot, `${i + 1}`);
        });
        this.objects.replaceChildren(...chips);
        if (focused) chips.find((chip) => chip.tabIndex === 0)?.focus();
    }

    /** Arrows go from object to object, as in a group of radio buttons. */
    #key(event) {
        const way = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key], {clip} = this;
        if (!way) return;
        event.preventDefault();
        event.stopPropagation();
        const names = clip.objects.map(({id}) => id);
        clip.choose(names[(names.indexOf(clip.object) + way + names.length) % names.length]);
    }

    /** The trackers and the erasers that can be used. */
    #showEngines(capabilities) {
        const lists = [capabilities?.trackers ?? [], capabilities?.erasers ?? []].map((list) => list.filter(({available}) => available));
        const state = JSON.stringify(lists.map((list) => list.map(({name}) => name)));
        if (state === this.#engines) return;
        this.#engines = state;
        for (const [i, [select, key, automatic]] of [[this.tracker, "tracker", t("clip.tracker.automatic")], [this.eraser, "eraser", t("clip.eraser.automatic")]].entries()) {
            select.replaceChildren(...options([["", automatic], ...lists[i].map(({name, title}) => [name, translated(title)])]));
            select.value = this.clip.work.chosen[key] ?? "";
        }
    }
}

function pressed(button, on) {
    button.classList.toggle("cp-on", on);
    button.setAttribute("aria-pressed", `${on}`);
}
