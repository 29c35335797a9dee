import assert from "node:assert/strict";
import test from "node:test";

import {Api, ApiError} from "../../javascript/clickpaint/server/api.mjs";
import {placeBubble, placeLabels} from "../../javascript/clickpaint/panels/speech_bubble.mjs";
import {CaptionSession, heard, surety, wordsOf} from "../../javascript/clickpaint/panels/caption_session.mjs";
import {eventsOf} from "../../javascript/clickpaint/server/event_stream.mjs";
import {exported} from "../../javascript/clickpaint/panels/region_list.mjs";
import {Serial} from "../../javascript/clickpaint/common/request_order.mjs";
import {wordsOfRuns} from "../../javascript/clickpaint/picture/run_lengths.mjs";
import {State} from "../../javascript/clickpaint/picture/state.mjs";
import {bodyOf, everythingOf} from "../../javascript/clickpaint/panels/caption_form.mjs";

/** An answer whose body comes in these pieces, and then ends, or stays open. */
function answer(pieces, {open = false} = {}) {
    const encoder = new TextEncoder();
    const body = new ReadableStream({
        start(controller) {
            for (const piece of pieces) controller.enqueue(encoder.encode(piece));
            if (!open) controller.close();
        },
    });
    return new Response(body);
}

const all = async (events) => {
    const told = [];
    for await (const event of events) told.push(event);
    return told;
};

test("events are read across the borders of what the network hands on, comments left out", async () => {
    const text = 'event: raw\ndata: {"text": "a 球"}\n\n: still here\n\nevent: piece\ndata: {"text": "b"}\n\ndata: 1\n\nevent: cut\ndata: {';
    const bytes = [...new TextEncoder().encode(text)].map((byte) => Uint8Array.of(byte));
    const stream = new Response(new ReadableStream({start: (c) => (bytes.forEach((byte) => c.enqueue(byte)), c.close())}));
    assert.deepEqual(await all(eventsOf(stream)), [["raw", {text: "a 球"}], ["piece", {text: "b"}], ["message", 1]]);
});

test("a server that falls silent ends the events, after those that came", async () => {
    const told = [];
    await assert.rejects(async () => {
        for await (const event of eventsOf(answer(["data: 1\n\n"], {open: true}), 20)) told.push(event);
    }, /silent/);
    assert.deepEqual(told, [["message", 1]]);
});

test("the API's stream: refused with the server's sentence, broken off as unreachable, left when its signal says so", async () => {
    const refused = new Api("/", async () => new Response(JSON.stringify({error: "ModelMissing", message: "No.", remedy: "Get one."}), {status: 404}));
    await assert.rejects(all(refused.caption("w", {})), (error) => error instanceof ApiError && error.kind === "ModelMissing" && error.remedy === "Get one.");
    const garbage = new Api("/", async () => answer(["data: {\n\n"]));
    await assert.rejects(all(garbage.caption("w", {})), (error) => error.kind === "Unreachable");
    const asked = [];
    const api = new Api("/", async (url, options) => (asked.push([url, JSON.parse(options.body)]), answer(["data: 1\n\n"])));
    assert.deepEqual(await all(api.chat("w", "what?")), [["message", 1]]);
    assert.deepEqual(asked, [["/clickpaint/v1/workspaces/w/chat", {question: "what?", stream: true}]]);
});

const RAW = {captioner: "toy", wordings: [{text: "a ball", score: -0.5, clip: null}, {text: "a toy", score: -1, clip: null}], tags: [], box: [1, 2, 3, 4], context: ""};
const NOTHING = {text: "", written: "", prompt: "", wordings: [], tags: [], failure: null, over: false};

test("the captioner's words stand until others are written, and stay where that fails", () => {
    let said = heard(NOTHING, "raw", RAW);
    assert.equal(wordsOf(said), "a ball");
    said = heard(heard(said, "piece", {text: "a bright "}), "piece", {text: "ball"});
    assert.equal(wordsOf(said), "a bright ball");
    assert.equal(wordsOf(heard(said, "again", {})), "a ball");
    const done = heard(said, "caption", {...RAW, text: "a bright red ball", prompt: "bright red ball", failure: null});
    assert.deepEqual([wordsOf(done), done.prompt, done.over], ["a bright red ball", "bright red ball", true]);
    const failed = heard(said, "error", {message: "It broke."});
    assert.deepEqual([wordsOf(failed), failed.failure.message, failed.over], ["a ball", "It broke.", true]);
    assert.deepEqual([surety({score: 0}), surety({score: -0.5})], [null, 61]);
});

test("the form becomes the request", () => {
    const values = {captioner: "", limited: true, words: "25", form: "tags", sentiment: "positive", factuality: "factual", language: "French", wiki: true, background: "dim", candidates: "3", context: true};
    const body = bodyOf(values);
    assert.deepEqual(body, {
        captioner: null, style: {length: 25, form: "prompt", sentiment: "positive", factuality: "factual", language: "French", wiki: true},
        region: {background: "dim"}, candidates: 3, context: true, tags: true,
    });
    const plain = bodyOf({...values, captioner: "blip", limited: false, form: "sentence"});
    assert.deepEqual([plain.captioner, plain.style.length, plain.style.form, plain.tags], ["blip", null, "sentence", false]);
    assert.deepEqual(Object.keys(everythingOf(body, 7)).sort(), ["captioner", "region", "sieve", "style"]);
});

const VIEW = {stage: {width: 400, height: 300}, margin: {top: 40, right: 0, bottom: 40, left: 0}, x: 0, y: 0, scale: 1};
const SIZE = {width: 100, height: 30};

test("a bubble goes above, below, or into what it is about, and never off the stage", () => {
    assert.deepEqual(placeBubble([150, 120, 250, 200], SIZE, VIEW), {x: 150, y: 78, side: "above", tail: 50});
    assert.deepEqual(placeBubble([0, 50, 20, 90], SIZE, VIEW), {x: 8, y: 102, side: "below", tail: 18});
    assert.deepEqual(placeBubble([0, 0, 400, 300], SIZE, VIEW), {x: 150, y: 32, side: "inside", tail: 50});
    assert.equal(placeBubble([380, 120, 400, 200], SIZE, VIEW).x, 292);
    assert.equal(placeBubble([10, 10, 20, 20], SIZE, {...VIEW, x: -100}), null, "its box is not seen");
});

test("labels lie at their boxes and not on each other", () => {
    const sizes = [SIZE, SIZE, SIZE];
    const places = placeLabels([[10, 10, 200, 200], [20, 20, 60, 60], [15, 15, 30, 30]], sizes, VIEW);
    assert.deepEqual([places[0].x, places[0].y], [10, 10]);
    assert.deepEqual(places.map(({y}) => y).sort((a, b) => a - b), [10, 41, 72]);
    assert.deepEqual(placeLabels([[399, 299, 400, 300]], [SIZE], VIEW).map(({x, y}) => [x, y]), [[292, 262]]);
});

test("run lengths become pixels, the whole mask or its box", () => {
    // columns of a picture three high and four wide, selected: (1, 1), (1, 2), (2, 0), (2, 1), which is one run over two columns
    const runs = {size: [3, 4], counts: [4, 4, 4]};
    assert.deepEqual([...wordsOfRuns(runs, [0, 0, 4, 3], 1, 0)], [0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0]);
    assert.deepEqual([...wordsOfRuns(runs, [1, 1, 3, 3], 1, 0)], [1, 1, 1, 0]);
    assert.deepEqual([...wordsOfRuns({size: [2, 2], counts: [0, 4]}, [0, 0, 2, 2], 1, 0)], [1, 1, 1, 1]);
    assert.deepEqual(exported({overview: "data:", failure: null, milliseconds: 1, version: 0, width: 4, regions: []}), {width: 4, regions: []});
});

/** An editor with a picture and a selection, whose server tells what it is told to. */
function stage() {
    const state = new State(), asked = [];
    state.open({id: "w", width: 100, height: 80});
    state.selection = {mask: "m", box: [0, 0, 10, 10]};
    const said = {async *caption() {}, async *chat() {}};
    const api = {
        caption: (id, body, signal) => (asked.push({id, body, signal}), said.caption(signal)),
        chat: (id, question) => said.chat(question),
        chatHistory: async () => ({history: []}),
    };
    const editor = Object.assign(new EventTarget(), {state, changes: new Serial(), ready: true, begun: true, id: "w", settled: () => editor.changes.idle()});
    editor.emit = (type, detail) => editor.dispatchEvent(new CustomEvent(type, {detail}));
    const captions = new CaptionSession({api, editor}, () => ({candidates: 2}));
    captions.listen({on: (target, type, handler) => target.addEventListener(type, handler), add: () => {}});
    return {editor, state, asked, said, captions};
}

test("words come one by one; a failure at the end leaves them", async () => {
    const {said, captions, asked} = stage(), seen = [];
    captions.addEventListener("caption", () => captions.caption && seen.push(wordsOf(captions.caption)));
    said.caption = async function* () {
        yield ["raw", RAW];
        yield ["piece", {text: "a red"}];
        yield ["caption", {...RAW, text: "a ball", prompt: "ball", failure: {message: "Down."}}];
    };
    await captions.describe();
    assert.deepEqual([...new Set(seen)], ["", "a ball", "a red"]);
    assert.deepEqual([wordsOf(captions.current), captions.current.failure.message, captions.writing], ["a ball", "Down.", false]);
    assert.deepEqual(asked[0].body, {candidates: 2});
    captions.choose(1);
    assert.deepEqual([wordsOf(captions.current), captions.current.prompt], ["a toy", "a toy"]);
});

test("a stream that ends too early, or breaks, is told and leaves what was said", async () => {
    const {said, captions} = stage();
    said.caption = async function* () {
        yield ["raw", RAW];
    };
    await captions.describe();
    assert.deepEqual([wordsOf(captions.caption), captions.caption.failure.kind], ["a ball", "Unreachable"]);
    said.caption = async function* () {
        yield* [];
        throw new ApiError(404, {error: "ModelMissing", message: "None here."});
    };
    await captions.describe();
    assert.deepEqual([wordsOf(captions.caption), captions.caption.failure.message, captions.writing], ["", "None here.", false]);
});

test("every selection, when it is asked for: the newest counts, and the one before it ends", async (context) => {
    context.mock.timers.enable({apis: ["setTimeout"]});
    const {editor, state, asked, said, captions} = stage();
    const select = () => {
        state.selection = {mask: "n", box: [1, 1, 2, 2]};
        editor.emit("change");
        context.mock.timers.tick(1000);
        return new Promise((done) => setImmediate(done));
    };
    said.caption = async function* (signal) {
        yield ["raw", RAW];
        await new Promise((done) => signal.addEventListener("abort", done));
        yield ["piece", {text: "too late"}];
    };
    await select();
    assert.equal(asked.length, 0, "only where it was asked for");
    captions.continuous = true;
    await select();
    assert.equal(asked.length, 1);
    editor.emit("change");
    context.mock.timers.tick(1000);
    assert.equal(asked.length, 1, "nothing new is selected");
    assert.equal(wordsOf(captions.current), "a ball");
    state.selection = {mask: "o"};
    editor.emit("change");
    assert.equal(captions.current, null, "those words are about something else");
    context.mock.timers.tick(1000);
    await new Promise((done) => setImmediate(done));
    assert.deepEqual([asked.length, asked[0].signal.aborted, asked[1].signal.aborted], [2, true, false]);
    assert.equal(wordsOf(captions.current), "a ball");
});

test("an answer is written, and becomes part of the conversation; one that fails is told", async () => {
    const {said, captions} = stage();
    said.chat = async function* (question) {
        yield ["piece", {text: "It is "}];
        yield ["piece", {text: "red."}];
        assert.equal(captions.turns.at(-1).answer, "It is red.");
        yield ["answer", {question, answer: "It is red.", box: null, history: [{question, answer: "It is red.", box: null}]}];
    };
    await captions.ask("What colour?");
    assert.deepEqual(captions.turns, [{question: "What colour?", answer: "It is red.", box: null}]);
    said.chat = async function* () {
        yield ["error", {message: "Down."}];
    };
    await captions.ask("And now?");
    assert.deepEqual(captions.turns.map(({failure}) => failure?.message), [undefined, "Down."]);
    assert.equal(captions.answering, false);
});
