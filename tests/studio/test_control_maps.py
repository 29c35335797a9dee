"""The use-cases of control maps, on a studio with real preprocessors."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from clickpaint.control import openpose, poses, registry
from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Tools
from clickpaint.control.map_options import Fit, Layer, MapOptions
from clickpaint.control.poses import Person
from clickpaint.errors import Busy, Interrupted, InvalidInput, ModelMissing, NotFound
from clickpaint.image.picture import from_pixels
from clickpaint.session.selection import Adjustment
from tests.control.pictures import disc, scene
from tests.toys.studio import file_of, toy_studio

SCENE, DISC = scene(), disc()
CANNY = MapOptions((Layer("canny", resolution=230),))


@pytest.fixture
def studio(tmp_path):
    studio = toy_studio(tmp_path)
    yield studio
    studio.shut_down()


@pytest.fixture
def workspace(studio):
    workspace = studio.open(file_of(SCENE))
    studio.selecting.adjust(workspace, [Adjustment("box", box=(150, 50, 250, 160))])
    return workspace


@pytest.fixture
def counted(monkeypatch):
    """A preprocessor that counts how often it is run."""
    runs = []

    def detect(pixels, request, tools):
        tools.progress.report(0.5, "Counting")
        runs.append((pixels.copy(), request))
        return ControlMap(np.full_like(pixels, int(request.values["grey"])), {"note": f"run {len(runs)}"})

    one = Preprocessor("counted", "counted_label", ("Depth",), detect, parameters=(Parameter("grey", "Grey", 0, 255, 1, 50),))
    known = {**registry.preprocessors(), "counted": one}
    monkeypatch.setattr(registry, "preprocessors", lambda: known)
    monkeypatch.setattr(registry, "_by_any_name", lambda: {name: each for each in known.values() for name in each.names})
    return runs


def test_a_map_of_what_is_shown_is_made_and_asked_for_again(studio, workspace):
    made = studio.control_maps.detect(workspace, CANNY)
    assert made.size == (330, 230) and made.map.pixels.shape == (230, 330, 3)
    expected = registry.detect("canny", SCENE, registry.request("canny", resolution=230), Tools(None, None, None)).pixels  # type: ignore[arg-type]
    assert np.array_equal(made.map.pixels, expected)
    assert studio.control_maps.made(workspace, made.id) is made
    for wrong in ("0", "7", "x"):
        with pytest.raises(NotFound, match="no map"):
            studio.control_maps.made(workspace, wrong)
    with pytest.raises(NotFound):
        studio.control_maps.made(studio.open(file_of(SCENE)), made.id)


def test_a_map_is_of_the_version_that_is_shown(studio, workspace):
    before = studio.control_maps.detect(workspace, CANNY).map.pixels
    studio.erasing.erase(workspace)
    after = studio.control_maps.detect(workspace, CANNY).map.pixels
    assert before[60:150, 160:240].any() and not np.array_equal(before, after)


def test_a_workspace_remembers_its_last_maps_and_nothing_outlives_it(studio, workspace):
    ids = [studio.control_maps.detect(workspace, CANNY).id for _ in range(10)]
    assert len(set(ids)) == 10
    assert studio.control_maps.made(workspace, ids[2]).id == ids[2]
    with pytest.raises(NotFound):
        studio.control_maps.made(workspace, ids[1])
    other = studio.open(file_of(SCENE))
    studio.control_maps.detect(other, CANNY)
    assert len(studio.control_maps._maps) == 2
    studio.close(other.id)
    del other
    until = time.monotonic() + 30  # its picture may still be being encoded
    while len(studio.control_maps._maps) > 1 and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert len(studio.control_maps._maps) == 1


def test_the_same_map_is_made_once(studio, workspace, counted):
    for values, runs in (({}, 1), ({}, 1), ({"grey": 50}, 1), ({"grey": 51}, 2), ({}, 2)):
        studio.control_maps.detect(workspace, MapOptions((Layer("counted_label", values),)))
        assert len(counted) == runs
    studio.control_maps.detect(workspace, MapOptions((Layer("counted", resolution=300),)))
    assert len(counted) == 3
    studio.control_maps.detect_picture(from_pixels(SCENE), MapOptions((Layer("counted"),)))
    assert len(counted) == 3, "another workspace or none: the same picture"
    studio.control_maps.detect_picture(from_pixels(SCENE[::-1].copy()), MapOptions((Layer("counted"),)))
    assert len(counted) == 4


def test_transparency_is_seen_on_white(studio, counted):
    alpha = np.full((10, 12), 0, np.uint8)
    alpha[:, 6:] = 255
    control_map = studio.control_maps.detect_picture(
        from_pixels(np.full((10, 12, 3), 40, np.uint8), alpha), MapOptions((Layer("counted"),))
    )
    assert (counted[0][0][:, :6] == 255).all() and (counted[0][0][:, 6:] == 40).all() and control_map.extra == {"note": "run 1"}


def test_only_the_object(studio, workspace):
    whole = studio.control_maps.detect(workspace, CANNY).map.pixels
    selected = workspace.state.selection.mask
    alone = studio.control_maps.detect(workspace, MapOptions(CANNY.layers, background="black")).map.pixels
    assert np.array_equal(alone, np.where(selected[..., None], whole, 0)) and alone.any()
    kept = studio.control_maps.detect(workspace, MapOptions(CANNY.layers, background="kept")).map.pixels
    assert np.array_equal(kept, np.where(selected[..., None], whole, SCENE))
    studio.selecting.adjust(workspace, [Adjustment("clear")])
    for options in (MapOptions(CANNY.layers, background="black"), MapOptions((Layer("inpaint_only"),))):
        with pytest.raises(InvalidInput, match=r"[Ss]elect"):
            studio.control_maps.detect(workspace, options)


def test_several_maps_become_one(studio, workspace):
    canny, lines = Layer("canny", resolution=230), Layer("lineart_standard", resolution=230, weight=0.5)
    both = studio.control_maps.detect(workspace, MapOptions((canny, lines))).map.pixels
    one, other = (
        studio.control_maps.detect(workspace, MapOptions((each,))).map.pixels for each in (canny, Layer("lineart_standard", resolution=230))
    )
    assert np.array_equal(both, np.maximum(one, np.rint(other * np.float32(0.5)).astype(np.uint8)))
    dimmed = studio.control_maps.detect(workspace, MapOptions((Layer("canny", resolution=230, weight=0.5),))).map.pixels
    assert np.array_equal(dimmed, np.where(one > 0, 128, 0))


def test_pixel_perfect_and_fit(studio, workspace):
    layer = (Layer("canny"),)
    assert studio.control_maps.detect(workspace, MapOptions(layer)).map.pixels.shape == (512, 735, 3)
    assert studio.control_maps.detect(workspace, MapOptions(layer, pixel_perfect=True)).map.pixels.shape == (230, 330, 3)
    fit = Fit(256, 128, "Crop and Resize")
    made = studio.control_maps.detect(workspace, MapOptions(layer, fit=fit, pixel_perfect=True)).map.pixels
    assert made.shape == (128, 256, 3) and set(np.unique(made)) == {0, 255}
    inpaint = studio.control_maps.detect(workspace, MapOptions((Layer("inpaint_only"),), fit=fit)).map.pixels
    assert inpaint.shape == (128, 256, 4) and set(np.unique(inpaint[..., 3])) == {128, 255}


def test_a_map_is_kept_as_a_result_and_undone(studio, workspace):
    made = studio.control_maps.detect(workspace, CANNY)
    state = studio.control_maps.keep(workspace, made.id, 0.5)
    assert (state.label, state.version) == ("Control map", 1) and state.selection is not None
    expected = np.rint(SCENE * np.float32(0.5) + made.map.pixels * np.float32(0.5))
    assert np.array_equal(workspace.picture().pixels, expected)
    studio.undo(workspace)
    assert np.array_equal(workspace.picture().pixels, SCENE)


def test_a_selection_is_made_of_a_map(studio, workspace):
    layers = (Layer("recolor_intensity"),)
    made = studio.control_maps.detect(workspace, MapOptions(layers))
    state = studio.control_maps.select(workspace, made.id, brightness=(200, 255))
    assert np.array_equal(state.selection.mask, SCENE.max(axis=2) >= 200) and state.label == "Select by map"
    state = studio.control_maps.select(workspace, made.id, brightness=(230, 255), mode="subtract")
    brightest = SCENE.max(axis=2)
    assert np.array_equal(state.selection.mask, (brightest >= 200) & (brightest < 230))
    colours = studio.control_maps.detect(workspace, MapOptions((Layer("none"),)))
    state = studio.control_maps.select(workspace, colours.id, color=(220, 40, 30), tolerance=8)
    assert (state.selection.mask & DISC).sum() > 0.9 * DISC.sum() and not (state.selection.mask & ~DISC).any()
    for wrong in ({}, {"brightness": (1, 2), "color": (1, 2, 3)}):
        with pytest.raises(InvalidInput, match="either"):
            studio.control_maps.select(workspace, made.id, **wrong)


def test_a_map_of_another_size_of_the_picture_is_not_used(studio, workspace):
    made = studio.control_maps.detect(workspace, CANNY)
    pixels = np.zeros((250, 350, 3), np.uint8)
    pixels[10:240, 10:340] = SCENE
    workspace.add_expanded(pixels, "Expand", (10, 10, 10, 10))
    for use in (
        lambda: studio.control_maps.keep(workspace, made.id),
        lambda: studio.control_maps.select(workspace, made.id, brightness=(0, 9)),
    ):
        with pytest.raises(InvalidInput, match="another size"):
            use()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: MapOptions(()),
        lambda: MapOptions((Layer("none"),) * 9),
        lambda: MapOptions((Layer("none"),), blend="burn"),
        lambda: MapOptions((Layer("none"),), background="white"),
        lambda: MapOptions((Layer("none", weight=0),)),
        lambda: MapOptions((Layer("none", weight=1.1),)),
        lambda: Fit(0, 5),
        lambda: Fit(5, 9000),
        lambda: Fit(5, 5, "Stretch"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        wrong()
    assert caught.value.remedy


def test_the_list_says_what_can_run_and_why_not(studio, monkeypatch):
    by_name = {one.info.name: one for one in studio.control_maps.list()}
    assert by_name["canny"].available and by_name["canny"].reason == "" and by_name["canny"].models == ()
    absent = Preprocessor("absent", "absent", (), lambda *_: None, packages=("no_such_package",))  # type: ignore[arg-type,return-value]
    weightless = Preprocessor("weightless", "weightless", (), lambda *_: None, models=("lama",))  # type: ignore[arg-type,return-value]
    never = Preprocessor("never", "never", (), None, reason="was withdrawn", instead="canny")
    known = {**registry.preprocessors(), **{one.name: one for one in (absent, weightless, never)}}
    monkeypatch.setattr(registry, "preprocessors", lambda: known)
    monkeypatch.setattr(registry, "_by_any_name", lambda: known)
    by_name = {one.info.name: one for one in studio.control_maps.list()}
    assert by_name["absent"].reason == "needs the package no_such_package" and not by_name["absent"].available
    assert by_name["never"].reason == "was withdrawn; take canny instead" and not by_name["never"].available
    assert by_name["weightless"].models == (("lama", "missing"),) and by_name["weightless"].reason == "needs the model lama"
    for name, said in (("absent", r"cannot run here: .* Install it"), ("never", r"it was withdrawn\. Take canny instead\.")):
        with pytest.raises(ModelMissing, match=said):
            studio.control_maps.detect_picture(from_pixels(SCENE), MapOptions((Layer(name),)))


def test_a_map_can_be_interrupted_and_is_made_with_the_hosts_lock(studio, workspace, monkeypatch):
    entered, seen = threading.Event(), []

    def detect(pixels, request, tools):
        seen.append(studio.toy.lock.locked())
        entered.set()
        while True:
            tools.progress.check()

    slow = Preprocessor("slow", "slow", (), detect)
    monkeypatch.setattr(registry, "_by_any_name", lambda: {"slow": slow})
    caught = []

    def ask():
        try:
            studio.control_maps.detect(workspace, MapOptions((Layer("slow"),)))
        except (Interrupted, Busy) as error:
            caught.append(type(error))

    asking = threading.Thread(target=ask)
    asking.start()
    assert entered.wait(60)
    assert [task.kind for task in studio.tasks.visible(workspace.id) if task.active and task.kind != "encode"] == ["control"]
    studio.interrupt(workspace.id)
    asking.join(60)
    assert caught == [Interrupted] and seen == [True]


def test_poses_are_drawn_on_a_canvas_of_the_pictures_shape(studio, workspace):
    body = [(100.0, 10.0 + 4 * joint) for joint in range(18)]
    document = {"people": [{"pose_keypoints_2d": [value for point in body for value in (*point, 1)]}], "canvas_width": 200}
    made = studio.control_maps.pose(workspace, {**document, "canvas_height": 200})
    assert made.map.pixels.shape == (200, 287, 3), "room was added at the sides, nobody was stretched"
    across = np.flatnonzero(made.map.pixels.any(axis=(0, 2)))
    assert abs(across.mean() - 143) < 1
    assert made.map.extra["poses"]["people"][0]["pose_keypoints_2d"][:3] == [143.5, 10.0, 1.0]
    assert studio.control_maps.made(workspace, made.id) is made
    again = studio.control_maps.pose(workspace, made.map.extra["poses"])
    assert again.id != made.id and np.array_equal(again.map.pixels, made.map.pixels), "of that shape already"
    assert studio.control_maps.pose(workspace, {**document, "canvas_height": 139}).map.pixels.shape == (139, 200, 3), "to within a pixel"
    with pytest.raises(InvalidInput, match="16384"):
        studio.control_maps.pose(workspace, {**document, "canvas_width": 16384, "canvas_height": 100})


PERSON = Person(
    body=tuple((100.0 + 5 * number, 20.0 + 8 * number) for number in range(18)),
    left_hand=tuple((20.0 + 4 * number, 200.0 - 3 * number) for number in range(21)),
    right_hand=tuple((250.0 + 3 * number, 200.0 - 4 * number) for number in range(21)),
    face=tuple((20.0 + number, 20.0 + number % 10) for number in range(70)),
)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("openpose", ["body"]), ("openpose_face", ["body", "face"]), ("openpose_faceonly", ["face"]),
        ("openpose_hand", ["body", "hands"]), ("openpose_full", ["body", "hands", "face"]),
    ],
)  # fmt: skip
def test_a_pose_that_was_edited_is_drawn_with_the_parts_of_its_map(studio, workspace, monkeypatch, name, parts):
    monkeypatch.setattr(openpose, "_people", lambda *_: [PERSON])
    monkeypatch.setattr(registry, "unavailable", lambda name: None)
    made = studio.control_maps.detect(workspace, MapOptions((Layer(name, resolution=230),)))
    assert made.map.extra["parts"] == parts
    again = studio.control_maps.pose(workspace, made.map.extra["poses"], made.map.extra["parts"])
    assert np.array_equal(again.map.pixels, made.map.pixels) and made.map.pixels.any()
    assert again.map.extra == made.map.extra
    whole = studio.control_maps.pose(workspace, made.map.extra["poses"]).map.pixels
    assert np.array_equal(whole, made.map.pixels) == (name == "openpose_full")
    moved = replace(PERSON, face=((300.0, 100.0), *PERSON.face[1:]))
    edited = studio.control_maps.pose(workspace, poses.to_json(poses.Poses(330, 230, (moved,))), parts).map.pixels
    assert edited[100, 300].any() == ("face" in parts)


@pytest.mark.parametrize("parts", [[], ["body", "feet"]])
def test_parts_that_cannot_be_drawn_are_refused(studio, workspace, parts):
    with pytest.raises(InvalidInput, match="body, hands, face"):
        studio.control_maps.pose(workspace, poses.to_json(poses.Poses(330, 230, (PERSON,))), parts)


def test_an_object_of_another_programs_picture_is_what_is_selected_in_it(studio, workspace):
    other = np.ascontiguousarray(SCENE[:, ::-1])
    newer = studio.open(file_of(other))
    with pytest.raises(InvalidInput, match=r"Nothing is selected in a picture of 64 x 48 pixels\."):
        studio.control_maps.detect_object(np.zeros((48, 64, 3), np.uint8), None, CANNY.layers[0])
    studio.selecting.adjust(newer, [Adjustment("box", box=(10, 20, 90, 200))])
    expected = studio.control_maps.detect(workspace, replace(CANNY, background="black")).map.pixels
    studio.workspace(newer.id)  # the one last used
    for pixels, mine in ((SCENE, True), (other, False), (SCENE // 2 * 2, False)):
        before = pixels.copy()
        control_map = studio.control_maps.detect_object(pixels, None, CANNY.layers[0]).pixels
        assert np.array_equal(pixels, before)
        box = np.zeros((230, 330), bool)
        box[(slice(50, 160), slice(150, 250)) if mine else (slice(20, 200), slice(10, 90))] = True
        assert control_map.any() and not control_map[~box].any()
        assert np.array_equal(control_map, expected) == mine
    given = studio.control_maps.detect_object(SCENE, DISC, CANNY.layers[0]).pixels
    assert given.any() and not given[~DISC].any()
