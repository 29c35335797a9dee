import assert from "node:assert/strict";
import {readdirSync, readFileSync} from "node:fs";
import {basename, posix} from "node:path";
import test from "node:test";

const FOLDER = new URL("../../javascript/", import.meta.url);

/** From the ground up: a module imports only from its own folder and from those before it. */
const FOLDERS = ["common", "language", "server", "picture", "video", "canvas", "host", "panels"];

const files = readdirSync(FOLDER, {recursive: true}).map((name) => name.replaceAll("\\", "/")).filter((name) => name.endsWith(".mjs"));
const source = (name) => readFileSync(new URL(name, FOLDER), "utf8");

/** What each module imports, by paths from the folder of all. */
const imports = new Map(
    files.map((name) => [name, [...source(name).matchAll(/^(?:import|export)\s[^;]*?from "([^"]+)";/gm)].map(([, path]) => posix.join(posix.dirname(name), path))]),
);

/** A way from a module back to itself; null where there is none. */
function cycle(graph) {
    const done = new Set();
    const from = (name, way) => {
        if (way.includes(name)) return [...way.slice(way.indexOf(name)), name];
        if (done.has(name)) return null;
        done.add(name);
        for (const next of graph.get(name) ?? []) {
            const found = from(next, [...way, name]);
            if (found) return found;
        }
        return null;
    };
    for (const name of graph.keys()) {
        const found = from(name, []);
        if (found) return found;
    }
    return null;
}

test("a cycle is found", () => {
    assert.deepEqual(cycle(new Map([["a", ["b", "c"]], ["c", ["b"]], ["b", ["d"]], ["d", ["b"]]])), ["b", "d", "b"]);
    assert.equal(cycle(new Map([["a", ["b", "c"]], ["c", ["b"]], ["b", []]])), null);
});

test("no modules import each other in a circle, and every import is there", () => {
    assert.ok(files.length > 50 && [...imports.values()].flat().length > 150);
    assert.equal(cycle(imports), null);
    for (const [name, paths] of imports) for (const path of paths) assert.ok(files.includes(path), `${name} imports ${path}`);
});

test("a folder knows only those before it", () => {
    const room = (path) => path.split("/")[1];
    for (const [name, paths] of imports) {
        if (name === "clickpaint.mjs") continue;
        assert.ok(FOLDERS.includes(room(name)), `${name} is in none of the folders`);
        for (const path of paths) assert.ok(FOLDERS.indexOf(room(path)) <= FOLDERS.indexOf(room(name)), `${name} imports ${path}`);
    }
});

test("no two modules share a name, in the singular or the plural", () => {
    const names = files.map((name) => basename(name, ".mjs").replace(/s$/, ""));
    assert.equal(new Set(names).size, names.length);
});

test("the canvas presses no button of the page around it", () => {
    for (const name of files.filter((path) => path.startsWith("clickpaint/canvas/") || path.startsWith("clickpaint/picture/"))) {
        assert.ok(!/["'`#]clickpaint_/.test(source(name)), name);
    }
});

test("the browser asks for nothing of the server's by itself, where it could not say that it is the page that asks", () => {
    for (const name of files.filter((path) => !path.endsWith("server/connection.mjs"))) assert.ok(!/(src|href)[:=] *`?\$?\{?[\w.]*api\.|api\.url\b|clickpaint\/v1/.test(source(name)), name);
});
