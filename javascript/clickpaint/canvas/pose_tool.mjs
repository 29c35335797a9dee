/** The tool that drags the joints of poses over the picture. It is taken up from the panel of control maps. */

import {clamped, nearest} from "../picture/geometry.mjs";
import {jointsOf, limbsOf, moved} from "../picture/keypoints.mjs";
import {outlined} from "./renderer.mjs";

const REACH = 12;

export class PoseTool {
    name = "pose";
    cursor = "grab";
    /** The joint in hand. @type {any} */
    #held = null;
    /** @type {import("../picture/editor.mjs").Point | null} */
    #to = null;
    /** In OpenPose's JSON; null for none. @type {any} */
    poses = null;
    /** Poses before the changes made here, the oldest first, and those that were undone. @type {any[]} */
    #past = [];
    /** @type {any[]} */
    #future = [];
    /** What of them is drawn; all where it is not said. @type {string[] | undefined} */
    parts = undefined;

    /**
     * @param {import("../picture/editor.mjs").Editor} editor
     * @param {(poses: any) => void} changed a joint was dragged or taken away
     */
    constructor(editor, changed) {
        this.editor = editor;
        this.changed = changed;
    }

    get drafting() {
        return this.#held !== null;
    }

    get canUndo() {
        return this.#past.length > 0;
    }

    get canRedo() {
        return this.#future.length > 0;
    }

    /** The poses are those of another map: nothing of them was changed here. */
    begin() {
        this.#past = [];
        this.#future = [];
    }

    /** Take the last change back; whether there was one. */
    undo() {
        return this.#travel(this.#past, this.#future);
    }

    redo() {
        return this.#travel(this.#future, this.#past);
    }

    #travel(from, to) {
        if (!from.length || !this.poses) return false;
        to.push(this.poses);
        this.poses = from.pop();
        this.changed(this.poses);
        this.editor.changed();
        return true;
    }

    /** By keyboard: Enter takes a joint up, Enter puts it down. */
    closes() {
        return true;
    }

    /** Pixels of the picture for one of the poses' canvas. */
    get #scale() {
        const {width, height} = this.editor.size;
        return {x: width / this.poses.canvas_width, y: height / this.poses.canvas_height};
    }

    #onPicture({x, y}) {
        return {x: x * this.#scale.x, y: y * this.#scale.y};
    }

    #onCanvas({x, y}) {
        return {x: x / this.#scale.x, y: y / this.#scale.y};
    }

    start(point, event) {
        if (!this.poses) return;
        const joints = jointsOf(this.poses, this.parts), hit = nearest(joints.map((one) => this.#onPicture(one)), point, REACH / this.editor.view.scale);
        if (hit < 0) return;
        if (event.altKey || event.button === 2) return this.#change(joints[hit], null);
        this.#held = joints[hit];
        this.#to = point;
    }

    move(point) {
        this.#to = point;
    }

    end(point) {
        const held = this.#held;
        this.cancel();
        if (held) this.#change(held, this.#onCanvas(clamped(point, this.editor.size)));
    }

    cancel() {
        this.#held = this.#to = null;
    }

    /** The joint stays where it was put until the server's drawing follows. */
    #change(joint, to) {
        this.#past.push(this.poses);
        this.#future = [];
        this.poses = moved(this.poses, joint, to);
        this.changed(this.poses);
        this.editor.changed();
    }

    draw(context, view, colours) {
        if (!this.poses) return;
        const to = this.editor.crosshair ?? this.#to;
        const shown = this.#held && to ? moved(this.poses, this.#held, this.#onCanvas(to)) : this.poses;
        const at = (joint) => {
            const {x, y} = this.#onPicture(joint);
            return view.toScreen(x, y);
        };
        const lines = limbsOf(shown, this.parts).map((limb) => limb.map(at));
        outlined(context, "#fff", () => {
            for (const [a, b] of lines) {
                context.moveTo(a.x, a.y);
                context.lineTo(b.x, b.y);
            }
        });
        for (const joint of jointsOf(shown, this.parts)) {
            const {x, y} = at(joint), radius = joint.where[2] === "face_keypoints_2d" ? 2.5 : joint.where[2]?.startsWith("hand") ? 3.5 : 5.5;
            const held = this.#held && joint.index === this.#held.index && joint.where.join() === this.#held.where.join();
            context.fillStyle = held ? colours.tint : colours.preview;
            outlined(context, "#fff", () => context.arc(x, y, radius, 0, 2 * Math.PI));
            context.fill();
        }
    }
}
