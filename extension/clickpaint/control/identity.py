"""Whose face it is, as a vector for adapters, and where it looks: by insightface's networks, from files that the user put there."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from clickpaint.compat.interruptible import interruptible
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.resize import working
from clickpaint.control.rtmpose import suppressed
from clickpaint.errors import InvalidInput
from clickpaint.weights.onnx_session import open_session

ANTELOPE = ("control_face_scrfd_antelope", "control_face_arcface_antelope")
BUFFALO = ("control_face_scrfd_buffalo", "control_face_arcface_buffalo")
"""A detector's and a recognizer's names in the catalog: those that InstantID and that IP-Adapter FaceID were trained with."""

_SIDE, _STRIDES, _ANCHORS, _LEAST, _OVERLAP = 640, (8, 16, 32), 2, 0.5, 0.4
_ALIGNED_SIDE = 112
_ALIGNED = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)])
"""Where eyes, nose and corners of the mouth of an aligned face are, (x, y) (Deng et al. 2019, "ArcFace")."""

_COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
_NOSE, _STICK, _RADIUS, _SHADE = 2, 4, 10, 0.6
_NOBODY = "No face was found in the picture."


def embedding(pixels: np.ndarray, request: Request, tools: Tools, *, networks: tuple[str, str], normed: bool) -> ControlMap:
    """embedding: float32 [1, 512], of the largest face; of length 1 where `normed`. Raises `InvalidInput` where no face is."""
    seen = pixels if normed else working(pixels, request.resolution).pixels
    points = largest_face(seen, tools, networks[0])
    if points is None:
        raise InvalidInput(_NOBODY, "Choose a picture that shows a face from the front, and large.")
    face = aligned(seen, points)
    embedding = _answers(tools, networks[1], (face.astype(np.float32) - 127.5) / 127.5)[0].reshape(1, -1)
    return ControlMap(face, embedding=np.asarray(embedding / np.linalg.norm(embedding) if normed else embedding, np.float32))


def keypoints(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Eyes, nose and mouth of the largest face as discs, and bars from each to the nose, as InstantID's ControlNet was shown them."""
    import cv2

    at = working(pixels, request.resolution)
    points = largest_face(at.pixels, tools, ANTELOPE[0])
    canvas = np.zeros_like(at.pixels)
    if points is None:
        return ControlMap(np.ascontiguousarray(at.crop(canvas)), {"note": _NOBODY})
    for number, color in enumerate(_COLORS):
        if number == _NOSE:
            continue
        (across, down), middle = points[number] - points[_NOSE], (points[number] + points[_NOSE]) / 2
        axes = int(np.hypot(across, down) / 2), _STICK
        outline = cv2.ellipse2Poly((int(middle[0]), int(middle[1])), axes, int(np.degrees(np.arctan2(down, across))), 0, 360, 1)
        cv2.fillConvexPoly(canvas, np.asarray(outline), [int(channel * _SHADE) for channel in color])
    for (x, y), color in zip(points, _COLORS, strict=True):
        cv2.circle(canvas, (int(x), int(y)), _RADIUS, color, -1)
    return ControlMap(np.ascontiguousarray(at.crop(canvas)))


def largest_face(pixels: np.ndarray, tools: Tools, detector: str) -> np.ndarray | None:
    """float [5, 2], (x, y) of eyes, nose and corners of the mouth in pixels (Guo et al. 2021, "SCRFD"); None without a face."""
    import cv2

    height, width = pixels.shape[:2]
    size = (int(_SIDE * width / height), _SIDE) if height > width else (_SIDE, int(_SIDE * height / width))
    canvas = np.zeros((_SIDE, _SIDE, 3), np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(pixels, size)
    answers = {
        part.shape[-2:]: part.reshape(part.shape[-2:]) for part in _answers(tools, detector, (canvas.astype(np.float32) - 127.5) / 128)
    }
    scores, boxes, points = [], [], []
    for stride in _STRIDES:
        down, across = np.mgrid[: _SIDE // stride, : _SIDE // stride] * stride
        centres = np.repeat(np.stack([across, down], axis=2).reshape(-1, 2), _ANCHORS, axis=0)
        score, sides, offsets = (answers[len(centres), columns] for columns in (1, 4, 10))
        likely = score[:, 0] >= _LEAST
        centre, sides = centres[likely], sides[likely] * stride
        scores.append(score[likely, 0])
        boxes.append(np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1))
        points.append(centre[:, None] + offsets[likely].reshape(-1, 5, 2) * stride)
    candidates = np.concatenate(boxes)
    if not len(candidates):
        return None
    kept = suppressed(candidates, np.concatenate(scores), _OVERLAP)
    left, top, right, bottom = candidates[kept].T
    return np.concatenate(points)[kept[int(np.argmax((right - left) * (bottom - top)))]] * (height / size[1])


def aligned(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """uint8 [112, 112, 3]: the face turned, scaled and moved so that its points lie where they should (Umeyama 1991)."""
    import cv2

    source, target = points - points.mean(axis=0), _ALIGNED - _ALIGNED.mean(axis=0)
    u, strengths, v = np.linalg.svd(target.T @ source)
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    turn = (u * signs) @ v * ((strengths * signs).sum() / (source**2).sum())
    affine = np.column_stack([turn, _ALIGNED.mean(axis=0) - turn @ points.mean(axis=0)])
    return np.asarray(cv2.warpAffine(pixels, affine, (_ALIGNED_SIDE, _ALIGNED_SIDE), borderValue=0))


def _answers(tools: Tools, model: str, image: np.ndarray) -> list[np.ndarray]:
    """The outputs of the network for an image, float [H, W, 3] RGB."""
    session = tools.models.get(("control", model, "cpu"), lambda: _load(tools, model), tools.progress)
    tools.progress.report(None, "Looking at the picture")
    data = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
    return interruptible(lambda: session.run(None, {session.get_inputs()[0].name: data}), tools.progress)


def _load(tools: Tools, model: str) -> tuple[Any, int]:
    path = tools.store.require(model, tools.progress)
    return open_session(path, model), path.stat().st_size


_PACKAGES = ("onnxruntime",)

PREPROCESSORS = (
    Preprocessor(
        "instant_id_face_embedding", "instant_id_face_embedding", ("Instant-ID",),
        partial(embedding, networks=ANTELOPE, normed=False), models=ANTELOPE, packages=_PACKAGES, control_models=("instant_id",),
        returns="embedding",
    ),
    Preprocessor(
        "instant_id_face_keypoints", "instant_id_face_keypoints", ("Instant-ID",), keypoints,
        models=ANTELOPE[:1], packages=_PACKAGES, control_models=("instant_id",),
    ),
    Preprocessor(
        "ip-adapter_face_id", "ip-adapter_face_id", ("IP-Adapter",), partial(embedding, networks=BUFFALO, normed=True),
        resolution=None, models=BUFFALO, packages=_PACKAGES, control_models=("face_id", "faceid"), returns="embedding",
    ),
)  # fmt: skip
