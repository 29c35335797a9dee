"""Lines made thin: ridges kept, the rest dropped, to the pixel as sd-webui-controlnet does it."""

from __future__ import annotations

import functools

import numpy as np

_MOST_ROUNDS = 32


def ridges(values: np.ndarray) -> np.ndarray:
    """`values` (uint8 or float32 [H, W]) where they are the greatest of their row, column or diagonal within one pixel, elsewhere 0."""
    import cv2

    diagonal = np.eye(3, dtype=np.uint8)
    row, column = np.zeros((3, 3), np.uint8), np.zeros((3, 3), np.uint8)
    row[1], column[:, 1] = 1, 1
    kept = np.zeros(values.shape, bool)
    for line in (row, column, diagonal, diagonal[:, ::-1].copy()):
        kept |= cv2.dilate(values, line) == values
    return np.where(kept, values, values.dtype.type(0))


def strokes(soft: np.ndarray, threshold: int = 127, sigma: float = 3.0) -> np.ndarray:
    """White strokes, uint8 [H, W] of 0 and 255, along the ridges of soft edges (uint8 [H, W]): what the scribble preprocessors draw.

    Edges are blurred by `sigma` before, and their ridges over `threshold` blurred once more to a stroke's width.
    """
    import cv2

    fine = (ridges(cv2.GaussianBlur(soft.astype(np.float32), (0, 0), sigma)) > threshold).astype(np.uint8) * 255
    return (np.asarray(cv2.GaussianBlur(fine, (0, 0), 3.0)) > 4).astype(np.uint8) * 255


def thin(lines: np.ndarray, prune: bool) -> np.ndarray:
    """`lines` (uint8 [H, W] of 0 and 255) thinned to one pixel by the hit-or-miss transform with Golay's alphabet L
    (Gonzalez and Woods, "Digital Image Processing", section 9.5.5); `prune` also takes one pixel from loose ends."""
    thinned = lines.copy()
    for _ in range(_MOST_ROUNDS):
        if not _strip(thinned, _thinning()):
            break
    if prune:
        _strip(thinned, _pruning())
    return thinned


def _strip(lines: np.ndarray, patterns: tuple[np.ndarray, ...]) -> bool:
    """Clear, in `lines`, the centre of every match of each pattern in turn; whether there was any."""
    import cv2

    changed = False
    for pattern in patterns:
        matches = cv2.morphologyEx(lines, cv2.MORPH_HITMISS, pattern) > 127
        if matches.any():
            lines[matches] = 0
            changed = True
    return changed


@functools.cache
def _thinning() -> tuple[np.ndarray, ...]:
    """1: line, -1: none, 0: either."""
    return _turned([[-1, -1, -1], [0, 1, 0], [1, 1, 1]], [[0, -1, -1], [1, 1, -1], [0, 1, 0]])


@functools.cache
def _pruning() -> tuple[np.ndarray, ...]:
    return _turned([[-1, -1, -1], [-1, 1, -1], [0, 0, -1]], [[-1, -1, -1], [-1, 1, -1], [-1, 0, 0]])


def _turned(*patterns: list[list[int]]) -> tuple[np.ndarray, ...]:
    """All patterns, then all of them turned by 90 degrees, and so on."""
    return tuple(np.ascontiguousarray(np.rot90(np.array(pattern), times)) for times in range(4) for pattern in patterns)
