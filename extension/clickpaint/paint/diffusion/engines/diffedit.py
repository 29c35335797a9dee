"""DiffEdit: the network finds where the two prompts differ, and only that is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.engines.base import Recipe, Scene
from clickpaint.paint.diffusion.engines.inverting import PREPARED, Inverting, ddim_inverted, timesteps_of
from clickpaint.paint.diffusion.inversion import Followed
from clickpaint.paint.diffusion.words_mask import guidance_map

if TYPE_CHECKING:
    import torch


class DiffEdit(Inverting):
    """After Couairon et al. (2023), with the numbers of diffusers' pipeline, whose masks and pictures it gives. Within the user's mask,
    where there is one."""

    name = "diffedit"

    def recipe(self, scene: Scene) -> Recipe:
        import torch

        options = scene.job.options
        timesteps = timesteps_of(scene)
        masks = torch.cat([self._mask(scene, generator, number) for number, generator in enumerate(scene.generators)]) * scene.mask
        if not masks.flatten(1).any(1).all():
            raise InvalidInput(
                "The two prompts do not differ in what is selected.", "Say it in other words, or select more, or nothing at all."
            )
        areas = [mask.repeat(scene.model.cell, 0).repeat(scene.model.cell, 1) for mask in masks[:, 0].cpu().numpy().astype(np.float32)]
        if not timesteps:
            latents = scene.known.expand(len(masks), -1, -1, -1)
            return Recipe(latents, timesteps, scene.model.guidance(options), [], areas=areas)
        trajectory = ddim_inverted(scene, timesteps, options.edit.source, begin=PREPARED / 2)
        latents = trajectory.at(int(timesteps[0])).expand(len(masks), -1, -1, -1)
        parts = [*scene.beside(), Followed(trajectory, masks, late=True)]
        return Recipe(latents, timesteps, scene.model.guidance(options), parts, areas=areas, prepared=PREPARED)

    @staticmethod
    def _mask(scene: Scene, generator: torch.Generator, number: int) -> torch.Tensor:
        """Float32 [1, 1, h, w] of zeros and ones."""
        options, count = scene.job.options, len(scene.generators)
        seen = guidance_map(
            scene.model.network(options), scene.scheduler, scene.known, scene.conditioning(1, further={"source": options.edit.source}),
            options.sampling.guidance_scale, generator, [*scene.control, *scene.beside()], steps=options.sampling.steps,
            ratio=options.edit.mask_ratio, together=scene.together,
            progress=scene.progress.part(PREPARED / 2 * number / count, PREPARED / 2 * (number + 1) / count),
        )  # fmt: skip
        return (seen > 0.5).float()[None, None]
