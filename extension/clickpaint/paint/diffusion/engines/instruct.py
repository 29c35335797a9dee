"""InstructPix2Pix: the prompt says what to do to the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.engines.base import Engine, Recipe, Scene

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.paint_job import PaintOptions


class Instruct(Engine):
    """After Brooks, Holynski and Efros (2023), for their checkpoints (8 channels). It starts from pure noise, whatever the strength:
    the network sees the picture, and `image_cfg_scale` says how much of it stays."""

    name = "instruct"

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        if not kind.instructs:
            raise InvalidInput(
                "The checkpoint follows no instructions.",
                "Load an instruct-pix2pix checkpoint, Flux Kontext, Qwen-Image-Edit or Flux.2 Klein.",
                checkpoint=kind.title,
            )
        if options.task != "instruct":
            raise InvalidInput("The engine instruct only follows instructions.", "Choose the task instruct, or another engine.")

    def recipe(self, scene: Scene) -> Recipe:
        anew = replace(scene, job=replace(scene.job, masked_content="latent nothing", strength=1.0))
        latents, timesteps = anew.noised_start()
        return Recipe(latents, timesteps, scene.model.guidance(scene.job.options), [*anew.beside(), *anew.blend()])
