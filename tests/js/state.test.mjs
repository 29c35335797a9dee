import assert from "node:assert/strict";
import test from "node:test";

import {State} from "../../javascript/clickpaint/picture/state.mjs";

const selection = (name) => ({mask: name, area: 1, box: [0, 0, 1, 1]});
const answer = (name, more = {}) => ({selection: selection(name), can_undo: true, can_redo: false, candidates: [{}, {}], chosen: 0, ...more});
const point = (x, label = 1) => ({x, y: 0, label});

function opened() {
    const state = new State();
    state.open({id: "w", width: 10, height: 10, name: "a.png", format: "PNG"});
    return state;
}

function clicking(state, at, options) {
    const prompts = state.clicked(at, options);
    state.selected(answer(`m${prompts.points.length}`), prompts);
    return prompts;
}

test("clicks go on with the clicks before, refining the chosen candidate", () => {
    const state = opened();
    assert.deepEqual(clicking(state, point(1)), {points: [point(1)], box: null, mode: "replace", previous: null});
    const second = state.clicked(point(5, 0));
    assert.deepEqual(second, {points: [point(1), point(5, 0)], box: null, mode: "replace", previous: 0});
});

test("Shift starts another object, a changed mode a new series", () => {
    const state = opened();
    clicking(state, point(1));
    assert.deepEqual(state.clicked(point(5), {another: true}), {points: [point(5)], box: null, mode: "add", previous: null});
    assert.equal(state.clicked(point(5), {restart: true, mode: "intersect"}).mode, "intersect");
});

test("a click far from what is selected means another object, combined as the mode says; one that takes away still refines", () => {
    const state = opened();
    clicking(state, point(1));
    assert.deepEqual(state.clicked(point(9), {far: true}), {points: [point(9)], box: null, mode: "replace", previous: null});
    assert.equal(state.clicked(point(9), {far: true, mode: "add"}).mode, "add");
    assert.deepEqual(state.clicked(point(9, 0), {far: true}).points, [point(1), point(9, 0)]);
});

test("with nothing selected every mode begins anew, and a negative click means nothing", () => {
    const state = opened();
    assert.equal(state.clicked(point(1), {another: true}).mode, "replace");
    assert.equal(state.clicked(point(1, 0)), null);
});

test("a negative click on a selection without clicks takes the object under it away", () => {
    const state = opened();
    state.selected(answer("brushed"));
    assert.deepEqual(state.clicked(point(4, 0)), {points: [point(4)], box: null, mode: "subtract", previous: null});
});

test("a click on a point takes it away", () => {
    const state = opened();
    clicking(state, point(1));
    clicking(state, point(5));
    assert.deepEqual(state.clicked(point(5.5), {reach: 1}), {points: [point(1)], box: null, mode: "replace", previous: null});
});

test("a click after a box refines the box", () => {
    const state = opened();
    state.selected(answer("boxed"), state.boxed([1, 1, 5, 5], "add"));
    assert.deepEqual(state.prompts.box, [1, 1, 5, 5]);
    assert.deepEqual(state.clicked(point(2, 0)).box, [1, 1, 5, 5]);
});

test("undo brings the clicks back with the mask, redo takes them away again", () => {
    const state = opened();
    clicking(state, point(1));
    clicking(state, point(5));
    state.painted({version: 1, can_undo: true, can_redo: false});
    assert.deepEqual([state.version, state.selection, state.prompts.points.length], [1, null, 0]);
    state.undone({version: 0, selection: selection("m2"), can_undo: true, can_redo: true});
    assert.deepEqual(state.prompts.points, [point(1), point(5)]);
    assert.equal(state.prompts.chosen, null, "the candidates are gone, so there is nothing to refine");
    assert.ok(state.canRedo);
    state.undone({version: 0, selection: selection("m1"), can_undo: true, can_redo: true});
    assert.deepEqual(state.prompts.points, [point(1)]);
    state.redone({version: 0, selection: selection("m2"), can_undo: true, can_redo: true});
    assert.deepEqual(state.prompts.points, [point(1), point(5)]);
});

test("a new step forgets what could be redone; opening forgets everything", () => {
    const state = opened();
    clicking(state, point(1));
    state.undone({version: 0, selection: null, can_undo: false, can_redo: true});
    clicking(state, point(3));
    assert.equal(state.future.length, 0);
    state.chose({selection: selection("other"), can_undo: true, can_redo: false}, 1);
    assert.deepEqual([state.prompts.chosen, state.past.length], [1, 2]);
    state.open({id: "v", width: 1, height: 1});
    assert.deepEqual([state.past.length, state.selection, state.prompts.points.length, state.workspace.id], [0, null, 0, "v"]);
});
