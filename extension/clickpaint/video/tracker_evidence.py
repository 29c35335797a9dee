"""What says which pixels are a followed object: how it and its surroundings move, what differs from the background, its texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.video.flow import NOTHING, grid, optical_flow

_BEYOND = -99.0
_STRAY = 2.0
"""Pixels by which flow may miss the motion that is fitted to it."""
_TEXTURES = 10
_LEARNS = 0.15
"""Share of a new frame in what is known of the textures."""


class Textures:
    """How rough an object is and what is around it, in ten steps of the gradients' strength; as they were first, and as they are now.

    Args:
        pixels: uint8 [h, w, 3].
        mask: bool [h, w], the object.
    """

    def __init__(self, pixels: np.ndarray, mask: np.ndarray) -> None:
        self._first = self._now = _shares(_roughness(pixels), mask)

    def evidence(self, pixels: np.ndarray) -> np.ndarray:
        """Logarithm of how much likelier each pixel is the object's, float32 [h, w], within ±2."""
        ratios = [np.clip(np.log((shares[0] + 0.01) / (shares[1] + 0.01)), -2, 2) for shares in (self._first, self._now)]
        return (0.6 * ratios[0] + 0.4 * ratios[1])[_roughness(pixels)].astype(np.float32)

    def learn(self, pixels: np.ndarray, mask: np.ndarray, confidence: float) -> None:
        """Take what was found into account. confidence: 0 to 1."""
        if min(int(mask.sum()), int((~mask).sum())) >= 32:
            share = _LEARNS * confidence
            self._now = (1 - share) * self._now + share * _shares(_roughness(pixels), mask)


def _roughness(pixels: np.ndarray) -> np.ndarray:
    """The step of each pixel, int [h, w], 0 to 9: twice the binary logarithm of the gradients around it."""
    import cv2

    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    strength = np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    return np.clip(np.log2(1 + cv2.GaussianBlur(strength, (0, 0), 1.0) / 8) * 2, 0, _TEXTURES - 1).astype(np.intp)


def _shares(steps: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How often each step occurs in the mask and outside of it, float64 [2, steps], each row summing up to 1."""
    counts = [np.bincount(steps[where], minlength=_TEXTURES).astype(np.float64) for where in (mask, ~mask)]
    return np.stack([count / max(count.sum(), 1) for count in counts])


def stands_out(others: Sequence[np.ndarray], new: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How much each pixel differs from what the background's motion says it should be, float32 [h, w] from -1 to 2.

    Args:
        others: some frames before and after, uint8 [h, w, 3] as `new`. What one of them shows at a place is the background there; so what
            was hidden in one is not taken for the object (as frames are subtracted in threes: Kameda, Minoh 1996).
        mask: bool [h, w], where the object is in `new`, roughly.
    """
    import cv2

    nothing = np.zeros(mask.shape, np.float32)
    if not mask.any() or mask.all():
        return nothing
    around = masks_.grow(mask, 0.5 * max(masks_.bounds(mask).size)) & ~masks_.grow(mask, 3)  # type: ignore[union-attr]
    least, compared = np.full(mask.shape, -_BEYOND, np.float32), np.zeros(mask.shape, bool)
    gray = cv2.cvtColor(new, cv2.COLOR_RGB2GRAY)
    for other in others:
        back = optical_flow().calc(gray, cv2.cvtColor(other, cv2.COLOR_RGB2GRAY), NOTHING)
        motion = fitted(back, around, 0.4)
        if motion is None:
            continue
        error, outside = _difference(other, new, motion, 60, 1.5)
        least = np.where(outside, least, np.minimum(least, error))
        compared |= ~outside
    if not (around & compared).any():
        return nothing
    usual = float(np.median(least[around & compared]))
    score = np.clip((least - 2 - 1.5 * usual) / (3 + usual), -1, 2)
    return np.where(compared, score, 0).astype(np.float32)


def moves_along(other: np.ndarray, new: np.ndarray, mask: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """How much better each pixel of `new` fits the object's motion than that of what is around it, float32 [h, w] within ±2.

    Args:
        other: the frame before or after, uint8 [h, w, 3] as `new`.
        mask: bool [h, w], where the object is in `new`, roughly.
        shift: (x, y) of the object from `other` to `new`.
    """
    import cv2

    if not mask.any() or mask.all():
        return np.zeros(mask.shape, np.float32)
    first, second = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (other, new))
    ring = masks_.grow(mask, 0.35 * max(masks_.bounds(mask).size)) & ~masks_.grow(mask, 3)  # type: ignore[union-attr]
    errors = []
    for start, where in ((shift, mask), (np.zeros(2), ring)):
        back = optical_flow().calc(second, shifted(first, -start), NOTHING) - start.astype(np.float32)
        motion = fitted(back, where, 0.25)
        if motion is None:
            return np.zeros(mask.shape, np.float32)
        errors.append(_difference(other, new, motion, 40, 2.0))
    (as_object, lost), (as_around, gone) = errors
    noise = 3 + 0.5 * (as_object + as_around)
    score = np.clip(2.0 * (as_around - as_object) / noise, -2, 2)
    return np.where(lost | gone, 0, score).astype(np.float32)


def fitted(flow: np.ndarray, where: np.ndarray, least: float) -> np.ndarray | None:
    """The affine motion that the flow (float32 [h, w, 2]) has at `where` (bool [h, w]), [2, 3]; None where less than `least` of it does."""
    import cv2

    points = np.flatnonzero(where)
    if len(points) < 24:
        return None
    points = points[:: max(1, len(points) // 1500)]
    rows, columns = np.divmod(points, where.shape[1])
    places = np.stack([columns, rows], axis=1).astype(np.float32)
    cv2.setRNGSeed(1)
    matrix, inliers = cv2.estimateAffine2D(places, places + flow[rows, columns], ransacReprojThreshold=_STRAY)
    return None if matrix is None or inliers.mean() < least else matrix


def _difference(other: np.ndarray, new: np.ndarray, motion: np.ndarray, most: float, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Between `new` and `other` moved there, float32 [h, w] in levels up to `most`, blurred; and what lies beyond the border, bool."""
    import cv2

    here = grid(new.shape[1], new.shape[0])
    source = np.dstack([here @ motion[0, :2] + motion[0, 2], here @ motion[1, :2] + motion[1, 2]]).astype(np.float32)
    seen = cv2.remap(
        other.astype(np.float32), source, NOTHING, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(_BEYOND,) * 3
    )
    return cv2.GaussianBlur(np.minimum(np.abs(seen - new).mean(axis=2), most), (0, 0), blur), seen.min(axis=2) < -20


def shifted(plane: np.ndarray, shift: np.ndarray, beyond: float | None = None) -> np.ndarray:
    """`plane` as seen from `shift` (x, y) away: its pixel at `place + shift` comes to `place`. beyond: what lies beyond the border."""
    import cv2

    matrix = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float64)
    border = cv2.BORDER_REPLICATE if beyond is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(plane, matrix, plane.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border, borderValue=beyond or 0)
