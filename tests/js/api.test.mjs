import assert from "node:assert/strict";
import test from "node:test";

import {Api, ApiError} from "../../javascript/clickpaint/server/api.mjs";
import {rootOf} from "../../javascript/clickpaint/server/connection.mjs";

const module = "javascript/clickpaint/api.mjs";

test("the address of the API hangs on where the module came from", () => {
    const page = "http://host/";
    assert.equal(rootOf(`http://host:7870/clickpaint/static/${module}`, page), "http://host:7870/");
    assert.equal(rootOf(`https://host/sub/path/clickpaint/static/${module}`, page), "https://host/sub/path/");
    assert.equal(rootOf(`http://host:7860/file=extensions/sd-webui-clickpaint/${module}?1700000000.5`, page), "http://host:7860/");
    assert.equal(rootOf(`https://host/sub/file=extensions/x/${module}`, page), "https://host/sub/");
    assert.equal(rootOf(`https://abc.gradio.live/gradio_api/file=/home/me/${module}`, page), "https://abc.gradio.live/");
    assert.equal(rootOf("file:///elsewhere.mjs", "https://host/a/b"), "https://host/a/");
});

function fake(status, body) {
    const calls = [];
    const api = new Api("http://host/sub/", async (url, options) => {
        calls.push([url, options]);
        return new Response(status === 204 ? null : JSON.stringify(body), {status});
    });
    return {api, calls};
}

test("requests carry JSON, answers come back as objects", async () => {
    const {api, calls} = fake(200, {ok: 1});
    assert.deepEqual(await api.adjust("id", [{op: "invert"}]), {ok: 1});
    assert.equal(calls[0][0], "http://host/sub/clickpaint/v1/workspaces/id/mask");
    assert.equal(calls[0][1].body, '{"operations":[{"op":"invert"}]}');
    assert.equal(calls[0][1].headers["Content-Type"], "application/json");
});

test("what is not set is left out of an address", async () => {
    const {api, calls} = fake(200, {});
    await api.request("GET", "x", {query: {a: null, b: undefined, c: "", d: 0}});
    assert.equal(calls[0][0], "http://host/sub/clickpaint/v1/x?d=0");
});

test("an error keeps the server's sentence and remedy", async () => {
    const {api} = fake(404, {error: "NotFound", message: "Gone.", remedy: "Open it again.", data: {id: 1}});
    await assert.rejects(api.undo("id"), (error) => {
        assert.ok(error instanceof ApiError);
        assert.deepEqual([error.status, error.kind, error.message, error.remedy, error.data], [404, "NotFound", "Gone.", "Open it again.", {id: 1}]);
        return true;
    });
});

test("a proxy's answer and a dead server are errors too, an abort is not", async () => {
    const proxy = new Api("/", async () => new Response("<html>", {status: 502}));
    await assert.rejects(proxy.models(), (error) => error.status === 502 && error.message === "");
    const dead = new Api("/", async () => { throw new TypeError("fetch failed"); });
    await assert.rejects(dead.models(), (error) => error.kind === "Unreachable");
    const aborted = new Api("/", async () => { throw new DOMException("", "AbortError"); });
    await assert.rejects(aborted.models(), (error) => error.name === "AbortError");
});

test("a file to be saved comes with the name that the server gives it", async () => {
    const headers = {"Content-Disposition": "attachment; filename*=UTF-8''caf%C3%A9.png"};
    const {blob, name} = await new Api("/", async () => new Response("data", {headers})).file("x", {});
    assert.deepEqual([name, await blob.text()], ["café.png", "data"]);
    assert.equal((await new Api("/", async () => new Response("data")).file("x", {})).name, "picture");
});

test("no content is no object", async () => {
    assert.equal(await fake(204).api.close("id"), null);
});

test("every request says that it is the page's, and shows the token that a web UI put into it", async () => {
    const seen = [];
    const api = new Api("/", async (url, options) => (seen.push(options.headers), new Response("{}", {headers: {"Content-Type": "application/json"}})));
    await api.capabilities();
    globalThis.document = {querySelector: () => ({getAttribute: (name) => (name === "data-token" ? "secret" : null)})};
    try {
        await api.adjust("x", []);
        await api.open(new Blob(["x"]), "a.png");
    } finally {
        delete globalThis.document;
    }
    assert.deepEqual(seen.map((headers) => headers["X-Clickpaint-Page"]), ["page", "secret", "secret"]);
    assert.deepEqual(seen.map((headers) => headers["Content-Type"]), [undefined, "application/json", undefined]);
});
