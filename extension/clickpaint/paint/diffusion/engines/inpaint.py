"""Image to image inside a mask, with any checkpoint."""

from __future__ import annotations

from clickpaint.paint.diffusion.engines.base import Engine, Recipe, Scene


class Inpaint(Engine):
    """An inpainting network (9 channels) sees the hole and keeps the surroundings by itself; with any other, the latents around the
    hole are put back after each step. A soft mask is heeded with both."""

    name = "inpaint"

    def recipe(self, scene: Scene) -> Recipe:
        latents, timesteps = scene.noised_start()
        sees_hole = scene.checkpoint.kind.sees_hole
        blend = [] if sees_hole and scene.job.soft is None else scene.blend()
        return Recipe(latents, timesteps, scene.model.guidance(scene.job.options), [*scene.beside(), *blend])
