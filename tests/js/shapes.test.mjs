import assert from "node:assert/strict";
import test from "node:test";

import {area, boxOf, clamped, distanceToSegment, inside, lassoOperation, nearest, simplified, strokesOperation} from "../../javascript/clickpaint/picture/geometry.mjs";

const size = {width: 100, height: 50};
const at = (x, y) => ({x, y});

test("inside is the picture's pixels, its right and bottom edge excluded", () => {
    assert.ok(inside(at(0, 0), size) && inside(at(99.9, 49.9), size));
    assert.ok(!inside(at(100, 0), size) && !inside(at(0, 50), size) && !inside(at(-0.1, 3), size));
    assert.deepEqual(clamped(at(-5, 90), size), {x: 0, y: 49});
});

test("a box has whole pixels, any two corners, and stays in the picture", () => {
    assert.deepEqual(boxOf(at(20.7, 30.2), at(10.2, 5.9), size), [10, 5, 21, 31]);
    assert.deepEqual(boxOf(at(-20, -20), at(500, 500), size), [0, 0, 100, 50]);
    assert.equal(boxOf(at(10, 10), at(11, 10.2), size), null);
    assert.equal(boxOf(at(120, 10), at(150, 20), size), null);
});

test("simplifying keeps the ends and the corners, and drops what lies on the way", () => {
    const line = [at(0, 0), at(1, 0.01), at(2, 0), at(10, 0), at(10, 5), at(10, 10)];
    assert.deepEqual(simplified(line, 0.5), [at(0, 0), at(10, 0), at(10, 10)]);
    assert.deepEqual(simplified([at(1, 2)], 0.5), [at(1, 2)]);
});

test("simplifying stays within its tolerance", () => {
    const wave = Array.from({length: 500}, (_, i) => at(i / 5, 10 * Math.sin(i / 20)));
    const few = simplified(wave, 0.4);
    assert.ok(few.length < 80);
    for (const point of wave) {
        const distance = Math.min(...few.slice(1).map((end, i) => distanceToSegment(point, few[i], end)));
        assert.ok(distance <= 0.4 + 1e-9);
    }
});

test("the distance to a segment ends at its ends", () => {
    assert.equal(distanceToSegment(at(5, 3), at(0, 0), at(10, 0)), 3);
    assert.equal(distanceToSegment(at(13, 4), at(0, 0), at(10, 0)), 5);
    assert.equal(distanceToSegment(at(3, 4), at(0, 0), at(0, 0)), 5);
});

test("strokes and lassos become operations of the API", () => {
    assert.deepEqual(strokesOperation([at(1.23456, 2), at(3, 4)], 7.123, true), {
        op: "strokes", strokes: [{points: [[1.23, 2], [3, 4]], radius: 7.12, erase: true}],
    });
    const square = [at(0, 0), at(10, 0), at(10, 10), at(0, 10)];
    assert.equal(area(square), 100);
    assert.deepEqual(lassoOperation(square, "add"), {op: "lasso", points: [[0, 0], [10, 0], [10, 10], [0, 10]], mode: "add"});
    assert.equal(lassoOperation([at(0, 0), at(5, 0), at(10, 0.1)], "add"), null);
});

test("the nearest point within reach", () => {
    const points = [at(0, 0), at(10, 0), at(13, 0)];
    assert.equal(nearest(points, at(12, 0), 3), 2);
    assert.equal(nearest(points, at(5, 0), 3), -1);
    assert.equal(nearest([], at(5, 0), 3), -1);
});
