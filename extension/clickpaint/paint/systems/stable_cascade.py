"""Stable Cascade (Pernias et al., 2024, "Würstchen"): what a picture is to be, very small, and then the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickpaint.paint.systems.base import Opened, Pipes, SystemKind, Wish, folder_of, negative

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.systems.system_folders import System

_SIDE = 1024
"""In pixels, of what it was trained on; none of its files says it."""

_PRIOR = "StableCascadePriorPipeline"


class StableCascade(SystemKind):
    """Two folders, of the decoder and of the prior, as they are published."""

    pipeline = "StableCascadeDecoderPipeline"
    title = "Stable Cascade"
    paper = "Pernias et al., 2024 (Würstchen)"
    licence = "Stability AI Non-Commercial Research Community License"
    tasks = ("generate",)
    gives = "a picture from words"
    cfg_scale = 4.0
    wide = True
    multiple = 128
    partners = (_PRIOR,)
    lacking = "its prior is missing; put the folder of a StableCascadePriorPipeline beside it."

    def load(self, system: System, opened: Opened) -> Pipes:
        return {"main": opened(self.pipeline, system.path), "prior": opened(_PRIOR, folder_of(system))}

    def native(self, pipes: Pipes) -> int:
        return _SIDE

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        width, height = wish.size
        planned = pipes["prior"](
            prompt=wish.prompt, negative_prompt=negative(wish), width=width, height=height, num_inference_steps=wish.steps,
            guidance_scale=wish.cfg_scale, generator=source,
        )  # fmt: skip
        return pipes["main"](
            image_embeddings=planned.image_embeddings.to(pipes["main"].decoder.dtype), prompt=wish.prompt, negative_prompt=negative(wish),
            num_inference_steps=max(wish.steps // 2, 1), guidance_scale=0.0, generator=source, output_type="np",
        ).images[:1]  # fmt: skip


class StableCascadeInOne(StableCascade):
    """One folder with both, as diffusers saves the combined pipeline."""

    pipeline = "StableCascadeCombinedPipeline"
    partners, lacking = (), ""

    def load(self, system: System, opened: Opened) -> Pipes:
        both = opened(self.pipeline, system.path)
        return {"main": both.decoder_pipe, "prior": both.prior_pipe}
