"""Painting with the flow-matching families against diffusers' own pipelines: the same networks and noise give the same picture."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.opening import open_any
from clickpaint.paint.checkpoint.source import TensorSource
from clickpaint.paint.diffusion.engines.base import Scene
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.sampling import paint_with
from tests.paint.diffusion.toys import job, picture
from tests.toys import flow as toy

torchvision.available()
SIZE = 64


class Toy(TensorSource):
    """Tensors with a folder of tokenizers."""

    def __init__(self, name, tensors, folder) -> None:
        super().__init__(name, lambda: tensors)
        self.folders = lambda kind: [folder]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    toy.t5_tokenizer(folder / "t5")
    return folder


def mask() -> np.ndarray:
    """In whole tokens of 16 x 16 pixels."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[16:48, 16:64] = True
    return mask


def wanted(**options: Any):
    return job(picture(SIZE, SIZE), mask(), "original", **{"strength": 0.75, "sampler": "", "steps": 4, **options})


def texts(checkpoint, job):
    """Prompt and negative prompt as ours."""
    model = model_of(checkpoint)
    scene = Scene(checkpoint, model, job, None, (), None)  # type: ignore[arg-type]
    found = model.conditioning(job.options, scene, 4, {})
    return found.text("cond", 0), found.text("uncond", 0)


def pipeline(name: str, monkeypatch, **parts: Any):
    """diffusers' pipeline, which takes the mean of what the VAE encodes; with a sample its noise would be another one."""
    import diffusers

    kind = getattr(diffusers, name)
    module = sys.modules[kind.__module__]
    monkeypatch.setattr(module, "retrieve_latents", lambda out, generator=None, sample_mode="": out.latent_dist.mode())
    made = kind(**parts)
    made.set_progress_bar_config(disable=True)
    return made


def pil(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255)


def decoded(checkpoint, latents) -> np.ndarray:
    from clickpaint.paint.diffusion.latents import Coder

    with torch.inference_mode():
        return Coder(checkpoint, model_of(checkpoint)).decode(latents)


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.std() > 3 and ours.shape == theirs.shape
    assert int(np.abs(ours.astype(int) - theirs.astype(int)).max()) <= 1


@pytest.fixture(scope="module")
def sd3(tokenizers):
    tensors = toy.sd3_file()
    return open_any(Toy("sd3.5_toy.safetensors", tensors, tokenizers))


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_stable_diffusion_3_inpaints_as_diffusers(sd3, strength, monkeypatch):
    from diffusers import FlowMatchEulerDiscreteScheduler

    asked = wanted(strength=strength, cfg_scale=3.0)
    ours = paint_with(sd3, replace(asked, strength=strength))[0].pixels
    cond, uncond = texts(sd3, asked)
    pipe = pipeline(
        "StableDiffusion3InpaintPipeline", monkeypatch, transformer=sd3.transformer, vae=sd3.vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        **dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")),
    )  # fmt: skip
    pipe.vae.register_to_config(shift_factor=0.0609, scaling_factor=1.5305)
    latents = pipe(
        image=pil(asked.pixels), mask_image=pil(asked.mask), height=SIZE, width=SIZE, strength=strength, num_inference_steps=4,
        guidance_scale=3.0, generator=generators(asked.seed, 1)[0], output_type="latent",
        prompt_embeds=cond.context, negative_prompt_embeds=uncond.context, pooled_prompt_embeds=cond.added["pooled"],
        negative_pooled_prompt_embeds=uncond.added["pooled"],
    ).images  # fmt: skip
    assert_same(ours, decoded(sd3, latents))  # the pipeline itself forgets to shift the latents back before it decodes them
