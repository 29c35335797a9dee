"""Whole bodies by DWPose (Yang et al. 2023, "Effective Whole-body Pose Estimation with Two-stages Distillation") and animals by RTMPose
(Jiang et al. 2023), each after YOLOX has found where they are. OpenCV runs the networks, on the CPU, as in sd-webui-controlnet."""

from __future__ import annotations

from typing import Any

import numpy as np

from clickpaint.compat.interruptible import interruptible
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.openpose import drawn
from clickpaint.control.poses import Person, Points, Poses
from clickpaint.control.resize import working
from clickpaint.errors import CorruptModel

DETECTOR, WHOLE_BODY, ANIMALS = "control_yolox", "control_dwpose", "control_animal_pose"

_DETECTOR_SIDE, _GREY = 640, 114
_PERSON, _ANIMALS = (0,), tuple(range(14, 24))  # classes of COCO
_WHOLE_BODY_SIZE, _ANIMAL_SIZE = (288, 384), (256, 256)  # (width, height)
_MEAN, _DEVIATION = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
_LEAST = 0.3
_PADDING = 1.25  # of a box, by which a pose is looked at
_AS_OPENPOSE = (0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""Where OpenPose's 18 points are among COCO's 17, of which number 17 is the neck."""


def dw_openpose(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """extra "poses": OpenPose's JSON, in pixels of the map."""
    at = working(pixels, request.resolution)
    boxes = _boxes(at.pixels, tools, _PERSON)
    # without anybody in the picture, sd-webui-controlnet looks at all of it, unless the detector saw nothing whatever
    people = () if boxes is None else tuple(map(_person, *_keypoints(at.pixels, boxes, tools, WHOLE_BODY, _WHOLE_BODY_SIZE)))
    return drawn(Poses(at.pixels.shape[1], at.pixels.shape[0], people), at.height, at.width)


def animal_openpose(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Birds, cats, dogs, horses and other quadrupeds. extra "poses": OpenPose's JSON with "animals", in pixels of the map."""
    at = working(pixels, request.resolution)
    boxes = _boxes(at.pixels, tools, _ANIMALS)
    animals: tuple[Points, ...] = ()
    if boxes is not None and len(boxes):
        keypoints, _ = _keypoints(at.pixels, boxes, tools, ANIMALS, _ANIMAL_SIZE)
        animals = tuple(tuple((float(x), float(y)) for x, y in points) for points in keypoints)
    return drawn(Poses(at.pixels.shape[1], at.pixels.shape[0], (), animals), at.height, at.width)


def _person(points: np.ndarray, scores: np.ndarray) -> Person:
    """Of 133 points: 17 of the body, 6 of the feet, 68 of the face, 21 of each hand."""
    neck = np.append(points[5:7].mean(axis=0), float((scores[5:7] > _LEAST).all()))
    body = np.concatenate([points, scores[:, None]], axis=1)
    return _described(np.vstack([body[:17], neck])[list(_AS_OPENPOSE)], body[91:112], body[112:133], body[23:91])


def _described(body: np.ndarray, left: np.ndarray, right: np.ndarray, face: np.ndarray) -> Person:
    parts = [tuple((float(x), float(y)) if score >= _LEAST else None for x, y, score in part) for part in (body, left, right, face)]
    body_points, left_points, right_points, face_points = (part if any(part) else () for part in parts)
    pupils = parts[0][14:16]  # OpenPose's face has 70 points: the pupils come last
    return Person(parts[0] if body_points else (), left_points, right_points, (*face_points, *pupils) if face_points else ())


def _boxes(pixels: np.ndarray, tools: Tools, classes: tuple[int, ...]) -> np.ndarray | None:
    """float [N, 4], (left, top, right, bottom), of the objects of these classes; None if nothing whatever was seen (Ge et al. 2021,
    "YOLOX")."""
    import cv2

    height, width = pixels.shape[:2]
    scale = min(_DETECTOR_SIDE / height, _DETECTOR_SIDE / width)
    canvas = np.full((_DETECTOR_SIDE, _DETECTOR_SIDE, 3), _GREY, np.uint8)
    size = int(width * scale), int(height * scale)
    canvas[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    predictions = _answers(tools, DETECTOR, canvas.astype(np.float32))[0][0]
    cells, strides = _cells()
    centre, sides = (predictions[:, :2] + cells) * strides, np.exp(predictions[:, 2:4]) * strides
    corners = np.concatenate([centre - sides / 2, centre + sides / 2], axis=1) / scale
    scores = predictions[:, 4:5] * predictions[:, 5:]
    seen = False
    kept: list[np.ndarray] = []
    for number in range(scores.shape[1]):
        likely = scores[:, number] > 0.1
        seen = seen or bool(likely.any())
        if number in classes and likely.any():
            best = suppressed(corners[likely], scores[likely, number])
            kept.append(corners[likely][best][scores[likely, number][best] > _LEAST])
    if not seen:
        return None
    return np.concatenate(kept) if kept else np.zeros((0, 4))


def _cells() -> tuple[np.ndarray, np.ndarray]:
    """(x, y) and stride of each of the detector's cells, [8400, 2] and [8400, 1]."""
    cells, strides = [], []
    for stride in (8, 16, 32):
        count = _DETECTOR_SIDE // stride
        down, across = np.mgrid[:count, :count]
        cells.append(np.stack([across, down], axis=2).reshape(-1, 2))
        strides.append(np.full((count * count, 1), stride))
    return np.concatenate(cells), np.concatenate(strides)


def suppressed(boxes: np.ndarray, scores: np.ndarray, most: float = 0.45) -> list[int]:
    """The boxes that overlap no better one by more than `most`; a box's right and bottom pixel belong to it."""
    left, top, right, bottom = boxes.T
    areas = (right - left + 1) * (bottom - top + 1)
    order, kept = scores.argsort()[::-1], []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        wide = np.maximum(0.0, np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]) + 1)
        high = np.maximum(0.0, np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]) + 1)
        both = wide * high
        order = rest[both / (areas[best] + areas[rest] - both) <= most]
    return kept


def _keypoints(
    pixels: np.ndarray, boxes: np.ndarray, tools: Tools, model: str, size: tuple[int, int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(x, y) [K, 2] and scores [K] for each box; for the whole picture if there is none (Li et al. 2022, "SimCC")."""
    import cv2

    points, scores = [], []
    if not len(boxes):
        boxes = np.array([[0, 0, pixels.shape[1], pixels.shape[0]]])
    for number, box in enumerate(boxes):
        tools.progress.report(number / len(boxes), "Looking at poses")
        centre, extent = (box[:2] + box[2:]) * 0.5, (box[2:] - box[:2]) * _PADDING
        aspect = size[0] / size[1]
        wide = extent[0] > extent[1] * aspect
        extent = np.array([extent[0], extent[0] / aspect]) if wide else np.array([extent[1] * aspect, extent[1]])
        crop = cv2.warpAffine(pixels, _onto(centre, extent[0], size), size, flags=cv2.INTER_LINEAR)
        across, down = _answers(tools, model, (crop - _MEAN) / _DEVIATION)[:2]
        place = np.stack([across[0].argmax(1), down[0].argmax(1)], axis=1).astype(np.float32)
        score = np.minimum(across[0].max(1), down[0].max(1))
        place[score <= 0] = -1
        points.append(place / 2.0 / size * extent + centre - extent / 2)  # two bins for a pixel
        scores.append(score)
    return points, scores


def _onto(centre: np.ndarray, width: float, size: tuple[int, int]) -> np.ndarray:
    """The affine map [2, 3] of the box around `centre`, `width` wide, onto `size`, by three points of each."""
    import cv2

    middle = np.array(size) * 0.5
    above, beside = np.array([0.0, -0.5]), np.array([-0.5, 0.0])
    source = np.array([centre, centre + above * width, centre + above * width + beside * width], np.float32)
    target = np.array([middle, middle + above * size[0], middle + above * size[0] + beside * size[0]], np.float32)
    return np.asarray(cv2.getAffineTransform(source, target))


def _answers(tools: Tools, model: str, image: np.ndarray) -> Any:
    """The outputs of the network for an image, float [H, W, 3]."""
    network = tools.models.get(("control", model, "cpu"), lambda: _load(tools, model), tools.progress)

    def work() -> Any:
        network.setInput(np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float32))
        return network.forward(network.getUnconnectedOutLayersNames())

    tools.progress.report(None, "Looking at the picture")
    return interruptible(work, tools.progress)


def _load(tools: Tools, model: str) -> tuple[Any, int]:
    import cv2

    path = tools.store.require(model, tools.progress)
    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(path.read_bytes(), np.uint8))
    except cv2.error as error:
        raise CorruptModel(
            "{file} cannot be read as ONNX: {reason}",
            "Download it again, or put the right file there.",
            model=model,
            file=path.name,
            reason=error.err,
        ) from error
    network.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    network.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    return network, path.stat().st_size


PREPROCESSORS = (
    Preprocessor(
        "dw_openpose_full", "dw_openpose_full", ("OpenPose",), dw_openpose,
        models=(DETECTOR, WHOLE_BODY), control_models=("openpose",),
    ),
    Preprocessor(
        "animal_openpose", "animal_openpose", ("OpenPose",), animal_openpose,
        models=(DETECTOR, ANIMALS), control_models=("animal_openpose", "openpose"),
    ),
)  # fmt: skip
