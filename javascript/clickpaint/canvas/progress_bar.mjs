/** The progress of whatever takes longer than half a second: a bar, what is being done, how long still, and Stop. */

import {h} from "../common/dom.mjs";
import {duration, t} from "../language/language.mjs";

const PATIENCE = 500;
const PERIOD = 300;
const ACTIVE = new Set(["waiting", "running"]);

export class ProgressBar {
    /** What we asked for ourselves and still wait for. @type {Set<{kind: string, since: number}>} */
    #jobs = new Set();
    /** What the server does. @type {any[]} */
    #tasks = [];
    /** @type {ReturnType<typeof setTimeout> | null} */
    #timer = null;
    /** @type {string | null} */
    #shown = null;

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor" | "opening">} workbench */
    constructor({api, editor, opening}) {
        this.api = api;
        this.editor = editor;
        this.bar = h("div.cp-progress-fill");
        this.text = h("span.cp-progress-text");
        this.detail = h("span.cp-progress-detail");
        this.stop = h("button.cp-stop", {type: "button", onclick: () => opening.interrupt()}, t("stop"));
        this.track = h("div.cp-progress-track", {role: "progressbar", "aria-label": t("progress"), "aria-valuemin": "0", "aria-valuemax": "100"}, this.bar);
        this.element = h("div.cp-progress", {hidden: true}, this.track, h("div.cp-progress-pill", {role: "status"}, h("span.cp-spinner"), this.text, this.detail, this.stop));
    }

    /** Something of ours is under way until `promise` ends. */
    add({kind, promise}) {
        const job = {kind, since: performance.now()};
        this.#jobs.add(job);
        const over = () => {
            this.#jobs.delete(job);
            this.#draw();
        };
        promise.then(over, over);
        this.watch(PATIENCE);
    }

    /** Ask the server what it does, until it does nothing more. */
    watch(delay = 0) {
        if (this.#timer === null) this.#timer = setTimeout(() => this.#ask(), delay);
    }

    /** Whether all we wait for is another picture: the server tells nothing of that, and may already have closed the one before. */
    get #opening() {
        return this.#jobs.size > 0 && [...this.#jobs].every(({kind}) => kind === "open");
    }

    async #ask() {
        try {
            const {tasks} = this.#opening ? {tasks: []} : await this.api.progress(this.editor.subject);
            this.#tasks = tasks.filter((task) => ACTIVE.has(task.state));
        } catch {
            this.#tasks = [];
        }
        this.#timer = null;
        this.#draw();
        if (this.#jobs.size || this.#tasks.length) this.watch(PERIOD);
    }

    /** What to show: our own oldest job with what the server says about it; otherwise what the server does by itself. */
    #current() {
        const late = [...this.#jobs].find((job) => performance.now() - job.since > PATIENCE);
        if (late) return {kind: late.kind, task: this.#tasks.find((task) => task.kind === late.kind) ?? this.#tasks.find((task) => task.kind === "encode" && late.kind === "select"), ours: true};
        const task = this.#tasks.find((one) => one.kind === "encode");
        return task ? {kind: task.kind, task, ours: false} : null;
    }

    #draw() {
        const current = this.#current();
        this.element.hidden = !current;
        if (!current) {
            this.#shown = null;
            return;
        }
        const {kind, task} = current;
        if (kind !== this.#shown) this.text.textContent = t(`busy.${kind}`);
        this.#shown = kind;
        const fraction = task?.fraction ?? null;
        this.track.classList.toggle("cp-unknown", fraction === null);
        this.bar.style.width = fraction === null ? "" : `${Math.round(100 * fraction)}%`;
        if (fraction === null) this.track.removeAttribute("aria-valuenow");
        else this.track.setAttribute("aria-valuenow", Math.round(100 * fraction));
        this.detail.textContent = [
            task?.state === "waiting" && task.queue_position ? t("busy.queue", {position: task.queue_position}) : "",
            task?.unit === "step" && task.total ? t("busy.steps", {done: task.done ?? 0, total: task.total}) : "",
            task?.unit === "frame" && task.total ? t("busy.frames", {done: task.done ?? 0, total: task.total}) : "",
            task?.seconds_left > 1 ? t("busy.left", {time: duration(task.seconds_left)}) : "",
        ].filter(Boolean).join(" · ");
        this.stop.hidden = !current.ours && kind !== "encode";
    }

    dispose() {
        if (this.#timer !== null) clearTimeout(this.#timer);
        this.#timer = null;
    }
}
