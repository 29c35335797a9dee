"""What is under a mask, guessed by LaMa, as the start of an inpainting."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.network import Network, batch
from clickpaint.control.resize import working
from clickpaint.errors import InvalidInput

LAMA = Network("lama")
_SIDE = 256  # LaMa was trained at it


def lama_fill(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """uint8 [H, W, 4] at the picture's size: what LaMa paints under the mask (Suvorov et al. 2021), alpha 128 there and 255 elsewhere."""
    import cv2
    import torch

    if request.mask is None:
        raise InvalidInput("inpaint_only+lama needs a mask.", "Select something first, or give a mask.")
    height, width = pixels.shape[:2]
    chosen = request.mask.astype(np.uint8) * 255
    at = working(np.dstack([pixels, chosen]), _SIDE)

    def work(loaded: torch.nn.Module, device: torch.device) -> np.ndarray:
        image = batch(at.pixels[:, :, :3], device) / 255.0
        hole = (torch.from_numpy(np.array(at.pixels[:, :, 3]))[None, None].to(device) > 127).float()
        image = image * (1 - hole)
        filled = (loaded(image, hole) * hole + image * (1 - hole)) * 255.0
        return filled[0].permute(1, 2, 0).cpu().numpy().clip(0, 255).astype(np.uint8)

    filled = cv2.resize(np.ascontiguousarray(at.crop(LAMA.run(tools, work))), (width, height))
    alpha = chosen[:, :, None].astype(np.float32) / 255.0
    mixed = (filled.astype(np.float32) * alpha + pixels.astype(np.float32) * (1 - alpha)).clip(0, 255).astype(np.uint8)
    return ControlMap(np.dstack([mixed, 255 - chosen // 2]))


PREPROCESSORS = (
    Preprocessor(
        "inpaint_only+lama", "inpaint_only+lama", ("Inpaint",), lama_fill, resolution=None, needs_mask=True, accepts_mask=True,
        models=(LAMA.model,), packages=("torch",), control_models=("inpaint",),
    ),
)  # fmt: skip
