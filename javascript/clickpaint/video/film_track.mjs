/** The strip itself: thumbnails of the clip, what is marked in it, and where one is, as a slider. */

import {contextOf} from "../common/context.mjs";
import {h} from "../common/dom.mjs";
import {throttled} from "../common/request_order.mjs";
import {t} from "../language/language.mjs";
import {moment, within} from "./frame_times.mjs";

const HEIGHT = 52;
/** Pixels above and below the thumbnails for marks. */
const EDGE = 9;
const LEAP = 10;
const PERIOD = 250;
const DOUBT = "#d97706";

export class FilmTrack {
    /** @type {ImageBitmap | null} */
    #thumbnails = null;
    #asked = "";
    #drawn = "";
    #soon = throttled(() => this.#ask(), PERIOD);

    /** @param {import("./clip.mjs").Clip} clip */
    constructor(clip) {
        this.clip = clip;
        this.canvas = h("canvas");
        this.head = h("span.cp-film-head");
        this.element = h("div.cp-film-track", {role: "slider", tabIndex: 0, "aria-label": t("clip.position"), "aria-valuemin": "0"}, this.canvas, this.head);
        this.element.addEventListener("keydown", (event) => this.#key(event));
        this.element.addEventListener("pointerdown", (event) => this.#press(event));
        this.element.addEventListener("pointermove", (event) => this.element.hasPointerCapture(event.pointerId) && this.#seek(event));
        clip.addEventListener("strip", () => this.forget());
    }

    /** @param {import("../common/dom.mjs").Listeners} listeners */
    listen(listeners) {
        listeners.observe(new ResizeObserver(() => this.update()), this.element);
    }

    /** The thumbnails are others. */
    forget() {
        this.#asked = "";
        this.update();
    }

    #press(event) {
        if (event.button !== 0) return;
        event.preventDefault();
        this.element.focus({preventScroll: true});
        this.element.setPointerCapture(event.pointerId);
        this.#seek(event);
    }

    #seek({clientX}) {
        const {left, width} = this.element.getBoundingClientRect(), {frames} = this.clip.open;
        this.clip.show(within(((clientX - left) / width) * frames - 0.5, frames));
    }

    #key(event) {
        const {clip} = this, {frames} = clip.open;
        const to = {ArrowLeft: clip.frame - 1, ArrowDown: clip.frame - 1, ArrowRight: clip.frame + 1, ArrowUp: clip.frame + 1, PageDown: clip.frame - LEAP, PageUp: clip.frame + LEAP, Home: 0, End: frames - 1}[event.key];
        if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        event.stopPropagation();
        clip.show(to);
    }

    update() {
        const {clip, element} = this, {info} = clip;
        if (!info || !element.clientWidth) return;
        const {frame, times} = clip, text = t("clip.frame", {n: frame, last: info.frames - 1, time: moment(times[frame])});
        element.setAttribute("aria-valuemax", `${info.frames - 1}`);
        element.setAttribute("aria-valuenow", `${frame}`);
        element.setAttribute("aria-valuetext", text);
        this.head.style.left = `${(100 * (frame + 0.5)) / info.frames}%`;
        this.#soon();
        this.#draw(info);
    }

    /** As many thumbnails as fit. */
    async #ask() {
        const {clip, element} = this, {info} = clip;
        if (!info || !element.clientWidth) return;
        const ratio = Math.min(globalThis.devicePixelRatio || 1, 2), across = Math.max((HEIGHT * info.width) / info.height, 24);
        const count = Math.min(Math.max(Math.ceil(element.clientWidth / across), 1), info.frames), height = Math.round(HEIGHT * ratio);
        const asked = `${info.id} ${info.version} ${count} ${height}`;
        if (asked === this.#asked) return;
        this.#asked = asked;
        try {
            const bitmap = await createImageBitmap(await clip.videos.strip(info.id, {count, height, version: info.version}));
            if (asked !== this.#asked) return;
            this.#thumbnails = bitmap;
            this.#drawn = "";
            this.update();
        } catch {
            // Without thumbnails it is a slider still; what is wrong is said by the frames.
        }
    }

    #draw(info) {
        const {clip, element, canvas} = this, {clientWidth: width} = element, height = HEIGHT + 2 * EDGE;
        const {current, corrected, range: [first, last], object} = clip, colour = clip.colourOf(object);
        const state = JSON.stringify([width, this.#asked, info.frames, current.known, current.doubtful, corrected, first, last, colour, this.#thumbnails !== null]);
        if (state === this.#drawn) return;
        this.#drawn = state;
        const ratio = Math.min(globalThis.devicePixelRatio || 1, 2), context = contextOf(canvas);
        Object.assign(canvas, {width: Math.round(width * ratio), height: Math.round(height * ratio)});
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        if (this.#thumbnails) context.drawImage(this.#thumbnails, 0, EDGE, width, HEIGHT);
        const x = (/** @type {number} */ number) => (width * number) / info.frames, bar = EDGE + HEIGHT + 3;
        context.fillStyle = "rgb(8 9 14 / .66)";
        context.fillRect(0, EDGE, x(first), HEIGHT);
        context.fillRect(x(last + 1), EDGE, width - x(last + 1), HEIGHT);
        if (first > 0 || last < info.frames - 1) this.#limits(context, x(first), x(last + 1));
        context.fillStyle = colour;
        for (const [from, to] of current.known) context.fillRect(x(from), bar, Math.max(x(to + 1) - x(from), 2), 3);
        context.fillStyle = DOUBT;
        for (const [from, to] of current.doubtful) context.fillRect(x(from), 4, x(to + 1) - x(from), 3);
        for (const [from] of current.doubtful) mark(context, x(from + 0.5), 1, DOUBT, [[-5, 0], [5, 0], [0, 8]]);
        for (const number of corrected) mark(context, x(number + 0.5), EDGE + HEIGHT - 1, colour, [[0, 0], [5, 5], [0, 10], [-5, 5]]);
    }

    #limits(context, from, to) {
        context.fillStyle = "#fff";
        context.strokeStyle = "rgb(8 9 14 / .7)";
        for (const [at, way] of [[from, 1], [to, -1]]) {
            context.beginPath();
            context.rect(way > 0 ? at : at - 3, EDGE, 3, HEIGHT);
            context.stroke();
            context.fill();
        }
    }
}

/** A small shape that stands on a frame. */
function mark(context, x, y, colour, corners) {
    context.beginPath();
    for (const [dx, dy] of corners) context.lineTo(x + dx, y + dy);
    context.closePath();
    context.lineWidth = 2;
    context.strokeStyle = "rgb(255 255 255 / .9)";
    context.stroke();
    context.fillStyle = colour;
    context.fill();
}
