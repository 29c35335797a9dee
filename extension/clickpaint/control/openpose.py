"""Bodies, hands and faces by OpenPose (Cao et al. 2019, "OpenPose: Realtime Multi-Person 2D Pose Estimation")."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat.uninitialised import bare
from clickpaint.control import pose_drawing, poses
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.network import Network, transferred
from clickpaint.control.poses import Person, Points, Poses
from clickpaint.control.resize import working

if TYPE_CHECKING:
    import torch

BODY = Network("control_openpose_body", lambda: module("open_pose.model").bodypose_model(), transferred)
HAND = Network("control_openpose_hand", lambda: module("open_pose.model").handpose_model(), transferred)
FACE = Network("control_openpose_face", lambda: module("open_pose.face").FaceNet())

_HAND_SIDE, _STRIDE, _GREY = 128, 8, 128
_HAND_SIZES = (184, 368, 552, 736)  # sides at which the network looks at a hand


def openpose(
    pixels: np.ndarray, request: Request, tools: Tools, *, body: bool = True, hands: bool = False, face: bool = False
) -> ControlMap:
    """extra "poses": OpenPose's JSON, in pixels of the map; "parts": those that are drawn."""
    at = working(pixels, request.resolution)
    estimated = Poses(at.pixels.shape[1], at.pixels.shape[0], tuple(_people(at.pixels, tools, hands, face)))
    return drawn(estimated, at.height, at.width, body=body, hands=hands, face=face)


def drawn(estimated: Poses, height: int, width: int, **parts: bool) -> ControlMap:
    """Poses on a padded canvas as the map of its upper left height × width pixels; parts: which of `PARTS` are drawn (all)."""
    picture = np.ascontiguousarray(pose_drawing.draw(estimated, **parts)[:height, :width])
    shown = [part for part in pose_drawing.PARTS if parts.get(part, True)]
    extra: dict[str, Any] = {"poses": poses.to_json(Poses(width, height, estimated.people, estimated.animals)), "parts": shown}
    if not estimated.people and not estimated.animals:
        extra["note"] = "Nobody was found in the picture."
    return ControlMap(picture, extra)


def _people(pixels: np.ndarray, tools: Tools, hands: bool, face: bool) -> list[Person]:
    bgr = np.ascontiguousarray(pixels[:, :, ::-1])
    tools_of = module("open_pose.util")  # before .body, which it and .body import in a circle
    estimator = module("open_pose.body").Body
    candidate, subset = BODY.run(tools, lambda loaded, device: bare(estimator, model=loaded)(bgr))
    people = []
    for number, body in enumerate(estimator.format_body_result(candidate, subset)):
        tools.progress.report(number / max(len(subset), 1), "Looking at hands and faces")
        left, right = _hands(bgr, body, tools, tools_of) if hands else ((), ())
        people.append(
            Person(
                tuple(None if point is None else _within(point.x, point.y, pixels) for point in body.keypoints),
                left,
                right,
                _face(bgr, body, tools, tools_of) if face else (),
            )
        )
    return people


def _within(x: float, y: float, pixels: np.ndarray) -> tuple[float, float]:
    """Through parts of the sides and back, as sd-webui-controlnet keeps them: that may move a point by the last bit, and by a pixel
    when it is drawn."""
    height, width = pixels.shape[:2]
    return float(x) / float(width) * width, float(y) / float(height) * height


def _placed(peaks: np.ndarray, x: int, y: int, pixels: np.ndarray) -> Points:
    """Peaks (int [N, 2], (x, y) in a crop; 0 = not found) in pixels of the picture; in float32, as there."""
    height, width = pixels.shape[:2]
    offset, sides = np.array([x, y], np.float32), np.array([width, height], np.float32)
    parts = (peaks.astype(np.float32) + offset) / sides
    return tuple(
        None if min(peak) < 1e-6 else (float(part[0]) * width, float(part[1]) * height) for peak, part in zip(peaks, parts, strict=True)
    )


def _hands(bgr: np.ndarray, body: Any, tools: Tools, tools_of: Any) -> tuple[Points, Points]:
    """(left, right)."""
    hands_by_side: dict[bool, Points] = {}
    for x, y, side, is_left in tools_of.handDetect(body, bgr):
        crop = bgr[y : y + side, x : x + side]
        peaks = HAND.run(tools, lambda loaded, device, crop=crop: hand_peaks(loaded, crop, device, tools_of))
        hands_by_side[bool(is_left)] = _placed(peaks, x, y, bgr)
    return hands_by_side.get(True, ()), hands_by_side.get(False, ())


def _face(bgr: np.ndarray, body: Any, tools: Tools, tools_of: Any) -> Points:
    box = tools_of.faceDetect(body, bgr)
    if box is None:
        return ()
    x, y, side = box
    crop = bgr[y : y + side, x : x + side]
    estimator = module("open_pose.face").Face

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        estimate = bare(estimator, model=loaded)
        return estimate.compute_peaks_from_heatmaps(estimate(crop))

    peaks = FACE.run(tools, work)
    return _placed(peaks, x, y, bgr) if peaks.ndim == 2 else ()


def hand_peaks(network: Any, crop: np.ndarray, device: torch.device, tools_of: Any) -> np.ndarray:
    """int [21, 2], (x, y) in pixels of `crop` (uint8 [H, W, 3] BGR), (0, 0) for a joint that is not seen (Simon et al. 2017,
    "Hand Keypoint Detection in Single Images using Multiview Bootstrapping").

    The joint is where the heat, averaged over several sizes, is highest within the warmest of its blobs.
    """
    import cv2
    import torch
    from scipy import ndimage

    labelled: Any = ndimage.label
    blurred = cv2.GaussianBlur(crop, (0, 0), 0.8)
    heat = np.zeros((_HAND_SIDE, _HAND_SIDE, poses.HAND + 1))
    for side in _HAND_SIZES:
        image, pad = tools_of.padRightDownCorner(tools_of.smart_resize(blurred, (side, side)), _STRIDE, _GREY)
        data = np.ascontiguousarray(image.astype(np.float32).transpose(2, 0, 1)[None] / 256 - 0.5)
        answer = network(torch.from_numpy(data).to(device))[0].permute(1, 2, 0).cpu().numpy()
        answer = tools_of.smart_resize_k(answer, fx=_STRIDE, fy=_STRIDE)[: image.shape[0] - pad[2], : image.shape[1] - pad[3]]
        heat += tools_of.smart_resize(answer, (_HAND_SIDE, _HAND_SIDE)) / len(_HAND_SIZES)
    peaks = np.zeros((poses.HAND, 2), int)
    for joint in range(poses.HAND):
        plane = heat[:, :, joint]
        labels, count = labelled(ndimage.gaussian_filter(plane, sigma=3) > 0.05, np.ones((3, 3)))
        if count:
            warmest = 1 + int(np.argmax([plane[labels == number].sum() for number in range(1, count + 1)]))
            y, x = divmod(int(np.argmax(np.where(labels == warmest, plane, 0))), plane.shape[1])
            peaks[joint] = int(float(x) * crop.shape[1] / _HAND_SIDE), int(float(y) * crop.shape[0] / _HAND_SIDE)
    return peaks


_ALL = (BODY.model, HAND.model, FACE.model)


def _described(name: str, models: tuple[str, ...], priority: int = 0, **parts: bool) -> Preprocessor:
    return Preprocessor(
        name, name, ("OpenPose",), partial(openpose, **parts), models=models, packages=(*NEEDS, "torchvision", "scipy"),
        control_models=("openpose",), priority=priority,
    )  # fmt: skip


PREPROCESSORS = (
    _described("openpose", _ALL[:1]),
    _described("openpose_face", (BODY.model, FACE.model), face=True),
    _described("openpose_faceonly", (BODY.model, FACE.model), body=False, face=True),
    _described("openpose_hand", _ALL[:2], hands=True),
    _described("openpose_full", _ALL, 100, hands=True, face=True),
)
