"""RePaint: an ordinary checkpoint inpaints by going back and forth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.engines.base import Engine, Recipe, Scene
from clickpaint.paint.diffusion.influences import Resampled, walk

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.kind import Kind
    from clickpaint.paint.paint_job import PaintOptions

_SAMPLERS = ("DDPM", "DDIM")


class RePaint(Engine):
    """After Lugmayr et al. (2022), in latents. Its samplers have no memory of earlier steps, which a jump back would make wrong."""

    name = "repaint"
    sampler = "DDPM"

    def check(self, kind: Kind, options: PaintOptions) -> None:
        super().check(kind, options)
        sampler = options.sampling.sampler
        if sampler and samplers.resolve(sampler)[0] not in _SAMPLERS:
            raise InvalidInput(
                "RePaint cannot use the sampler {sampler}.", "Choose {samplers}, or none.", sampler=sampler, samplers=" or ".join(_SAMPLERS)
            )

    def recipe(self, scene: Scene) -> Recipe:
        import torch

        options = scene.job.options
        latents, timesteps = scene.noised_start()
        looks = walk(len(timesteps), options.repaint.jump, options.repaint.resamples)
        parts = [*scene.beside()]
        if timesteps:
            parts.append(Resampled(scene.known, scene.mask > 0, torch.stack(list(timesteps))))
        return Recipe(latents, [timesteps[look] for look in looks], self.guidance(options), parts)
