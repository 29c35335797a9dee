"""What engines have in common: the scene that they find, and the recipe that they make of it."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.influences import Channels, Known
from clickpaint.paint.diffusion.latents import Coder, filled, latent_mask
from clickpaint.paint.diffusion.loop import ClassifierFree, Guidance, Part
from clickpaint.paint.diffusion.loop import noise as draw
from clickpaint.paint.paint_job import PaintJob

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from clickpaint.paint.checkpoint.kind import Kind
    from clickpaint.paint.checkpoint.opening import Checkpoint
    from clickpaint.paint.paint_job import PaintOptions


@dataclass(frozen=True, eq=False)
class Recipe:
    """What `loop.denoise` needs.

    Attributes:
        latents: float32 [batch, 4, h, w], with the noise of the first of the timesteps.
        timesteps: the levels to visit, in order.
        guidance: how the answers for the prompts become one.
        parts: what takes part in each step, in order.
    """

    latents: torch.Tensor
    timesteps: Sequence[torch.Tensor]
    guidance: Guidance
    parts: Sequence[Part]


@dataclass(frozen=True, eq=False)
class Scene:
    """A job before its first step, for some of its seeds.

    Attributes:
        scheduler: set to the job's number of steps.
        generators: one for each seed.
        coder: the checkpoint's VAE.
        depth: measures a picture, uint8 [h, w, 3], as float32 of any size, larger is nearer; None where nobody can.
        carried: makes of the noise that a seed means the one that is used, [batch, 4, h, w] each; None for that noise itself.
    """

    checkpoint: Checkpoint
    job: PaintJob
    scheduler: Any
    generators: Sequence[torch.Generator]
    coder: Coder
    depth: Callable[[np.ndarray], np.ndarray] | None = None
    carried: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def device(self) -> torch.device:
        return self.checkpoint.device

    @functools.cached_property
    def noise(self) -> torch.Tensor:
        """[batch, 4, h, w]; the first that is drawn, so that a seed means the same noise for every engine."""
        drawn = draw(self.generators, self._shape, self.device)
        return drawn if self.carried is None else self.carried(drawn)

    @functools.cached_property
    def known(self) -> torch.Tensor:
        """The latents [1, 4, h, w] of the picture as it is."""
        return self.coder.encode(self.job.pixels)

    @functools.cached_property
    def mask(self) -> torch.Tensor:
        """Where latents are painted, 0 or 1, [1, 1, h, w]."""
        return latent_mask(self.job.mask, self.device)

    @property
    def start(self) -> torch.Tensor:
        """The latents [batch or 1, 4, h, w] to begin with, without noise: the picture, and what the masked content says in the hole."""
        content = self.job.masked_content
        if content == "original":
            return self.known
        if content == "fill":
            return self.coder.encode(filled(self.job.pixels, self.job.mask))
        inside = self.mask.new_zeros(1, *self._shape) if content == "latent nothing" else self._more_noise()
        return inside if self.mask.all() else inside * self.mask + self.known * (1 - self.mask)

    def noised_start(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(latents [batch, 4, h, w], timesteps) of image to image (SDEdit, Meng et al., 2022): the start, with the noise of the
        level that the strength says. At full strength, "latent nothing" is pure noise everywhere."""
        noise = self.noise
        timesteps, _ = samplers.visited(self.scheduler, self.job.options.sampling.steps, self.job.strength)
        if not timesteps:
            return self.start.expand_as(noise), timesteps
        if self.job.strength == 1 and self.job.masked_content == "latent nothing":
            return noise * self.scheduler.init_noise_sigma, timesteps
        return self.scheduler.add_noise(self.start.expand_as(noise), noise, timesteps[0].reshape(1)), timesteps

    def beside(self) -> list[Part]:
        """What the network wants beside the latents, whatever the engine: an inpainting network the hole, a depth network the depth."""
        channels = self.checkpoint.kind.in_channels
        if channels == 4:
            return []
        if channels == 9:
            kept = np.where(self.job.mask[..., None], np.float32(0), self.job.pixels.astype(np.float32) / 127.5 - 1)
            return [_for_all(self.mask, self.coder.encode(kept))]
        if channels == 5:
            return [_for_all(self._depth())]
        picture = self.known / self.coder.scale  # as it was trained
        return [Channels({"cond": picture, "image": picture, "uncond": picture.new_zeros(picture.shape)})]

    def blend(self) -> list[Part]:
        """What keeps the surroundings as they are during the sampling, with the job's soft mask if it has one."""
        if self.job.soft is None and self.mask.all():
            return []
        mask = self.mask if self.job.soft is None else latent_mask(self.job.soft, self.device)
        return [Known(self.known, mask, self.noise)]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return 4, self.job.height // 8, self.job.width // 8

    def _more_noise(self) -> torch.Tensor:
        assert self.noise is not None  # which is drawn first
        return draw(self.generators, self._shape, self.device)

    def _depth(self) -> torch.Tensor:
        """[1, 1, h, w] in -1..1."""
        import torch

        if self.depth is None:
            raise HostUnsupported("Nothing here can measure depth.", "Choose a checkpoint without depth channel.")
        depth = torch.from_numpy(np.ascontiguousarray(self.depth(self.job.pixels), dtype=np.float32))[None, None].to(self.device)
        depth = torch.nn.functional.interpolate(depth, size=self._shape[1:], mode="bicubic", align_corners=False)
        low, high = depth.amin(), depth.amax()
        return 2 * (depth - low) / (high - low).clamp(min=1e-6) - 1


def _for_all(*channels: torch.Tensor) -> Channels:
    import torch

    values = torch.cat(channels, dim=1)
    return Channels(dict.fromkeys(("cond", "uncond"), values))


class Engine(ABC):
    """A way in which a picture enters the sampling. Without state.

    Attributes:
        name: as users choose it.
        sampler: used where they chose none.
    """

    name: str
    sampler = samplers.DEFAULT

    def check(self, kind: Kind, options: PaintOptions) -> None:
        """Raise `InvalidInput` where the checkpoint or the options do not fit, with what would."""
        if kind.in_channels == 8:
            raise InvalidInput(
                "The checkpoint only follows instructions.", "Choose the task instruct, or another checkpoint.", checkpoint=kind.title
            )

    @abstractmethod
    def recipe(self, scene: Scene) -> Recipe: ...

    def guidance(self, options: PaintOptions) -> Guidance:
        return ClassifierFree(options.sampling.guidance_scale)
