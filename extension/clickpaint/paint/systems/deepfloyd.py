"""DeepFloyd IF, after Imagen (Saharia et al., 2022): a small picture in pixels, and then a larger one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.paint.context import scaled, scaled_mask
from clickpaint.paint.systems.base import Opened, Pipes, SystemKind, Wish, negative, pixel_side

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from clickpaint.paint.systems.system_folders import System

_LARGER = "IFSuperResolutionPipeline"


class DeepFloyd(SystemKind):
    """The folder of the first stage; that of the second makes its pictures larger where it lies beside it."""

    pipeline = "IFPipeline"
    title = "DeepFloyd IF"
    paper = "Saharia et al., 2022 (Imagen)"
    licence = "DeepFloyd IF License Agreement"
    tasks = ("generate", "fill")
    gives = "a small picture from words, and fills what is selected, in pixels"
    sized = False
    partners = (_LARGER, "IFInpaintingSuperResolutionPipeline")

    def load(self, system: System, opened: Opened) -> Pipes:
        pipes = {"main": opened(self.pipeline, system.path)}
        if system.partner is not None:
            pipes["larger"] = opened(_LARGER, system.partner, text_encoder=None, tokenizer=None)  # the first stage has read the words
        return pipes

    def native(self, pipes: Pipes) -> int:
        return pixel_side(pipes.get("larger", pipes["main"]).unet)

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        inside = wish.mask is not None
        first = _shared(pipes["main"], "IFInpaintingPipeline") if inside else pipes["main"]
        words, against = first.encode_prompt(wish.prompt, wish.cfg_scale > 1, negative_prompt=negative(wish), device=first.device)
        common: dict[str, Any] = {
            "prompt_embeds": words, "negative_prompt_embeds": against, "num_inference_steps": wish.steps, "generator": source,
            "guidance_scale": wish.cfg_scale,
        }  # fmt: skip
        small = first(**common, **_picture(wish, first.unet), output_type="np" if "larger" not in pipes else "pt").images
        if "larger" not in pipes:
            return small[:1]
        if not inside:
            return pipes["larger"](image=small, **common, output_type="np").images[:1]
        second = _shared(pipes["larger"], "IFInpaintingSuperResolutionPipeline")
        given = _picture(wish, second.unet)
        return second(image=small, original_image=given.pop("image"), **given, **common, output_type="np").images[:1]


class DeepFloydInpainting(DeepFloyd):
    """The same folder, as diffusers saves it from the pipeline that fills."""

    pipeline = "IFInpaintingPipeline"
    title = "DeepFloyd IF, inpainting"
    tasks = ("fill",)
    gives = "fills what is selected, in pixels"


def _picture(wish: Wish, network: Any) -> dict[str, Any]:
    """What is painted in, at the size that diffusers would scale it to for the network; a pixel is painted wherever a selected one has a
    share, or what is to go would shine through at the edge."""
    if wish.mask is None or wish.image is None:
        return {}
    from PIL import Image

    size = _size(wish.image, pixel_side(network))
    image = Image.fromarray(scaled(np.asarray(wish.image), size))
    mask = Image.fromarray(scaled_mask(wish.mask, size).astype(np.uint8) * 255)
    return {"image": image, "mask_image": mask, "strength": wish.strength}


def _size(image: Image.Image, side: int) -> tuple[int, int]:
    """As diffusers has it: the shorter side is the network's, the longer one a multiple of 8."""
    share = image.width / image.height
    return (round(side / 8 * share) * 8, side) if share >= 1 else (side, round(side / 8 / share) * 8)


def _shared(given: Any, name: str) -> Any:
    """Another of diffusers' pipelines on the networks of one that is loaded."""
    import diffusers

    made = getattr(diffusers, name)(**given.components, requires_safety_checker=given.config.requires_safety_checker)
    made.progress_bar = given.progress_bar
    return made
