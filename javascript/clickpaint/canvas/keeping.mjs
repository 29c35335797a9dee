/** That no picture is lost: what outlives the page, the history, and the question before an unsaved result goes. */

import {h, iconButton, showBlob} from "../common/dom.mjs";
import {t} from "../language/language.mjs";
import {MadeResults} from "../picture/made_results.mjs";
import {PastPictures} from "../picture/past_pictures.mjs";
import {browserStorage, ReloadMemory, tabStorage} from "../picture/reload_memory.mjs";
import {UnsavedQuestion} from "./unsaved.mjs";

/** What the server says where it does not have the open picture. */
const GONE = new Set(["There is no such workspace (any more).", "This workspace was closed."]);

export class Keeping {
    /**
     * @param {import("../picture/workbench.mjs").Workbench} workbench
     * @param {() => Promise<boolean>} save whether what is shown was saved
     * @param {() => Promise<void>} seen resolves when the canvas is seen for the first time
     * @param {import("../video/past_clips.mjs").PastClips} clips of the history, too
     */
    constructor(workbench, save, seen, clips) {
        const {editor, opening} = workbench;
        this.editor = editor;
        this.opening = opening;
        this.memory = new ReloadMemory(workbench, tabStorage(), browserStorage());
        this.past = new PastPictures(workbench, this.memory);
        this.made = new MadeResults(editor);
        this.history = new HistoryDialog(this.past, clips);
        this.restoring = new Restoring(workbench);
        this.question = new UnsavedQuestion(editor, save);
        opening.mayOpen = async () => (await seen(), this.question.mayOpen());
    }

    /** What lies over the page. */
    get dialogs() {
        return [this.history.element, this.question.element];
    }

    /** @param {import("../common/dom.mjs").Listeners} listeners */
    listen(listeners) {
        this.memory.listen(listeners);
        this.made.listen(listeners);
    }

    update() {
        this.restoring.update();
    }

    /** Whether an error means that the server has lost the open picture; then that is brought back, which says the rest. */
    recovers(error) {
        if (!GONE.has(error.code) || !this.editor.ready) return false;
        if (this.editor.clip) this.editor.clip.again(); // the next click makes another workspace of the frame
        else this.opening.recover();
        return true;
    }

    /** Go on with what was open when the page, or another tab that had it, went. @param {Promise<void>} seen see the constructor */
    async start(seen) {
        const left = this.memory.take();
        await seen;
        const kept = left ?? (await this.memory.takeClosed());
        if (kept && !this.editor.changes.pending && !this.editor.ready) this.opening.restore(kept, {quiet: !left});
    }

    /** The history, for the page without a picture. */
    async load() {
        if (!this.editor.ready) await this.past.load();
    }
}

class HistoryDialog {
    /**
     * @param {import("../picture/past_pictures.mjs").PastPictures} past
     * @param {import("../video/past_clips.mjs").PastClips} clips
     */
    constructor(past, clips) {
        this.past = past;
        this.clips = clips;
        const close = iconButton("close", t("close"), () => this.element.close());
        this.element = h("dialog.cp-help.cp-history", {"aria-label": t("history")}, h("header", {}, h("h2", {}, t("history")), close), clips.element, h("clickpaint-history"));
        this.element.addEventListener("click", (event) => event.target === this.element && this.element.close());
    }

    async toggle() {
        if (this.element.open) return this.element.close();
        this.element.showModal();
        await Promise.all([this.past.load(), this.clips.load()]);
    }
}

/** Lies over the stage while a picture is brought back: its name, and as soon as the server has sent it a small copy of it. */
class Restoring {
    /** @type {string | null} */
    #shown = null;

    /** @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor">} workbench */
    constructor({api, editor}) {
        this.api = api;
        this.editor = editor;
        this.text = h("p", {role: "status"});
        this.place = h("div.cp-restoring-picture");
        this.element = h("div.cp-restoring", {hidden: true}, this.place, this.text);
    }

    update() {
        const {restoring} = this.editor;
        this.element.hidden = restoring === null;
        if (restoring?.id === this.#shown) return;
        this.#shown = restoring?.id ?? null;
        this.place.replaceChildren();
        if (!restoring) return;
        this.text.textContent = restoring.name ? t("restoring", {name: restoring.name}) : t("restoring.unnamed");
        if (!restoring.id) return; // a clip
        const picture = h("img", {alt: "", draggable: false});
        this.place.append(picture);
        showBlob(picture, this.api.thumbnail(restoring.id));
    }
}
