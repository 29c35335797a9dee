import assert from "node:assert/strict";
import {readdirSync, readFileSync} from "node:fs";
import test from "node:test";
import {deflateSync} from "node:zlib";

import {positionOf, radiusAt} from "../../javascript/clickpaint/canvas/toolbars.mjs";
import {bytes, duration, languageOf, t, useLanguage} from "../../javascript/clickpaint/language/language.mjs";
import {actionOf, arrow, SHORTCUTS} from "../../javascript/clickpaint/canvas/shortcuts.mjs";
import {decodeGrey} from "../../javascript/clickpaint/picture/label_map.mjs";
import {squaresAround, whiten} from "../../javascript/clickpaint/picture/mask_layer.mjs";
import {filled, said, translated} from "../../javascript/clickpaint/language/server_sentences.mjs";
import {blockedSegmenter, recommended, together} from "../../javascript/clickpaint/canvas/offer.mjs";
import {blocked} from "../../javascript/clickpaint/server/downloads.mjs";
import {en, zh_CN} from "../../javascript/clickpaint/language/sentences.mjs";
import {modeOf} from "../../javascript/clickpaint/canvas/tools.mjs";

const FOLDER = new URL("../../javascript/clickpaint/", import.meta.url);
const key = (name, more = {}) => ({key: name, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more});

test("both languages say the same things with the same values, each once", async () => {
    const parts = readdirSync(new URL("language/", FOLDER)).filter((name) => name.startsWith("sentences_"));
    const tables = await Promise.all(parts.map((name) => import(new URL(`language/${name}`, FOLDER).href)));
    assert.deepEqual(tables.flatMap((table) => Object.keys(table.en)).sort(), Object.keys(en).sort());
    assert.deepEqual(Object.keys(zh_CN).sort(), Object.keys(en).sort());
    const values = (sentence) => [...sentence.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const name of Object.keys(en)) assert.deepEqual(values(zh_CN[name]), values(en[name]), name);
});

test("every sentence that the code asks for is there, and every one that is there is asked for", () => {
    const code = readdirSync(FOLDER, {recursive: true}).map((name) => name.replaceAll("\\", "/")).filter((name) => name.endsWith(".mjs") && !/\/sentences/.test(name)).map((name) => readFileSync(new URL(name, FOLDER), "utf8")).join("\n");
    for (const [, name] of code.matchAll(/\bt\("([^"]+)"/g)) assert.ok(name in en, name);
    const built = ["tool.", "hint.", "mode.", "busy.", "state.", "role.", "kind.", "better.", "help.", "compare.", "control.", "task.", "say.", "loss.", "choice.", "fixed.", "side.", "crop.", "again.", "sample.", "welcome.can.", "describe.fill", "describe.replace", "train.what.", "steering.", "animate.", "train.mark.", "layout.", "learn.quality.", "learn.kind.", "learn.state."];
    for (const name of Object.keys(en)) assert.ok(code.includes(`"${name}"`) || built.some((start) => name.startsWith(start)) || SHORTCUTS.some((one) => one.action === name), name);
});

test("what the server says is said in the page's language, by its code", () => {
    const error = {message: "There is no candidate 7.", code: "There is no candidate {index}.", remedy: "Click on an object first.", data: {index: 7}};
    assert.equal(said(error, "message"), "There is no candidate 7.");
    useLanguage("zh_CN");
    assert.equal(said(error, "remedy"), "请先点击一个物体。", "a sentence without values is its own code");
    assert.equal(said({reason: "Nothing is selected. Or is it?"}, "reason"), "Nothing is selected. Or is it?", "what nobody translated stays");
    assert.equal(said({reason: ""}, "reason"), "");
    assert.equal(said({}, "reason"), "");
    const both = {message: "Nothing is selected.", remedy: "Click on an object first."};
    assert.equal(translated("Nothing is selected. Click on an object first.", "{message} {remedy}", both), "还没有选择任何内容。请先点击一个物体。");
    const nested = {...both, remedy: "Give 0 to 3.", remedy_code: "There is no candidate {index}.", remedy_data: {index: 3}};
    assert.equal(translated("Nothing is selected. Give 0 to 3.", "{message} {remedy}", nested), "还没有选择任何内容。没有候选 3。");
    assert.equal(said(error, "message"), "没有候选 7。");
    useLanguage("en");
    assert.equal(said(error, "remedy"), "Click on an object first.");
});

test("values are put into templates as Python does it", () => {
    assert.equal(filled("{a} {b!r} {c:.1f} {d:,} {e:.0%} {{x}}", {a: "$& {b}", b: "q", c: 12.349, d: 1234567, e: 0.256}), "$& {b} q 12.3 1,234,567 26% {x}");
    assert.equal(filled("{names}", {names: ["a", "b"]}), "a, b");
});

test("the language: the setting, the web UI's choice, the browser's", () => {
    assert.equal(languageOf("zh_CN", {}), "zh_CN");
    const chinese = JSON.parse(readFileSync(new URL("../../localizations/zh_CN.json", import.meta.url), "utf8"));
    assert.equal(languageOf("auto", {localization: chinese, navigator: {language: "en"}}), "zh_CN");
    assert.equal(languageOf("auto", {localization: {}, navigator: {language: "zh-CN"}}), "en");
    assert.equal(languageOf("auto", {localization: {Save: "儲存"}, navigator: {language: "zh-TW"}}), "en");
    assert.equal(languageOf(undefined, {navigator: {language: "zh-CN"}}), "zh_CN");
    assert.equal(languageOf("auto", {navigator: {language: "zh-TW"}}), "en");
    assert.equal(languageOf("auto", {navigator: {language: "de-DE"}}), "en");
});

test("sentences carry their values, sizes and times read well", () => {
    useLanguage("en");
    assert.equal(t("offer", {title: "MobileSAM", size: bytes(40_728_226)}), "Download MobileSAM (41 MB)");
    assert.equal(bytes(2_564_550_879), "2.6 GB");
    assert.deepEqual([0, 1, 2.44, 31.7, 200].map(duration), ["0.1 s", "1 s", "2.4 s", "32 s", "3 min"]);
    assert.throws(() => t("nothing of that name"));
});

test("keys do what the help says", () => {
    assert.equal(actionOf(key("c")), "tool:click");
    assert.equal(actionOf(key("c", {ctrlKey: true})), "copy");
    assert.equal(actionOf(key("z", {metaKey: true})), "undo");
    assert.equal(actionOf(key("Z", {ctrlKey: true, shiftKey: true})), "redo");
    assert.equal(actionOf(key("y", {ctrlKey: true})), "redo");
    assert.equal(actionOf(key("[")), "smaller");
    assert.equal(actionOf(key("Tab")), "compare");
    assert.equal(actionOf(key("Escape")), "escape");
    assert.equal(actionOf(key("2")), "candidate");
    assert.equal(actionOf(key("?", {shiftKey: true})), "help");
    assert.equal(actionOf(key("Enter", {altKey: true})), "press");
    assert.equal(actionOf(key("q")), "tool:quick");
    assert.equal(actionOf(key("w")), null);
    assert.equal(actionOf(key("b", {altKey: true})), null);
    assert.deepEqual(arrow("ArrowUp"), {x: 0, y: -1});
});

test("Shift and Alt change how a shape is combined", () => {
    assert.equal(modeOf({}, "intersect"), "intersect");
    assert.equal(modeOf({shiftKey: true}, "replace"), "add");
    assert.equal(modeOf({altKey: true}, "replace"), "subtract");
    assert.equal(modeOf({shiftKey: true, altKey: true}, "replace"), "intersect");
});

test("the brush's slider and its radius belong together", () => {
    assert.deepEqual([radiusAt(0), radiusAt(100)], [1, 512]);
    for (const position of [0, 17, 50, 99, 100]) assert.equal(positionOf(radiusAt(position)), position);
});

test("a grey PNG becomes white with the grey as alpha", () => {
    const words = new Uint32Array([0xff000000, 0xffffffff, 0xff808080]);
    whiten(words);
    assert.deepEqual([...words], [0x00ffffff, 0xffffffff, 0x80ffffff]);
});

test("each candidate fills its square, a small one less than a large one", () => {
    const [large, none, small] = squaresAround([[10, 20, 110, 60], null, [30, 30, 40, 34]]);
    assert.deepEqual(large.map(Math.round), [2, -18, 116]);
    assert.deepEqual(small.map(Math.round), [12, 9, 46]);
    assert.equal(none.length, 3);
});

test("what the server recommends is offered together, with one progress", () => {
    const models = [{name: "mobile_sam", state: "missing", bytes: 40, recommended: true}, {name: "lama", state: "missing", bytes: 200}, {name: "migan", state: "partial", bytes: 28, bytes_done: 8, recommended: true}];
    assert.deepEqual(recommended(models).map((model) => model.name), ["mobile_sam", "migan"]);
    assert.deepEqual(recommended(models.map((model) => ({...model, state: "unavailable"}))), []);
    assert.deepEqual(recommended(null), []);
    const tasks = {mobile_sam: {done: 10, seconds_left: 7}};
    assert.deepEqual(together(recommended(models), (name) => tasks[name]), {done: 18, total: 68, fraction: 18 / 68, seconds_left: 7});
    assert.equal(together([{...models[0], state: "present"}, models[2]], () => undefined).done, 48);
});

test("the page says so where the packages of all are missing", () => {
    const capabilities = {segmenters: [{name: "classic", model: null}, {name: "mobile_sam", model: "mobile_sam", blocked: true}, {name: "sam_vit_b", model: "sam_vit_b"}]};
    assert.equal(blockedSegmenter(capabilities, "classic"), null, "one could run");
    assert.equal(blocked(capabilities, "mobile_sam").name, "mobile_sam");
    assert.equal(blocked(capabilities, "sam_vit_b"), null);
    assert.equal(blocked(capabilities, "of_nobody"), null);
    capabilities.segmenters[2].blocked = true;
    assert.equal(blockedSegmenter(capabilities, "classic").name, "mobile_sam");
    assert.equal(blockedSegmenter(capabilities, "sam_vit_b"), null, "it is at work");
    assert.equal(blockedSegmenter(null, "classic"), null);
});

function png(width, height, depth, rows) {
    const chunk = (type, data) => {
        const head = Buffer.alloc(8);
        head.writeUInt32BE(data.length);
        head.write(type, 4);
        return Buffer.concat([head, data, Buffer.alloc(4)]);
    };
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width);
    header.writeUInt32BE(height, 4);
    header[8] = depth;
    return new Uint8Array(Buffer.concat([Buffer.alloc(8), chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.from(rows.flat()))), chunk("IEND", Buffer.alloc(0))]));
}

test("labels of 16 bits are read with every filter", async () => {
    // rows of [300, 301, 1] unfiltered, then each as the differences its filter asks for
    const rows = [
        [0, 1, 44, 1, 45, 0, 1],
        [1, 1, 44, 0, 1, 255, 212],
        [2, 0, 0, 0, 0, 0, 0],
        [3, 1, 22, 0, 129, 0, 106],
        [4, 0, 0, 0, 0, 0, 0],
    ];
    const {width, height, data} = await decodeGrey(png(3, 5, 16, rows));
    assert.deepEqual([width, height], [3, 5]);
    assert.deepEqual([...data.subarray(0, 3)], [300, 301, 1]);
    assert.deepEqual([...data.subarray(3, 6)], [300, 301, 1]);
    assert.deepEqual([...data.subarray(6, 9)], [300, 301, 1]);
    assert.deepEqual([...data.subarray(12, 15)], [...data.subarray(9, 12)]);
    await assert.rejects(decodeGrey(png(1, 1, 1, [[0, 0]])), /grey PNG/);
});
