"""Between pixels and latents."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clickpaint.errors import CorruptModel
from clickpaint.paint.diffusion.lean_layers import lean

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint
    from clickpaint.paint.diffusion.checkpoint_model import Model

T = TypeVar("T")
CELL = 8
"""Side in pixels of what one latent stands for, unless a family says otherwise."""

_FIRST = 256.0
"""Standard deviation in pixels of the widest blur that fills a hole; each next one is a quarter of it."""


class Coder:
    """A checkpoint's VAE for one job. What comes out as NaN in half precision is done again in float32, on a copy that lasts as
    long as this object: the checkpoint's own stays as it is."""

    def __init__(self, checkpoint: AnyCheckpoint, model: Model) -> None:
        self._name, self._vae, self._model = checkpoint.name, checkpoint.vae, model

    def encode(self, pixels: np.ndarray) -> torch.Tensor:
        """The mean of the latents of `pixels`, uint8 [h, w, 3] or float32 in -1..1: float32 [1, c, h, w] of latents, scaled."""
        picture = _as_tensor(pixels)

        def work(vae: Any) -> torch.Tensor:
            return self._model.to_latents(vae, picture.to(vae.device, vae.dtype))

        return self._finite(work).float()

    def distribution(self, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """(mean, standard deviation) of the latents of the same, each float32 [1, c, h, w], not scaled."""
        import torch

        picture = _as_tensor(pixels)

        def work(vae: Any) -> torch.Tensor:
            latents = vae.encode(picture.to(vae.device, vae.dtype)).latent_dist
            return torch.cat([latents.mean, latents.std])

        mean, deviation = self._finite(work).float().chunk(2)
        return mean, deviation

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """The picture of scaled latents [1, c, h, w], uint8 [h, w, 3]."""
        import torch

        def work(vae: Any) -> torch.Tensor:
            return self._model.to_picture(vae, latents.to(vae.dtype))

        picture = self._finite(work)[0].float().permute(1, 2, 0)
        return ((picture / 2 + 0.5).clamp(0, 1) * 255).round().to("cpu", torch.uint8).numpy()

    def _finite(self, work: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        import torch

        def computed() -> torch.Tensor:
            with lean([self._vae]):
                return work(self._vae)

        result = computed()
        if not torch.isfinite(result).all() and self._vae.dtype != torch.float32:
            self._vae = copy.deepcopy(self._vae).float()
            result = computed()
        if not torch.isfinite(result).all():
            raise CorruptModel("The VAE of {model} answers with NaN.", "Choose another VAE.", model=self._name)
        return result


def _as_tensor(pixels: np.ndarray) -> torch.Tensor:
    """Float32 [1, 3, h, w] in -1..1."""
    import torch

    values = torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1 if pixels.dtype == np.uint8 else pixels)
    return values.permute(2, 0, 1)[None].contiguous()


def latent_mask(mask: np.ndarray, device: torch.device, cell: int = CELL) -> torch.Tensor:
    """A mask of pixels as one of latents, float32 [1, 1, h/cell, w/cell] in 0..1.

    bool [h, w]: a latent is painted as soon as one of its pixels is. float32 [h, w]: the mean over its pixels.
    """
    import torch

    height, width = mask.shape
    cells = mask.reshape(height // cell, cell, width // cell, cell)
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
