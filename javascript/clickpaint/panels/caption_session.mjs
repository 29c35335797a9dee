/** What is said about the picture: of the selection, in answer to questions, of everything. Knows no elements of the page. */

import {Latest} from "../common/request_order.mjs";
import {ApiError} from "../server/api.mjs";

const PAUSE = 350;
const NOTHING = Object.freeze({text: "", written: "", prompt: "", wordings: [], tags: [], box: null, background: "", failure: null, over: false});

/** A caption after one more event of its stream: the captioner's words first, then what a text model makes of them. */
export function heard(caption, name, data) {
    switch (name) {
        case "raw":
            return {...caption, ...data, text: data.wordings[0].text};
        case "piece":
            return {...caption, written: caption.written + data.text};
        case "again":
            return {...caption, written: ""};
        case "caption":
            return {...caption, ...data, written: "", over: true};
        case "error":
            return {...caption, failure: data, written: "", over: true};
        default:
            return caption;
    }
}

/** What to show of it: what is being written goes before what it is made from. */
export function wordsOf({text, written}) {
    return written || text;
}

/** How sure a captioner is of its words, as the mean probability of a token in percent; null where it does not tell. */
export function surety({score}) {
    return score < 0 ? Math.round(100 * Math.exp(score)) : null;
}

/** Events: "known", "caption", "chat", "regions". */
export class CaptionSession extends EventTarget {
    #captions = new Latest();
    #chats = new Latest();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer = undefined;
    /** The selection that was followed last. @type {any} */
    #seen = null;
    /** What can be said here, and by whom, as the server tells. @type {any} */
    known = null;
    /** Whether each new selection is described by itself. */
    continuous = false;
    /** What was said last, and what of. @type {any} */
    caption = null;
    /** @type {any} */
    of = null;
    /** All regions, as the server tells. @type {any} */
    panorama = null;
    /** Why describing all regions failed. @type {any} */
    failure = null;
    /** Questions and answers. @type {any[]} */
    turns = [];
    exploring = false;

    /**
     * @param {Pick<import("../picture/workbench.mjs").Workbench, "api" | "editor">} workbench
     * @param {() => any} asked gives how it is to be said, as the API takes it
     */
    constructor({api, editor}, asked) {
        super();
        this.api = api;
        this.editor = editor;
        this.asked = asked;
    }

    #forget() {
        this.caption = this.of = this.panorama = this.failure = null;
        this.turns = [];
    }

    listen(listeners) {
        for (const type of ["opened", "frame"]) listeners.on(this.editor, type, () => this.begin());
        listeners.on(this.editor, "change", () => this.#follow());
        listeners.add(() => this.#stop());
    }

    #stop() {
        clearTimeout(this.#timer);
        this.#captions.cancel();
        this.#chats.cancel();
    }

    #emit(type) {
        this.dispatchEvent(new Event(type));
    }

    /** Ask what can be said here, and by whom. */
    async load() {
        this.known = await this.api.captioners();
        this.#emit("known");
    }

    /** Another picture: nothing was said about it yet, except what its workspace kept. */
    async begin() {
        this.#stop();
        this.#forget();
        this.#seen = this.editor.state.selection;
        for (const type of ["caption", "chat", "regions"]) this.#emit(type);
        if (!this.editor.begun) return;
        const {id} = this.editor, kept = await this.api.chatHistory(id).catch(() => null);
        if (kept?.history.length && this.editor.state.workspace?.id === id && !this.turns.length) {
            this.turns = kept.history;
            this.#emit("chat");
        }
    }

    /** What there is to say about may have changed. */
    #follow() {
        const {state} = this.editor;
        if (this.panorama) this.#emit("regions");
        if (state.selection === this.#seen) return;
        this.#seen = state.selection;
        clearTimeout(this.#timer);
        if (this.continuous && state.selection) this.#timer = setTimeout(() => this.describe(), PAUSE);
        this.#emit("caption");
        this.#emit("chat");
    }

    /** The caption, if it is about what is selected now; otherwise null. */
    get current() {
        const {selection, version} = this.editor.state;
        return this.caption && this.of.selection === selection && this.of.version === version ? this.caption : null;
    }

    get writing() {
        return this.#captions.busy;
    }

    get answering() {
        return this.#chats.busy;
    }

    /** Say what is selected, or what the picture shows. One that is still being said ends. */
    async describe() {
        clearTimeout(this.#timer);
        const promise = this.#captions.run((signal) => this.#describe(signal));
        this.editor.emit("task", {kind: "caption", promise});
        await promise;
        this.#emit("caption");
    }

    async #describe(signal) {
        const {api, editor} = this, {state} = editor;
        await editor.settled();
        if (signal.aborted || !editor.ready) return;
        this.of = {selection: state.selection, version: state.version};
        await this.#listen(api.caption(editor.id, this.asked(), signal), signal, NOTHING, (caption) => {
            this.caption = caption;
            this.#emit("caption");
        });
    }

    /** Hand each state of what a stream tells to `show`; what goes wrong is its failure, and what was said before stays. */
    async #listen(stream, signal, said, show) {
        show(said);
        try {
            for await (const [name, data] of stream) {
                if (signal.aborted) return;
                said = heard(said, name, data);
                show(said);
            }
            if (!said.over) throw new ApiError(0, {error: "Unreachable"});
        } catch (error) {
            if (signal.aborted) return;
            show({...said, written: "", failure: error, over: true});
        }
    }

    /** Take another of the wordings. */
    choose(index) {
        const {text} = this.caption.wordings[index];
        this.caption = {...this.caption, text, prompt: text, written: "", refined: null};
        this.#emit("caption");
    }

    /** Ask about what is selected; the answer becomes the last of `turns`. */
    async ask(question) {
        const {editor} = this, before = this.turns;
        await this.#chats.run(async (signal) => {
            await editor.settled();
            if (signal.aborted || !editor.ready) return;
            const turn = {question, box: editor.state.selection?.box ?? null};
            const answers = translated(this.api.chat(editor.id, question, signal));
            await this.#listen(answers, signal, NOTHING, (said) => {
                this.turns = said.history ?? [...before, {...turn, answer: wordsOf(said), failure: said.failure, writing: !said.over}];
                this.#emit("chat");
            });
        });
        this.#emit("chat");
    }

    async forgetTurns() {
        try {
            await this.api.forgetChat(this.editor.id);
            this.turns = [];
        } catch (error) {
            this.editor.emit("error", error);
        }
        this.#emit("chat");
    }

    /** Describe all regions. */
    async everything(body) {
        const {editor} = this, {state} = editor, {version} = state;
        let id = state.workspace?.id;
        if (this.exploring) return;
        this.exploring = true;
        this.failure = null;
        this.#emit("regions");
        const promise = editor.settled().then(() => this.api.captionEverything((id = editor.id), body));
        editor.emit("task", {kind: "everything", promise});
        try {
            const found = await promise;
            if (state.workspace?.id === id) this.panorama = {...found, version};
        } catch (error) {
            if (/** @type {any} */ (error).kind === "Interrupted") editor.emit("done", {key: "stopped"});
            else if (state.workspace?.id === id) this.failure = error;
        } finally {
            this.exploring = false;
            this.#emit("regions");
        }
    }

    /** What is known about the regions of the picture shown; null for nothing. */
    get regions() {
        return this.panorama?.version === this.editor.state.version ? this.panorama : null;
    }

    clearRegions() {
        this.panorama = null;
        this.#emit("regions");
    }
}

/** The events of an answer, by the names of a caption's. */
async function* translated(stream) {
    for await (const [name, data] of stream) yield name === "answer" ? ["caption", {text: data.answer, history: data.history}] : [name, data];
}
