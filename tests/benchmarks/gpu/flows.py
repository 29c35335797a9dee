"""The flow-matching families on the card: a step against diffusers' pipeline on the same networks, opening, and what stays outside.

Transformers have their real widths and a block of each kind, so that a family fits into two gigabytes; their text encoders have one
layer or two, and the VAE is a toy.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.image import blend
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.checkpoint.opening import Checkpoints
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.diffusion.engines.base import Scene
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.sampling import Tools, paint_with
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.flow.base import Asked
from clickpaint.paint.flow.registry import FAMILIES
from clickpaint.paint.in_picture import paint
from clickpaint.paint.paint_job import Painted, PaintJob
from clickpaint.progress import Progress
from tests.benchmarks import aliasing
from tests.benchmarks.gpu.measure import Bench, Row
from tests.toys import flow as toys
from tests.toys.tensor_source import TensorSource

_FEW, _MANY = 4, 12
"""Steps of two runs, whose difference is what steps take: the VAE and the start are the same in both."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Family:
    """A family as it is measured.

    Attributes:
        name: in the registry.
        file: of its checkpoint, which some are told by.
        pipeline: diffusers'.
        wide: the tensors of its transformer and its text encoders at their real widths, by the keys of a file.
        small: the same with values, at toy size.
        shift: of diffusers' scheduler; None where the size of the picture says it.
        texts: the pipeline's arguments for text encoders and tokenizers, which have nothing to do.
        latents: (scaling factor, shift factor) of the VAE's latents.
    """

    name: str
    file: str
    pipeline: str
    wide: Callable[[], Shapes]
    small: Callable[[], dict[str, Any]]
    shift: float | None
    texts: tuple[str, ...]
    latents: tuple[float, float]


def _flux() -> Shapes:
    return _below("model.diffusion_model.", toys.flux(3072, 128, tokens=4096, pooled=768)) | _below("text_encoders.", {
        **_below("clip_l.transformer.", toys.clip(768, 1)), **_below("t5xxl.transformer.", toys.t5(4096, 1)),
    })  # fmt: skip


def _sd3() -> Shapes:
    return _below("model.diffusion_model.", toys.sd3(2432, 64, 2, 2048, tokens=4096, positions=192)) | _below("text_encoders.", {
        **_below("clip_l.transformer.", toys.clip(768, 1)), **_below("clip_g.transformer.", toys.clip(1280, 1, projected=True)),
        **_below("t5xxl.transformer.", toys.t5(4096, 1)),
    })  # fmt: skip


def _z_image() -> Shapes:
    texts = _below("text_encoders.qwen3_4b.transformer.model.", toys.qwen3(2560, 128, 2))
    return _below("model.diffusion_model.", toys.z_image(3840, 128, tokens=2560)) | texts


_PAIRS = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")
_FAMILIES = {
    family.name: family
    for family in (
        _Family("flux", "flux1-dev.safetensors", "FluxInpaintPipeline", _flux, toys.flux_file, None, _PAIRS[:4], (0.3611, 0.1159)),
        _Family("sd3", "sd3.5_large.safetensors", "StableDiffusion3InpaintPipeline", _sd3, toys.sd3_file, 3.0, _PAIRS, (1.5305, 0.0609)),
        _Family("z_image", "z_image.safetensors", "ZImageInpaintPipeline", _z_image, toys.z_image_file, 3.0, _PAIRS[:2], (0.3611, 0.1159)),
    )
}


def flux(bench: Bench) -> Iterator[Row]:
    """Flux dev: a block of each of its two kinds."""
    yield from _measured("flux", bench)


def sd3(bench: Bench) -> Iterator[Row]:
    """Stable Diffusion 3.5: a block that attends twice, and one that does not, with CFG."""
    yield from _measured("sd3", bench)


def z_image(bench: Bench) -> Iterator[Row]:
    """Z-Image: a block of each of its three kinds, with CFG."""
    yield from _measured("z_image", bench)


def _measured(name: str, bench: Bench) -> Iterator[Row]:
    import diffusers

    family, side = _FAMILIES[name], 64 if bench.small else 1024
    if not hasattr(diffusers, family.pipeline):
        yield Row(name, note=f"not measured: diffusers {diffusers.__version__} has no {family.pipeline}")
        return
    with tempfile.TemporaryDirectory() as folder:
        toys.t5_tokenizer(Path(folder) / "t5")
        toys.qwen_tokenizer(Path(folder) / "qwen")
        tensors = _tensors(family, bench)
        source: Any = TensorSource(family.file, lambda: tensors)
        source.folders = lambda kind: [Path(folder)]
        with Checkpoints().using(source, bench.device.torch) as checkpoint:
            yield from _steps(family, checkpoint, side, bench)
            yield _outside(family, checkpoint, bench)
        del checkpoint, source
        tensors.clear()
        bench.clean()
        yield from _opened(family, Path(folder), bench)


def _steps(family: _Family, checkpoint: Any, side: int, bench: Bench) -> Iterator[Row]:
    tools, many = _tools(bench), 2 if bench.small else _MANY
    jobs = [_job(side, steps) for steps in ((many,) if bench.small else (_FEW, many))]
    ours = [functools.partial(paint_with, checkpoint, job, tools=tools) for job in jobs]
    theirs = [_pipeline(family, checkpoint, job) for job in jobs]
    times = bench.turns(*ours, *theirs, rounds=1 if bench.small else 3)
    own, other = times[: len(jobs)], times[len(jobs) :]
    guided = "without CFG" if family.name == "flux" else "with CFG"
    note = f"{side} x {side}, {str(checkpoint.dtype).removeprefix('torch.')}, Euler {guided}"
    if not bench.small:  # where a step is shorter than what disturbs the clock
        mine, reference = ((long - short) / (many - _FEW) for short, long in (own, other))
        yield Row(f"{family.name}: a step, against diffusers' pipeline", mine, reference, note=note)
    yield Row(f"{family.name}: a picture of {many} steps, with the toy VAE", own[-1], other[-1], note=note)
    if bench.device.kind == "cuda":
        yield Row(f"{family.name}: peak memory beyond weights", bench.peak(ours[-1]), bench.peak(theirs[-1]), "MB")


def _tools(bench: Bench) -> Tools:
    """Toys compute as exactly as they lie in the file: half precision is slow on a processor."""
    return Tools(replace(bench.device, dtype="float32") if bench.small else bench.device)


def _outside(family: _Family, checkpoint: Any, bench: Bench) -> Row:
    """What a fill changes outside the mask: nothing, to the bit."""
    side = 96 if bench.small else 1200
    pixels = np.random.default_rng(0).integers(0, 256, (side + 1, side - 17, 3), np.uint8)
    y, x = np.mgrid[: side + 1, : side - 17]
    mask = (y - side // 2) ** 2 + (x - side // 3) ** 2 < (side // 5) ** 2

    def run(job: PaintJob, progress: Progress) -> list[Painted]:
        return paint_with(checkpoint, job, tools=_tools(bench), progress=progress)

    native = 64 if bench.small else 1024
    options = grouped(task="fill", prompt="a ball", steps=2, seed=1, grow=4, feather=6, resolution=native)
    result = paint(pixels, mask, options, run, native=native, multiple=16).results[0].placed_in(pixels)
    kept, differs = ~blend.hole(mask, 4, 6), (result != pixels).any(axis=2)
    changed, painted = int(differs[kept].sum()), int(differs[~kept].sum())
    wrong = changed > 0 or not painted
    return Row(f"{family.name}: changed where nothing may", float(changed), unit="px", note=f"{painted} px painted", wrong=wrong)


def _opened(family: _Family, folder: Path, bench: Bench) -> Iterator[Row]:
    """From a file to the transformer's first answer on the card."""
    import torch

    path = folder / family.file
    if bench.small:
        toys.save(path, family.small())
    else:
        aliasing.write(path, family.wide() | {f"vae.{key}": tuple(value.shape) for key, value in toys.vae().items()})

    def answered() -> None:
        source = FileSource(path)
        with Checkpoints().using(source, bench.device.torch) as opened, torch.inference_mode():
            assert isinstance(opened, FlowCheckpoint)
            own, at = FAMILIES[family.name], {"dtype": opened.dtype, "device": bench.device.torch}
            context = torch.zeros(1, 8, own.text_width(opened.kind), **at)
            pooled = {"pooled": torch.zeros(1, opened.kind.config.get("pooled_projection_dim", 1), **at)}
            sample = torch.zeros(1, own.channels, 8, 8, **at)
            own.ask(Asked(opened.transformer, sample, 0.5, context, pooled, opened.kind.distilled)).cpu()
        source.release()

    size = path.stat().st_size / 1e6
    (milliseconds,) = bench.turns(answered, rounds=1 if bench.small else 2)
    note = f"{size:.0f} MB in the file, {size / milliseconds:.2f} GB/s"
    yield Row(f"opening {family.name}, from the file to the first answer", milliseconds, note=note)
    if bench.device.kind == "cuda":
        peak = bench.peak(answered)
        yield Row(f"opening {family.name}: peak memory, against the file's size", peak, size, "MB", wrong=peak > 1.2 * size)


def _tensors(family: _Family, bench: Bench) -> dict[str, Any]:
    """A checkpoint's, on the card: random, in bfloat16, of such sizes that no layer makes more or less of what goes in."""
    import torch

    if bench.small:
        return {key: tensor.to(bench.device.torch) for key, tensor in family.small().items()}
    generator = torch.Generator(bench.device.torch).manual_seed(0)
    at = {"device": bench.device.torch, "dtype": torch.bfloat16}
    tensors = {}
    for key, shape in family.wide().items():
        if len(shape) == 1:
            tensors[key] = torch.full(shape, float(key.endswith(("weight", "scale"))), **at)
        else:
            tensors[key] = torch.randn(shape, generator=generator, **at) / float(np.prod(shape[1:])) ** 0.5
    return tensors | {f"vae.{key}": tensor.to(**at) for key, tensor in toys.vae().items()}


def _job(side: int, steps: int) -> PaintJob:
    pixels = np.random.default_rng(0).integers(0, 256, (side // 16, side // 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    mask = np.zeros((side, side), bool)
    mask[side // 4 : 3 * side // 4, side // 4 :] = True
    options = grouped(prompt="a red house", steps=steps)
    return PaintJob(pixels, mask, options, masked_content="original", strength=1.0, seed=5, count=1)


def _pipeline(family: _Family, checkpoint: Any, job: PaintJob) -> Callable[[], object]:
    """diffusers' own on the same networks; prompts are read by ours, each time."""
    import diffusers
    import torch

    shift: dict[str, Any] = {"shift": family.shift} if family.shift is not None else {
        "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096,
    }  # fmt: skip
    scaling, offset = family.latents
    checkpoint.vae.register_to_config(scaling_factor=scaling, shift_factor=offset)
    kind: Any = getattr(diffusers, family.pipeline)
    scheduler: Any = diffusers.FlowMatchEulerDiscreteScheduler(**shift)
    pipe = kind(transformer=checkpoint.transformer, vae=checkpoint.vae, scheduler=scheduler, **dict.fromkeys(family.texts))
    pipe.set_progress_bar_config(disable=True)
    model, height, width = model_of(checkpoint), *job.pixels.shape[:2]
    picture, mask = Image.fromarray(job.pixels), Image.fromarray(job.mask.astype(np.uint8) * 255)
    steps, scale = job.options.sampling.steps, model.scales(job.options)["cfg_scale"]

    def run() -> None:
        with torch.inference_mode():
            scene = Scene(checkpoint, model, job, None, (), None)  # type: ignore[arg-type]
            texts = model.conditioning(job.options, scene, steps, {})
        cond, uncond = (_brought(texts.text(branch, 0), checkpoint.dtype) for branch in ("cond", "uncond"))
        prompts: dict[str, Any] = {"prompt_embeds": cond["context"]}
        if family.name != "z_image":
            prompts["pooled_prompt_embeds"] = cond["pooled"]
        if family.name == "sd3":
            prompts |= {"negative_prompt_embeds": uncond["context"], "negative_pooled_prompt_embeds": uncond["pooled"]}
        if family.name == "z_image":
            prompts = {"prompt_embeds": [*cond["context"]], "negative_prompt_embeds": [*uncond["context"]]}
        told = {"flux": 3.5, "sd3": scale, "z_image": scale - 1}[family.name]  # Z-Image's pipeline counts from 0
        pipe(
            image=picture, mask_image=mask, height=height, width=width, strength=1.0, num_inference_steps=steps, guidance_scale=told,
            generator=generators(5, 1)[0], output_type="np", **prompts,
        )  # fmt: skip

    return run


def _brought(text: Any, dtype: Any) -> dict[str, Any]:
    """What is known of a prompt, in the type that the network computes in."""
    return {"context": text.context.to(dtype).clone(), **{key: value.to(dtype).clone() for key, value in text.added.items()}}


def _below(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + key: shape for key, shape in shapes.items()}
