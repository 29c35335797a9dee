"""Our samplers on the card against diffusers' pipelines on the same networks, opening a checkpoint, and what stays outside the mask."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.image import blend
from clickpaint.paint.checkpoint.meta import on_meta
from clickpaint.paint.checkpoint.opening import Checkpoint, open_checkpoint
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import encode
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.sampling import Tools, paint_with, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.in_picture import paint
from clickpaint.paint.paint_job import MaskedContent, Painted, PaintJob, PaintOptions, Task
from clickpaint.progress import Progress
from tests.benchmarks import aliasing
from tests.benchmarks.gpu.measure import Bench, Row
from tests.benchmarks.paint import check_alike
from tests.toys import checkpoint as toys
from tests.toys.tensor_source import TensorSource

_STEPS = 20


def sd1(bench: Bench) -> Iterator[Row]:
    """Stable Diffusion 1's U-Net at its size."""
    yield from _against_diffusers(bench, "sd1", 512)


def sdxl(bench: Bench) -> Iterator[Row]:
    """SDXL's U-Net at its size."""
    yield from _against_diffusers(bench, "sdxl", 1024)


def opening(bench: Bench) -> Iterator[Row]:
    """From a file to the U-Net's first answer on the card."""
    import torch

    for family in ("sd1",) if bench.small else ("sd1", "sdxl"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "full.safetensors"
            if bench.small:
                from safetensors.torch import save_file

                save_file(toys.state_dict(), str(path))
            else:
                shapes = aliasing.unet_shapes(aliasing.UNETS[family], None if family == "sd1" else 64) | aliasing.vae_shapes()
                for text in aliasing.TEXTS[family]:
                    shapes |= aliasing.text_shapes(*text)
                aliasing.write(path, shapes)

            def answered(path: Path = path, family: str = family) -> None:
                source = FileSource(path, prediction="epsilon")
                with source.using(bench.device.torch), torch.inference_mode():
                    opened = open_checkpoint(source)
                    at = {"dtype": opened.dtype, "device": bench.device.torch}
                    sample, context = torch.zeros(1, 4, 8, 8, **at), torch.zeros(1, 77, opened.layout.context, **at)
                    sizes = {"text_embeds": torch.zeros(1, 1280, **at), "time_ids": torch.zeros(1, 6, **at)}
                    added = {} if family == "sd1" else {"added_cond_kwargs": sizes}
                    opened.unet(sample, torch.tensor(1, device=bench.device.torch), context, **added).sample.cpu()
                source.release()

            size = path.stat().st_size / 1e6
            (milliseconds,) = bench.turns(answered, rounds=2)
            peak = bench.peak(answered)
            note = f"{size:.0f} MB in the file, {size / milliseconds:.2f} GB/s"
            yield Row(f"opening {family}, from the file to the first answer", milliseconds, note=note)
            yield Row(f"opening {family}: peak memory, against the file's size", peak, size, "MB", wrong=peak > 1.2 * size)


def outside(bench: Bench) -> Iterator[Row]:
    """What our samplers change outside the mask: nothing, to the bit."""
    checkpoint = _on_device(toys.state_dict(dtype=bench.device.torch_dtype), bench)
    pixels = np.random.default_rng(0).integers(0, 256, (301, 203, 3), np.uint8)
    y, x = np.mgrid[:301, :203]
    mask = (y - 150) ** 2 + (x - 90) ** 2 < 60**2

    def run(job: PaintJob, progress: Progress) -> list[Painted]:
        return paint_with(checkpoint, job, tools=Tools(bench.device), progress=progress)

    side = 64 if bench.small else 256
    cases: tuple[tuple[Task, MaskedContent], ...] = (("fill", "original"), ("fill", "latent noise"), ("replace", "fill"))
    for task, content in cases:
        options = grouped(task=task, prompt="a ball", steps=4, seed=1, masked_content=content, grow=4, feather=6, resolution=side)
        canvas = paint(pixels, mask, options, run, native=side)
        kept = ~blend.hole(mask, 4, 6) if task == "fill" else mask
        differs = (canvas.results[0].placed_in(pixels) != pixels).any(axis=2)
        changed, note = int(differs[kept].sum()), f"{int(differs[~kept].sum())} px painted"
        yield Row(f"{task}, {content}: changed where nothing may", float(changed), unit="px", note=note, wrong=changed > 0)


def _against_diffusers(bench: Bench, family: str, side: int) -> Iterator[Row]:
    side, steps = (64, 2) if bench.small else (side, _STEPS)
    checkpoint = _on_device(toys.state_dict(family=family) if bench.small else _full_size(family, bench), bench)
    options = grouped(prompt="a red house", negative_prompt="blurry", steps=steps, sampler="DDIM")
    tools = Tools(bench.device)
    ours: Callable[[], object] = lambda: text_to_image(checkpoint, options, (side, side), seed=1, tools=tools)  # noqa: E731
    theirs = _pipeline(checkpoint, family, options, side)
    check_alike(checkpoint.unet, ours, theirs)
    mine, reference = bench.turns(ours, theirs, rounds=1 if bench.small else 3)
    note = f"{side} x {side}, {steps} steps of DDIM with CFG, {str(checkpoint.dtype).removeprefix('torch.')}"
    yield Row(f"{family}: a picture, against diffusers' pipeline", mine, reference, note=f"{note}; {mine / steps:.1f} ms a step")
    yield Row(f"{family}: peak memory beyond weights", bench.peak(ours), bench.peak(theirs), "MB")


def _on_device(tensors: dict[str, Any], bench: Bench) -> Checkpoint:
    slow = bench.device.kind == "cpu"
    moved = {key: value.to(bench.device.torch).float() if slow else value.to(bench.device.torch) for key, value in tensors.items()}
    return open_checkpoint(TensorSource("random", lambda: moved, "epsilon"))


def _full_size(family: str, bench: Bench) -> dict[str, Any]:
    """The toy checkpoint with a U-Net of this family's size, random, float16, made on the card."""
    import torch
    from diffusers import UNet2DConditionModel

    layout = aliasing.UNETS[family]
    with on_meta():
        unet = UNet2DConditionModel(**layout.config(None if family == "sd1" else 64))
    tensors = {key: value for key, value in toys.state_dict(family=family).items() if not key.startswith("model.diffusion_model.")}
    generator = torch.Generator(bench.device.torch).manual_seed(0)
    for name, parameter in unet.named_parameters():
        if parameter.ndim > 1:
            value = torch.randn(parameter.shape, generator=generator, device=bench.device.torch, dtype=torch.float16)
            value /= parameter[0].numel() ** 0.5
        else:
            value = torch.full(parameter.shape, float("norm" in name), device=bench.device.torch, dtype=torch.float16)
        tensors[f"model.diffusion_model.{layout.key(name)}"] = value
    return tensors


def _pipeline(checkpoint: Checkpoint, family: str, options: PaintOptions, side: int) -> Callable[[], object]:
    """diffusers' own on the same networks, texts included."""
    import diffusers

    scheduler = samplers.scheduler(
        options.sampling.sampler, "Automatic", checkpoint.scheduler_config, options.sampling.steps, checkpoint.device
    )
    modules: dict[str, Any] = {
        "unet": checkpoint.unet,
        "vae": checkpoint.vae,
        "scheduler": scheduler,
        "text_encoder": None,
        "tokenizer": None,
    }
    if family == "sdxl":
        kind: Any = diffusers.StableDiffusionXLPipeline
        pipe = kind(**modules, text_encoder_2=None, tokenizer_2=None, add_watermarker=False)
    else:
        kind = diffusers.StableDiffusionPipeline
        pipe = kind(**modules, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)

    def run() -> None:
        texts = encode(checkpoint, options.prompt.positive, options.prompt.negative, size=(side, side), steps=options.sampling.steps)
        cond, uncond = texts.text("cond", 0), texts.text("uncond", 0)
        prompts = {"prompt_embeds": cond.context, "negative_prompt_embeds": uncond.context}
        if family == "sdxl":
            pooled = {"pooled_prompt_embeds": cond, "negative_pooled_prompt_embeds": uncond}
            prompts |= {key: text.added["text_embeds"] for key, text in pooled.items()}
        pipe(
            **{key: value.to(checkpoint.dtype) for key, value in prompts.items()}, num_inference_steps=options.sampling.steps,
            guidance_scale=options.sampling.guidance_scale, generator=generators(1, 1), height=side, width=side, output_type="np",
        )  # fmt: skip

    return run
