"""Between pixels and latents."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clickpaint.errors import CorruptModel

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint

T = TypeVar("T")
CELL = 8
"""Side in pixels of what one latent stands for."""

_FIRST = 256.0
"""Standard deviation in pixels of the widest blur that fills a hole; each next one is a quarter of it."""


class Coder:
    """A checkpoint's VAE for one job. What comes out as NaN in half precision is done again in float32, on a copy that lasts as
    long as this object: the checkpoint's own stays as it is."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._name, self._vae = checkpoint.name, checkpoint.vae

    @property
    def scale(self) -> float:
        return self._vae.config["scaling_factor"]

    def encode(self, pixels: np.ndarray) -> torch.Tensor:
        """The mean of the latents of `pixels`, uint8 [h, w, 3] or float32 in -1..1: float32 [1, 4, h/8, w/8], scaled."""
        import torch

        values = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1 if pixels.dtype == np.uint8 else pixels)
        picture = values.permute(2, 0, 1)[None].contiguous()

        def work(vae: Any) -> torch.Tensor:
            return vae.encode(picture.to(vae.device, vae.dtype)).latent_dist.mode()

        return self._finite(work).float() * self.scale

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """The picture of scaled latents [1, 4, h/8, w/8], uint8 [h, w, 3]."""
        import torch

        def work(vae: Any) -> torch.Tensor:
            return vae.decode(latents.to(vae.dtype) / self.scale, return_dict=False)[0]

        picture = self._finite(work)[0].float().permute(1, 2, 0)
        return ((picture / 2 + 0.5).clamp(0, 1) * 255).round().to("cpu", torch.uint8).numpy()

    def _finite(self, work: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        import torch

        result = work(self._vae)
        if not torch.isfinite(result).all() and self._vae.dtype != torch.float32:
            self._vae = copy.deepcopy(self._vae).float()
            result = work(self._vae)
        if not torch.isfinite(result).all():
            raise CorruptModel("The VAE of {model} answers with NaN.", "Choose another VAE.", model=self._name)
        return result


def latent_mask(mask: np.ndarray, device: torch.device) -> torch.Tensor:
    """A mask of pixels as one of latents, float32 [1, 1, h/8, w/8] in 0..1.

    bool [h, w]: a latent is painted as soon as one of its pixels is. float32 [h, w]: the mean over its pixels.
    """
    import torch

    height, width = mask.shape
    cells = mask.reshape(height // CELL, CELL, width // CELL, CELL)
    values = cells.any((1, 3)).astype(np.float32) if mask.dtype == bool else cells.mean((1, 3), dtype=np.float32)
    return torch.from_numpy(values)[None, None].to(device)


def filled(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`pixels`, uint8 [h, w, 3], with the colours around it in the hole `mask`, bool [h, w]: from far away in its middle, from close by
    at its edge."""
    import cv2

    if mask.all():
        return pixels.copy()
    keep = (~mask).astype(np.float32)
    known = pixels * keep[..., None]
    out, sigma = np.zeros_like(known), _FIRST
    out[:] = known.sum((0, 1)) / keep.sum()
    while sigma >= 1:
        weight = cv2.GaussianBlur(keep, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)[..., None]
        colours = cv2.GaussianBlur(known, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) / np.maximum(weight, 1e-6)
        out += (colours - out) * np.minimum(weight * 2, 1)  # at a straight edge half of what a blur sees is known
        sigma /= 4
    return np.where(mask[..., None], out.round().clip(0, 255).astype(np.uint8), pixels)


# How much of red, green and blue each channel of the latents shows, by linear regression; the web UI's figures.
_RGB = {
    "sd": ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473)),
    "sdxl": ((0.3448, 0.4168, 0.4395), (-0.1953, -0.0290, 0.0250), (0.1074, 0.0886, -0.0163), (-0.3730, -0.2499, -0.2088)),
}


def approximate(latents: torch.Tensor, family: str) -> np.ndarray:
    """Latents [1, 4, h/8, w/8] roughly as a picture, uint8 [h/8, w/8, 3], without the decoder."""
    import torch

    table = torch.tensor(_RGB["sdxl" if family.startswith("sdxl") else "sd"], device=latents.device)
    colours = torch.einsum("chw,cr->hwr", latents[0].float(), table)
    return ((colours + 1) * 127.5).clamp(0, 255).to("cpu", torch.uint8).numpy()
