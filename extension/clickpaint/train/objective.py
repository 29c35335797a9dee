"""What a step is to learn: noise by lot, what the network should answer, and how far it is from that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Noised:
    """Latents with noise.

    Attributes:
        latents: float32 [n, 4, h, w], with the noise of their levels.
        timesteps: int64 [n], 0 to 999.
        target: float32 [n, 4, h, w], what the network should answer.
    """

    latents: Tensor
    timesteps: Tensor
    target: Tensor


def noise_scheduler(config: Any) -> Any:
    """The noise that a checkpoint was trained with, as diffusers' DDPM has it."""
    from diffusers import DDPMScheduler

    return DDPMScheduler(**{name: value for name, value in config.items() if name != "set_alpha_to_one"})


def draw_noise(shape: tuple[int, ...], generator: torch.Generator, offset: float) -> Tensor:
    """Normal noise, float32 [n, 4, h, w], on the CPU.

    Args:
        offset: strength of a value that is added to whole channels (Guttenberg 2023, "Diffusion with Offset Noise").
    """
    import torch

    noise = torch.randn(shape, generator=generator)
    return noise + offset * torch.randn((*shape[:2], 1, 1), generator=generator) if offset else noise


def noised(scheduler: Any, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Noised:
    """Latents at the noise levels of their timesteps, and the noise or the velocity (Salimans and Ho 2022) that is to be found."""
    target = noise if scheduler.config.prediction_type == "epsilon" else scheduler.get_velocity(latents, noise, timesteps)
    return Noised(scheduler.add_noise(latents, noise, timesteps), timesteps, target)


def level_weights(scheduler: Any, timesteps: Tensor, gamma: float) -> Tensor | None:
    """min-SNR-gamma (Hang et al. 2023), float32 [n]; None where all levels count alike."""
    import torch

    if not gamma:
        return None
    # not diffusers' compute_snr, whose file cannot be imported where transformers is older than 4.33, as A1111's is
    signal = scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    snr = signal / (1 - signal)
    least = torch.stack([snr, torch.full_like(snr, gamma)], dim=1).min(dim=1)[0]
    return least / snr.clamp(min=1e-8) if scheduler.config.prediction_type == "epsilon" else least / (snr + 1)


def loss_of(answer: Tensor, target: Tensor, area: Tensor | None = None, levels: Tensor | None = None) -> Tensor:
    """The mean squared error of each example, and of these the mean.

    Args:
        answer: [n, 4, h, w], the network's.
        target: the same, what it should have been.
        area: [n, 1, h, w], how much each place counts; an example's loss is the mean weighed by it, so that small objects count as much
            as large ones. None for everywhere alike.
        levels: [n], how much each example counts.
    """
    error = (answer.float() - target.float()) ** 2
    if area is None:
        each = error.mean(dim=(1, 2, 3))
    else:
        each = (error * area).sum(dim=(1, 2, 3)) / (area.sum(dim=(1, 2, 3)) * error.shape[1]).clamp(min=1e-6)
    return (each if levels is None else each * levels).mean()


def counting_area(masks: Tensor | None, floor: float) -> Tensor | None:
    """How much each place counts: 1 within the mask, `floor` outside; 1 everywhere for an example whose mask is empty.

    Args:
        masks: float32 [n, 1, h, w] in 0..1, shares of the latents' cells; None for no masks.
        floor: 0..1.
    """
    if masks is None:
        return None
    area = floor + (1 - floor) * masks
    empty = masks.amax(dim=(1, 2, 3), keepdim=True) <= 0
    return area.masked_fill(empty, 1.0)
