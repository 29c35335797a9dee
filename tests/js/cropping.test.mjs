import assert from "node:assert/strict";
import {test} from "node:test";

import {cropMoved, cropWithin, cropWithRatio} from "../../javascript/clickpaint/picture/cropping.mjs";
import {marginsOf} from "../../javascript/clickpaint/picture/expand_margins.mjs";

const SIZE = {width: 480, height: 320};

test("only the sides that were moved snap, and none crosses another or leaves the picture", () => {
    assert.deepEqual(cropWithin([10, 3, 101, 50], [10, 3, 200, 50], ["right"], SIZE, null, 8), [10, 3, 104, 50]);
    assert.deepEqual(cropWithin([300, 3, 200, 50], [10, 3, 200, 50], ["left"], SIZE, null, 1), [199, 3, 200, 50]);
    assert.deepEqual(cropWithin([-30, -9, 600, 999], [0, 0, 9, 9], ["left", "top", "right", "bottom"], SIZE, null, 1), [0, 0, 480, 320]);
    assert.deepEqual(cropMoved([10, 10, 110, 60], -50, 400, SIZE), [0, 270, 100, 320]);
});

test("a ratio holds whichever side is moved, up to the picture's border", () => {
    for (const sides of [["right"], ["left"], ["top"], ["bottom"], ["left", "top"], ["right", "bottom"]]) {
        for (const ratio of [1, 16 / 9, 2 / 3]) {
            for (const wanted of [[20, 30, 90, 200], [-50, -50, 600, 600]]) {
                const [left, top, right, bottom] = cropWithin(wanted, [40, 40, 140, 120], sides, SIZE, ratio, 1);
                assert.ok(left >= 0 && top >= 0 && right <= 480 && bottom <= 320, `${sides} ${ratio} ${[left, top, right, bottom]}`);
                assert.ok(Math.abs(right - left - (bottom - top) * ratio) <= ratio + 1, `${sides} ${ratio} ${[left, top, right, bottom]}`);
            }
        }
    }
    assert.deepEqual(cropWithRatio([0, 0, 480, 320], 1, SIZE), [80, 0, 400, 320]);
});

test("a dragged canvas adds multiples of its step and never takes anything away", () => {
    assert.deepEqual(marginsOf([-13, 20, 490, 380], SIZE, 8), [16, 0, 8, 64]);
    assert.deepEqual(marginsOf([-100, -5000, 480, 320], SIZE, 64), [128, 1024, 0, 0]);
});
