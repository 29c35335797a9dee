"""Holes for training inpainting: where the object is, and anywhere by lot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_WHOLE = 0.25
"""Share of holes by lot that are the whole picture, as inpainting checkpoints were trained."""
_GROWN = 0.08
"""Of the picture's shorter side, by how much an object's hole is grown at most."""


def make_hole(mask: np.ndarray | None, size: tuple[int, int], way: str, generator: torch.Generator) -> np.ndarray:
    """What is to be painted anew, bool [H, W], at least one pixel.

    Args:
        mask: float32 [H, W] of the object; None for none, which leaves holes by lot.
        size: (width, height) in pixels.
        way: "clicked" the object, by lot grown or its box; "random" rectangles, ellipses and strokes, or everything; "both" each half of
            the time.
        generator: of the lot.
    """
    clicked = way == "clicked" or (way == "both" and _lot(generator) < 0.5)
    if clicked and mask is not None and (mask > 0.5).any():
        return _around(mask > 0.5, generator)
    return _by_lot(size, generator)


def _lot(generator: torch.Generator) -> float:
    import torch

    return float(torch.rand((), generator=generator))


def _around(inside: np.ndarray, generator: torch.Generator) -> np.ndarray:
    import cv2

    pixels = int(_lot(generator) * _GROWN * min(inside.shape))
    boxed = _lot(generator) < 0.2
    if boxed:
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        inside = np.zeros_like(inside)
        inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    if pixels:
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
        inside = cv2.dilate(inside.astype(np.uint8), kernel).astype(bool)
    return inside


def _by_lot(size: tuple[int, int], generator: torch.Generator) -> np.ndarray:
    import cv2

    width, height = size
    hole = np.zeros((height, width), np.uint8)
    if _lot(generator) < _WHOLE:
        return np.ones((height, width), bool)
    for _ in range(1 + int(_lot(generator) * 4)):
        kind = _lot(generator)
        x, y = int(_lot(generator) * width), int(_lot(generator) * height)
        across, down = 1 + int(_lot(generator) * width / 2), 1 + int(_lot(generator) * height / 2)
        if kind < 0.4:
            cv2.rectangle(hole, (x - across // 2, y - down // 2), (x + across // 2, y + down // 2), 1, -1)
        elif kind < 0.7:
            cv2.ellipse(hole, (x, y), (max(1, across // 2), max(1, down // 2)), _lot(generator) * 180, 0, 360, 1, -1)
        else:
            for _ in range(3):
                to = int(_lot(generator) * width), int(_lot(generator) * height)
                cv2.line(hole, (x, y), to, 1, max(1, min(across, down) // 4))
                x, y = to
    return hole.astype(bool) if hole.any() else np.ones((height, width), bool)
