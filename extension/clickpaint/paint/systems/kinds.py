"""What each kind of system is called with, and what it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import InvalidInput

if TYPE_CHECKING:
    from clickpaint.paint.systems.running import Wish


@dataclass(frozen=True)
class SystemKind:
    """A pipeline of diffusers.

    Attributes:
        pipeline: its class.
        title: for people.
        paper: where it comes from.
        tasks: of "vary", "fill", "generate", "animate".
        gives: what it adds for somebody who edits by clicking.
        arguments: what it is called with, for a wish.
    """

    pipeline: str
    title: str
    paper: str
    tasks: tuple[str, ...]
    gives: str
    arguments: Callable[[Any, Wish], dict[str, Any]]


def _unclip(pipe: Any, wish: Wish) -> dict[str, Any]:
    return {
        "image": wish.image, "prompt": wish.prompt, "negative_prompt": wish.negative or None, "width": wish.size[0], "height": wish.size[1],
        "num_inference_steps": wish.steps, "guidance_scale": wish.cfg_scale,
    }  # fmt: skip


def _karlo(pipe: Any, wish: Wish) -> dict[str, Any]:
    return {"image": wish.image, "decoder_num_inference_steps": wish.steps, "super_res_num_inference_steps": max(wish.steps // 3, 1),
            "decoder_guidance_scale": wish.cfg_scale}  # fmt: skip


def _karlo_text(pipe: Any, wish: Wish) -> dict[str, Any]:
    return {"prompt": wish.prompt, "prior_num_inference_steps": wish.steps, "decoder_num_inference_steps": wish.steps,
            "super_res_num_inference_steps": max(wish.steps // 3, 1), "decoder_guidance_scale": wish.cfg_scale}  # fmt: skip


def _dit(pipe: Any, wish: Wish) -> dict[str, Any]:
    """The prompt is a class by its name or number."""
    words, labels = wish.prompt.strip(), getattr(pipe, "labels", None) or {}
    if words.isdecimal():
        label = int(words)
    elif words in labels:
        label = labels[words]
    else:
        raise InvalidInput("{words!r} is no class of ImageNet.", "Give a class's name, as “golden retriever”, or its number.", words=words)
    return {"class_labels": [label], "num_inference_steps": wish.steps, "guidance_scale": wish.cfg_scale}


def _cascade(pipe: Any, wish: Wish) -> dict[str, Any]:
    return {
        "prompt": wish.prompt, "negative_prompt": wish.negative or None, "width": wish.size[0], "height": wish.size[1],
        "prior_num_inference_steps": wish.steps, "prior_guidance_scale": wish.cfg_scale, "num_inference_steps": max(wish.steps // 2, 1),
    }  # fmt: skip


def _deepfloyd(pipe: Any, wish: Wish) -> dict[str, Any]:
    return {
        "prompt": wish.prompt,
        "negative_prompt": wish.negative or None,
        "num_inference_steps": wish.steps,
        "guidance_scale": wish.cfg_scale,
    }


def _deepfloyd_inside(pipe: Any, wish: Wish) -> dict[str, Any]:
    from PIL import Image

    mask = Image.fromarray(np.asarray(wish.mask, np.uint8) * 255)
    return {**_deepfloyd(pipe, wish), "image": wish.image, "mask_image": mask, "strength": wish.strength}


def _animated(pipe: Any, wish: Wish) -> dict[str, Any]:
    return {
        "image": wish.image, "width": wish.size[0], "height": wish.size[1], "num_frames": wish.frames, "fps": max(round(wish.fps), 1),
        "motion_bucket_id": wish.motion, "num_inference_steps": wish.steps, "max_guidance_scale": wish.cfg_scale, "decode_chunk_size": 2,
    }  # fmt: skip


KINDS: Mapping[str, SystemKind] = {
    kind.pipeline: kind
    for kind in (
        SystemKind("StableUnCLIPImg2ImgPipeline", "Stable unCLIP", "Ramesh et al., 2022 (DALL·E 2)", ("vary",),
                   "variations of what is clicked, by what CLIP sees in it", _unclip),
        SystemKind("UnCLIPImageVariationPipeline", "Karlo, variations", "Ramesh et al., 2022 (DALL·E 2)", ("vary",),
                   "variations of what is clicked, by what CLIP sees in it", _karlo),
        SystemKind("UnCLIPPipeline", "Karlo", "Ramesh et al., 2022 (DALL·E 2)", ("generate",), "a picture from words", _karlo_text),
        SystemKind("StableVideoDiffusionPipeline", "Stable Video Diffusion", "Blattmann et al., 2023", ("animate",),
                   "the picture begins to move", _animated),
        SystemKind("DiTPipeline", "DiT", "Peebles and Xie, 2023", ("generate",), "a picture of one of ImageNet's classes", _dit),
        SystemKind("StableCascadeCombinedPipeline", "Stable Cascade", "Pernias et al., 2024 (Würstchen)", ("generate",),
                   "a picture from words", _cascade),
        SystemKind("IFPipeline", "DeepFloyd IF", "Saharia et al., 2022 (Imagen)", ("generate",), "a small picture from words, in pixels",
                   _deepfloyd),
        SystemKind("IFInpaintingPipeline", "DeepFloyd IF, inpainting", "Saharia et al., 2022 (Imagen)", ("fill",),
                   "fills what is selected, in pixels at 64 × 64", _deepfloyd_inside),
    )
}  # fmt: skip
"""By the name of the pipeline's class."""
