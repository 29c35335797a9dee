"""Where in a picture two prompts differ, by what the network makes of them: the mask of DiffEdit (Couairon et al., 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.paint.diffusion.loop import ClassifierFree, Moment, Part, looked, noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from clickpaint.paint.diffusion.conditioning import Conditioning
    from clickpaint.progress import Progress

LOOKS = 10
"""Noises that are looked through; their answers are averaged."""

STRENGTH = 0.5
"""Of the noise."""


def guidance_map(
    unet: Any, scheduler: Any, known: torch.Tensor, conditioning: Conditioning, scale: float, generator: torch.Generator,
    parts: Sequence[Part] = (), *, steps: int, ratio: float, together: bool, progress: Progress,
) -> torch.Tensor:  # fmt: skip
    """How much the network sees of the difference at each latent, float32 [h, w] in 0..1; the mask is where it is over 0.5.

    Args:
        scheduler: of diffusers, set to `steps` steps.
        known: float32 [1, 4, h, w], the picture's latents.
        conditioning: with the branches "source" and "cond", between which the difference is, and "uncond".
        scale: of the guidance; 1 for none.
        generator: for the noise.
        ratio: the multiple of the mean difference that counts as 1.
    """
    import torch

    timesteps = scheduler.timesteps
    at = timesteps[len(timesteps) - min(max(int(steps * STRENGTH), 1), steps)]
    drawn = noise([generator], (LOOKS, *known.shape[1:]), known.device)[0]
    guidance = ClassifierFree(scale)
    branches = ("source", "cond") if scale == 1 else ("uncond", "source", "cond")
    total = torch.zeros(known.shape[2:], device=known.device)
    moment = Moment(1 - STRENGTH, 1 - STRENGTH, at, None, scheduler, [generator], float(at))
    for number in range(LOOKS):
        progress.report(number / LOOKS, "Looking for the words", done=number, total=LOOKS, unit="look")
        sample = scheduler.scale_model_input(scheduler.add_noise(known, drawn[number : number + 1], at.reshape(1)), at)
        answers = looked(unet, sample, conditioning, branches, parts, moment, together, progress)
        source = guidance.combine({"cond": answers["source"], "uncond": answers.get("uncond", answers["source"])})
        target = guidance.combine({"cond": answers["cond"], "uncond": answers.get("uncond", answers["cond"])})
        total += (target - source).abs().mean((0, 1))
    seen = total / LOOKS
    if not torch.isfinite(seen).all():
        raise FloatingPointError("the network answers with NaN")
    most = (seen.mean() * ratio).clamp(min=1e-12)
    return seen.clamp(max=most) / most


def area_of(seen: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A guidance map, float32 [h, w], as the mask of a picture of `size` (width, height): bool, its outline between the latents."""
    import cv2

    return cv2.resize(seen, size, interpolation=cv2.INTER_LINEAR) > 0.5
