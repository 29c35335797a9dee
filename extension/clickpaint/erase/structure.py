"""What of a filled hole is likely to be right: its structure, without the grain that is copied with it.

A hole that is filled twice, from different beginnings, is filled alike where what surrounds it leaves little choice: an edge, a row of
bricks. What the two add to the smoothest surface over the hole is shrunk, scale by scale and place by place, by how far they agree, as a
Wiener filter would (Wiener 1949, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series"): nearer to the truth in the mean.
"""

from __future__ import annotations

import numpy as np

from clickpaint.erase import seamless
from clickpaint.progress import Progress

SCALES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Standard deviations in pixels of the Gaussians between which the scales lie. What is finer than the first is grain, but for lines."""
DOUBTED = 0.15
"""What is kept where the two have nothing in common. Most of it is wrong; nothing at all would be a patch of fog."""
AROUND = 8.0
"""Standard deviation in pixels of the smallest place in which agreement is counted."""


def structure(first: np.ndarray, second: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
    """What two fillings of a hole say together, without grain.

    Args:
        first: float32 [h, w, C], the hole filled. `second`: the same, filled from another beginning.
        hole: bool [h, w].

    Returns:
        float32 [h, w, C], equal to `first` outside the hole.
    """
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    reach = int(3 * SCALES[-1])
    part = slice(max(rows[0] - reach, 0), rows[-1] + reach + 1), slice(max(columns[0] - reach, 0), columns[-1] + reach + 1)
    inside, whole = hole[part], first[part]
    smooth = seamless.membrane(whole, inside, progress)
    added = np.concatenate([whole - smooth, second[part] - smooth], axis=2)  # zero around the hole
    result, finer = smooth.copy(), added
    for scale in (*SCALES, None):
        progress.check()
        coarser = np.zeros_like(finer) if scale is None else _blurred(added, scale)
        one, other = np.split(finer - coarser, 2, axis=2)
        agreed = _agreement(one, other, max(AROUND, 2 * (scale or SCALES[-1])))
        kept = np.maximum(2 * agreed - 1, 0) if scale == SCALES[0] else agreed + (1 - agreed) * DOUBTED
        result += kept[..., None] * (one + other) / 2
        finer = coarser
    whole = first.copy()
    whole[part][inside] = result[inside]
    return whole


def _agreement(one: np.ndarray, other: np.ndarray, around: float) -> np.ndarray:
    """How far two differences agree in each place, 0..1 [h, w]; half where there is next to nothing to compare.

    around: standard deviation in pixels of the place.
    """
    common = _blurred((one * other).sum(axis=2), around)
    power = _blurred(((one * one + other * other) / 2).sum(axis=2), around)
    little = 0.03 * float(power.max()) + 1e-6
    return np.clip((common + little / 2) / (power + little), 0, 1)


def _blurred(plane: np.ndarray, scale: float) -> np.ndarray:
    """The mean under a Gaussian, made at a coarser resolution; float32 [h, w, …]."""
    import cv2

    every = max(1, int(scale / 2))
    height, width = plane.shape[:2]
    size = -(-width // every), -(-height // every)
    result = np.empty_like(plane).reshape(height, width, -1)
    for number, channel in enumerate(np.moveaxis(plane.reshape(result.shape), 2, 0)):
        small = channel if every == 1 else cv2.resize(channel, size, interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), scale / every)
        result[..., number] = small if every == 1 else cv2.resize(small, (width, height))
    return result.reshape(plane.shape)
