"""Our loop and engines against diffusers' own pipelines: the same networks, scheduler, prompt and noise give the same picture."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import numpy as np
import pytest

from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import encode
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.sampling import Tools, paint_with, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import PaintJob, PaintOptions
from tests.paint.diffusion.toys import SIZE, job, picture, random_checkpoint, square, toy_checkpoint

ALL = ["DDIM", "DDPM", "Euler", "Euler a", "DPM++ 2M", "DPM++ 2M SDE", "Heun", "LMS", "PNDM", "UniPC", "LCM", "DPM2 a"]


def pipeline(name: str, checkpoint, options: PaintOptions, monkeypatch, **more: Any):
    """A pipeline of diffusers on the checkpoint's networks, which takes the mean of what the VAE encodes: with the sample that it
    would draw, its noise would be another one."""
    import diffusers

    kind = getattr(diffusers, name)
    module = sys.modules[kind.__module__]
    if hasattr(module, "retrieve_latents"):
        monkeypatch.setattr(module, "retrieve_latents", lambda out, generator=None, sample_mode="": out.latent_dist.mode())
    sampling = options.sampling
    scheduler = samplers.scheduler(sampling.sampler, sampling.scheduler, checkpoint.scheduler_config, sampling.steps)
    monkeypatch.setattr(scheduler, "set_timesteps", lambda *arguments, **named: None)  # they are set
    parts: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "text_encoder": None, "tokenizer": None, **more}
    known = inspect.signature(kind.__init__).parameters
    parts |= {"requires_safety_checker": False}
    made = kind(
        vae=checkpoint.vae, unet=checkpoint.unet, scheduler=scheduler, **{key: value for key, value in parts.items() if key in known}
    )
    made.set_progress_bar_config(disable=True)
    return made


def asked(checkpoint, job: PaintJob) -> dict[str, Any]:
    """The arguments that all pipelines share, for the first of the job's seeds."""
    options = job.options
    texts = encode(checkpoint, options.prompt.positive, options.prompt.negative, size=(job.width, job.height), steps=options.sampling.steps)
    return {
        "prompt_embeds": texts.text("cond", 0).context,
        "negative_prompt_embeds": texts.text("uncond", 0).context,
        "num_inference_steps": options.sampling.steps,
        "guidance_scale": options.sampling.guidance_scale,
        "generator": generators(job.seed, 1),
        "output_type": "np",
    }


def apart(ours, theirs) -> int:
    """The largest difference of two pictures, uint8; theirs is float32 [1, h, w, 3] in 0..1."""
    theirs = (theirs.images[0] * 255).round().astype(np.uint8)
    assert ours.std() > 3 and ours.shape == theirs.shape
    return int(np.abs(ours.astype(int) - theirs.astype(int)).max())


def pil(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sampler", ALL)
def test_text_to_image(sampler, prediction, monkeypatch):
    checkpoint = random_checkpoint(4, prediction)
    options = grouped(prompt="a red house", negative_prompt="blurry", steps=6, sampler=sampler)
    ours = text_to_image(checkpoint, options, (SIZE, 48), seed=3)[0].pixels
    same = PaintJob(np.zeros((48, SIZE, 3), np.uint8), np.ones((48, SIZE), bool), options, "latent nothing", 1.0, 3)
    pipe = pipeline("StableDiffusionPipeline", checkpoint, options, monkeypatch)
    assert apart(ours, pipe(**asked(checkpoint, same), width=SIZE, height=48)) <= 1


@pytest.mark.parametrize("schedule", ["Karras", "Exponential", "SGM Uniform"])
def test_schedules(schedule, monkeypatch):
    checkpoint = random_checkpoint()
    options = grouped(prompt="a red house", steps=7, sampler="DPM++ 2M", scheduler=schedule)
    ours = text_to_image(checkpoint, options, (SIZE, SIZE), seed=3)[0].pixels
    same = PaintJob(picture(), np.ones((SIZE, SIZE), bool), options, "latent nothing", 1.0, 3)
    pipe = pipeline("StableDiffusionPipeline", checkpoint, options, monkeypatch)
    assert apart(ours, pipe(**asked(checkpoint, same), width=SIZE, height=SIZE)) <= 1


@pytest.mark.parametrize(
    ("sampler", "strength"), [(name, 0.7) for name in ALL if name not in ("PNDM", "LMS")] + [("Euler a", 0.3), ("DDIM", 1.0)]
)
def test_image_to_image(sampler, strength, monkeypatch):
    checkpoint, pixels = random_checkpoint(), picture()
    options = grouped(prompt="a red house", steps=6, sampler=sampler, denoising_strength=strength)
    same = PaintJob(pixels, np.ones((SIZE, SIZE), bool), options, "original", strength, 4)
    ours = paint_with(checkpoint, same)[0].pixels
    pipe = pipeline("StableDiffusionImg2ImgPipeline", checkpoint, options, monkeypatch)
    assert apart(ours, pipe(image=pil(pixels), strength=strength, **asked(checkpoint, same))) <= 1


@pytest.mark.parametrize(("make", "channels"), [(random_checkpoint, 4), (random_checkpoint, 9), (toy_checkpoint, 9)])
@pytest.mark.parametrize(("sampler", "strength", "content"), [
    ("DDIM", 0.75, "original"), ("DPM++ 2M", 0.9, "original"), ("Euler a", 0.5, "original"), ("UniPC", 0.75, "original"),
    ("DDPM", 1.0, "latent nothing"),
])  # fmt: skip
def test_inpainting(channels, sampler, strength, content, make, monkeypatch):
    checkpoint = make(channels)
    wanted = job(picture(), square(), content, strength, sampler=sampler)
    ours = paint_with(checkpoint, wanted)[0].pixels
    pipe = pipeline("StableDiffusionInpaintPipeline", checkpoint, wanted.options, monkeypatch)
    theirs = pipe(
        image=pil(wanted.pixels), mask_image=pil(wanted.mask), strength=strength, width=SIZE, height=SIZE, **asked(checkpoint, wanted)
    )
    assert apart(ours, theirs) <= 1


@pytest.mark.parametrize("sampler", ["DDIM", "Euler a", "DPM++ 2M"])
def test_instructions(sampler, monkeypatch):
    checkpoint = random_checkpoint(8)
    everywhere = np.ones((SIZE, SIZE), bool)
    wanted = job(picture(), everywhere, task="instruct", sampler=sampler, image_cfg_scale=1.4)
    ours = paint_with(checkpoint, wanted)[0].pixels
    pipe = pipeline("StableDiffusionInstructPix2PixPipeline", checkpoint, wanted.options, monkeypatch)
    theirs = pipe(image=pil(wanted.pixels), image_guidance_scale=1.4, **asked(checkpoint, wanted))
    assert apart(ours, theirs) <= 1


def test_depth_to_image(monkeypatch):
    import torch

    checkpoint = random_checkpoint(5)
    depth = np.random.default_rng(0).random((SIZE, SIZE), dtype=np.float32)
    wanted = job(picture(), np.ones((SIZE, SIZE), bool), strength=0.8)
    ours = paint_with(checkpoint, wanted, tools=Tools(depth=lambda pixels: depth))[0].pixels
    pipe = pipeline("StableDiffusionDepth2ImgPipeline", checkpoint, wanted.options, monkeypatch, depth_estimator=None)
    theirs = pipe(image=pil(wanted.pixels), depth_map=torch.from_numpy(depth)[None], strength=0.8, **asked(checkpoint, wanted))
    assert apart(ours, theirs) <= 1


def test_sdxl(monkeypatch):
    checkpoint = random_checkpoint(4, "epsilon", "sdxl")
    options = grouped(prompt="a red house", negative_prompt="blurry", steps=5, sampler="Euler")
    ours = text_to_image(checkpoint, options, (SIZE, SIZE), seed=3)[0].pixels
    same = PaintJob(picture(), np.ones((SIZE, SIZE), bool), options, "latent nothing", 1.0, 3)
    pipe = pipeline(
        "StableDiffusionXLPipeline", checkpoint, options, monkeypatch,
        text_encoder_2=checkpoint.text_encoders[1].model, tokenizer_2=None, add_watermarker=False,
    )  # fmt: skip
    texts = encode(checkpoint, options.prompt.positive, options.prompt.negative, size=(SIZE, SIZE), steps=5)
    pooled = {
        "pooled_prompt_embeds": texts.text("cond", 0).added["text_embeds"],
        "negative_pooled_prompt_embeds": texts.text("uncond", 0).added["text_embeds"],
    }
    assert apart(ours, pipe(**asked(checkpoint, same), **pooled, width=SIZE, height=SIZE)) <= 1
