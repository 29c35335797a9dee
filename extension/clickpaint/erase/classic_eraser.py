"""Erasers that need no weights: OpenCV's for thin holes, patches from around the hole for all others."""

from __future__ import annotations

import numpy as np

from clickpaint.erase import exemplar
from clickpaint.erase.base import Eraser
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress

THIN = 5.0
"""Largest distance in pixels from a hole's inside to its rim up to which diffusion looks better than copied patches."""


class PatchMatchEraser(Eraser):
    """Copies what surrounds the hole, patch by patch (see `exemplar`); the same input always gives the same result.

    The crop may be large, because only the coarse levels are searched; the fine ones follow.
    """

    name = "patchmatch"
    rules = CropRules(padding=1.0, padding_min=64, min_size=128, multiple=1, max_size=2048)
    has_grain = True

    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        return self.fill_with_grain(crop, hole, 1.0, progress)

    def fill_with_grain(self, crop: np.ndarray, hole: np.ndarray, grain: float, progress: Progress) -> np.ndarray:
        filled = exemplar.fill(crop, hole, progress, grain=grain)
        return _diffused(crop, hole, "ns") if filled is None else filled


class _OpenCvEraser(Eraser):
    """Continues colours from the rim inwards; smooth, hence for scratches, wires, dates and the like."""

    rules = CropRules(padding=0.1, padding_min=16, min_size=32, multiple=1, max_size=1024)
    method: str

    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        return _diffused(crop, hole, self.method)


class TeleaEraser(_OpenCvEraser):
    """Telea 2004, "An Image Inpainting Technique Based on the Fast Marching Method"."""

    name = "opencv_telea"
    method = "telea"


class NavierStokesEraser(_OpenCvEraser):
    """Bertalmio, Bertozzi, Sapiro 2001, "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting"."""

    name = "opencv_ns"
    method = "ns"


class ClassicEraser(PatchMatchEraser):
    """The one to use where no weights are: diffusion where the hole is thin, patches otherwise."""

    name = "classic"

    def fill_with_grain(self, crop: np.ndarray, hole: np.ndarray, grain: float, progress: Progress) -> np.ndarray:
        import cv2

        depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).max()
        return _diffused(crop, hole, "telea") if depth <= THIN else super().fill_with_grain(crop, hole, grain, progress)


def _diffused(crop: np.ndarray, hole: np.ndarray, method: str) -> np.ndarray:
    import cv2

    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    return cv2.inpaint(np.ascontiguousarray(crop), hole.astype(np.uint8), 3, flag)
