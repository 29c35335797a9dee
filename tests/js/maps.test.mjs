import assert from "node:assert/strict";
import test from "node:test";

import {layerOf, loadable, mapBody, mapping, preferred} from "../../javascript/clickpaint/panels/preprocessor_form.mjs";
import {colourOf, hexOf, useOf} from "../../javascript/clickpaint/panels/map_view.mjs";
import {Versions} from "../../javascript/clickpaint/picture/versions.mjs";
import {hasPoses, jointsOf, limbsOf, moved} from "../../javascript/clickpaint/picture/keypoints.mjs";
import {PoseTool} from "../../javascript/clickpaint/canvas/pose_tool.mjs";
import {fittingModel, unitOf} from "../../javascript/clickpaint/panels/controlnet_unit.mjs";

const one = (name, more = {}) => ({name, types: ["Canny"], returns: "map", available: true, runs: true, reason: "", models: [], ...more});

test("what the fields say becomes the request", () => {
    const layer = layerOf({type: "Canny", preprocessor: "canny", resolution: 640, low: 50, high: 90});
    assert.deepEqual(layer, {preprocessor: "canny", values: {low: 50, high: 90}, resolution: 640, weight: 1});
    assert.deepEqual(layerOf({type: "", preprocessor: "invert", weight: 0.5}), {preprocessor: "invert", values: {}, resolution: null, weight: 0.5});
    const fields = {blend: "add", object_only: true, background: "kept", pixel_perfect: false, two: true};
    assert.deepEqual(mapBody([layer], fields), {layers: [layer], blend: "add", object_only: true, background: "kept", pixel_perfect: false});
});

test("lists offer what makes maps, and begin with what can run", () => {
    const missing = one("hed", {available: false, models: [{name: "a", state: "present"}, {name: "b", state: "missing"}]});
    const impossible = one("dsine", {available: false, runs: false, models: [{name: "b", state: "missing"}]});
    const list = [one("none", {returns: "unchanged"}), impossible, missing, one("canny"), one("depth", {types: ["Depth"]})];
    assert.deepEqual(mapping(list).map(({name}) => name), ["dsine", "hed", "canny", "depth"]);
    assert.deepEqual(mapping(list, "Depth").map(({name}) => name), ["depth"]);
    assert.deepEqual([missing, impossible, list[3]].map(loadable), [["b"], [], []]);
    assert.deepEqual(loadable(one("hand", {available: false, models: [{name: "b", state: "missing"}, {name: "c", state: "unavailable"}]})), []);
    assert.equal(preferred(mapping(list, "Canny")).name, "canny");
    assert.equal(preferred([impossible, missing]).name, "hed");
    assert.equal(preferred([impossible]).name, "dsine");
});

test("a map goes to the model that understands it best", () => {
    const models = ["control_v11p_sd15_scribble [1]", "t2iadapter_sketch", "control_v11p_sd15_softedge [2]", "promax_union"];
    assert.equal(fittingModel(models, ["softedge", "hed"]), models[2]);
    assert.equal(fittingModel(models, ["hed", "sketch", "scribble"]), models[1]);
    assert.equal(fittingModel(models, ["scribble", "sketch"], models[1]), models[1], "what was chosen stays if it understands the map");
    assert.equal(fittingModel(models, ["scribble"], models[1]), models[0]);
    assert.equal(fittingModel(models, ["depth"]), "promax_union");
    assert.equal(fittingModel(models.slice(0, 3), ["depth"]), "");
    assert.equal(fittingModel(models, [], models[2]), models[2], "no preference");
});

test("a unit has a map, or the preprocessor that made it with its values", () => {
    const info = {name: "depth", label: "depth_midas", aliases: ["midas"], control_models: ["depth"]};
    const body = {layers: [{preprocessor: "depth", values: {far: 2}, resolution: 640}], pixel_perfect: false};
    const made = useOf({map: "3", title: "depth_midas", body, info});
    assert.deepEqual(made, {map: "3", title: "depth_midas", names: ["depth", "depth_midas", "midas"], values: {far: 2}, resolution: 640, patterns: ["depth"]});
    const fields = {model: "m", weight: 1, start: 0.8, end: 0.2, mode: "balanced"}, common = {...fields, start: 0.2, end: 0.8};
    assert.deepEqual(unitOf({...fields, preprocessor: "map:3"}, made), {...common, map: "3"});
    assert.deepEqual(unitOf({...fields, preprocessor: "depth_midas"}, made), {...common, preprocessor: "depth_midas", values: {far: 2}, resolution: 640});
    assert.deepEqual(unitOf({...fields, preprocessor: "canny"}, made), {...common, preprocessor: "canny"});
    assert.deepEqual(unitOf({...fields, preprocessor: "canny"}), {...common, preprocessor: "canny"});
    const perfect = useOf({map: "3", title: "", body: {...body, pixel_perfect: true}, info});
    assert.equal(unitOf({...fields, preprocessor: "midas"}, perfect).resolution, 0);
});

test("colours", () => {
    assert.equal(hexOf([255, 0, 10]), "#ff000a");
    assert.deepEqual(colourOf("#ff000a"), [255, 0, 10]);
});

const flat = (...points) => points.flatMap((point) => (point ? [...point, 1] : [0, 0, 0]));
const POSES = {
    canvas_width: 200, canvas_height: 100,
    people: [{face_keypoints_2d: flat([5, 5]), pose_keypoints_2d: flat([100, 20], [100, 40], [80, 40], null, [70, 80]), hand_left_keypoints_2d: flat([10, 10], [12, 10], [14, 10])}],
    animals: [flat([20, 20], [30, 20])],
};

test("joints and limbs of people and animals", () => {
    assert.ok(hasPoses(POSES));
    assert.ok(!hasPoses(null) && !hasPoses({people: [{pose_keypoints_2d: null}], canvas_width: 8, canvas_height: 8}));
    const joints = jointsOf(POSES);
    assert.equal(joints.length, 10);
    assert.deepEqual(joints.at(-1), {x: 5, y: 5, where: ["people", 0, "face_keypoints_2d"], index: 0}, "small ones last");
    const ends = limbsOf(POSES).map((limb) => limb.map(({x, y}) => [x, y]));
    assert.deepEqual(ends, [[[100, 40], [80, 40]], [[100, 40], [100, 20]], [[10, 10], [12, 10]], [[12, 10], [14, 10]], [[20, 20], [30, 20]]]);
});

test("only the parts that a map draws can be taken hold of", () => {
    const where = (drawn) => [...new Set(jointsOf({...POSES, animals: []}, drawn).map((joint) => joint.where[2]))];
    assert.deepEqual(where(["face"]), ["face_keypoints_2d"]);
    assert.deepEqual(where(["body", "hands"]), ["pose_keypoints_2d", "hand_left_keypoints_2d"]);
    assert.equal(limbsOf({...POSES, animals: []}, ["hands"]).length, 2);
    assert.equal(limbsOf({...POSES, animals: []}, ["face"]).length, 0);
});

test("a joint is moved or left out, and nothing else", () => {
    const joint = jointsOf(POSES).find(({x, y}) => x === 80 && y === 40), before = structuredClone(POSES);
    const other = moved(POSES, joint, {x: 60, y: 50});
    assert.deepEqual(other.people[0].pose_keypoints_2d.slice(6, 9), [60, 50, 1]);
    assert.deepEqual(POSES, before);
    assert.deepEqual({...other, people: [{...other.people[0], pose_keypoints_2d: POSES.people[0].pose_keypoints_2d}]}, POSES);
    assert.equal(limbsOf(moved(POSES, joint, null)).length, 4);
    assert.deepEqual(moved(POSES, {where: ["animals", 0], index: 1}, {x: 1, y: 2}).animals[0], flat([20, 20], [1, 2]));
});

test("the tool drags what is under it, in pixels of a picture of another size", () => {
    const changes = [], editor = {size: {width: 400, height: 200}, view: {scale: 1}, redraw() {}, changed() {}};
    const tool = new PoseTool(editor, (poses) => changes.push(poses));
    tool.start({x: 160, y: 80}, {button: 0});
    assert.ok(!tool.drafting, "there are no poses yet");
    tool.poses = POSES;
    tool.start({x: 300, y: 150}, {button: 0});
    tool.end({x: 0, y: 0});
    assert.ok(!tool.drafting && !changes.length, "nothing is there");
    tool.start({x: 165, y: 83}, {button: 0});
    assert.ok(tool.drafting);
    tool.move({x: 100, y: 90});
    tool.end({x: 500, y: 60});
    assert.deepEqual(changes[0].people[0].pose_keypoints_2d.slice(6, 9), [199.5, 30, 1], "kept within the picture");
    assert.equal(tool.poses, changes[0]);
    tool.start({x: 200, y: 40}, {button: 2});
    assert.deepEqual(changes[1].people[0].pose_keypoints_2d.slice(0, 3), [0, 0, 0]);
    tool.start({x: 200, y: 80}, {button: 0});
    tool.cancel();
    assert.ok(!tool.drafting && changes.length === 2);
    assert.ok(tool.undo() && tool.undo() && !tool.undo(), "both changes are taken back, one by one");
    assert.equal(tool.poses, POSES);
    assert.ok(tool.redo() && tool.canUndo && tool.canRedo);
    assert.equal(tool.poses, changes[0]);
    tool.begin();
    assert.ok(!tool.undo() && !tool.redo(), "another map has no steps yet");
});

test("what lies over the picture is seen with the version it is of, and closed when it is gone", () => {
    const closed = [], bitmap = (name) => ({name, close: () => closed.push(name)});
    const editor = {state: {version: 1}, redraw() {}}, pictures = new Versions(editor, {}), first = bitmap("first");
    pictures.cover({bitmap: first, opacity: 0.5, version: 1});
    assert.equal(pictures.over.opacity, 0.5);
    pictures.cover({bitmap: first, opacity: 1, version: 1});
    assert.deepEqual(closed, []);
    editor.state.version = 2;
    assert.equal(pictures.over, null);
    pictures.cover({bitmap: bitmap("second"), opacity: 1, version: 2});
    assert.deepEqual([closed, pictures.over.bitmap.name], [["first"], "second"]);
    pictures.cover(null);
    assert.deepEqual([closed, pictures.over], [["first", "second"], null]);
});
