"""Optical flow between neighbouring frames, completed where something hides what moves."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from clickpaint.image.channels import length_of, repeated

LONGEST = 640
"""Longest side in pixels at which flow is computed; what it lacks in fineness is made good at the hole's rim (`motion.refined`)."""
CONSISTENT = 1.0
"""Pixels by which the way forth and back may miss where it began, and 5 % of its length."""
CONTAMINATED = 6
"""Pixels around a hole whose flow its inside may have spoilt: DIS compares patches of 8 x 8."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the pixels of one frame are in another.

    Attributes:
        vectors: float32 [h, w, 2], (x, y) in pixels of this size of frame.
        trusted: bool [h, w], where the way back leads to where it began, and no hole is near.
    """

    vectors: np.ndarray
    trusted: np.ndarray


def work_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) at which the flow of frames of `size` (width, height) is computed."""
    scale = min(1.0, LONGEST / max(size))
    return max(round(size[0] * scale), 16), max(round(size[1] * scale), 16)


NOTHING: Any = None
"""For arguments of OpenCV that may be left out, which its stubs do not know."""


def optical_flow() -> Any:
    """DIS, whose `calc(first, second, NOTHING)` takes uint8 [h, w] grey and gives float32 [h, w, 2]."""
    cv2: Any = importlib.import_module("cv2")
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def both_ways(first: np.ndarray, second: np.ndarray, hole_first: np.ndarray, hole_second: np.ndarray) -> tuple[Flow, Flow]:
    """The flow from the first frame to the second and back, by DIS (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search").

    Args:
        first, second: uint8 [h, w] grey, holes filled somehow.
        hole_first, hole_second: bool [h, w], what is not to be believed.
    """
    import cv2

    dis = optical_flow()
    forth, back = dis.calc(first, second, NOTHING), dis.calc(second, first, NOTHING)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CONTAMINATED + 1,) * 2)
    far_first, far_second = (cv2.dilate(hole.astype(np.uint8), kernel) == 0 for hole in (hole_first, hole_second))
    return (
        Flow(forth, consistent(forth, back) & far_first & _lands_on(forth, far_second)),
        Flow(back, consistent(back, forth) & far_second & _lands_on(back, far_first)),
    )


def consistent(forth: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where `back` (float32 [h, w, 2]) undoes `forth`, bool [h, w]; False where that leads out of the picture."""
    height, width = forth.shape[:2]
    there = grid(width, height) + forth
    inside = (there[..., 0] >= 0) & (there[..., 0] <= width - 1) & (there[..., 1] >= 0) & (there[..., 1] <= height - 1)
    missed = length_of(forth + sampled(back, there))
    return inside & (missed <= CONSISTENT + 0.05 * length_of(forth))


def _lands_on(flow: np.ndarray, place: np.ndarray) -> np.ndarray:
    return sampled(place.astype(np.float32), grid(place.shape[1], place.shape[0]) + flow) > 0.99


def grid(width: int, height: int, left: float = 0, top: float = 0) -> np.ndarray:
    """The (x, y) of every pixel, float32 [height, width, 2]."""
    result = np.empty((height, width, 2), np.float32)
    result[..., 0] = np.arange(width, dtype=np.float32) + left
    result[..., 1] = (np.arange(height, dtype=np.float32) + top)[:, None]
    return result


def sampled(plane: np.ndarray, places: np.ndarray, smooth: bool = False) -> np.ndarray:
    """`plane` (float32 [h, w, …]) at `places` (float32 [.., .., 2], x and y), between pixels too; beyond the border its edge goes on."""
    import cv2

    return cv2.remap(plane, places, NOTHING, cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def completed(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`values` (float32 [h, w] or [h, w, C]) where they are known, and a smooth continuation elsewhere.

    known: bool [h, w], or float32 for how much, 0 to 1.

    By push and pull over a pyramid (Gortler et al. 1996, "The Lumigraph"): the same cost however large a hole is.
    """
    import cv2

    weight = known.astype(np.float32)
    levels: list[tuple[np.ndarray, np.ndarray]] = []
    value = values.astype(np.float32) * _over(weight, values)
    while True:
        levels.append((value, weight))
        height, width = weight.shape
        if (weight.min() >= 1 and len(levels) > 1) or max(height, width) <= 2:
            break
        size = (math.ceil(width / 2), math.ceil(height / 2))
        value, weight = (_halved(plane, size) for plane in (value, weight))
        grown = np.minimum(4 * weight, 1)  # one known pixel of four says as much as all
        value = value * _over(grown / np.maximum(weight, 1e-9), value)
        weight = grown
    value, weight = levels[-1]
    total = value / _over(np.maximum(weight, 1e-9), value)
    if not (weight > 0).all():
        total = np.where(_over(weight > 0, value), total, (value.sum(axis=0).sum(axis=0) / max(float(weight.sum()), 1e-9)))
    for value, weight in reversed(levels[:-1]):
        above = cv2.resize(total.astype(np.float32), weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        total = value + above.reshape(value.shape) * _over(1 - weight, value)
    return total


def _halved(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    padded = cv2.copyMakeBorder(plane, 0, plane.shape[0] % 2, 0, plane.shape[1] % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(padded, size, interpolation=cv2.INTER_AREA)


def _over(plane: np.ndarray, like: np.ndarray) -> np.ndarray:
    return plane if like.ndim == 2 else repeated(plane, like.shape[2])
