"""Manga inpainting (Xie et al. 2021, "Seamless Manga Inpainting with Semantics Awareness"); black and white only."""

from __future__ import annotations

from typing import Any

import numpy as np

from clickpaint.erase.neural_eraser import NeuralEraser, tensors
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress
from clickpaint.weights.device import Device

_SEED = 42


class MangaEraser(NeuralEraser):
    """Two TorchScript files. Lines: grey [1, 1, H, W] in 0..255 → lines, same shape and range. Inpainter: grey and lines in
    -1..1, mask, noise, ones → grey in -1..1. H, W multiples of 16. What it paints is grey, also in a coloured picture."""

    name = "manga"
    rules = CropRules(padding=1.0, padding_min=96, min_size=256, multiple=16, max_size=1024)

    def load(self, device: Device) -> tuple[Any, int]:
        return self.scripts(device)

    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        import cv2
        import torch

        gray = torch.from_numpy(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)).to(device.torch, torch.float32)[None, None]
        _, mask = tensors(crop, hole, device)
        lines = network["manga_line"](gray).clamp(0, 255)
        progress.report(0.5, "Erasing")
        noise = torch.randn(mask.shape, generator=torch.Generator().manual_seed(_SEED)).to(device.torch)
        painted = network["manga_inpaint"](gray / 127.5 - 1, lines / 127.5 - 1, mask, noise, torch.ones_like(mask))
        result = (painted[0, 0].float() * 127.5 + 127.5).clamp(0, 255).byte().cpu().numpy()
        return cv2.cvtColor(result, cv2.COLOR_GRAY2RGB)
