"""unCLIP (Ramesh et al., 2022, "Hierarchical Text-Conditional Image Generation with CLIP Latents"): from what CLIP sees to a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.systems.base import Pipes, SystemKind, Wish, latent_side, negative, pixel_side

if TYPE_CHECKING:
    import torch

_PAPER = "Ramesh et al., 2022 (DALL·E 2)"
_VARIES = "variations of what is clicked, by what CLIP sees in it"


class StableUnclip(SystemKind):
    pipeline = "StableUnCLIPImg2ImgPipeline"
    title = "Stable unCLIP"
    paper = _PAPER
    licence = "CreativeML OpenRAIL++-M"
    tasks = ("vary",)
    gives = _VARIES
    cfg_scale = 10.0

    def native(self, pipes: Pipes) -> int:
        return latent_side(pipes["main"])

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        width, height = wish.size
        return pipes["main"](
            image=wish.image, prompt=wish.prompt, negative_prompt=negative(wish), width=width, height=height,
            num_inference_steps=wish.steps, guidance_scale=wish.cfg_scale, generator=source, output_type="np",
        ).images[:1]  # fmt: skip


class _Karlo(SystemKind):
    """What Kakao's two folders share."""

    paper = _PAPER
    licence = "CreativeML OpenRAIL-M"
    sized = False
    full = True  # the smoothed enlargement between its stages
    cfg_scale = 8.0

    def native(self, pipes: Pipes) -> int:
        return pixel_side(pipes["main"].super_res_last)


class KarloVariations(_Karlo):
    pipeline = "UnCLIPImageVariationPipeline"
    title = "Karlo, variations"
    tasks = ("vary",)
    gives = _VARIES

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        return pipes["main"](
            image=wish.image, decoder_num_inference_steps=wish.steps, super_res_num_inference_steps=_larger(wish.steps),
            decoder_guidance_scale=wish.cfg_scale, generator=source, output_type="np",
        ).images[:1]  # fmt: skip


class Karlo(_Karlo):
    pipeline = "UnCLIPPipeline"
    title = "Karlo"
    tasks = ("generate",)
    gives = "a picture from words"

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        return pipes["main"](
            prompt=wish.prompt, prior_num_inference_steps=wish.steps, decoder_num_inference_steps=wish.steps,
            super_res_num_inference_steps=_larger(wish.steps), decoder_guidance_scale=wish.cfg_scale, generator=source, output_type="np",
        ).images[:1]  # fmt: skip


def _larger(steps: int) -> int:
    """Steps that make the small picture large: as many of 7 as `steps` are of 25, which is what diffusers recommends. Raises
    `InvalidInput` for a single step, which its scheduler cannot do."""
    if steps < 2:
        raise InvalidInput("Karlo cannot paint in one step.", "Give at least 2 steps.")
    return max(round(steps * 7 / 25), 2)
