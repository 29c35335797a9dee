"""LaMa (Suvorov et al. 2021, "Resolution-robust Large Mask Inpainting with Fourier Convolutions") and its anime sibling."""

from __future__ import annotations

from typing import Any

import numpy as np

from clickpaint.erase.neural_eraser import NeuralEraser, picture, tensors
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress
from clickpaint.weights.device import Device


class Lama(NeuralEraser):
    """TorchScript: image [1, 3, H, W] in 0..1 and mask [1, 1, H, W] in {0, 1} → [1, 3, H, W]; H, W multiples of 8.

    Trained at 256, holds up to about 1024, beyond which wide holes turn to blur: hence the largest working size. Its training pictures
    had a tenth to a half of them masked; half a diagonal around a square hole leaves it a sixth of the crop, where a whole diagonal
    left 7 %, for twice the time, and shrank holes of over 270 pixels.
    """

    name = "lama"
    rules = CropRules(padding=0.5, padding_min=64, min_size=256, multiple=8, max_size=1024)

    def load(self, device: Device) -> tuple[Any, int]:
        scripts, size = self.scripts(device)
        return scripts[self.name], size

    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        image, mask = tensors(crop, hole, device)
        return picture(network(image, mask))


class AnimeLama(Lama):
    """LaMa trained on anime and manga (the file of IOPaint's anime-lama), same signature."""

    name = "anime_lama"
