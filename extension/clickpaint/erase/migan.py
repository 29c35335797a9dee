"""MI-GAN (Sargsyan et al. 2023, "MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices"): small, for small downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.erase.neural_eraser import NeuralEraser
from clickpaint.image.geometry import CropRules
from clickpaint.image.mask import grow
from clickpaint.progress import Progress
from clickpaint.weights.device import Device
from clickpaint.weights.onnx_session import open_session

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.store import Store

_SEAM = 4.25
"""How far, in pixels along the diagonal, the file's own compositing mixes the picture into what it painted, inwards from a hole's edge."""


class MiGan(NeuralEraser):
    """ONNX, the authors' pipeline: image uint8 [1, 3, H, W] RGB and mask uint8 [1, 1, H, W], 0 = fill and 255 = keep → uint8 [1, 3, H, W].

    It cuts a square around the hole and scales it to 512 by itself; a crop of just that size goes through unscaled.
    """

    name = "migan"
    rules = CropRules(padding=0.5, padding_min=128, min_size=512, multiple=512, max_size=512, square=True)

    def __init__(self, store: Store, device: Device, cache: ModelCache) -> None:
        super().__init__(store, Device("cpu"), cache)

    def load(self, device: Device) -> tuple[Any, int]:
        path = self.store.require(self.name)
        return open_session(path, self.name), path.stat().st_size

    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        # a wider hole, so that none of what is to go is mixed into the result; blending into the picture is done for all erasers alike
        known = np.where(grow(hole, _SEAM), 0, 255).astype(np.uint8)
        image = np.ascontiguousarray(crop.transpose(2, 0, 1)[None])
        (result,) = network.run(None, {"image": image, "mask": known[None, None]})
        return np.ascontiguousarray(result[0].transpose(1, 2, 0))
