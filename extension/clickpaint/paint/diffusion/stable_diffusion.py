"""Stable Diffusion 1, 2 and XL in the sampling: a U-Net that predicts noise (or v), CLIP, and latents of four channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.checkpoint_model import Model
from clickpaint.paint.diffusion.conditioning import Conditioning, Words, composition
from clickpaint.paint.diffusion.influences import Channels
from clickpaint.paint.diffusion.loop import ClassifierFree, Composed, Guidance, Instructed, Part
from clickpaint.paint.diffusion.prompt import composed

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.paint_job import PaintOptions, Sampling

# How much of red, green and blue each channel of the latents shows, by linear regression; the web UI's figures.
_RGB = {
    "sd": ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473)),
    "sdxl": ((0.3448, 0.4168, 0.4395), (-0.1953, -0.0290, 0.0250), (0.1074, 0.0886, -0.0163), (-0.3730, -0.2499, -0.2088)),
}


class StableDiffusion(Model):
    """Implements `Model`.

    Args:
        checkpoint: of the families that `checkpoint.kind.Kind` tells apart.
    """

    channels, cell, sampler = 4, 8, samplers.DEFAULT

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._xl = checkpoint.kind.family.startswith("sdxl")

    def resolve(self, sampler: str, schedule: str) -> tuple[str, str]:
        return samplers.resolve(sampler, schedule)

    def scheduler(self, sampler: str, schedule: str, sampling: Sampling, size: tuple[int, int]) -> Any:
        checkpoint = self._checkpoint
        return samplers.scheduler(sampler, schedule, checkpoint.scheduler_config, sampling.steps, checkpoint.device, sdxl=self._xl)

    def visited(self, scheduler: Any, steps: int, strength: float) -> tuple[list[torch.Tensor], int]:
        return samplers.visited(scheduler, steps, strength)

    def conditioning(self, options: PaintOptions, scene: Scene, steps: int, words: Words) -> Conditioning:
        prompts = [text for text, _ in composed(options.prompt.positive)]
        return composition(
            self._checkpoint, prompts, options.prompt.negative, size=(scene.job.width, scene.job.height), steps=steps,
            clip_skip=options.model.clip_skip or 1, words=words,
        )  # fmt: skip

    def network(self, options: PaintOptions) -> Any:
        return self._checkpoint.unet

    def to_latents(self, vae: Any, picture: torch.Tensor) -> torch.Tensor:
        return vae.encode(picture).latent_dist.mode() * vae.config["scaling_factor"]

    def to_picture(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return vae.decode(latents / vae.config["scaling_factor"], return_dict=False)[0]

    def beside(self, scene: Scene) -> list[Part]:
        """An inpainting network sees the hole, a depth network the depth, one that follows instructions the picture."""
        channels = self._checkpoint.kind.in_channels
        if channels == 4:
            return []
        if channels == 9:
            kept = np.where(scene.job.mask[..., None], np.float32(0), scene.job.pixels.astype(np.float32) / 127.5 - 1)
            return [_for_all(scene.mask, scene.coder.encode(kept))]
        if channels == 5:
            return [_for_all(_depth(scene))]
        picture = scene.known / self._checkpoint.vae.config["scaling_factor"]  # as it was trained
        return [Channels({"cond": picture, "image": picture, "uncond": picture.new_zeros(picture.shape)})]

    def guidance(self, options: PaintOptions) -> Guidance:
        sampling = options.sampling
        weights = tuple(weight for _, weight in composed(options.prompt.positive))
        if self._checkpoint.kind.instructs:
            if len(weights) > 1:
                raise InvalidInput("An instruction cannot be joined to another one by AND.", "Write them as one.")
            return Instructed(sampling.guidance_scale, sampling.image_cfg_scale)
        if weights != (1.0,):
            return Composed(sampling.guidance_scale, weights)
        return ClassifierFree(sampling.guidance_scale)

    def scales(self, options: PaintOptions) -> dict[str, Any]:
        reference = options.reference
        return {
            "cfg_scale": options.sampling.guidance_scale,
            "reference": (reference.weight, reference.fidelity) if reference.acts else None,
        }

    @contextmanager
    def thrifty(self, thrift: int) -> Iterator[None]:
        unet, vae = self._checkpoint.unet, self._checkpoint.vae
        processors, tiling = dict(unet.attn_processors), vae.use_tiling
        try:
            vae.use_tiling = tiling or thrift >= 1
            if thrift >= 2:
                unet.set_attention_slice("max")
            yield
        finally:
            vae.use_tiling = tiling
            if thrift >= 2:
                unet.set_attn_processor(processors)

    def approximate(self, latents: torch.Tensor) -> np.ndarray:
        return approximate(latents, self._checkpoint.kind.family)


def approximate(latents: torch.Tensor, family: str) -> np.ndarray:
    """Latents [1, 4, h/8, w/8] roughly as a picture, uint8 [h/8, w/8, 3], without the decoder."""
    import torch

    table = torch.tensor(_RGB["sdxl" if family.startswith("sdxl") else "sd"], device=latents.device)
    colours = torch.einsum("chw,cr->hwr", latents[0].float(), table)
    return ((colours + 1) * 127.5).clamp(0, 255).to("cpu", torch.uint8).numpy()


def _depth(scene: Scene) -> torch.Tensor:
    """[1, 1, h, w] in -1..1."""
    import torch

    if scene.depth is None:
        raise HostUnsupported("Nothing here can measure depth.", "Choose a checkpoint without depth channel.")
    depth = torch.from_numpy(np.ascontiguousarray(scene.depth(scene.job.pixels), dtype=np.float32))[None, None].to(scene.device)
    depth = torch.nn.functional.interpolate(depth, size=scene.shape[1:], mode="bicubic", align_corners=False)
    low, high = depth.amin(), depth.amax()
    return 2 * (depth - low) / (high - low).clamp(min=1e-6) - 1


def _for_all(*channels: torch.Tensor) -> Channels:
    import torch

    values = torch.cat(channels, dim=1)
    return Channels(defaultdict(lambda: values))  # whatever the branch
