"""RePaint: an ordinary checkpoint inpaints by going back and forth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.engines.base import Engine, Recipe, Scene
from clickpaint.paint.diffusion.influences import Resampled, walk

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.paint_job import PaintOptions


class RePaint(Engine):
    """After Lugmayr et al. (2022), in latents. Its samplers have no memory of earlier steps, which a jump back would make wrong."""

    name = "repaint"
    remembers_nothing = True

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        super().check(kind, options)
        sampler, fitting = options.sampling.sampler, kind.memoryless
        if sampler and samplers.proper_name(sampler) not in fitting:
            raise InvalidInput(
                "RePaint cannot use the sampler {sampler}.", "Choose {samplers}, or none.", sampler=sampler, samplers=" or ".join(fitting)
            )

    def recipe(self, scene: Scene) -> Recipe:
        import torch

        options = scene.job.options
        latents, timesteps = scene.noised_start()
        looks = walk(len(timesteps), options.repaint.jump, options.repaint.resamples)
        parts = [*scene.beside()]
        if timesteps:
            parts.append(Resampled(scene.known, scene.mask > 0, torch.stack(list(timesteps))))
        return Recipe(latents, [timesteps[look] for look in looks], scene.model.guidance(options), parts)
