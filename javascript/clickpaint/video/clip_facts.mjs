/** What is known of a clip that is open: what the server tells, and which frame and object are in hand. Does nothing. */

/** @typedef {import("../server/videos.mjs").VideoAnswer} VideoAnswer */
/** @typedef {import("../server/videos.mjs").VideoObject} VideoObject */

/** Of the objects, in their order. */
const COLOURS = ["#ff3d81", "#12b8d6", "#f59e0b", "#7c5cff", "#22c55e", "#ef4444"];

export class ClipFacts extends EventTarget {
    /** null while no clip is open. @type {VideoAnswer | null} */
    info = null;
    /** The number of the frame that is shown, or about to be. */
    frame = 0;
    /** The object that is pointed at. */
    object = "1";
    /** Whether masks are drawn over frames. */
    masksShown = true;
    /** When each frame is shown; see `timesOf`. @type {number[]} */
    times = [0, 0];

    /** The clip that is open. Asked for only while there is one. */
    get open() {
        if (this.info === null) throw new Error("No clip is open.");
        return this.info;
    }

    get id() {
        return this.open.id;
    }

    get version() {
        return this.open.version;
    }

    /** The first and the last frame that are worked on. @returns {[number, number]} */
    get range() {
        return [this.open.in_mark, this.open.out_mark];
    }

    /** What is pointed at, as far as the server knows it. @returns {VideoObject} */
    get current() {
        return this.open.objects.find(({id}) => id === this.object) ?? {id: this.object, name: "", frames: {}, known: [], doubtful: []};
    }

    /** See `OpenClip`. */
    get pointed() {
        return this.open.objects.some(({frames}) => Object.keys(frames).length);
    }

    /** The frames in which the user said where that is. */
    get corrected() {
        return Object.keys(this.current.frames).map(Number);
    }

    /** The frames in which the tracker was not sure of it. */
    get doubtful() {
        return this.current.doubtful.flatMap(([first, last]) => Array.from({length: last - first + 1}, (_, i) => first + i));
    }

    /** All objects, the one that is about to be pointed at among them. @returns {VideoObject[]} */
    get objects() {
        const {objects} = this.open, {current} = this;
        return objects.includes(current) ? objects : [...objects, current];
    }

    /** @param {string} object */
    colourOf(object) {
        return COLOURS[Math.max(this.objects.findIndex(({id}) => id === object), 0) % COLOURS.length];
    }
}
