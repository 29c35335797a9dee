import assert from "node:assert/strict";
import test from "node:test";

globalThis.HTMLElement ??= class {};

const {marksOf, startOf, textOf} = await import("../../javascript/clickpaint/panels/touchup_picker.mjs");

test("points are read as the server reads them", () => {
    assert.deepEqual(marksOf("0.5,0.25; 0.1 0.2 0"), [
        {x: 0.5, y: 0.25, label: 1, shares: true},
        {x: 0.1, y: 0.2, label: 0, shares: true},
    ]);
    assert.deepEqual(marksOf("120,80\n30,40,0"), [
        {x: 120, y: 80, label: 1, shares: false},
        {x: 30, y: 40, label: 0, shares: false},
    ]);
    assert.equal(marksOf("1,1")[0].shares, false, "without a dot these are pixels");
    assert.deepEqual(marksOf("1,2,3,4; x,y; ;0.5"), [], "what the server would refuse has no mark");
});

test("what is written is what is read", () => {
    const marks = marksOf("0.5000,0.2500; 120,80; 0.1000,0.2000,0");
    assert.equal(textOf(marks), "0.5000,0.2500; 120,80; 0.1000,0.2000,0");
    assert.equal(textOf([]), "");
});

test("the picture to start from is that of the open tab of img2img", () => {
    const image = (src, open, naturalWidth = 64) => ({src, naturalWidth, closest: () => ({getClientRects: () => ({length: open ? 1 : 0})})});
    const page = (images) => ({querySelectorAll: (place) => images[place.split(" ")[0]] ?? []});
    assert.equal(startOf(page({})), null);
    assert.equal(startOf(page({"#img2img_image": [image("a", false)], "#img2maskimg": [image("b", true)]})), "b");
    assert.equal(startOf(page({"#img2img_image": [image("a", false)], "#img2maskimg": [image("b", true, 0)]})), "a", "an empty one is none");
});
