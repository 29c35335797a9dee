"""Seconds a step and peak memory of a LoRA's training, ours against the loop of diffusers' example on the same network:
`python -m tests.benchmarks.train [--full] [--device cuda] [--steps N]`.

Both learn the same adapter (rank 16, all of the transformers) with AdamW from latents and embeddings that were made before; each runs in
a process of its own, in turns. `--full` takes Stable Diffusion 1's real size; otherwise it is a quarter as wide.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clickpaint.compat import torchvision

ROUNDS = 3
_LINEAR = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]


def _now(device: str) -> float:
    """Seconds; on a processor those that this process has computed, so that what else runs there does not count."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def network(full: bool, device: str) -> Any:
    """A U-Net in Stable Diffusion 1's build, of random weights; on a card in half precision."""
    torchvision.available()  # before diffusers is imported, which fails where the two do not fit together
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    channels = (320, 640, 1280, 1280) if full else (64, 128, 256, 256)
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, block_out_channels=channels, attention_head_dim=8)
    unet.requires_grad_(False).eval()
    return torch.nn.Module.to(unet, device, torch.float16 if device.startswith("cuda") else torch.float32)


def theirs(unet: Any, latents: Any, context: Any, steps: int, device: str) -> list[float]:
    """The loop of train_text_to_image_lora.py, without accelerate, which does nothing on one device but autocast."""
    import torch
    import torch.nn.functional as F
    from diffusers import DDPMScheduler
    from peft import LoraConfig

    unet.add_adapter(LoraConfig(r=16, lora_alpha=16, init_lora_weights="gaussian", target_modules=_LINEAR))
    learned = [weight for weight in unet.parameters() if weight.requires_grad]
    for weight in learned:
        weight.data = weight.data.float()
    optimizer = torch.optim.AdamW(learned, lr=1e-4)
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000)
    half = device.startswith("cuda")
    scaler = torch.amp.GradScaler("cuda" if half else "cpu", enabled=half)
    seconds = []
    unet.train()
    for _ in range(steps):
        began = _now(device)
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (latents.shape[0],), device=device)
        with torch.autocast(device.partition(":")[0], torch.float16 if half else torch.bfloat16, enabled=half):
            answer = unet(scheduler.add_noise(latents, noise, timesteps), timesteps, context, return_dict=False)[0]
        loss = F.mse_loss(answer.float(), noise.float(), reduction="mean")
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        loss.item()
        seconds.append(_now(device) - began)
    return seconds


def ours(unet: Any, latents: Any, context: Any, steps: int, device: str) -> list[float]:
    """Steps of `TrainingRun`, on the same network."""
    import torch
    from diffusers import AutoencoderKL

    from clickpaint.paint.checkpoint.kind import Kind
    from clickpaint.paint.checkpoint.opening import Checkpoint
    from clickpaint.paint.checkpoint.unet import UNetLayout
    from clickpaint.train.captions import CaptionTensors
    from clickpaint.train.learners import learning
    from clickpaint.train.prepared import Prepared
    from clickpaint.train.run_types import OpenedForTraining, TrainingTurns
    from clickpaint.train.training_run import TrainingRun
    from clickpaint.train.training_session import Session
    from clickpaint.train.training_settings import TrainingJob, TrainingSettings
    from clickpaint.weights.device import Device

    kind = Kind("sd1", "epsilon", 4, 512)
    layout = UNetLayout(4, 4, tuple(unet.config["block_out_channels"]), 2, (1, 1, 1, 0), 1, 768, False, 0)
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    checkpoint = Checkpoint("network", kind, layout, unet, vae, (), kind.scheduler_config(), unet.dtype, torch.device(device))
    settings = TrainingSettings(steps=steps, text_learning_rate=0.0, save_every=10**6)
    cpu = latents.float().cpu() / vae.config["scaling_factor"]
    batch = Prepared(cpu, torch.zeros_like(cpu), None, [""] * len(cpu), [{}] * len(cpu))
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob("lora", "", "", Path(folder) / "x.safetensors", settings)
        run = TrainingRun(job, TrainingTurns(lambda epoch: [[None]]), Device(device, "float16" if device != "cpu" else "float32"))  # type: ignore[list-item]
        with learning(job, checkpoint) as learner:
            session = Session(run, OpenedForTraining(checkpoint, dict), learner, "")
            session.preparation.prepared = lambda turns: batch  # type: ignore[method-assign]
            session.preparation.fixed_captions = lambda *_: CaptionTensors(context)  # type: ignore[method-assign]
            for _ in range(steps):
                began = _now(device)
                session.step()
                seconds.append(_now(device) - began)
    return seconds


def measure(which: str, full: bool, device: str, steps: int) -> dict[str, float]:
    import resource

    import torch

    unet = network(full, device)
    side = 64 if full else 32
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 4, side, side, generator=generator).to(device)
    context = torch.randn(1, 77, 768, generator=generator).to(device, unet.dtype)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = (ours if which == "ours" else theirs)(unet, latents, context, steps + 2, device)
    if device.startswith("cuda"):
        memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": statistics.median(seconds[2:]), "megabytes": memory}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=("ours", "theirs"))
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(measure(options.only, options.full, options.device, options.steps)))
        return 0
    rows: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    more = ["--full"] if options.full else []
    for _ in range(options.rounds):
        for which, own in rows.items():
            command = [sys.executable, "-m", "tests.benchmarks.train", "--only", which, "--device", options.device]
            done = subprocess.run([*command, "--steps", str(options.steps), *more], capture_output=True, text=True, check=True)
            own.append(json.loads(done.stdout.splitlines()[-1]))
    best = {which: {what: min(row[what] for row in own) for what in own[0]} for which, own in rows.items()}
    for which, own in best.items():
        print(f"{which:7} {own['seconds']:.3f} s a step, {own['megabytes']:.0f} MB at most")
    print(", ".join(f"{what}: {best['ours'][what] / best['theirs'][what]:.3f}" for what in ("seconds", "megabytes")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
