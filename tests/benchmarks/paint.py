"""What painting on a checkpoint costs: `python -m tests.benchmarks.paint [--full] [--side PIXELS] [--device cuda]`.

Ratios are measured in one run, in turns: our engine against diffusers' pipeline on the same networks, settings and seed, without and
with a ControlNet, and with a LoRA of rank 16 on every attention; ratios under 1 are ours. Toys on a CPU; `--full` takes
networks of Stable Diffusion 1's size with random weights (1.9 GB), for a GPU. What opening a file costs is in `opening`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from clickpaint.compat import torchvision
from clickpaint.paint.adapters.control_influence import Control, ControlPart, control_image
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.checkpoint.meta import on_meta
from clickpaint.paint.checkpoint.opening import Checkpoint, open_checkpoint
from clickpaint.paint.checkpoint.unet import UNetLayout
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import encode
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.sampling import Tools, paint_with, text_to_image
from clickpaint.paint.diffusion.seeing_words import difference
from clickpaint.paint.diffusion.words_mask import LOOKS
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit, PaintJob, PaintOptions
from tests.toys import checkpoint as toys
from tests.toys import controlnet as controlnets
from tests.toys import lora as loras
from tests.toys.tensor_source import TensorSource

ROUNDS = 5


def full_size() -> dict[str, torch.Tensor]:
    """The toy checkpoint with a U-Net of Stable Diffusion 1's size, random, float16."""
    torchvision.ensure()
    from diffusers import UNet2DConditionModel

    layout = UNetLayout(4, 4, (320, 640, 1280, 1280), 2, (1, 1, 1, 0), 1, 768, False, 0)
    with on_meta():
        unet = UNet2DConditionModel(**layout.config(None))
    tensors = toys.state_dict()
    tensors = {key: value for key, value in tensors.items() if not key.startswith("model.diffusion_model.")}
    for name, parameter in unet.named_parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 1
        value = torch.randn(parameter.shape) / fan**0.5 if parameter.ndim > 1 else torch.full(parameter.shape, float("norm" in name))
        tensors[f"model.diffusion_model.{layout.key(name)}"] = value.half()
    return tensors


def turns(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """The median seconds of each, called in turns after a first round that does not count."""

    def timed(work: Callable[[], object]) -> float:
        started = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - started

    for work in works:
        work()
    rows = [[timed(work) for work in works] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def rows_asked(network: torch.nn.Module, work: Callable[[], object]) -> int:
    """How many latents the network is asked about while `work` is done."""
    rows: list[int] = []
    hook = network.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    try:
        work()
    finally:
        hook.remove()
    return sum(rows)


def check_alike(network: torch.nn.Module, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    """End the program where the two do not ask the network for as much: to compare their times would mean nothing."""
    mine, reference = rows_asked(network, ours), rows_asked(network, theirs)
    if mine != reference:
        raise SystemExit(f"The network answers {mine} times for us and {reference} times for diffusers: settings differ.")


def diffusers_pipeline(checkpoint: Checkpoint, options: PaintOptions, side: int, controlnet: Any = None, image: Any = None):
    """diffusers' own, on the same networks; returns a call that paints."""
    import diffusers

    kind = diffusers.StableDiffusionControlNetPipeline if controlnet is not None else diffusers.StableDiffusionPipeline
    sampling = options.sampling
    scheduler = samplers.scheduler(sampling.sampler, "Automatic", checkpoint.scheduler_config, sampling.steps, checkpoint.device)
    parts: dict[str, Any] = {
        "unet": checkpoint.unet,
        "vae": checkpoint.vae,
        "scheduler": scheduler,
        "text_encoder": None,
        "tokenizer": None,
        "safety_checker": None,
        "feature_extractor": None,
    }
    parts |= {"controlnet": controlnet} if controlnet is not None else {}
    pipe = kind(**parts, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)

    def paint() -> None:
        texts = encode(checkpoint, options.prompt.positive, options.prompt.negative, size=(side, side), steps=options.sampling.steps)
        pair = [texts.text(branch, 0).context.to(checkpoint.dtype) for branch in ("cond", "uncond")]
        more = {"image": image} if image is not None else {}
        run: Any = pipe
        run(
            prompt_embeds=pair[0], negative_prompt_embeds=pair[1], num_inference_steps=sampling.steps,
            guidance_scale=sampling.guidance_scale, generator=generators(1, 1), height=side, width=side, output_type="np", **more,
        )  # fmt: skip

    return paint


def lora_of(checkpoint: Checkpoint) -> Lora:
    """Rank 16 on every projection of the U-Net's attention."""
    wanted = ("to_q", "to_k", "to_v", "to_out.0")
    modules = {name: module for name, module in checkpoint.unet.named_modules() if name.endswith(wanted)}
    generator = torch.Generator().manual_seed(0)
    empty = {name: torch.empty(module.weight.shape) for name, module in modules.items()}
    return Lora.of(loras.kohya("lora_unet", {name: loras.pair(one, 16, generator) for name, one in empty.items()}), "rank 16")


def engines(checkpoint: Checkpoint, side: int, steps: int) -> None:
    options = grouped(prompt="a red house", negative_prompt="blurry", steps=steps, sampler="DDIM")
    unit = replace(options, control=(ControlUnit("canny", "benchmark"),))
    image = control_image(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).to(checkpoint.device)
    model = _controlnet(checkpoint)
    tools = Tools(control=lambda checkpoint, job: [ControlPart([Control(model, image)])])
    lora = lora_of(checkpoint)

    def ours(options: PaintOptions, adapted: Any = None) -> None:
        with adapted or nullcontext():
            text_to_image(checkpoint, options, (side, side), seed=1, tools=tools)

    reference = diffusers_pipeline(checkpoint, options, side)
    reference_unit = diffusers_pipeline(checkpoint, options, side, model, image)
    check_alike(checkpoint.unet, lambda: ours(options), reference)
    check_alike(model, lambda: ours(unit), reference_unit)
    plain, theirs, controlled, controlled_theirs, adapted = turns(
        lambda: ours(options), reference, lambda: ours(unit), reference_unit,
        lambda: ours(options, applied(checkpoint, [(lora, 1.0)])),
    )  # fmt: skip
    print(f"{side} x {side}, {steps} steps of DDIM, {checkpoint.dtype} on {checkpoint.device}; seconds a picture, ratio to diffusers")
    print(f"  text to image         {plain:8.3f}  diffusers {theirs:8.3f}  ratio {plain / theirs:.2f}")
    print(f"  with a ControlNet     {controlled:8.3f}  diffusers {controlled_theirs:8.3f}  ratio {controlled / controlled_theirs:.2f}")
    print(f"  a ControlNet's share  {controlled / plain - 1:8.0%}  diffusers {controlled_theirs / theirs - 1:8.0%}")
    print(f"  a LoRA's share        {adapted / plain - 1:8.0%}")


def edits(checkpoint: Checkpoint, side: int, steps: int) -> None:
    """What edits by words cost beside a plain fill of as many steps; DiffEdit's mask beside one of `LOOKS` looks."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    everywhere = np.ones((side, side), bool)

    def fill(count: int) -> None:
        options = grouped(prompt="a red house", steps=count, sampler="DDIM")
        paint_with(checkpoint, PaintJob(pixels, everywhere, options, "original", 1.0, 1))

    def edit(method: str) -> None:
        options = grouped(task="edit", edit_method=method, source_prompt="a red house", prompt="a blue house", steps=steps)
        paint_with(checkpoint, PaintJob(pixels, everywhere, options, "original", 1.0, 1))

    plain, looks, p2p, ledits, mask = turns(
        lambda: fill(steps), lambda: fill(LOOKS * 3 // 2), lambda: edit("p2p"), lambda: edit("ledits"),
        lambda: difference(checkpoint, pixels, "a red house", "a blue house", resolution=side), rounds=3,
    )  # fmt: skip
    print(f"  a plain fill          {plain:8.3f}  Prompt-to-Prompt {p2p / plain:.2f} x, LEDITS++ {ledits / plain:.2f} x")
    print(f"  DiffEdit's mask       {mask:8.3f}  {mask / looks:.2f} x of a fill with as many looks")


def guided(checkpoint: Checkpoint, side: int, steps: int) -> None:
    """What guidance by CLIP costs beside the same picture without: a gradient through CLIP (ViT-B/32's size, random weights), the VAE's
    decoder and the U-Net in every step."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=512)).eval().requires_grad_(False).to(checkpoint.device)
    direction = torch.nn.functional.normalize(torch.randn(512), dim=0).to(checkpoint.device)

    def score(pictures: torch.Tensor) -> torch.Tensor:
        seen = torch.nn.functional.interpolate(pictures.float(), (224, 224), mode="bilinear", antialias=True)
        return torch.nn.functional.normalize(clip(pixel_values=seen).image_embeds, dim=-1) @ direction

    plainly = grouped(prompt="a red house", steps=steps, sampler="DDIM")
    towards = grouped(prompt="a red house", steps=steps, sampler="DDIM", guide="clip", guide_words="stormy", guide_scale=100.0)
    plain, led = turns(
        lambda: text_to_image(checkpoint, plainly, (side, side), seed=1),
        lambda: text_to_image(checkpoint, towards, (side, side), seed=1, tools=Tools(score=score)), rounds=3,
    )  # fmt: skip
    print(f"  guidance by CLIP      {led:8.3f}  {led / plain:.2f} x of the same picture without")


def _controlnet(checkpoint: Checkpoint) -> Any:
    if checkpoint.layout.channels[0] == controlnets.CHANNELS:
        model = load_controlnet(controlnets.state_dict(), checkpoint)
    else:
        from diffusers import ControlNetModel

        model = ControlNetModel.from_unet(checkpoint.unet).requires_grad_(False).eval()
    torch.nn.Module.to(model, checkpoint.device, checkpoint.dtype)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a U-Net of Stable Diffusion 1's size instead of a toy")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--side", type=int, help="of the picture: 512 with --full, 128 without")
    arguments = parser.parse_args()
    tensors = full_size() if arguments.full else toys.state_dict(dtype=torch.float32)
    on_device = {key: value.to(arguments.device) for key, value in tensors.items()}
    checkpoint = open_checkpoint(TensorSource("random", lambda: on_device, "epsilon"))
    engines(checkpoint, arguments.side or (512 if arguments.full else 128), arguments.steps)
    edits(checkpoint, arguments.side or (512 if arguments.full else 128), arguments.steps)
    guided(checkpoint, arguments.side or (512 if arguments.full else 128), arguments.steps)


if __name__ == "__main__":
    main()
