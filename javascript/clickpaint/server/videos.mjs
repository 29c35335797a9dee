/** The routes about clips, by their names. */

/**
 * What is followed through a clip.
 *
 * @typedef {object} VideoObject
 * @property {string} id chosen by who made it
 * @property {string} name
 * @property {Record<string, unknown>} frames in which the user said where it is, by their numbers
 * @property {[number, number][]} known stretches of frames in which its mask is known, both ends included
 * @property {[number, number][]} doubtful stretches in which the tracker was not sure
 *
 * @typedef {object} VideoAnswer an open clip
 * @property {string} id
 * @property {string} name of its file
 * @property {number} width in pixels
 * @property {number} height
 * @property {number} frames how many there are
 * @property {number} duration_s
 * @property {number} fps on average
 * @property {number[] | null} timestamps in seconds, where the frame rate varies
 * @property {number} version 0 for the clip as it came in
 * @property {{number: number, first: number, last: number, whole: boolean}[]} versions the results
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 * @property {VideoObject[]} objects
 * @property {number} in_mark the first frame that is worked on
 * @property {number} out_mark the last one
 * @property {any[]} tasks under way
 *
 * @typedef {object} PartsAnswer how a clip is divided to be played
 * @property {number} frames_each in every part but the last
 * @property {number} count of the parts
 * @property {string} media_type of each, with its codecs
 */

export class Videos {
    /** @param {import("./api.mjs").Api} api */
    constructor(api) {
        this.api = api;
    }

    /** @param {Blob} file @param {string} name @returns {Promise<VideoAnswer>} */
    open(file, name) {
        const form = new FormData();
        form.append("file", file, name);
        return this.api.request("POST", "videos", {body: form});
    }

    /** Those there are, as short descriptions. @param {string[]} [ids] only these; otherwise all, where the server has one user */
    list(ids) {
        return this.api.request("GET", "videos", {query: {ids: ids?.join(",")}});
    }

    /** @param {string} id @returns {Promise<VideoAnswer>} */
    get(id) {
        return this.api.request("GET", `videos/${id}`);
    }

    /** @param {string} id */
    remove(id) {
        return this.api.request("DELETE", `videos/${id}`);
    }

    /** @param {string} id @param {{in_mark: number, out_mark: number}} marks @returns {Promise<VideoAnswer>} */
    mark(id, marks) {
        return this.api.request("PATCH", `videos/${id}`, {body: marks});
    }

    /**
     * The picture of one frame.
     *
     * @param {string} id
     * @param {number} number
     * @param {{version: number | null, width?: number | null, format?: string}} how version: null for the one shown last; width: in pixels; null for its own
     * @returns {Promise<Blob>}
     */
    frame(id, number, {version, width = null, format = "jpeg"}) {
        return this.api.request("GET", `videos/${id}/frames/${number}`, {query: {version, width, format}, blob: true});
    }

    /** One picture of many frames in a row. @param {string} id @param {Record<string, number>} how @returns {Promise<Blob>} */
    strip(id, how) {
        return this.api.request("GET", `videos/${id}/strip`, {query: how, blob: true});
    }

    /** How it is divided to be played. @param {string} id @returns {Promise<PartsAnswer>} */
    parts(id) {
        return this.api.request("GET", `videos/${id}/parts`);
    }

    /** @param {string} id @param {number} version @param {number} number @param {AbortSignal} signal @returns {Promise<Blob>} */
    part(id, version, number, signal) {
        return this.api.request("GET", `videos/${id}/parts/${number}`, {query: {version}, blob: true, signal});
    }

    /** The clip as browsers play it. @param {string} id @param {number} version @returns {Promise<Blob>} */
    preview(id, version) {
        return this.api.request("GET", `videos/${id}/file`, {query: {version}, blob: true});
    }

    /** The clip as it is to be saved, in its own container. @param {string} id @param {number} version */
    file(id, version) {
        return this.api.file(`videos/${id}/file`, {version, original: 1, download: 1});
    }

    /** Say where an object is. @param {string} id @param {string} object @param {Record<string, any>} frames by their numbers */
    point(id, object, frames) {
        return this.api.request("PUT", `videos/${id}/objects/${encodeURIComponent(object)}`, {body: {frames}});
    }

    /** @param {string} id @param {string} object @param {number} number @param {number | null} [width] @returns {Promise<Blob>} */
    mask(id, object, number, width = null) {
        return this.api.request("GET", `videos/${id}/objects/${encodeURIComponent(object)}/masks/${number}`, {query: {width}, blob: true});
    }

    /** @param {string} id @param {string} object */
    forget(id, object) {
        return this.api.request("DELETE", `videos/${id}/objects/${encodeURIComponent(object)}`);
    }

    /** What takes long: "track", "remove" … @param {string} id @param {string} what @param {Record<string, any>} body */
    work(id, what, body) {
        return this.api.request("POST", `videos/${id}/${what}`, {body});
    }

    /** To the version before or after the one shown. @param {string} id @param {"undo" | "redo"} way */
    travel(id, way) {
        return this.api.request("POST", `videos/${id}/${way}`);
    }
}
