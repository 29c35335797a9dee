/** Requests to the server and its answers. Addresses hang on where the page's modules came from, so they survive sub-paths, proxies and shares. */

import {isAbort} from "../common/request_order.mjs";
import {ApiError, problem} from "./api_error.mjs";
import {eventsOf} from "./event_stream.mjs";

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

export class Connection {
    /**
     * @param {string} root see `rootOf`
     * @param {(address: string, options: RequestInit) => Promise<Response>} fetcher
     */
    constructor(root, fetcher = (...args) => globalThis.fetch(...args)) {
        this.base = `${root}clickpaint/v1/`;
        this.fetch = fetcher;
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
     * @param {unknown} [body] says what goes into it, where a query cannot
     * @returns {Promise<{blob: Blob, name: string}>} name: as the server calls it
     */
    async file(path, query, body) {
        return fileOf(await this.#answer(body ? "POST" : "GET", path, {query, body}));
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
}

/** A file that was asked for, under the name that the server gives it. */
async function fileOf(response) {
    const [, name = "picture"] = response.headers.get("Content-Disposition")?.match(/filename\*=UTF-8''([^;]+)/) ?? [];
    return {blob: await response.blob(), name: decodeURIComponent(name)};
}
