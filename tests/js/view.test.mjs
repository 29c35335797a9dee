import assert from "node:assert/strict";
import test from "node:test";

import {LARGEST, View} from "../../javascript/clickpaint/picture/viewport.mjs";

const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

function view(picture = [400, 200], stage = [800, 800]) {
    const made = new View();
    made.setStage(...stage);
    made.setPicture(...picture);
    return made;
}

test("a picture is fitted into the middle and enlarged twice at most, a tiny one until it can be clicked on", () => {
    const {scale, x, y} = view();
    assert.deepEqual([scale, x, y], [2, 0, 200]);
    assert.equal(view([10, 10]).scale, LARGEST);
    assert.equal(view([30, 20]).scale, 16);
    assert.equal(view([240, 30]).scale, 2);
    assert.equal(view([1600, 400]).scale, 0.5);
});

test("margins keep the picture clear of the bars", () => {
    const made = view([100, 100]);
    made.margin = {top: 700, right: 0, bottom: 0, left: 300};
    made.fit();
    assert.equal(made.scale, 1);
    assert.deepEqual(made.toScreen(0, 0), {x: 500, y: 700});
});

test("screen and picture are each other's inverse", () => {
    const made = view();
    made.zoomAt(123, 456, 3.7);
    made.pan(-40, 12);
    const {x, y} = made.toPicture(...Object.values(made.toScreen(31.5, 77)));
    close(x, 31.5);
    close(y, 77);
});

test("what lies under the pointer stays there when zooming", () => {
    const made = view();
    const before = made.toPicture(300, 420);
    for (const factor of [1.3, 1.3, 0.7, 4]) made.zoomAt(300, 420, factor);
    const after = made.toPicture(300, 420);
    close(before.x, after.x);
    close(before.y, after.y);
});

test("zooming ends at both ends", () => {
    const made = view();
    for (let i = 0; i < 50; i++) made.zoomAt(400, 400, 2);
    assert.equal(made.scale, LARGEST);
    for (let i = 0; i < 50; i++) made.zoomAt(400, 400, 0.5);
    assert.equal(made.scale, 0.25);
});

test("the picture cannot be lost", () => {
    const made = view();
    made.pan(1e6, -1e6);
    assert.deepEqual([made.x, made.y], [800 - 48, 48 - 400]);
});

test("two fingers: their middle moves the picture, their distance scales it", () => {
    const made = view();
    const held = made.toPicture(400, 400);
    made.pinch([{x: 350, y: 400}, {x: 450, y: 400}], [{x: 320, y: 430}, {x: 520, y: 430}]);
    close(made.scale, 4);
    const now = made.toPicture(420, 430);
    close(now.x, held.x);
    close(now.y, held.y);
});

test("a fitted view stays fitted when the stage changes, a zoomed one keeps its middle", () => {
    const made = view();
    made.setStage(400, 400);
    assert.deepEqual([made.scale, made.x, made.y], [1, 0, 100]);
    made.zoomAt(200, 200, 3);
    const middle = made.toPicture(200, 200);
    made.setStage(600, 300);
    assert.deepEqual(made.toPicture(300, 150), middle);
});

test("a point out of sight is brought into it", () => {
    const made = view();
    made.zoomAt(400, 400, 10);
    made.reveal(0, 0);
    const {x, y} = made.toScreen(0, 0);
    assert.deepEqual([x, y], [24, 24]);
});
