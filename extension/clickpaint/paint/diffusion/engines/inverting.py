"""What the engines that follow a picture from noise to noise share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.kind import Kind
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.engines.base import Engine, Scene
from clickpaint.paint.diffusion.inversion import Levels, Rising, Trajectory, edit_friendly
from clickpaint.paint.diffusion.latents import latent_mask
from clickpaint.paint.diffusion.loop import ClassifierFree, Guidance, Part, denoise
from clickpaint.paint.diffusion.prompt import check_constant

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.diffusion.conditioning import Conditioning
    from clickpaint.paint.paint_job import PaintOptions

PREPARED = 0.35
"""Share of the work that an inversion is."""


class Inverting(Engine):
    """Its steps are DDIM's, which can be gone in both directions."""

    sampler = "DDIM"

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        super().check(kind, options)
        if not isinstance(kind, Kind):
            raise InvalidInput(
                "The method {method} needs a checkpoint of Stable Diffusion 1, 2 or XL.", "Choose one, or the method sdedit.",
                method=self.name,
            )  # fmt: skip
        sampler = options.sampling.sampler
        if sampler and samplers.resolve(sampler)[0] != self.sampler:
            raise InvalidInput(
                "The method {method} cannot use the sampler {sampler}.", "Choose {own}, or none.",
                method=self.name, sampler=sampler, own=self.sampler,
            )  # fmt: skip
        check_constant(options.prompt.positive, options.edit.source)


def timesteps_of(scene: Scene) -> list[torch.Tensor]:
    """Those that the job's strength visits, the noisiest first."""
    return scene.model.visited(scene.scheduler, scene.job.options.sampling.steps, scene.job.strength)[0]


def sampled(
    scene: Scene, scheduler: Any, timesteps: Sequence[torch.Tensor], latents: torch.Tensor, conditioning: Conditioning, guidance: Guidance,
    parts: Sequence[Part] = (), begin: float = 0.0,
) -> torch.Tensor:  # fmt: skip
    """A sampling before the job's own, as part of its work from `begin` on."""
    return denoise(
        scene.model.network(scene.job.options), scheduler, timesteps, latents, conditioning, guidance,
        [*scene.control, *scene.beside(), *parts], generators=scene.generators, together=scene.together,
        progress=scene.progress.part(begin, PREPARED), label="Looking at the picture",
    )  # fmt: skip


def ddim_inverted(scene: Scene, timesteps: Sequence[torch.Tensor], prompt: str, looks: int = 1, begin: float = 0.0) -> Trajectory:
    """The picture's trajectory by DDIM's steps backwards, for what it shows, without guidance, which would add up on the way."""
    rising = Rising(scene.scheduler, looks)
    visited = rising.visited(timesteps)
    conditioning = scene.conditioning(len(timesteps), prompt)
    sampled(scene, rising, visited, scene.known, conditioning, ClassifierFree(1.0), begin=begin)
    return Trajectory(scene.known, rising.noised, Levels(scene.scheduler))


def ddpm_inverted(scene: Scene, timesteps: Sequence[torch.Tensor]) -> Trajectory:
    """The picture's edit-friendly trajectory, one for each seed."""
    return edit_friendly(scene.known, Levels(scene.scheduler), timesteps, scene.generators)


def blend_mask(scene: Scene) -> torch.Tensor | None:
    """Where latents may change, [1, 1, h, w] in 0..1; None for everywhere."""
    if scene.job.soft is None and scene.mask.all():
        return None
    return scene.mask if scene.job.soft is None else latent_mask(scene.job.soft, scene.device, scene.model.cell)
