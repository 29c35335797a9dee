"""Which parts of a mask are worked on together: as few crops as possible, each at full resolution where that can be."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from clickpaint.image.geometry import Box, CropPlan
from clickpaint.image.mask import bounds, components

Plan = Callable[[Box], CropPlan]

MAX_GROUPS = 64
"""No mask makes more crops than this, however many specks it has."""

_CELL = 16
"""Pixels; pieces of a mask that are nearer than about this belong together without looking closer."""


def groups(mask: np.ndarray, plan: Plan) -> list[Box]:
    """Boxes that together hold everything selected in `mask`, bool [H, W]; one crop each, to be worked on in this order.

    plan: makes the crop of a box. Pieces whose crops overlap are joined as long as their common crop need not be shrunk. A piece
    that is too large for one crop but thin everywhere (a wire, a frame) is cut into lengths. What has to be shrunk all the
    same comes last, so that the small pieces inside its box have been done at full resolution before.
    """
    joined = _joined([part for piece in _pieces(mask) for part in _cut(mask, piece, plan)], plan)
    cell = _CELL
    while len(joined) > MAX_GROUPS:
        cell *= 2
        joined = _in_cells(joined, cell)
    return sorted(joined, key=lambda box: plan(box).shrunk)


def _pieces(mask: np.ndarray) -> list[Box]:
    """The boxes of connected pieces, found on a coarse grid: noise of a million specks must stay cheap."""
    area = bounds(mask)
    if area is None:
        return []
    rows = np.logical_or.reduceat(mask[area.slices], np.arange(0, area.height, _CELL), axis=0)
    coarse = np.logical_or.reduceat(rows, np.arange(0, area.width, _CELL), axis=1)
    boxes = (Box(*(side * _CELL for side in piece.box)).shifted(area.left, area.top) for piece in components(coarse))
    return [_tight(mask, box.clipped(area.right, area.bottom)) for box in boxes]


def _tight(mask: np.ndarray, box: Box) -> Box:
    inside = bounds(mask[box.slices])
    assert inside is not None
    return inside.shifted(box.left, box.top)


def _cut(mask: np.ndarray, piece: Box, plan: Plan) -> list[Box]:
    """The piece in lengths whose crops need not be shrunk, if its own must be and it is thin everywhere; otherwise as it is."""
    whole = plan(piece)
    if not whole.shrunk:
        return [piece]
    longest = max(whole.content_size)
    if _thickness(mask[piece.slices]) > longest / 4:
        return [piece]
    for parts in range(2, 2 * math.ceil(max(piece.size) / (longest / 4))):
        columns, rows = (math.ceil(parts * side / max(piece.size)) for side in piece.size)
        lengths = [box for box in _grid(piece, columns, rows) if mask[box.slices].any()]
        if not any(plan(box).shrunk for box in lengths):
            return [_tight(mask, box) for box in lengths]
    return [piece]


def _grid(box: Box, columns: int, rows: int) -> list[Box]:
    xs = [box.left + box.width * i // columns for i in range(columns + 1)]
    ys = [box.top + box.height * i // rows for i in range(rows + 1)]
    return [Box(xs[i], ys[j], xs[i + 1], ys[j + 1]) for j in range(rows) for i in range(columns)]


def _thickness(mask: np.ndarray) -> float:
    """How thick the mask is where it is thickest, in pixels, looked at no finer than needed."""
    import cv2

    step = math.ceil(max(mask.shape) / 2048)
    small = np.pad(mask[::step, ::step], 1).astype(np.uint8)
    return 2.0 * step * float(cv2.distanceTransform(small, cv2.DIST_L2, 3).max())


def _joined(boxes: list[Box], plan: Plan) -> list[Box]:
    """Joins, greedily, boxes whose crops overlap and whose common crop need not be shrunk."""
    done: list[tuple[Box, Box]] = []  # box, its crop
    for box in boxes:
        crop = plan(box).box
        joined = True
        while joined:
            joined = False
            for i, (other, other_crop) in enumerate(done):
                if crop.intersection(other_crop) is None:
                    continue
                both = plan(box.union(other))
                if not both.shrunk:
                    box, crop, joined = box.union(other), both.box, True
                    del done[i]
                    break
        done.append((box, crop))
    return [box for box, _ in done]


def _in_cells(boxes: list[Box], cell: int) -> list[Box]:
    """Joins all boxes whose centres lie in the same square of a grid."""
    cells: dict[tuple[int, int], Box] = {}
    for box in boxes:
        x, y = box.center
        key = int(x // cell), int(y // cell)
        cells[key] = box.union(cells[key]) if key in cells else box
    return list(cells.values())
