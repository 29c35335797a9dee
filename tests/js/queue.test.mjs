import assert from "node:assert/strict";
import test from "node:test";

import {Downloads} from "../../javascript/clickpaint/server/downloads.mjs";
import {Latest, Serial, throttled} from "../../javascript/clickpaint/common/request_order.mjs";

function deferred() {
    const made = {};
    made.promise = new Promise((resolve, reject) => Object.assign(made, {resolve, reject}));
    return made;
}

test("a newer job aborts the older one, whose answer is dropped", async () => {
    const latest = new Latest(), first = deferred();
    let signal;
    const older = latest.run((given) => ((signal = given), first.promise));
    const newer = latest.run(async () => "new");
    assert.ok(signal.aborted);
    first.resolve("old");
    assert.equal(await older, undefined);
    assert.equal(await newer, "new");
    assert.ok(!latest.busy);
});

test("an aborted job's error is not the newer one's concern, a real error is", async () => {
    const latest = new Latest(), first = deferred();
    const older = latest.run(() => first.promise);
    latest.cancel();
    first.reject(new DOMException("gone", "AbortError"));
    assert.equal(await older, undefined);
    await assert.rejects(latest.run(async () => { throw new Error("broken"); }), /broken/);
});

test("changes go one after another, and one that fails does not stop the next", async () => {
    const serial = new Serial(), first = deferred(), order = [];
    const a = serial.run(async () => (await first.promise, order.push("a"), "A"));
    const b = serial.run(async () => { order.push("b"); throw new Error("no"); });
    const c = serial.run(async () => (order.push("c"), "C"));
    assert.equal(serial.pending, 3);
    await Promise.resolve();
    assert.deepEqual(order, []);
    first.resolve();
    assert.equal(await a, "A");
    await assert.rejects(b, /no/);
    assert.equal(await c, "C");
    await serial.idle();
    assert.deepEqual([order.join(""), serial.pending], ["abc", 0]);
});

test("throttling calls at once, then at most once a period with the last arguments", () => {
    let now = 0, timer = null;
    const clock = {now: () => now, set: (call, ms) => ((timer = {call, at: now + ms}), timer), clear: () => (timer = null)};
    const calls = [], run = throttled((value) => calls.push([now, value]), 100, clock);
    run("a");
    now = 10;
    run("b");
    now = 40;
    run("c");
    assert.deepEqual(calls, [[0, "a"]]);
    now = timer.at;
    timer.call();
    assert.deepEqual(calls, [[0, "a"], [100, "c"]]);
    now = 120;
    run("d");
    run.cancel();
    assert.equal(timer, null);
});

test("a download that begins while the server is asked what it does has not ended with that answer", async (t) => {
    t.mock.timers.enable({apis: ["setTimeout"]});
    const asked = [], settled = () => new Promise((done) => setImmediate(done));
    const api = {progress: () => (asked.push(deferred()), asked.at(-1).promise), models: async () => [], download: async () => {}};
    const downloads = new Downloads(/** @type {any} */ (api));
    downloads.watch();
    t.mock.timers.tick(500);
    await downloads.start("lama");
    asked[0].resolve({tasks: []}); // of the time before it began
    await settled();
    assert.ok(downloads.task("lama"), "it is still under way");
    t.mock.timers.tick(500);
    asked[1].resolve({tasks: [{kind: "download", subject: "lama", state: "running", fraction: 0.5}]});
    await settled();
    assert.equal(downloads.task("lama").fraction, 0.5);
    t.mock.timers.tick(500);
    asked[2].reject(new Error("nobody answers"));
    await settled();
    assert.equal(downloads.task("lama"), undefined);
    downloads.dispose();
});
