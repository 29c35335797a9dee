"""Pictures that these tests draw."""

from __future__ import annotations

import numpy as np


def scene(height: int = 230, width: int = 330, seed: int = 3) -> np.ndarray:
    """uint8 [H, W, 3]: a sky that fades, a red disc, dark strokes and some grain; enough of everything for every filter."""
    y, x = np.mgrid[:height, :width]
    picture = np.dstack([y * 200 // height + 40, 255 - x * 180 // width, (x + y) * 220 // (height + width)]).astype(np.int64)
    picture[(x - width * 0.6) ** 2 + (y - height * 0.45) ** 2 < (height * 0.22) ** 2] = (220, 40, 30)
    picture[(x + y) % 61 < 3] = (15, 20, 25)
    picture += np.random.RandomState(seed).randint(-6, 7, picture.shape)
    return picture.clip(0, 255).astype(np.uint8)


def disc(height: int = 230, width: int = 330) -> np.ndarray:
    """bool [H, W]: where the disc of `scene` is."""
    y, x = np.mgrid[:height, :width]
    return (x - width * 0.6) ** 2 + (y - height * 0.45) ** 2 < (height * 0.22) ** 2
