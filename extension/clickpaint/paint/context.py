"""What to paint at once: which part of the picture around the mask, and at which resolution for which model.

The sizes follow what krita-ai-diffusion found to work (its `Bounds` and `compute_bounds`): context grows with the mask, small masks
are painted enlarged, large ones at the model's native size first and then once more at their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clickpaint.image.geometry import Box

MULTIPLE = 8
"""Sides of what a latent model paints are multiples of this."""

REFINE_FROM = 1.5
"""A crop whose sides are this much over the model's size is painted in two passes."""

LARGEST_SIDE = 2048
"""Sides of the second pass are kept below this: what is larger still is painted at this size and scaled up."""


@dataclass(frozen=True)
class PaintPlan:
    """What is painted, and how large.

    Attributes:
        box: the part of the picture.
        first: (width, height) in pixels of the first pass.
        second: that of the refining pass, None where one pass is enough.
    """

    box: Box
    first: tuple[int, int]
    second: tuple[int, int] | None


def plan(
    mask_box: Box, size: tuple[int, int], native: int, *, resolution: int = 0, whole: bool = False, refine: bool | None = None,
    multiple: int = MULTIPLE,
) -> PaintPlan:  # fmt: skip
    """Where and at which resolution to paint what lies in `mask_box` of a picture of `size` (width, height).

    Args:
        native: the side of the square that the model was trained on, in pixels (SD1 512, SDXL 1024).
        resolution: paint at the area of a square with this side instead; 0: native.
        whole: the context is the whole picture (replace, expand).
        refine: whether a second pass may follow; None: where the crop is larger than the model's size by REFINE_FROM.
        multiple: what the sides of both passes are multiples of.
    """
    target = resolution or native
    box = Box(0, 0, *size) if whole else context(mask_box, size, target)
    pixels = math.sqrt(box.area)
    # A crop near the model's size is painted as it is, without any scaling; a small one is enlarged so that details come out.
    near = 1.0 if target <= pixels <= target * REFINE_FROM and not resolution else target / pixels
    first = _sized(box, near, multiple)
    own = _sized(box, min(1.0, LARGEST_SIDE / max(box.size)), multiple)
    wanted = pixels > target * REFINE_FROM if refine is None else refine
    second = own if wanted and own[0] * own[1] > first[0] * first[1] else None
    return PaintPlan(box, first, second)


def context(mask_box: Box, size: tuple[int, int], target: int) -> Box:
    """The part of a picture of `size` that the model should see when it paints `mask_box`; shifted, not cut, at the borders."""
    longest, mean = max(mask_box.size), sum(mask_box.size) / 2
    padding = max(longest / 16, mean / 2)
    wanted = [max(side + 2 * padding, target / 2) for side in mask_box.size]
    # Long strips are hard to paint: the shorter side is brought to at least half of the longer one.
    wanted = [max(side, max(wanted) / 2) for side in wanted]
    spans = []
    for middle, side, limit in zip(mask_box.center, wanted, size, strict=True):
        side = min(math.ceil(side / MULTIPLE) * MULTIPLE, limit)
        start = min(max(round(middle - side / 2), 0), limit - side)
        spans.append((start, start + side))
    (left, right), (top, bottom) = spans
    return Box(left, top, right, bottom)


def scaled(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`pixels`, uint8 [h, w, 3], at (width, height): a copy where it has that size already, so that nothing is blurred for nothing."""
    if pixels.shape[1::-1] == size:
        return pixels.copy()
    import cv2

    shrinking = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LANCZOS4)


def scaled_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`mask`, bool [h, w], at (width, height): selected wherever a selected pixel has a share."""
    if mask.shape[::-1] == size:
        return mask.copy()
    import cv2

    shrinking = size[0] * size[1] < mask.size
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR) > 1e-3


def _sized(box: Box, scale: float, multiple: int) -> tuple[int, int]:
    width, height = (max(round(side * scale / multiple), 1) * multiple for side in box.size)
    return width, height
