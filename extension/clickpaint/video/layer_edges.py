"""Where behind an object one layer of a scene ends and the other begins."""

from __future__ import annotations

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.video.flow import completed

_SIDES = 1.0
"""How far around a hole is looked, in its longer sides."""
_SAMPLES = 4000
_RIGHT = 0.93
"""Share of the surroundings that a straight edge must tell apart to be believed."""
_ROUNDS = 8
_CAUTION = 1e-6
"""Weight, for each pixel, of an edge that says nothing: where one tells the layers apart for certain, its steepness would grow for ever."""


def second_layer(first: np.ndarray, second: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Which pixels belong to the second layer, bool [h, w]: inside a hole by a straight edge between what belongs to the two around it
    (logistic regression), where there is one, else as what is nearest does.

    Args:
        first, second: bool [h, w], what is known to belong to each.
        hole: bool [h, w].
    """
    result = completed(second.astype(np.float32), first | second) > 0.5
    for part in masks_.components(hole):
        reach = round(_SIDES * max(part.box.width, part.box.height))
        around = part.box.padded(reach).clipped(hole.shape[1], hole.shape[0])
        edge = _straight_edge(first[around.slices], second[around.slices])
        if edge is None:
            continue
        rows, columns = np.nonzero(part.mask)
        rows, columns = rows + part.box.top, columns + part.box.left
        result[rows, columns] = edge @ [np.ones(len(rows)), columns - around.left, rows - around.top] > 0
    return result


def _straight_edge(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """a, b, c of a + b x + c y, which is above 0 in the second layer; None where no straight edge tells them apart."""
    height, width = first.shape
    where = np.flatnonzero(first | second)
    where = where[:: max(1, len(where) // _SAMPLES)]
    wanted = second.ravel()[where]
    if min(wanted.sum(), (~wanted).sum()) < 0.05 * len(where) or len(where) < 64:
        return None
    rows, columns = np.divmod(where, width)
    size = max(width, height)
    basis = np.stack([np.ones(len(where)), columns / size - 0.5, rows / size - 0.5], axis=1)
    edge = np.zeros(3)
    for _ in range(_ROUNDS):
        likely = 1 / (1 + np.exp(-np.clip(basis @ edge, -30, 30)))
        weight = np.maximum(likely * (1 - likely), 1e-4)
        normal = (basis * weight[:, None]).T @ basis + _CAUTION * len(where) * np.eye(3)
        edge = edge + np.linalg.solve(normal, basis.T @ (wanted - likely) - _CAUTION * len(where) * edge)
    if ((basis @ edge > 0) == wanted).mean() < _RIGHT:
        return None
    return np.array([edge[0] - 0.5 * edge[1] - 0.5 * edge[2], edge[1] / size, edge[2] / size])
