"""DiT, Stable Video Diffusion and latent diffusion's super-resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.systems.base import Pipes, SystemKind, Wish, latent_side

if TYPE_CHECKING:
    import torch


class DiT(SystemKind):
    pipeline = "DiTPipeline"
    title = "DiT"
    paper = "Peebles and Xie, 2023"
    licence = "CC BY-NC 4.0"
    tasks = ("generate",)
    gives = "a picture of one of ImageNet's classes"
    sized = False
    cfg_scale = 4.0

    def native(self, pipes: Pipes) -> int:
        return latent_side(pipes["main"], "transformer")

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        return pipes["main"](
            class_labels=[_label(pipes["main"], wish.prompt.strip())], num_inference_steps=wish.steps, guidance_scale=wish.cfg_scale,
            generator=source, output_type="np",
        ).images[:1]  # fmt: skip


def _label(pipe: Any, words: str) -> int:
    """A class of ImageNet by its name or number."""
    labels = getattr(pipe, "labels", None) or {}
    if words.isdecimal() and int(words) < pipe.transformer.config.num_embeds_ada_norm:
        return int(words)
    if words in labels:
        return labels[words]
    raise InvalidInput("{words!r} is no class of ImageNet.", "Give a class's name, as “golden retriever”, or its number.", words=words)


class StableVideo(SystemKind):
    pipeline = "StableVideoDiffusionPipeline"
    title = "Stable Video Diffusion"
    paper = "Blattmann et al., 2023"
    licence = "Stability AI Community License"
    tasks = ("animate",)
    gives = "the picture begins to move"
    cfg_scale = 3.0

    def native(self, pipes: Pipes) -> int:
        return latent_side(pipes["main"])

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        width, height = wish.size
        return pipes["main"](
            image=wish.image, width=width, height=height, num_frames=wish.frames, fps=max(round(wish.fps), 1),
            motion_bucket_id=wish.motion, num_inference_steps=wish.steps, max_guidance_scale=wish.cfg_scale, decode_chunk_size=2,
            generator=source, output_type="np",
        ).frames[0]  # fmt: skip


class LatentSuperResolution(SystemKind):
    """A latent diffusion whose first stage is a VQ model (VQGAN, Esser et al., 2021); the small picture is seen beside its latents."""

    pipeline = "LDMSuperResolutionPipeline"
    title = "Latent diffusion, super-resolution"
    paper = "Rombach et al., 2022"
    licence = "Apache 2.0"
    tasks = ("enlarge",)
    gives = "a picture four times as large, with the details that it may have had"
    cfg_scale = 1.0

    def native(self, pipes: Pipes) -> int:
        return 128  # of what it enlarges at once, as its makers do; the network takes all multiples of 32

    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        made = pipes["main"](image=wish.image, num_inference_steps=wish.steps, generator=source, output_type="pt").images[:1]
        return made.float().cpu().permute(0, 2, 3, 1).numpy()  # which diffusers cannot do with bfloat16
