"""Guidance by the gradient of a score: each step leads towards pictures that somebody finds better."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clickpaint.paint.diffusion.influences import mixture, slope
from clickpaint.paint.diffusion.loop import Moment, Part, clean

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.diffusion.checkpoint_model import Model

Score = Callable[["torch.Tensor"], "torch.Tensor"]
"""Differentiable: pictures, float32 [n, 3, h, w] in 0..1, to how good each of them is, float32 [n]; higher is better"""

_MOST_CELLS = 32
"""Side in latents of what is decoded for the score; more is resized to it, for a score looks at some 224 pixels anyway."""
_LEAST = 0.068
"""How much of the picture there is at Stable Diffusion's noisiest level; flows, and schedules that end in pure noise, begin with none."""

_AMPLIFIED = 1024.0
"""What the score is multiplied by while its gradient is taken, so that half precision does not lose it."""


class ScoreGuided(Part):
    """Equation 14 of Dhariwal and Nichol (2021), ε - s √(1 - ᾱ) ∇ log p, with any score in the place of log p, of the picture that the
    latents seem to come to; the network's answer counts as a constant in it, so that its own gradient need not be kept.

    Args:
        score: what is to become higher.
        scale: s; 0 leaves the sampling as it is, bit for bit.
        model: decodes.
        vae: the checkpoint's.
        mask: float32 [1, 1, h, w], the latents that are painted; the score sees the box around them.
    """

    def __init__(self, score: Score, scale: float, model: Model, vae: Any, mask: torch.Tensor) -> None:
        self._score, self._scale, self._model, self._vae = score, scale, model, vae
        rows, columns = mask[0, 0].any(1).nonzero().flatten(), mask[0, 0].any(0).nonzero().flatten()
        self._box = (..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))

    def prediction(self, prediction: torch.Tensor, sample: torch.Tensor, moment: Moment) -> torch.Tensor:
        if not self._scale:
            return prediction
        gradient = self.gradient(clean(sample, prediction, moment))
        picture, noise = mixture(moment.scheduler, moment.timestep)
        return prediction + self._scale * (noise / max(picture, _LEAST)) ** 2 * gradient / slope(sample, moment)

    def gradient(self, latents: torch.Tensor) -> torch.Tensor:
        """Of the score of each picture, by its clean latents [n, c, h, w]."""
        import torch

        with torch.inference_mode(False), torch.enable_grad():
            free = latents[self._box].clone().detach().requires_grad_()
            (inside,) = torch.autograd.grad(self.value(free).sum() * _AMPLIFIED, free)
            gradient = torch.zeros_like(latents)
            gradient[self._box] = inside.float() / _AMPLIFIED
        if not torch.isfinite(gradient).all():
            raise FloatingPointError("the score's gradient is NaN")
        return gradient

    def value(self, latents: torch.Tensor) -> torch.Tensor:
        """The scores [n] of clean latents of the box."""
        import torch

        height, width = latents.shape[2:]
        share = _MOST_CELLS / max(height, width)
        if share < 1:
            size = max(round(height * share), 1), max(round(width * share), 1)
            latents = torch.nn.functional.interpolate(latents, size=size, mode="bilinear", antialias=True)
        picture = self._model.to_picture(self._vae, latents.to(self._vae.dtype)).float()
        return self._score((picture / 2 + 0.5).clamp(0, 1))
