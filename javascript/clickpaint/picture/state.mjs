/**
 * What the user did, as data. The server keeps pictures and masks; this keeps the prompts that belong to each of its steps,
 * so that undo brings the clicks back together with the mask.
 */

import {nearest} from "./geometry.mjs";

/** @typedef {import("../server/answers.mjs").Prompts & {candidates: import("../server/answers.mjs").Candidate[], chosen: number | null}} Kept */

/** @type {Readonly<Kept>} */
const NOTHING = Object.freeze({points: [], box: null, mode: "replace", candidates: [], chosen: null});

export class State {
    /**
     * The open picture; null for none. `frame`: which of a clip it is; then the id is "" before it is worked on.
     *
     * @type {{id: string, width: number, height: number, format: string, frame?: string} | null}
     */
    workspace = null;
    /** Of its file. */
    name = "";
    /** Of the picture: 0 is the original. */
    version = 0;
    /** @type {import("../server/answers.mjs").Selection | null} */
    selection = null;
    /** Where the original lies in each version that was expanded. @type {Map<number, import("../server/answers.mjs").Point>} */
    offsets = new Map();
    canUndo = false;
    canRedo = false;
    /** What fits removing from the picture shown, in pixels. @type {{grow: number, feather: number} | null} */
    edge = null;
    /** What the selection was made of. @type {Readonly<Kept>} */
    prompts = NOTHING;
    /** The prompts of the steps before and, where some were undone, behind. @type {Readonly<Kept>[]} */
    past = [];
    /** @type {Readonly<Kept>[]} */
    future = [];

    close() {
        this.workspace = null;
        this.name = "";
        this.version = 0;
        this.selection = null;
        this.offsets = new Map();
        this.canUndo = this.canRedo = false;
        this.edge = null;
        this.prompts = NOTHING;
        this.past = [];
        this.future = [];
    }

    open({id, width, height, name, format, frame = "", version = 0, edge = null, can_undo = false, can_redo = false}) {
        this.close();
        this.workspace = {id, width, height, format, frame};
        this.name = name ?? "";
        this.version = version;
        this.edge = edge;
        this.#steps(can_undo, can_redo);
    }

    /** After a reload of the page: what the server does not tell together with the picture, or does not know. */
    resumed(selection, offsets) {
        this.selection = selection;
        this.offsets = new Map(offsets);
    }

    #steps(undo, redo) {
        this.canUndo = Boolean(undo);
        this.canRedo = Boolean(redo);
    }

    /**
     * The prompts that a click makes, or null where it means nothing.
     *
     * A click goes on with the clicks before it, except with `another` (Shift: one more object), `restart` (the mode was changed) or, if it
     * adds, `far` from what they selected: that is another object, which is combined with the selection as the mode says. One
     * on a point that is there, within `reach`, takes that point away. A negative one with nothing to go on with takes the object under it
     * away from the selection.
     *
     * @param {import("../server/answers.mjs").Point & {label: number}} point
     * @param {{another?: boolean, restart?: boolean, far?: boolean, mode?: import("../server/answers.mjs").Mode, reach?: number}} how
     * @returns {import("../server/answers.mjs").Prompts | null}
     */
    clicked({x, y, label}, {another = false, restart = false, far = false, mode = "replace", reach = 0} = {}) {
        const {points, box} = this.prompts;
        const goesOn = !another && !restart && !(far && label) && (points.length > 0 || box !== null);
        if (goesOn) {
            const hit = nearest(points, {x, y}, reach);
            const left = hit >= 0 ? points.filter((_, i) => i !== hit) : [...points, {x, y, label}];
            return {points: left, box, mode: this.prompts.mode, previous: hit >= 0 ? null : this.prompts.chosen};
        }
        if (!label && !this.selection) return null;
        const combined = label ? (another ? "add" : mode) : "subtract";
        return {points: [{x, y, label: 1}], box: null, mode: this.selection ? combined : "replace", previous: null};
    }

    /**
     * @param {import("../server/answers.mjs").Box} box
     * @param {import("../server/answers.mjs").Mode} mode
     * @returns {import("../server/answers.mjs").Prompts}
     */
    boxed(box, mode = "replace") {
        return {points: [], box, mode: this.selection ? mode : "replace", previous: null};
    }

    /**
     * A step of the server's timeline: a new selection.
     *
     * @param {any} answer
     * @param {import("../server/answers.mjs").Prompts | null} prompts it came from; null for brush, lasso and adjustments
     */
    selected(answer, prompts = null) {
        this.past.push(this.prompts);
        this.future = [];
        this.prompts = prompts
            ? {points: prompts.points, box: prompts.box, mode: prompts.mode, candidates: answer.candidates ?? [], chosen: answer.chosen ?? null}
            : NOTHING;
        this.selection = answer.selection;
        this.#steps(answer.can_undo, answer.can_redo);
    }

    /** Another of the last candidates was taken. */
    chose(answer, index) {
        this.past.push(this.prompts);
        this.future = [];
        this.prompts = {...this.prompts, chosen: index};
        this.selection = answer.selection;
        this.#steps(answer.can_undo, answer.can_redo);
    }

    /** Where the original lies in the picture shown, which may have been expanded since. */
    get offset() {
        return this.offsets.get(this.version) ?? {x: 0, y: 0};
    }

    /** The picture changed. Removing uses its selection up, painting leaves it; expanding adds `left` and `top` pixels before it. */
    painted({version, selection = null, width, height, edge, can_undo, can_redo}, [left, top] = [0, 0]) {
        this.past.push(this.prompts);
        this.future = [];
        this.prompts = NOTHING;
        this.selection = selection;
        this.offsets.set(version, {x: this.offset.x + left, y: this.offset.y + top});
        this.version = version;
        this.#resize(width, height, edge);
        this.#steps(can_undo, can_redo);
    }

    #resize(width, height, edge) {
        const {workspace} = this;
        this.edge = edge ?? this.edge;
        if (workspace) this.workspace = {...workspace, width: width ?? workspace.width, height: height ?? workspace.height};
    }

    undone(answer) {
        this.#move(this.past, this.future, answer);
    }

    redone(answer) {
        this.#move(this.future, this.past, answer);
    }

    #move(from, to, {version, selection, width, height, edge, can_undo, can_redo}) {
        to.push(this.prompts);
        // The server has dropped the logits by now: the candidates can be looked at no more, the clicks can be continued.
        this.prompts = {...(from.pop() ?? NOTHING), candidates: [], chosen: null};
        this.version = version;
        this.selection = selection;
        this.#resize(width, height, edge);
        this.#steps(can_undo, can_redo);
    }
}
