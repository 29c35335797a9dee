"""Boxes, and the crop that a model works on: which part of the picture, at which size, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A rectangle of pixels, origin top-left, right and bottom exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.width, self.height

    @property
    def area(self) -> int:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y)"""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def slices(self) -> tuple[slice, slice]:
        """For indexing an array [H, W, ...]: `array[box.slices]`."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def clipped(self, width: int, height: int) -> Box:
        """The part inside a picture of this size; empty (width or height 0) where there is none."""
        left, top = min(max(self.left, 0), width), min(max(self.top, 0), height)
        return Box(left, top, min(max(self.right, left), width), min(max(self.bottom, top), height))

    def padded(self, pixels: int) -> Box:
        """Larger by `pixels` on every side; may reach out of the picture."""
        return Box(self.left - pixels, self.top - pixels, self.right + pixels, self.bottom + pixels)

    def shifted(self, x: int, y: int) -> Box:
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        return Box(min(self.left, other.left), min(self.top, other.top), max(self.right, other.right), max(self.bottom, other.bottom))

    def intersection(self, other: Box) -> Box | None:
        """What both have in common, None where that is nothing."""
        box = Box(max(self.left, other.left), max(self.top, other.top), min(self.right, other.right), min(self.bottom, other.bottom))
        return box if box.width > 0 and box.height > 0 else None

    def contains(self, other: Box) -> bool:
        """Whether `other` lies wholly inside this box."""
        return self.left <= other.left and self.top <= other.top and other.right <= self.right and other.bottom <= self.bottom


@dataclass(frozen=True)
class CropRules:
    """What a model wants to see around a hole.

    Attributes:
        padding: context on each side of the hole, as a fraction of the diagonal of its box.
        padding_min: but at least so many pixels.
        min_size: smallest side of the crop in pixels.
        multiple: both sides of the work size are multiples of it.
        max_size: longest side of the work size; a larger crop is shrunk to it.
        square: both sides of the crop alike.
    """

    padding: float = 0.25
    padding_min: int = 96
    min_size: int = 256
    multiple: int = 8
    max_size: int = 1024
    square: bool = False

    def __post_init__(self) -> None:
        if self.padding < 0 or self.padding_min < 0 or self.multiple < 1 or self.min_size < 1:
            raise ValueError(f"unusable {self}")
        if self.max_size < max(self.multiple, self.min_size):
            raise ValueError(f"max_size is below min_size or multiple in {self}")


@dataclass(frozen=True)
class CropPlan:
    """Which part of a picture a model gets, and how.

    Attributes:
        box: the part, inside the picture.
        content_size: (width, height) it is scaled to; the box's own size unless that is over the longest side allowed.
        work_size: (width, height) that the model sees: the content at the top-left, and below and right of it a reflection up to the
            minimum size and the next multiple.
    """

    box: Box
    content_size: tuple[int, int]
    work_size: tuple[int, int]

    @property
    def shrunk(self) -> bool:
        return self.content_size != self.box.size

    def extract(self, pixels: np.ndarray) -> np.ndarray:
        """The crop of the whole picture `pixels` [H, W, C] at the work size, a new array of the same dtype."""
        return self.to_work(pixels[self.box.slices])

    def to_work(self, crop: np.ndarray) -> np.ndarray:
        """What was cut out at `box`, [box.height, box.width, C], at the work size, a new array."""
        if self.shrunk:
            import cv2

            crop = cv2.resize(np.ascontiguousarray(crop), self.content_size, interpolation=cv2.INTER_AREA)
        return self._filled_up(crop)

    def mask_to_work(self, crop: np.ndarray) -> np.ndarray:
        """What was cut out of a mask at `box`, bool, at the work size: True wherever a selected pixel has any share in it.

        The reflection mirrors the mask too, so that what is to be removed never stands in it as if it were known.
        """
        if self.shrunk:
            import cv2

            crop = cv2.resize(crop.astype(np.float32), self.content_size, interpolation=cv2.INTER_AREA) > 0
        return self._filled_up(crop)

    def restore(self, result: np.ndarray) -> np.ndarray:
        """The way back: `result` at the work size → at the box's size. Exact where nothing was scaled."""
        if result.shape[:2] != self.work_size[::-1]:
            raise ValueError(f"expected a result of {self.work_size} (width, height), got {result.shape[1::-1]}")
        content = result[: self.content_size[1], : self.content_size[0]]
        if not self.shrunk:
            return content
        import cv2

        return cv2.resize(np.ascontiguousarray(content), self.box.size, interpolation=cv2.INTER_CUBIC)

    def _filled_up(self, crop: np.ndarray) -> np.ndarray:
        right, bottom = self.work_size[0] - crop.shape[1], self.work_size[1] - crop.shape[0]
        if right == 0 and bottom == 0:
            return crop.copy()
        return np.pad(crop, [(0, bottom), (0, right)] + [(0, 0)] * (crop.ndim - 2), mode="symmetric")


def plan_crop(mask_box: Box, size: tuple[int, int], rules: CropRules) -> CropPlan:
    """The crop around `mask_box` in a picture of `size` (width, height).

    At a border the crop is shifted rather than cut, so that no context is lost; only where the picture itself is too small
    is it filled up by reflection.
    """
    padding = max(math.ceil(rules.padding * math.hypot(*mask_box.size)), rules.padding_min)
    wanted = [max(side + 2 * padding, rules.min_size) for side in mask_box.size]
    if rules.square:
        wanted = [max(wanted)] * 2
    wanted = [_ceil(side, rules.multiple) for side in wanted]
    (left, right), (top, bottom) = (_around(middle, side, whole) for middle, side, whole in zip(mask_box.center, wanted, size, strict=True))
    box = Box(left, top, right, bottom)

    longest = rules.max_size // rules.multiple * rules.multiple
    scale = min(1.0, longest / max(box.size))
    content = box.size if scale == 1.0 else tuple(max(1, round(side * scale)) for side in box.size)
    # The minimum may itself be no multiple and round up beyond the longest side: the model's multiple wins.
    work = tuple(_ceil(max(side, rules.min_size), rules.multiple) for side in content)
    if rules.square:
        work = (max(work),) * 2
    return CropPlan(box, (content[0], content[1]), (work[0], work[1]))


def _around(middle: float, side: int, whole: int) -> tuple[int, int]:
    """Start and end of a stretch of `side` around `middle`, shifted into 0..whole; all of it where it is longer."""
    side = min(side, whole)
    start = min(max(round(middle - side / 2), 0), whole - side)
    return start, start + side


def _ceil(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def fitting(ratio: tuple[int, int], box: Box) -> Box:
    """The largest box of a ratio (width, height) inside of another, around its middle."""
    width = min(box.width, max(round(box.height * ratio[0] / ratio[1]), 1))
    height = min(box.height, max(round(width * ratio[1] / ratio[0]), 1))
    left, top = box.left + (box.width - width) // 2, box.top + (box.height - height) // 2
    return Box(left, top, left + width, top + height)
