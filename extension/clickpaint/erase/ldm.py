"""Latent diffusion inpainting (Rombach et al. 2021, "High-Resolution Image Synthesis with Latent Diffusion Models")."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.erase.neural_eraser import NeuralEraser, picture, tensors
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    import torch

STEPS = 25
_TRAINED_STEPS = 1000
_SEED = 42


class LatentDiffusionEraser(NeuralEraser):
    """Three TorchScript files: picture in -1..1 → latents at a quarter of the size, noise prediction, latents → picture."""

    name = "ldm"
    rules = CropRules(padding=1.0, padding_min=96, min_size=256, multiple=32, max_size=768)

    def load(self, device: Device) -> tuple[Any, int]:
        return self.scripts(device)

    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        import torch

        image, mask = tensors(crop, hole, device)
        known = network["ldm_encode"]((1 - mask) * image * 2 - 1)
        context = torch.cat([known, torch.nn.functional.interpolate(mask * 2 - 1, size=known.shape[-2:])], dim=1)
        noise = torch.randn(known.shape, generator=torch.Generator().manual_seed(_SEED)).to(known)
        return picture(network["ldm_decode"](_denoise(network["ldm_diffusion"], noise, context, progress)) / 2 + 0.5)


def _denoise(diffusion: Any, latents: torch.Tensor, context: torch.Tensor, progress: Progress) -> torch.Tensor:
    """Deterministic DDIM (Song et al. 2020, equation 12 with eta 0) from noise to latents [1, c, h, w]."""
    import torch

    betas = torch.linspace(0.0015**0.5, 0.0205**0.5, _TRAINED_STEPS, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1 - betas, dim=0)
    times = list(range(0, _TRAINED_STEPS, _TRAINED_STEPS // STEPS))
    for number, time in enumerate(reversed(times)):
        progress.report(number / len(times), "Erasing", done=number, total=len(times), unit="step")
        now = float(alphas[time + 1])
        before = float(alphas[time + 1 - _TRAINED_STEPS // STEPS]) if time > 0 else float(alphas[0])
        predicted = diffusion(latents, _time_embedding(time + 1, latents.device), context)
        clean = (latents - math.sqrt(1 - now) * predicted) / math.sqrt(now)
        latents = math.sqrt(before) * clean + math.sqrt(1 - before) * predicted
    return latents


def _time_embedding(time: int, device: torch.device) -> torch.Tensor:
    """Sinusoids of one time, float32 [1, 256]."""
    import torch

    angles = time * torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
    return torch.cat([angles.cos(), angles.sin()])[None].to(device)
