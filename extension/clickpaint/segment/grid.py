"""Where the everything mode looks: crops of the picture, a grid of points in each, and which of the boxes found say the same.

The numbers follow segment_anything's automatic mask generator (Kirillov et al. 2023, appendix B), whose parameters these are.
Boxes here are its boxes too, float [N, 4] as (left, top, right, bottom), the last pixel included.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from clickpaint.image.geometry import Box

_NEAR_EDGE = 20.0


def points(per_side: int) -> np.ndarray:
    """The centres of `per_side` x `per_side` cells of the unit square, float64 [N, 2] (x, y), row by row."""
    steps = (np.arange(per_side) + 0.5) / per_side
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def crops(size: tuple[int, int], layers: int, overlap_ratio: float) -> list[tuple[Box, int]]:
    """The whole picture as layer 0, then 2**i x 2**i overlapping crops for each further layer i.

    Args:
        size: (width, height).
        overlap_ratio: overlap in the first layer as a fraction of the short side; later ones have less.
    """
    boxes = [(Box(0, 0, *size), 0)]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / per_side))
        width, height = (math.ceil((overlap * (per_side - 1) + side) / per_side) for side in size)
        for column, row in product(range(per_side), range(per_side)):
            left, top = (width - overlap) * column, (height - overlap) * row
            boxes.append((Box(left, top, min(left + width, size[0]), min(top + height, size[1])), layer))
    return boxes


def cut_off(boxes: np.ndarray, crop: Box, size: tuple[int, int]) -> np.ndarray:
    """Which boxes touch an edge of the crop that is not the picture's: what they are around goes on outside. bool [N]."""
    at_crop = np.abs(boxes - np.array(crop)) <= _NEAR_EDGE
    at_picture = np.abs(boxes - np.array((0, 0, *size))) <= _NEAR_EDGE
    return np.any(at_crop & ~at_picture, axis=1)


def distinct(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Greedy non-maximum suppression: the indices of the boxes that overlap no better one by more, best score first."""
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order].astype(np.float32)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    alive = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if alive[i]:
            common = np.minimum(boxes[i, 2:], boxes[i + 1 :, 2:]) - np.maximum(boxes[i, :2], boxes[i + 1 :, :2])
            inter = np.prod(common.clip(min=0), axis=1)
            alive[i + 1 :] &= inter <= overlap * (area[i] + area[i + 1 :] - inter)
    return order[alive]
