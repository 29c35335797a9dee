"""Poses: drawn to the pixel as controlnet_aux draws them, OpenPose's JSON in and out, and the estimators on toy networks."""

from __future__ import annotations

import colorsys
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from clickpaint.control import openpose, pose_drawing, poses, registry, rtmpose
from clickpaint.control.controlnet_aux_modules import module
from clickpaint.control.poses import Person, Poses
from clickpaint.errors import CorruptModel, InvalidInput
from tests.control.neural_toys import seeded
from tests.control.pictures import scene

pytest.importorskip("einops", reason="needs what controlnet_aux imports")

WAVING = Person(body=tuple(
    (float(x), float(y))
    for x, y in ((100, 40), (100, 70), (80, 70), (60, 50), (45, 25), (120, 70), (135, 100), (140, 130), (88, 140), (86, 180), (85, 220),
                 (112, 140), (115, 180), (116, 220), (96, 35), (104, 35), (90, 38), (110, 38))
))  # fmt: skip


@pytest.fixture
def reference(monkeypatch):
    """controlnet_aux's drawing; of matplotlib it only needs one function."""
    stand_in = ModuleType("matplotlib")
    stand_in.colors = SimpleNamespace(hsv_to_rgb=lambda hsv: np.array(colorsys.hsv_to_rgb(*hsv)))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "matplotlib", stand_in)
    return module("open_pose.util")


def random_points(rng, count, missing):
    return tuple(None if rng.random() < missing else tuple(rng.random(2).tolist()) for _ in range(count))


def in_pixels(points, width, height):
    return tuple(None if point is None else (point[0] * float(width), point[1] * float(height)) for point in points)


@pytest.mark.parametrize("seed", range(12))
def test_people_are_drawn_as_the_package_draws_them(reference, seed):
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(60, 300, 2))
    body, hand, face = random_points(rng, 18, 0.2), random_points(rng, 21, 0), random_points(rng, 70, 0)
    keypoint = module("open_pose.body").Keypoint
    named = [[None if point is None else keypoint(*point) for point in part] for part in (body, hand, face)]
    expected = np.zeros((height, width, 3), np.uint8)
    for draw, part in zip((reference.draw_bodypose, reference.draw_handpose, reference.draw_facepose), named, strict=True):
        expected = draw(expected, part)
    person = Person(in_pixels(body, width, height), in_pixels(hand, width, height), (), in_pixels(face, width, height))
    assert np.array_equal(pose_drawing.draw(Poses(width, height, (person,))), expected)


def test_a_body_is_where_its_points_are_in_the_colours_that_were_learnt():
    drawn = pose_drawing.draw(Poses(200, 240, (WAVING,)))
    assert drawn[40, 100].tolist() == [255, 0, 0] and drawn[220, 85].tolist() == [0, 170, 255]  # nose, right ankle
    assert drawn[70, 90].tolist() == [153, 0, 0]  # the limb from the neck to the right shoulder, at 60 %
    assert not drawn[200, 180].any() and not pose_drawing.draw(Poses(200, 240, (WAVING,)), body=False).any()


def test_a_missing_point_takes_its_limbs_along():
    without = Person(body=(*WAVING.body[:4], None, *WAVING.body[5:]))
    changed = (pose_drawing.draw(Poses(200, 240, (WAVING,))) != pose_drawing.draw(Poses(200, 240, (without,)))).any(axis=2)
    y, x = np.nonzero(changed)
    assert x.min() >= 40 and x.max() <= 65 and y.min() >= 20 and y.max() <= 56


def test_animals_are_lines_between_their_points():
    points = tuple((10.0 + 8 * number, 20.0 + 5 * (number % 4)) for number in range(17))
    drawn = pose_drawing.draw(Poses(160, 60, (), (points,)))
    colors = {tuple(color) for color in np.unique(drawn.reshape(-1, 3), axis=0).tolist()}
    assert len(colors) > 10 and (0, 0, 255) in colors
    assert not pose_drawing.draw(Poses(160, 60, (Person(),), (points,))).any(), "where there are people, they are what is drawn"


def test_json_and_back():
    hand = tuple(None if number == 3 else (number * 2.0, number * 3.5) for number in range(21))
    animal = tuple((float(number), 5.0) for number in range(17))
    people = Poses(200, 240, (WAVING, Person(WAVING.body, (), hand, ((1.0, 2.0),))), (animal,))
    document = poses.to_json(people)
    assert document["people"][0]["hand_left_keypoints_2d"] is None and document["people"][1]["hand_right_keypoints_2d"][9:12] == [0, 0, 0]
    assert document["canvas_width"] == 200 and document["people"][0]["pose_keypoints_2d"][:3] == [100.0, 40.0, 1.0]
    assert poses.from_json(document) == people


def test_parts_of_the_canvas_are_understood_as_the_extension_writes_them():
    numbers = [value for x, y in (point or (0, 0) for point in WAVING.body) for value in (x / 200, y / 240, 1.0)]
    read = poses.from_json({"people": [{"pose_keypoints_2d": numbers}], "canvas_width": 200, "canvas_height": 240})
    assert np.allclose(np.array(read.people[0].body), np.array(WAVING.body))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "no JSON object"),
        ({}, "canvas"),
        ({"canvas_width": 0, "canvas_height": 5}, "canvas"),
        ({"canvas_width": 9, "canvas_height": 99999}, "16384"),
        ({"canvas_width": 9, "canvas_height": 9, "people": [3]}, "no lists"),
        ({"canvas_width": 9, "canvas_height": 9, "people": [{"pose_keypoints_2d": [1, 2]}]}, "in turn"),
        ({"canvas_width": 9, "canvas_height": 9, "people": [{"pose_keypoints_2d": [1, 2, 1]}]}, "all 18"),
        ({"canvas_width": 9, "canvas_height": 9, "people": [{"hand_left_keypoints_2d": [1, float("nan"), 1]}]}, "in turn"),
        ({"canvas_width": 9, "canvas_height": 9, "people": [{"hand_left_keypoints_2d": [1, 2, 1] * 22}]}, "21"),
        ({"canvas_width": 9, "canvas_height": 9, "animals": [[1, "x", 1]]}, "in turn"),
    ],
)
def test_what_is_no_pose_is_refused_with_what_it_should_look_like(document, said):
    with pytest.raises(InvalidInput, match=said) as error:
        poses.from_json(document)
    assert error.value.remedy


class Body:
    """OpenPose's answer for one person: a blob of heat for each joint, and the direction of each limb along it."""

    def __init__(self, width, height):
        self.cells = (height // 8, width // 8)

    def __call__(self, image):
        rows, columns = image.shape[2] // 8, image.shape[3] // 8
        y, x = np.mgrid[:rows, :columns]
        at = [(px / 200 * columns, py / 240 * rows) for px, py in WAVING.body]
        heat = np.stack([np.exp(-((x - px) ** 2 + (y - py) ** 2) / 3) for px, py in at] + [np.zeros((rows, columns))])
        fields = np.zeros((38, rows, columns))
        limbs = ((1, 2, 12), (1, 5, 20), (2, 3, 14), (3, 4, 16), (5, 6, 22), (6, 7, 24), (1, 8, 0), (8, 9, 2), (9, 10, 4), (1, 11, 6),
                 (11, 12, 8), (12, 13, 10), (1, 0, 28), (0, 14, 30), (14, 16, 34), (0, 15, 32), (15, 17, 36))  # fmt: skip
        for start, end, channel in limbs:
            direction = np.subtract(at[end], at[start])
            length = np.hypot(*direction)
            along = ((x - at[start][0]) * direction[0] + (y - at[start][1]) * direction[1]) / length
            across = np.abs((x - at[start][0]) * direction[1] - (y - at[start][1]) * direction[0]) / length
            near = (along > -1) & (along < length + 1) & (across < 1.5)
            fields[channel : channel + 2, near] = (direction / length)[:, None]
        return [torch.from_numpy(each).float()[None] for each in (fields, heat)]

    def parameters(self):
        return iter((torch.zeros(1),))


def test_openpose_finds_the_person_that_its_network_sees(toys):
    toys.put(openpose.BODY, Body(192, 256))
    picture = scene(256, 192)
    control_map = registry.detect("openpose", picture, registry.request("openpose", {}, 192), toys.tools)
    assert control_map.pixels.shape == picture.shape and control_map.pixels.any()
    (person,) = poses.from_json(control_map.extra["poses"]).people
    expected = np.array(WAVING.body) * (192 / 200, 256 / 240)  # to within one and a half of the network's cells
    close = [np.hypot(*np.subtract(point, known)) < 15 for point, known in zip(person.body, expected, strict=True) if point is not None]
    assert len(close) >= 14 and all(close)


def test_nobody_in_the_picture_is_said(toys):
    toys.put(openpose.BODY, seeded(openpose.BODY, 0.0))
    control_map = registry.detect("openpose", scene(64, 64), registry.request("openpose", {}, 64), toys.tools)
    assert not control_map.pixels.any() and "Nobody" in control_map.extra["note"] and control_map.extra["poses"]["people"] == []


def test_a_hand_is_found_where_its_heat_is(toys):
    tools_of = module("open_pose.util")

    class Hand:
        def __call__(self, image):
            rows, columns = image.shape[2] // 8, image.shape[3] // 8
            y, x = np.mgrid[:rows, :columns] / rows
            joints = [np.exp(-((x - 0.2 - 0.03 * joint) ** 2 + (y - 0.5) ** 2) / 0.003) for joint in range(20)]
            heat = np.stack([*joints, np.zeros((rows, columns)), np.zeros((rows, columns))])
            return torch.from_numpy(heat).float()[None]

    peaks = openpose.hand_peaks(Hand(), scene(100, 100), torch.device("cpu"), tools_of)
    assert peaks.shape == (21, 2) and peaks[20].tolist() == [0, 0]
    assert np.abs(peaks[:20, 0] - (20 + 3 * np.arange(20))).max() < 6 and np.abs(peaks[:20, 1] - 50).max() < 6


class Onnx:
    """An OpenCV network that answers what it is told."""

    def __init__(self, *answers):
        self.answers, self.seen = answers, []

    def setInput(self, image):
        self.seen.append(np.array(image))

    def getUnconnectedOutLayersNames(self):
        return ["a"]

    def forward(self, names):
        return self.answers


def detections(*boxes):
    """YOLOX's raw answer: (left, top, right, bottom, class, score) each, in the detector's 640 pixels."""
    cells, strides = rtmpose._cells()
    answer = np.zeros((1, len(cells), 85), np.float32)
    answer[..., 2:4] = -9
    for number, (left, top, right, bottom, kind, score) in enumerate(boxes):
        at = 6400 + 600 + number  # a cell of stride 16
        answer[0, at, :2] = np.array([(left + right) / 2, (top + bottom) / 2]) / strides[at] - cells[at]
        answer[0, at, 2:4] = np.log(np.array([right - left, bottom - top]) / strides[at])
        answer[0, at, 4], answer[0, at, 5 + kind] = 1, score
    return answer


def simcc(points, scores, size):
    across, down = np.zeros((1, len(points), size[0] * 2), np.float32), np.zeros((1, len(points), size[1] * 2), np.float32)
    for number, ((x, y), score) in enumerate(zip(points, scores, strict=True)):
        across[0, number, int(x * 2)] = down[0, number, int(y * 2)] = score
    return across, down


def put_onnx(toys, name, network):
    toys.tools.models.get(("control", name, "cpu"), lambda: (network, 1))
    return network


def test_boxes_come_back_to_the_picture_and_copies_are_dropped(toys):
    answer = detections((100, 100, 300, 500, 0, 0.9), (104, 102, 303, 498, 0, 0.8), (400, 50, 500, 150, 16, 0.7), (10, 10, 40, 40, 0, 0.2))
    put_onnx(toys, rtmpose.DETECTOR, Onnx(answer))
    picture = scene(320, 320)  # half of the detector's side
    assert np.allclose(rtmpose._boxes(picture, toys.tools, (0,)), [[50, 50, 150, 250]], atol=0.1)
    assert np.allclose(rtmpose._boxes(picture, toys.tools, (16,)), [[200, 25, 250, 75]], atol=0.1)
    assert rtmpose._boxes(picture, toys.tools, (3,)).shape == (0, 4)
    toys.tools.models.unload()
    put_onnx(toys, rtmpose.DETECTOR, Onnx(detections()))
    assert rtmpose._boxes(picture, toys.tools, (0,)) is None


def test_dwpose_gives_openposes_points(toys):
    put_onnx(toys, rtmpose.DETECTOR, Onnx(detections((100, 100, 400, 500, 0, 0.9))))
    places = [(10 + number * 2.0 % 270, 20 + number * 2.5 % 350) for number in range(133)]
    scores = [0.9] * 133
    scores[9] = 0.1  # the left wrist is not seen
    pose = put_onnx(toys, rtmpose.WHOLE_BODY, Onnx(*simcc(places, scores, (288, 384))))
    control_map = registry.detect("dw_openpose_full", scene(320, 320), registry.request("dw_openpose_full", {}, 320), toys.tools)
    (person,) = poses.from_json(control_map.extra["poses"]).people
    # box 50..200 × 50..250, padded by a quarter, widened to 3:4
    height = 200 * 1.25
    to_picture = lambda place: (place[0] / 288 * height * 0.75 + 125 - height * 0.375, place[1] / 384 * height + 150 - height / 2)  # noqa: E731
    assert np.allclose(person.body[0], to_picture(places[0]), atol=0.4) and np.allclose(person.body[2], to_picture(places[6]), atol=0.4)
    assert np.allclose(person.body[1], np.mean([to_picture(places[5]), to_picture(places[6])], axis=0), atol=0.4)
    assert person.body[7] is None and len(person.face) == 70 and len(person.left_hand) == len(person.right_hand) == 21
    assert np.allclose(person.face[0], to_picture(places[23]), atol=0.4) and person.face[68:] == person.body[14:16]
    assert np.allclose(person.right_hand[20], to_picture(places[132]), atol=0.4)
    assert pose.seen[0].shape == (1, 3, 384, 288) and control_map.pixels.any() and control_map.extra["parts"] == ["body", "hands", "face"]


def test_animals(toys):
    put_onnx(toys, rtmpose.DETECTOR, Onnx(detections((100, 100, 400, 400, 16, 0.9))))
    places = [(20 + 13.0 * number, 30 + 11.0 * number) for number in range(17)]
    put_onnx(toys, rtmpose.ANIMALS, Onnx(*simcc(places, [0.8] * 17, (256, 256))))
    control_map = registry.detect("animal_openpose", scene(320, 320), registry.request("animal_openpose", {}, 320), toys.tools)
    (animal,) = poses.from_json(control_map.extra["poses"]).animals
    assert len(animal) == 17 and control_map.pixels.any() and control_map.extra["poses"]["people"] == []


def test_a_file_that_is_no_network_is_corrupt(toys):
    (toys.folder / "yolox_l.onnx").write_bytes(b"nothing")
    with pytest.raises(CorruptModel, match="yolox_l"):
        registry.detect("dw_openpose_full", scene(64, 64), registry.request("dw_openpose_full", {}, 64), toys.tools)
