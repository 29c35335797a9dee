import assert from "node:assert/strict";
import test from "node:test";

import {actingOnly} from "../../javascript/clickpaint/picture/acting.mjs";
import {marginsFor} from "../../javascript/clickpaint/picture/expand_margins.mjs";
import {Diffusion, paintBody} from "../../javascript/clickpaint/picture/diffusion.mjs";
import {State} from "../../javascript/clickpaint/picture/state.mjs";
import {View} from "../../javascript/clickpaint/picture/viewport.mjs";
import {fileName} from "../../javascript/clickpaint/host/webui.mjs";

test("what the widgets say becomes the request", () => {
    const values = {prompt: "a cat", steps: 5, sampler: "Automatic", scheduler: "Karras", seed: 12.0, masked_content: "Latent noise", second_pass: "Off"};
    assert.deepEqual(paintBody("fill", values), {
        task: "fill", prompt: "a cat", steps: 5, scheduler: "Karras", seed: 12, masked_content: "latent noise", refine: false, control: [],
    });
    assert.deepEqual(paintBody("remove"), {task: "remove", control: [], seed: -1, refine: null});
    assert.equal(paintBody("fill", {seed: null, second_pass: "Automatic"}).seed, -1);
    assert.equal(paintBody("fill", {second_pass: "On"}).refine, true);
    assert.deepEqual(paintBody("expand", {left: 8, top: 0, right: 16, bottom: null}).expand, [8, 0, 16, 0]);
    assert.deepEqual(paintBody("fill", {}, [{model: "canny"}]).control, [{model: "canny"}]);
    assert.ok(!("left" in paintBody("fill", {left: 8})));
});

test("an edit by words sends only what its method takes", () => {
    const values = {
        edit_method: "Prompt-to-Prompt", source_prompt: "a sea", prompt: "", word_weights: "stormy=3, blue sky=0.5", edits: "glasses, beard:-5:0.8",
        inversion: "By DDIM", cross_steps: 0.7, self_steps: 0.2, local: true, mask_ratio: 2, engine: "RePaint", seed: 1,
    };
    const shared = {task: "edit", source_prompt: "a sea", seed: 1, control: [], refine: null};
    const weights = [{words: "stormy", weight: 3}, {words: "blue sky", weight: 0.5}];
    assert.deepEqual(paintBody("edit", values), {
        ...shared, prompt: "a sea", edit_method: "p2p", word_weights: weights, inversion: "ddim", cross_steps: 0.7, self_steps: 0.2, local: true,
    });
    const edits = [{text: "glasses", scale: 5, threshold: 0.9}, {text: "beard", scale: -5, threshold: 0.8}];
    assert.deepEqual(paintBody("edit", {...values, edit_method: "LEDITS++", prompt: "a man"}), {...shared, prompt: "a man", edit_method: "ledits", edits});
    assert.equal(paintBody("edit", {...values, edit_method: "DiffEdit", prompt: "x"}).mask_ratio, 2);
    assert.ok(!("mask_ratio" in paintBody("edit", {...values, edit_method: "SDEdit", prompt: "x"})));
});

test("what changes nothing on the loaded model is not sent", () => {
    const idle = {instruct: {auto: ["denoising_strength", "refine"]}, fill: {auto: [], repaint: ["soft_inpainting"]}, edit: {ledits: ["cfg_scale"]}};
    const paint = {idle, preset: {cfg_scale: 1}}, instruct = {task: "instruct", refine: true, denoising_strength: 0.3, soft_inpainting: true, steps: 4};
    assert.deepEqual(actingOnly(instruct, paint, true), {task: "instruct", soft_inpainting: true, steps: 4});
    assert.deepEqual(actingOnly(instruct, paint, false), {task: "instruct", steps: 4}, "the whole picture has no edge");
    assert.deepEqual(actingOnly({task: "fill", engine: "repaint", soft_inpainting: true}, paint, true), {task: "fill", engine: "repaint"});
    assert.deepEqual(actingOnly({task: "edit", edit_method: "ledits", cfg_scale: 5, prompt: "a"}, paint, true), {task: "edit", edit_method: "ledits", prompt: "a"});
    assert.deepEqual(actingOnly({task: "fill", negative_prompt: "rain", cfg_scale: 0}, paint, true), {task: "fill", cfg_scale: 0}, "a scale of 1 asks for the prompt alone");
    assert.equal(actingOnly({task: "fill", negative_prompt: "rain", cfg_scale: 5}, paint, true).negative_prompt, "rain");
    assert.deepEqual(actingOnly(instruct, null, true), instruct, "nothing is known yet");
});

test("presets add the least that gives the ratio, in steps that models paint in", () => {
    assert.deepEqual(marginsFor("16:9", {width: 480, height: 320}), [48, 0, 48, 0]);
    assert.deepEqual(marginsFor("1:1", {width: 480, height: 320}), [0, 80, 0, 80]);
    assert.deepEqual(marginsFor("16:9", {width: 1920, height: 1080}), [0, 0, 0, 0]);
    assert.deepEqual(marginsFor("9:16", {width: 1600, height: 900}), [0, 976, 0, 976]);
    assert.deepEqual(marginsFor("9:16", {width: 4000, height: 900}), [0, 1024, 0, 1024]);
    assert.deepEqual(marginsFor("25%", {width: 400, height: 200}), [104, 104, 104, 104]);
    assert.deepEqual(marginsFor("0%", {width: 400, height: 200}), [0, 0, 0, 0]);
});

test("the picture's size and the original's place follow expanding, undo and redo", () => {
    const state = new State();
    state.open({id: "w", width: 100, height: 80});
    const steps = {can_undo: true, can_redo: true, selection: null};
    state.painted({...steps, version: 1, width: 148, height: 80}, [40, 0]);
    state.painted({...steps, version: 2, width: 148, height: 112}, [0, 32]);
    assert.deepEqual([state.workspace.width, state.workspace.height, state.offset], [148, 112, {x: 40, y: 32}]);
    state.painted({...steps, version: 3});
    assert.deepEqual([state.workspace.width, state.offset], [148, {x: 40, y: 32}], "an edit changes neither");
    state.undone({...steps, version: 1, width: 148, height: 80});
    assert.deepEqual([state.workspace.height, state.offset], [80, {x: 40, y: 0}]);
    state.undone({...steps, version: 0, width: 100, height: 80});
    assert.deepEqual([state.workspace.width, state.offset], [100, {x: 0, y: 0}]);
    state.redone({...steps, version: 1, width: 148, height: 80});
    assert.deepEqual([state.workspace.width, state.offset], [148, {x: 40, y: 0}]);
});

test("a fitting view shows what is to be added too", () => {
    const view = new View();
    view.setStage(400, 400);
    view.setPicture(200, 200);
    view.setAround([100, 0, 100, 0]);
    assert.equal(view.scale, 1);
    assert.deepEqual(view.toScreen(-100, 0), {x: 0, y: 100});
    assert.deepEqual(view.toScreen(300, 200), {x: 400, y: 300});
    view.zoom(2);
    const {x, y, scale} = view;
    view.setAround([0, 0, 0, 0]);
    assert.deepEqual([view.x, view.y, view.scale], [x, y, scale], "one that was zoomed stays");
});

/** An editor whose server answers with the next version and as many results as were asked for. */
function editor() {
    const asked = [], state = new State();
    state.open({id: "w", width: 100, height: 80});
    state.selection = {mask: "m", area: 1};
    const answer = (results) => ({version: state.version + 1, selection: {mask: "m"}, results, milliseconds: 1, can_undo: true, can_redo: false});
    const made = (count, from = 0) => Array.from({length: count}, (_, i) => ({index: from + i, seed: 10 + from + i}));
    const api = {
        paint: async (id, body) => (asked.push(["paint", body]), answer(made(body.batch_count ?? 1))),
        refine: async (id, index, body) => (asked.push(["refine", index, body]), answer([...one.painting.results, ...made(1, one.painting.results.length)])),
        useResult: async (id, index) => (asked.push(["use", index]), answer([])),
        preview: async () => null,
    };
    const one = {
        state, asked, options: {eraser: null}, id: "w", ready: true, size: state.workspace,
        emit() {}, changed() {}, viewChanged() {},
    };
    const timeline = {
        async repaint(kind, ask, margins) {
            const got = await ask();
            state.painted(got, margins);
            return got;
        },
    };
    one.painting = new Diffusion(one, api, timeline);
    return one;
}

test("the result that is shown is known through choosing, refining and undo", async () => {
    const {painting, state, asked} = editor();
    assert.equal(painting.chosen, null);
    await painting.paint("fill", {batch_count: 3});
    assert.deepEqual([painting.results.length, painting.chosen, painting.seed], [3, 0, 10]);
    assert.ok(painting.resting);
    await painting.use(2);
    assert.deepEqual([painting.chosen, painting.seed], [2, 12]);
    await painting.use(2);
    assert.equal(asked.length, 2, "it is shown already");
    await painting.refine(1);
    assert.deepEqual([painting.results.length, painting.chosen], [4, 3]);
    assert.deepEqual(asked.at(-1), ["refine", 1, asked[0][1]], "refined as it was painted");
    state.undone({version: 1, selection: {mask: "m"}, can_undo: true, can_redo: true});
    assert.equal(painting.chosen, 0);
    state.undone({version: 0, selection: {mask: "m"}, can_undo: true, can_redo: true});
    assert.equal(painting.chosen, null);
    assert.ok(!painting.resting);
    await painting.paint("fill", {});
    assert.deepEqual([painting.results.length, painting.chosen], [1, 0], "a new painting has results of its own");
});

test("the eraser goes along where its result is the start", async () => {
    const {painting, asked, options} = editor();
    options.eraser = "lama";
    await painting.paint("fill", {masked_content: "Erased"});
    assert.equal(asked[0][1].eraser, "lama");
    await painting.paint("fill", {masked_content: "Fill"});
    assert.ok(!("eraser" in asked[1][1]));
});

test("a picture of the web UI's gallery keeps its file's name", () => {
    assert.equal(fileName("http://host/file=/outputs/txt2img-images/2024-01-01/00001-7.png?17"), "00001-7.png");
    assert.equal(fileName("http://host/file=C%3A%5Coutputs%5C0001.jpg"), "0001.jpg");
    assert.equal(fileName("data:image/png;base64,AAAA"), "picture.png");
});

test("a strength is the share of noise that the model's schedule makes of it", async () => {
    const {noiseAt} = await import("../../javascript/clickpaint/host/guidance_widget.mjs");
    assert.equal(noiseAt(0.75, 0), null);
    assert.equal(noiseAt(0.75, 1), 0.75);
    assert.equal(noiseAt(0.75, 3), 0.9);
    assert.equal(noiseAt(1, 3), 1);
});

test("the band around what is removed fits it, or is what was chosen", async () => {
    const {bandOf, fittingBand} = await import("../../javascript/clickpaint/picture/removal_band.mjs");
    assert.deepEqual(fittingBand({width: 300, height: 400}, [10, 20, 40, 60]), {grow: 8, feather: 8});
    assert.deepEqual(fittingBand({width: 8000, height: 6000}, [0, 0, 6000, 4000]), {grow: 256, feather: 128});
    const page = {
        options: {eraser: "diffusion", auto_edge: true, grow: 3, feather: 4}, state: {selection: {box: [10, 20, 40, 60]}}, clip: null,
        size: {width: 300, height: 400}, capabilities: {paint: {removal_prompt: "Remove it"}},
    };
    assert.deepEqual(bandOf(page, "remove"), {grow: 8, feather: 8});
    page.options.auto_edge = false;
    assert.deepEqual(bandOf(page, "remove"), {grow: 3, feather: 4});
    assert.equal(bandOf(page, "fill"), null);
    page.capabilities.paint.removal_prompt = "";
    assert.equal(bandOf(page, "remove"), null);
});

test("a model that edits looks at several pictures, as they are", async () => {
    const {steeringOf, LOOK} = await import("../../javascript/clickpaint/picture/steering.mjs");
    const said = /** @type {any} */ ({system: "", guide: "none", reference: LOOK, reference_picture: "data:1", further_references: ["data:2", "data:3"], adjustable: false});
    assert.deepEqual(steeringOf("instruct", said), {reference_picture: "data:1", further_references: ["data:2", "data:3"]});
    assert.deepEqual(steeringOf("instruct", {...said, further_references: []}), {reference_picture: "data:1"});
    assert.throws(() => steeringOf("instruct", {...said, reference_picture: null}));
});
