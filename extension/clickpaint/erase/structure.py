"""What of a filled hole is likely to be right: its structure, without the grain that is copied with it.

A copied patch continues what is around the hole the better, the coarser the scale. What it adds to the smoothest surface over the hole
is therefore shrunk, scale by scale, as a Wiener filter would (Wiener 1949, "Extrapolation, Interpolation, and Smoothing of Stationary
Time Series"), which brings it nearer to the truth in the mean.
"""

from __future__ import annotations

import numpy as np

from clickpaint.erase import seamless
from clickpaint.progress import Progress

SCALES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Standard deviations in pixels of the Gaussians between which the scales lie."""
LIKELY = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7)
"""What is kept of each scale, the finest, which is grain, first: what the copies have in common with the truth, in the mean over
photographs."""


def structure(filled: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
    """`filled` without grain in the hole, and with less of what is less likely.

    Args:
        filled: float32 [h, w, C], the hole filled.
        hole: bool [h, w].

    Returns:
        float32 [h, w, C], equal to `filled` outside the hole.
    """
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    reach = int(3 * SCALES[-1])
    part = slice(max(rows[0] - reach, 0), rows[-1] + reach + 1), slice(max(columns[0] - reach, 0), columns[-1] + reach + 1)
    inside, whole = hole[part], filled[part]
    smooth = seamless.membrane(whole, inside, progress)
    added = whole - smooth  # zero around the hole
    kept = np.zeros_like(added)
    for scale, likely in zip(SCALES, LIKELY[:-1], strict=True):
        progress.check()
        coarser = _blurred(whole - smooth, scale)
        kept += likely * (added - coarser)
        added = coarser
    result = filled.copy()
    result[part][inside] = (smooth + kept + LIKELY[-1] * added)[inside]
    return result


def _blurred(plane: np.ndarray, scale: float) -> np.ndarray:
    """A Gaussian's mean, made at a coarser resolution."""
    import cv2

    every = max(1, int(scale / 2))
    height, width = plane.shape[:2]
    small = cv2.resize(plane, (-(-width // every), -(-height // every)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), scale / every), (width, height), interpolation=cv2.INTER_LINEAR)
