"""The parts that engines are composed of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clickpaint.paint.diffusion.loop import Inputs, Moment, Part, clean, noise

if TYPE_CHECKING:
    import numpy as np
    import torch

    from clickpaint.paint.diffusion.latents import Coder


@dataclass(frozen=True, eq=False)
class Channels(Part):
    """Further input channels, [1, c, h, w] for each branch; as an inpainting, depth or instruct-pix2pix network wants them."""

    values: Mapping[str, torch.Tensor]

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        import torch

        batch = len(inputs.sample) // len(inputs.branches)
        beside = torch.cat([self.values[branch].expand(batch, -1, -1, -1) for branch in inputs.branches])
        return replace(inputs, sample=torch.cat([inputs.sample, beside.to(inputs.sample)], dim=1))


@dataclass(frozen=True, eq=False)
class Known(Part):
    """Holds what is not painted at what the picture shows, with the noise of the level that is reached.

    Where the mask is between 0 and 1, the picture is let go when that share of the sampling is left: Differential Diffusion (Levin
    and Fried, 2023). A mask of zeros and ones gives the blended latents of Avrahami et al. (2022).

    Attributes:
        known: float32 [1, c, h, w], the latents of the picture.
        mask: float32 [1, 1, h, w] in 0..1; 0 keeps for good.
        noise: float32 [batch, c, h, w], the same at all levels.
    """

    known: torch.Tensor
    mask: torch.Tensor
    noise: torch.Tensor

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        known = self.known
        if moment.following is not None:
            known = moment.scheduler.add_noise(known.expand_as(self.noise), self.noise, moment.following.reshape(1))
        keeps = (1 - self.mask) >= moment.share_after  # as the next step finds it
        return known * keeps + latents * ~keeps


@dataclass(frozen=True, eq=False)
class Resampled(Part):
    """RePaint (Lugmayr et al., 2022): each step joins the known part, noised anew, to the painted one, and from time to time goes
    back to an earlier level, so that the two come to agree. For schedulers without memory.

    Attributes:
        known: float32 [1, c, h, w], the latents of the picture.
        mask: bool [1, 1, h, w], True where it is painted.
        timesteps: all levels from the noisiest, of which `walk` visits some repeatedly.
    """

    known: torch.Tensor
    mask: torch.Tensor
    timesteps: torch.Tensor

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        if moment.following is None:
            return latents.where(self.mask, self.known)
        place = int((self.timesteps == moment.timestep).nonzero()[0, 0]) + 1
        reached = mixture(moment.scheduler, self.timesteps[place]) if place < len(self.timesteps) else (1.0, 0.0)
        wanted = mixture(moment.scheduler, moment.following)
        known = reached[0] * self.known + reached[1] * self._noise(latents, moment)
        latents = latents.where(self.mask, known)  # equation 8
        if wanted[1] <= reached[1]:
            return latents
        share = wanted[0] / reached[0]  # the root of the product of 1 - beta over the jump
        return share * latents + math.sqrt(wanted[1] ** 2 - (share * reached[1]) ** 2) * self._noise(latents, moment)

    def _noise(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        return noise(moment.generators, latents.shape[1:], latents.device)


@dataclass(frozen=True, eq=False)
class Agreeing(Part):
    """Lets the clean picture that each step heads for agree with something that is known of it, as hard data consistency does in ReSample
    (Song et al., 2023): decoded, corrected, encoded, and the prediction changed by what that changed. Ten times in a sampling, for a VAE
    costs as much as the network.

    Attributes:
        corrected: uint8 [h, w, 3] → uint8 [h, w, 3].
        coder: the checkpoint's VAE.
    """

    corrected: Callable[[np.ndarray], np.ndarray]
    coder: Coder

    def prediction(self, prediction: torch.Tensor, sample: torch.Tensor, moment: Moment) -> torch.Tensor:
        import torch

        if math.floor(10 * moment.share_after) == math.floor(10 * moment.share):
            return prediction
        heading = clean(sample, prediction, moment)
        shown = [self.coder.decode(row) for row in heading.split(1)]
        change = torch.cat([self.coder.encode(self.corrected(picture)) - self.coder.encode(picture) for picture in shown])
        return prediction + change.to(prediction) / slope(sample, moment)


def slope(sample: torch.Tensor, moment: Moment) -> float:
    """By how much the clean latents change with the prediction, in which they are linear, as the family's own formula says."""
    zero = sample.new_zeros(1, 1, 1, 1)
    return float(clean(zero, zero + 1, moment) - clean(zero, zero, moment))


def mixture(scheduler: Any, timestep: torch.Tensor) -> tuple[float, float]:
    """How much of the picture and how much noise latents are made of at a timestep."""
    if hasattr(scheduler, "mixture"):
        return scheduler.mixture(timestep)
    level = float(scheduler.alphas_cumprod[timestep.long().cpu()])
    return math.sqrt(level), math.sqrt(1 - level)


def walk(count: int, jump: int, resamples: int) -> list[int]:
    """At which of `count` levels, 0 the noisiest, RePaint's network looks, in order (its appendix: "time schedule").

    Args:
        jump: levels that a jump goes back.
        resamples: how often each stretch of that length is painted in all.
    """
    jump = min(jump, count - 1)
    left = dict.fromkeys(range(0, count - jump, jump), resamples - 1) if jump > 0 else {}
    looks, level = [], count - 1  # the paper counts levels from the cleanest
    while level >= 0:
        looks.append(count - 1 - level)
        level -= 1
        if left.get(level, 0) > 0:
            left[level] -= 1
            level += jump
    return looks
