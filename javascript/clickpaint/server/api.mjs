/** The REST API, by its names. Addresses hang on where this very module came from, so they survive sub-paths, proxies and shares. */

import {isAbort} from "../common/request_order.mjs";
import {ApiError, problem} from "./api_error.mjs";
import {eventsOf} from "./event_stream.mjs";

export {ApiError};

/**
 * The address that the program's root has. Ends with a slash.
 *
 * @param {string} url of a module that the page loaded
 * @param {string} page its own address
 */
export function rootOf(url, page) {
    const found = url.match(/^(.*?\/)(?:clickpaint\/static\/|gradio_api\/file=|file=)/);
    if (found) return found[1];
    return new URL("./", page).href;
}

/** Says that it is the page that asks: to its requests the server answers without a challenge, which would be a dialog of the browser's. */
const PAGE_HEADER = "X-Clickpaint-Page";

/** What a web UI put into its page, so that whoever is shown it may use it beside passwords of the API; "" where there is none. */
function tokenOfPage() {
    return globalThis.document?.querySelector?.("clickpaint-canvas")?.getAttribute("data-token") ?? "";
}

export class Api {
    /**
     * @param {string} root see `rootOf`
     * @param {(address: string, options: RequestInit) => Promise<Response>} fetcher
     */
    constructor(root, fetcher = (...args) => globalThis.fetch(...args)) {
        this.base = `${root}clickpaint/v1/`;
        this.fetch = fetcher;
    }

    /** The longer side in pixels in which masks are looked at, for what answers with some; null for the picture's own. @returns {number | null} */
    maskSide = () => null;

    /** @param {string} path @param {{body?: unknown, signal?: AbortSignal}} [asked] */
    #masked(path, asked) {
        return this.request("POST", path, {...asked, query: {mask_side: this.maskSide()}});
    }

    /** The address of a request. The browser must not ask for it by itself, as for a picture in the page: only `request` shows who asks. */
    #url(path, query = {}) {
        const entries = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [name, `${value}`]);
        return this.base + path + (entries.length ? `?${new URLSearchParams(entries)}` : "");
    }

    /**
     * The answer as JSON (or a Blob), or an `ApiError` that carries the server's sentence.
     *
     * @param {string} method
     * @param {string} path
     * @param {{blob?: boolean, body?: unknown, query?: Record<string, unknown>, signal?: AbortSignal}} [asked]
     * @returns {Promise<any>}
     */
    async request(method, path, {blob = false, ...asked} = {}) {
        const response = await this.#answer(method, path, asked);
        if (response.status === 204) return null;
        return blob ? response.blob() : response.json();
    }

    /**
     * A file to be saved.
     *
     * @param {string} path
     * @param {Record<string, unknown>} query
     * @returns {Promise<{blob: Blob, name: string}>} name: as the server calls it
     */
    async file(path, query) {
        return fileOf(await this.#answer("GET", path, {query}));
    }

    /** Many pictures as one file. @param {Record<string, unknown>} body */
    async archive(body) {
        return fileOf(await this.#answer("POST", "archive", {body}));
    }

    /**
     * What the server tells while it works.
     *
     * @param {string} path
     * @param {Record<string, unknown> | null} body null for what goes on by itself
     * @param {AbortSignal} [signal]
     * @returns {AsyncGenerator<[string, any]>}
     */
    async *stream(path, body, signal) {
        const response = await this.#answer(body ? "POST" : "GET", path, {body: body ? {...body, stream: true} : undefined, signal});
        try {
            yield* eventsOf(response);
        } catch (error) {
            if (isAbort(error)) throw error;
            throw new ApiError(0, {error: "Unreachable"});
        }
    }

    /**
     * @param {string} method
     * @param {string} path
     * @param {{body?: any, query?: Record<string, unknown>, signal?: AbortSignal}} asked
     */
    async #answer(method, path, {body, query, signal}) {
        /** @type {RequestInit} */
        const options = {method, signal, credentials: "same-origin"};
        const headers = (options.headers = /** @type {Record<string, string>} */ ({[PAGE_HEADER]: tokenOfPage() || "page"}));
        if (body instanceof FormData || body instanceof Blob) options.body = body;
        else if (body !== undefined) {
            options.body = JSON.stringify(body);
            headers["Content-Type"] = "application/json";
        }
        let response;
        try {
            response = await this.fetch(this.#url(path, query), options);
        } catch (error) {
            if (isAbort(error)) throw error;
            throw new ApiError(0, {error: "Unreachable"});
        }
        if (!response.ok) throw new ApiError(response.status, await problem(response));
        return response;
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

/** A file that was asked for, under the name that the server gives it. */
async function fileOf(response) {
    const [, name = "picture"] = response.headers.get("Content-Disposition")?.match(/filename\*=UTF-8''([^;]+)/) ?? [];
    return {blob: await response.blob(), name: decodeURIComponent(name)};
}
