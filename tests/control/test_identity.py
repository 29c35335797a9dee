"""Faces: insightface's steps around its networks, on networks that answer what they are told."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from clickpaint.control import identity, registry
from clickpaint.errors import CorruptModel, InvalidInput, ModelMissing
from tests.control.pictures import scene

POINTS = np.array([(120, 90), (180, 88), (150, 120), (128, 150), (176, 149)], float)
"""Eyes, nose and corners of the mouth, in a picture 320 wide and 240 high."""
BOX = (100, 60, 200, 180)


class Session:
    """As onnxruntime's, with one input."""

    def __init__(self, *answers: np.ndarray) -> None:
        self.answers, self.seen = answers, []

    def get_inputs(self):
        return [SimpleNamespace(name="input.1")]

    def run(self, names, inputs):
        self.seen.append(inputs["input.1"])
        return [*self.answers]


def detected(*faces, scale=2.0, stride=16):
    """SCRFD's raw answer: nine arrays, for faces of (box, five points, score) in pixels of a picture `scale` times smaller."""
    outputs = {}
    for step in (8, 16, 32):
        count = (640 // step) ** 2 * 2
        outputs |= {(step, columns): np.zeros((count, columns), np.float32) for columns in (1, 4, 10)}
    for number, (box, points, score) in enumerate(faces):
        box, points = np.array(box) * scale, np.asarray(points) * scale
        across, down = (int(value) // stride for value in points.mean(axis=0))
        at, centre = (down * (640 // stride) + across) * 2 + number % 2, np.array([across, down]) * stride
        outputs[stride, 1][at] = score
        outputs[stride, 4][at] = np.concatenate([centre - box[:2], box[2:] - centre]) / stride
        outputs[stride, 10][at] = ((points - centre) / stride).ravel()
    return [outputs[step, columns] for columns in (1, 4, 10) for step in (8, 16, 32)]


def put(toys, name, *answers):
    session = Session(*answers)
    toys.tools.models.get(("control", name, "cpu"), lambda: (session, 1))
    return session


@pytest.fixture
def runs(monkeypatch):
    """Preprocessors run without onnxruntime, whose sessions are stand-ins."""
    monkeypatch.setattr(registry, "unavailable", lambda name: None)


def face_in(pixels, toys):
    face = identity.largest_face(pixels, toys.tools, identity.ANTELOPE[0])
    assert face is not None
    return face


def picture():
    return scene(240, 320)


def test_the_largest_face_is_found_in_pixels_of_the_picture(toys):
    small = (np.array(BOX) / 4 + (200, 20, 200, 20), POINTS / 4 + (200, 20), 0.99)
    session = put(toys, identity.ANTELOPE[0], *detected((BOX, POINTS, 0.8), small))
    face = face_in(picture(), toys)
    assert np.allclose(face, POINTS, atol=1e-3)
    (seen,) = session.seen
    assert seen.shape == (1, 3, 640, 640) and seen.dtype == np.float32
    assert np.allclose(seen[0, :, 480:], -127.5 / 128), "what is beside the picture is black"
    expected = (picture()[:, :, 0].mean() - 127.5) / 128
    assert abs(seen[0, 0, :480].mean() - expected) < 0.02, "red comes first"


def test_of_boxes_that_overlap_the_likeliest_counts(toys):
    shifted = (np.array(BOX) + 2, POINTS + 2, 0.9)
    put(toys, identity.ANTELOPE[0], *detected((BOX, POINTS, 0.7), shifted))
    assert np.allclose(face_in(picture(), toys), POINTS + 2, atol=1e-3)


def test_upright_pictures_are_scaled_by_their_height(toys):
    upright = np.ascontiguousarray(picture().transpose(1, 0, 2))
    put(toys, identity.ANTELOPE[0], *detected((BOX, POINTS, 0.8)))
    assert np.allclose(face_in(upright, toys), POINTS, atol=1e-3)


@pytest.mark.parametrize(("angle", "scale"), [(0, 1.0), (0.6, 0.5), (-1.2, 2.3)])
def test_an_aligned_face_is_turned_and_scaled_but_not_bent(angle, scale):
    turn = scale * np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    points = (identity._ALIGNED - 56) @ turn.T + (150, 140)
    pixels = np.zeros((300, 300, 3), np.uint8)
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (250, 0, 250)]
    for (x, y), color in zip(points, colors, strict=True):
        pixels[int(y) - 3 : int(y) + 5, int(x) - 3 : int(x) + 5] = color
    face = identity.aligned(pixels, points)
    assert face.shape == (112, 112, 3)
    for (x, y), color in zip(identity._ALIGNED, colors, strict=True):
        assert np.abs(face[round(y), round(x)].astype(int) - color).max() < 130, "each point is where it should be"


@pytest.mark.parametrize(("name", "networks", "normed"), [
    ("instant_id_face_embedding", identity.ANTELOPE, False), ("ip-adapter_face_id", identity.BUFFALO, True),
])  # fmt: skip
def test_an_embedding_is_of_the_aligned_face(toys, runs, name, networks, normed):
    pixels = picture()
    put(
        toys,
        networks[0],
        *detected(
            (BOX, POINTS, 0.8),
        ),
    )
    answer = np.linspace(-1, 3, 512, dtype=np.float32)[None]
    session = put(toys, networks[1], answer)
    control_map = registry.detect(name, pixels, registry.request(name, {}, None if normed else 240), toys.tools)
    assert control_map.embedding is not None and control_map.embedding.shape == (1, 512) and control_map.embedding.dtype == np.float32
    assert np.allclose(control_map.embedding, answer / np.linalg.norm(answer) if normed else answer, atol=1e-6)
    face = session.seen[0][0].transpose(1, 2, 0) * 127.5 + 127.5
    assert np.abs(face - control_map.pixels).max() < 0.01 and control_map.pixels.shape == (112, 112, 3)


def test_keypoints_are_drawn_with_bars_to_the_nose(toys, runs):
    put(toys, identity.ANTELOPE[0], *detected((BOX, POINTS, 0.8)))
    control_map = registry.detect(
        "instant_id_face_keypoints", picture(), registry.request("instant_id_face_keypoints", {}, 240), toys.tools
    )
    assert control_map.pixels.shape == (240, 320, 3)
    for (x, y), color in zip(POINTS, identity._COLORS, strict=True):
        assert control_map.pixels[int(y), int(x)].tolist() == list(color)
    middle = (POINTS[3] + POINTS[2]) / 2
    assert control_map.pixels[int(middle[1]), int(middle[0])].tolist() == [153, 153, 0], "bars are darker"
    assert not control_map.pixels[:70].any() and not control_map.pixels[:, :100].any()


def test_without_a_face_there_is_a_note_or_an_error(toys, runs):
    put(toys, identity.ANTELOPE[0], *detected())
    control_map = registry.detect(
        "instant_id_face_keypoints", picture(), registry.request("instant_id_face_keypoints", {}, 240), toys.tools
    )
    assert not control_map.pixels.any() and control_map.extra["note"] == "No face was found in the picture."
    with pytest.raises(InvalidInput, match="No face was found"):
        registry.detect("instant_id_face_embedding", picture(), registry.request("instant_id_face_embedding"), toys.tools)


def test_files_that_are_missing_or_no_network_are_said(toys, runs, monkeypatch):
    with pytest.raises(ModelMissing, match=r"scrfd_10g_bnkps\.onnx"):
        registry.detect("instant_id_face_keypoints", picture(), registry.request("instant_id_face_keypoints"), toys.tools)

    def broken(*_, **__):
        raise RuntimeError("protobuf parsing failed")

    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", SimpleNamespace(InferenceSession=broken, SessionOptions=SimpleNamespace))
    path = toys.folder / "scrfd_10g_bnkps.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no")
    with pytest.raises(CorruptModel, match="cannot be read as ONNX"):
        registry.detect("instant_id_face_keypoints", picture(), registry.request("instant_id_face_keypoints"), toys.tools)
