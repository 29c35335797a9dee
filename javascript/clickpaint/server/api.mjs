/** The REST API, by its names. */

import {ApiError} from "./api_error.mjs";
import {Connection, rootOf} from "./connection.mjs";

export {ApiError};

/** The API of the program that this page came from. */
export function apiOfPage() {
    return new Api(rootOf(import.meta.url, document.baseURI));
}

export class Api extends Connection {
    /** The longer side in pixels in which masks are looked at, for what answers with some; null for the picture's own. @returns {number | null} */
    maskSide = () => null;

    /** @param {string} path @param {{body?: unknown, signal?: AbortSignal}} [asked] */
    #masked(path, asked) {
        return this.request("POST", path, {...asked, query: {mask_side: this.maskSide()}});
    }

    /** Many pictures as one file. @param {Record<string, unknown>} body */
    archive(body) {
        return this.file("archive", {}, body);
    }

    open(file, name) {
        const form = new FormData();
        form.append("file", file, name || "picture.png");
        return this.request("POST", "workspaces", {body: form});
    }

    /**
     * What was opened and made before, the one changed last first.
     *
     * @param {string[]} [ids] only these; otherwise all, where the server has one user
     */
    history(ids) {
        return this.request("GET", "workspaces", {query: {ids: ids?.join(",")}});
    }

    /** A small picture of what a workspace of the history shows. */
    thumbnail(id) {
        return this.request("GET", `workspaces/${id}/thumbnail`, {blob: true});
    }

    workspace(id) {
        return this.request("GET", `workspaces/${id}`);
    }

    select(id, body, signal) {
        return this.#masked(`workspaces/${id}/select`, {body, signal});
    }

    choose(id, candidate) {
        return this.#masked(`workspaces/${id}/choose`, {body: {candidate}});
    }

    /** Select what is selected in another picture; see the server's `SelectAsInBody`. */
    selectAsIn(id, body) {
        return this.request("POST", `workspaces/${id}/select-as-in`, {body});
    }

    adjust(id, operations) {
        return this.#masked(`workspaces/${id}/mask`, {body: {operations}});
    }

    everything(id, body = {}) {
        return this.request("POST", `workspaces/${id}/everything`, {body});
    }

    /** The shadow of what is selected. */
    shadow(id, signal) {
        return this.request("GET", `workspaces/${id}/shadow`, {query: {mask_side: this.maskSide()}, signal});
    }

    /** Select all text; the answer has its lines too. */
    selectText(id, mode) {
        return this.request("POST", `workspaces/${id}/text`, {body: {mode}});
    }

    erase(id, body) {
        return this.#masked(`workspaces/${id}/erase`, {body});
    }

    /** Paint with the host's checkpoint. */
    paint(id, body) {
        return this.#masked(`workspaces/${id}/paint`, {body});
    }

    useResult(id, index) {
        return this.#masked(`workspaces/${id}/results/${index}/use`);
    }

    /** The picture that a result of the painting of `version` is. */
    result(id, index, version) {
        return this.request("GET", `workspaces/${id}/results/${index}`, {query: {of: version}, blob: true});
    }

    refine(id, index, body) {
        return this.#masked(`workspaces/${id}/results/${index}/refine`, {body});
    }

    rank(id, prompt) {
        return this.request("POST", `workspaces/${id}/results/rank`, {body: {prompt}});
    }

    /** What is being painted, as it looks now; null where there is nothing to show. */
    preview(id, signal) {
        return this.request("GET", `workspaces/${id}/preview`, {blob: true, signal});
    }

    /** Save the picture in the program's own folder for saved ones. */
    save(id, body) {
        return this.request("POST", `workspaces/${id}/save`, {body});
    }

    /** The selection, whole or with a longer side of at most `side` pixels. @param {string} id @param {{side?: number, signal?: AbortSignal}} [how] */
    mask(id, {side, signal} = {}) {
        return this.request("GET", `workspaces/${id}/mask`, {query: {mask_side: side}, signal, blob: true});
    }

    preprocessors() {
        return this.request("GET", "control/preprocessors");
    }

    makeMap(id, body) {
        return this.request("POST", `workspaces/${id}/control`, {body});
    }

    /** The map that poses give, in OpenPose's JSON; `parts`: what of them is drawn. */
    drawPoses(id, poses, parts) {
        return this.request("POST", `workspaces/${id}/control/pose`, {body: {poses, parts}});
    }

    map(id, map) {
        return this.request("GET", `workspaces/${id}/control/${map}`, {blob: true});
    }

    keepMap(id, map, opacity) {
        return this.#masked(`workspaces/${id}/control/${map}/keep`, {body: {opacity}});
    }

    selectByMap(id, map, body) {
        return this.#masked(`workspaces/${id}/control/${map}/select`, {body});
    }

    chooseCheckpoint(name) {
        return this.request("POST", "checkpoint", {body: {name}});
    }

    /** Get our engines ready for the loaded checkpoint while the user is still typing. */
    prepareCheckpoint() {
        return this.request("POST", "checkpoint/prepare");
    }

    controlNames(ours = false) {
        return this.request("GET", "control-names", {query: {ours}});
    }

    captioners() {
        return this.request("GET", "captioners");
    }

    /** Say what is selected; see `stream`. */
    caption(id, body, signal) {
        return this.stream(`workspaces/${id}/caption`, body, signal);
    }

    /** Ask about what is selected; see `stream`. */
    chat(id, question, signal) {
        return this.stream(`workspaces/${id}/chat`, {question}, signal);
    }

    chatHistory(id) {
        return this.request("GET", `workspaces/${id}/chat`);
    }

    forgetChat(id) {
        return this.request("DELETE", `workspaces/${id}/chat`);
    }

    captionEverything(id, body) {
        return this.request("POST", `workspaces/${id}/caption-everything`, {body});
    }

    find(id, body, how = "find") {
        return this.#masked(`workspaces/${id}/${how}`, {body});
    }

    trace(id, body) {
        return this.#masked(`workspaces/${id}/trace`, {body});
    }

    undo(id) {
        return this.#masked(`workspaces/${id}/undo`);
    }

    redo(id) {
        return this.#masked(`workspaces/${id}/redo`);
    }

    /** A JPEG of a version whose longer side has at most so many pixels. */
    small(id, version, longest) {
        return this.request("GET", `workspaces/${id}/image`, {query: {version, longest}, blob: true});
    }

    /**
     * The whole picture as a PNG, or quickly a part of it, for showing.
     *
     * @param {string} id
     * @param {number} version
     * @param {number[] | null} [box]
     */
    picture(id, version, box = null) {
        return this.request("GET", `workspaces/${id}/image`, {query: {version, box: box?.join(",")}, blob: true});
    }

    /**
     * @param {string} id
     * @param {boolean} [keep] whether it stays in the history, from where it can be asked for again
     */
    close(id, keep = false) {
        return this.request("DELETE", `workspaces/${id}`, {query: {keep: keep ? 1 : null}});
    }

    capabilities() {
        return this.request("GET", "capabilities");
    }

    models() {
        return this.request("GET", "models");
    }

    download(name) {
        return this.request("POST", `models/${encodeURIComponent(name)}/download`);
    }

    verifyModel(name) {
        return this.request("POST", `models/${encodeURIComponent(name)}/verify`);
    }

    removeModel(name) {
        return this.request("DELETE", `models/${encodeURIComponent(name)}`);
    }

    /** A piece of a model file of one's own. @param {Record<string, unknown>} query @param {Blob} piece */
    sendModelFile(query, piece) {
        return this.request("POST", "models/files", {query, body: piece});
    }

    /** What models take on the disk and in memory. */
    modelUsage() {
        return this.request("GET", "models/usage");
    }

    /** Forget loaded models; what they take afterwards. */
    freeMemory() {
        return this.request("POST", "models/free");
    }

    cancelDownload(name) {
        return this.request("POST", `models/${encodeURIComponent(name)}/cancel`);
    }

    progress(workspace) { // one that never comes back, after a laptop's sleep for example, must not keep the next from being asked
        return this.request("GET", "progress", {query: {workspace}, signal: AbortSignal.timeout(20_000)});
    }

    interrupt(workspace) {
        return this.request("POST", "interrupt", {body: {workspace}});
    }

    settings() {
        return this.request("GET", "settings");
    }

    /** @param {Record<string, any>} values by the settings' keys; null for the default */
    changeSettings(values) {
        return this.request("PATCH", "settings", {body: {values}});
    }

    samples() {
        return this.request("GET", "samples");
    }

    sample(name) {
        return this.request("GET", `samples/${encodeURIComponent(name)}`, {blob: true});
    }

    sampleThumbnail(name) {
        return this.request("GET", `samples/${encodeURIComponent(name)}/thumbnail`, {blob: true});
    }
}
