"""What can be made of maps: one of an object only, several blended, one laid over its picture, a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clickpaint.control.fit import resized
from clickpaint.errors import InvalidInput

BLENDS = ("lighten", "average", "add")
BACKGROUNDS = ("black", "kept")


def object_only(control_map: np.ndarray, mask: np.ndarray, pixels: np.ndarray, background: str) -> np.ndarray:
    """The map where the object is; elsewhere black, or the picture kept.

    Args:
        control_map: uint8 [h, w, 3], or [h, w, 4], whose alpha stays.
        mask: bool [H, W], of the picture.
        pixels: uint8 [H, W, 3], the picture.
        background: one of `BACKGROUNDS`.
    """
    import cv2

    height, width = control_map.shape[:2]
    selected = mask
    around = pixels if background == "kept" else np.zeros((1, 1, 3), np.uint8)
    if mask.shape != (height, width):
        how = cv2.INTER_AREA if height < mask.shape[0] else cv2.INTER_LINEAR
        selected = np.asarray(cv2.resize(mask.astype(np.uint8) * 255, (width, height), interpolation=how)) > 127
        around = np.asarray(cv2.resize(around, (width, height), interpolation=how)) if background == "kept" else around
    made = control_map.copy()
    made[..., :3] = np.where(selected[..., None], control_map[..., :3], around)
    return made


def blended(maps: Sequence[np.ndarray], weights: Sequence[float], mode: str) -> np.ndarray:
    """Several maps as one, of the first one's size.

    Args:
        maps: uint8 [h, w, 3] each.
        weights: one for each, 0 to 1.
        mode: "lighten" (the brightest wins), "average" or "add".
    """
    height, width = maps[0].shape[:2]
    parts = [resized(layer[..., :3], width, height) * np.float32(weight) for layer, weight in zip(maps, weights, strict=True)]
    if mode == "lighten":
        return np.rint(np.maximum.reduce(parts)).astype(np.uint8)
    total = np.add.reduce(parts)
    if mode == "average":
        total /= sum(weights)
    return np.rint(total.clip(0, 255)).astype(np.uint8)


def overlay(control_map: np.ndarray, pixels: np.ndarray, opacity: float) -> np.ndarray:
    """uint8 [H, W, 3]: the map laid over its picture; opacity 0 is the picture, 1 the map."""
    if not 0 <= opacity <= 1:
        raise InvalidInput("The opacity cannot be {opacity:g}.", "It goes from 0 to 1.", opacity=opacity)
    height, width = pixels.shape[:2]
    above = resized(np.ascontiguousarray(control_map[..., :3]), width, height)
    return np.rint(pixels * np.float32(1 - opacity) + above * np.float32(opacity)).astype(np.uint8)


def mask_by_brightness(control_map: np.ndarray, size: tuple[int, int], low: int, high: int) -> np.ndarray:
    """bool [H, W]: where the map is from `low` to `high` bright, 0 to 255; of a depth map: what is that near.

    Args:
        control_map: uint8 [h, w, 3].
        size: (width, height) of the picture.
    """
    import cv2

    if not 0 <= low <= high <= 255:
        raise InvalidInput("The brightness cannot be {low} to {high}.", "Give low <= high, both from 0 to 255.", low=low, high=high)
    gray = control_map[..., :3].mean(axis=2).astype(np.float32)
    # to a neighbour of the same side of the threshold, and not to a mean that may lie in between for no depth that is there
    how = cv2.INTER_NEAREST if len(np.unique(gray[::4, ::4])) < 16 else cv2.INTER_LINEAR
    gray = np.rint(np.asarray(cv2.resize(gray, size, interpolation=how)))
    return (gray >= low) & (gray <= high)


def mask_by_color(control_map: np.ndarray, size: tuple[int, int], color: tuple[int, int, int], tolerance: int = 0) -> np.ndarray:
    """bool [H, W]: where no channel of the map is farther than `tolerance` from `color`; of a segmentation: one class.

    Args:
        control_map: uint8 [h, w, 3].
        size: (width, height) of the picture.
    """
    import cv2

    if not all(0 <= value <= 255 for value in (*color, tolerance)):
        raise InvalidInput("The colour cannot be used.", "Give red, green, blue and the tolerance, each from 0 to 255.")
    near = np.asarray((np.abs(control_map[..., :3].astype(np.int16) - np.array(color, np.int16)) <= tolerance).all(axis=2))
    return np.asarray(cv2.resize(near.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)) > 0
