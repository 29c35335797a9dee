"""The reader of COCO's uncompressed run-length code, for what we write."""

from __future__ import annotations

import numpy as np


def from_rle(rle: dict) -> np.ndarray:
    """bool [H, W]; the runs go down the columns, beginning with unselected."""
    height, width = rle["size"]
    counts = np.asarray(rle["counts"])
    assert counts.sum() == height * width and (counts >= 0).all()
    return np.repeat(np.arange(counts.size) % 2 == 1, counts).reshape(height, width, order="F")
