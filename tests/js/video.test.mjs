import assert from "node:assert/strict";
import test from "node:test";

import {isClip, isVideo, moves} from "../../javascript/clickpaint/video/clip_files.mjs";
import {widthFor} from "../../javascript/clickpaint/video/clip_frames.mjs";
import {extent} from "../../javascript/clickpaint/video/clip_masks.mjs";
import {among, frameAt, moment, neighbour, timesOf, within} from "../../javascript/clickpaint/video/frame_times.mjs";

test("frames have their times, at a variable frame rate, too", () => {
    assert.deepEqual(timesOf({frames: 4, duration_s: 2, fps: 2}), [0, 0.5, 1, 1.5, 2]);
    const uneven = timesOf({frames: 3, duration_s: 1, fps: 3}, [0, 0.1, 0.6]);
    assert.deepEqual(uneven, [0, 0.1, 0.6, 1]);
    assert.deepEqual([0, 0.05, 0.1, 0.59, 0.6, 0.99, 7].map((seconds) => frameAt(uneven, seconds)), [0, 0, 1, 1, 2, 2, 2]);
    assert.equal(frameAt([0, 0.04], 3), 0);
});

test("moments are said as in a film", () => {
    assert.deepEqual([0, 4.278, 59.999, 75.5, 3725.04].map(moment), ["0:00.00", "0:04.28", "1:00.00", "1:15.50", "1:02:05.04"]);
});

test("marks are found before and behind", () => {
    assert.deepEqual([neighbour([9, 2, 5], 5, 1), neighbour([9, 2, 5], 5, -1), neighbour([9, 2, 5], 9, 1), neighbour([], 0, 1)], [9, 2, null, null]);
    assert.deepEqual([0, 1, 4, 5].map((number) => among([[1, 4]], number)), [false, true, true, false]);
    assert.deepEqual([within(-3, 10), within(3.6, 10), within(99, 10)], [0, 4, 9]);
});

test("frames are asked for as sharp as they are seen", () => {
    assert.deepEqual([widthFor(1920, 0.3), widthFor(1920, 0.9), widthFor(1920, 3), widthFor(200, 0.5)], [768, 1792, null, null]);
});

test("what of a mask is white", () => {
    const words = new Uint32Array(12).fill(0xff000000);
    assert.equal(extent(words, 4), null);
    words[5] = words[6] = words[10] = 0xffffffff;
    assert.deepEqual(extent(words, 4), {box: [1, 1, 3, 3], count: 3});
});

const bytes = (...parts) => new Uint8Array(parts.flatMap((part) => (typeof part === "string" ? [...part].map((letter) => letter.charCodeAt(0)) : [part].flat())));
/** A GIF of so many pictures of one pixel. */
const gif = (count) => bytes("GIF89a", [1, 0, 1, 0, 0x80, 0, 0], new Array(6).fill(0), ...new Array(count).fill([0x21, 0xf9, 4, 0, 10, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0]), 0x3b);
const chunk = (kind, ...data) => bytes([0, 0, 0, data.length], kind, data, [0, 0, 0, 0]);
const png = (...chunks) => bytes([0x89], "PNG\r\n\x1a\n", [...chunk("IHDR", 1)], ...chunks.map((one) => [...one]));
const webp = (kind, flags) => bytes("RIFF", [0, 0, 0, 0], "WEBP", kind, [10, 0, 0, 0], flags);

test("pictures that move are clips, others are none", async () => {
    assert.deepEqual([gif(1), gif(2), gif(9)].map(moves), [false, true, true]);
    assert.deepEqual([webp("VP8X", 2), webp("VP8X", 16), webp("VP8 ", 2)].map(moves), [true, false, false]);
    assert.deepEqual([png(chunk("acTL", 0, 0, 0, 2, 0, 0, 0, 0), chunk("IDAT")), png(chunk("acTL", 0, 0, 0, 1, 0, 0, 0, 0)), png(chunk("IDAT"), chunk("acTL", 0, 0, 0, 2))].map(moves), [true, false, false]);
    assert.deepEqual([{name: "a.MKV"}, {type: "video/mp4"}, {name: "a.gif", type: "image/gif"}].map(isVideo), [true, true, false]);
    const file = (data, name) => Object.assign(new Blob([data]), {name});
    assert.deepEqual(await Promise.all([file(gif(3), "a.gif"), file(gif(1), "a.gif"), file(gif(3), "a.jpg"), file("", "a.mov"), file("", "a.gif")].map(isClip)), [true, false, false, true, false]);
});

test("a web UI's video goes before its gallery while it is shown", async () => {
    const {clipOf} = await import("../../javascript/clickpaint/host/webui.mjs");
    const player = (video) => ({querySelector: () => video});
    assert.equal(clipOf(null), null);
    assert.equal(clipOf(player(null)), null);
    assert.equal(clipOf(player({src: "http://here/file=a.mp4", currentSrc: "", checkVisibility: () => true})), "http://here/file=a.mp4");
    assert.equal(clipOf(player({src: "http://here/file=a.mp4", currentSrc: "", checkVisibility: () => false})), null);
});
