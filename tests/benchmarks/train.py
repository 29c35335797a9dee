"""Seconds a step and peak memory of a LoRA's training, ours against the loop of diffusers' example on the same network:
`python -m tests.benchmarks.train [--full] [--device cuda] [--batch N] [--steps N] [--json FILE]`.

Both learn the same adapter (rank 16, all of the transformers) with AdamW from latents and embeddings that were made before, in turns.
`--full` takes Stable Diffusion 1's real size and 512 px; otherwise it is a quarter as wide. On a card the network is in float16 and the
adapter in float32, as with the example's `--mixed_precision fp16`, and time is counted until the card has done its work. On a processor
each turn has a process of its own, whose processor time is counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clickpaint.compat import torchvision

ROUNDS = 3
_WARMING = {"cpu": 2, "cuda": 5}
"""Steps before those that are measured."""
_LINEAR = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]


class StepClock:
    """What the steps after the first few took together.

    Args:
        device: "cpu" or "cuda".
        steps: how many are measured.
    """

    def __init__(self, device: str, steps: int) -> None:
        self._device, self._began = device, 0.0
        self.warming, self.steps = _WARMING[device], steps

    def turns(self) -> Iterator[int]:
        """The steps to be done."""
        for number in range(self.warming + self.steps):
            if number == self.warming:
                self._began = self._now()
            yield number
        self.seconds = (self._now() - self._began) / self.steps

    def _now(self) -> float:
        if self._device == "cpu":
            return time.process_time()  # so that what else runs there does not count
        import torch

        torch.cuda.synchronize()
        return time.perf_counter()


def network(full: bool, device: str) -> Any:
    """A U-Net in Stable Diffusion 1's build, of random weights; on a card in half precision."""
    torchvision.available()  # before diffusers is imported, which fails where the two do not fit together
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    channels = (320, 640, 1280, 1280) if full else (64, 128, 256, 256)
    with torch.device(device):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, block_out_channels=channels, attention_head_dim=8)
    unet.requires_grad_(False).eval()
    return torch.nn.Module.to(unet, torch.float16 if device == "cuda" else torch.float32)


def theirs(unet: Any, latents: Any, context: Any, clock: StepClock, device: str) -> None:
    """The loop of train_text_to_image_lora.py, without accelerate, which does nothing on one device but autocast and the scaler."""
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
    half = device == "cuda"
    scaler = torch.amp.GradScaler(device, enabled=half)
    unet.train()
    for _ in clock.turns():
        noise = torch.randn_like(latents)
        timesteps = torch.randint(0, 1000, (latents.shape[0],), device=device)
        with torch.autocast(device, torch.float16 if half else torch.bfloat16, enabled=half):
            answer = unet(scheduler.add_noise(latents, noise, timesteps), timesteps, context, return_dict=False)[0]
        loss = F.mse_loss(answer.float(), noise.float(), reduction="mean")
        loss.item()  # which the example adds up before it goes back
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()


def ours(unet: Any, latents: Any, context: Any, clock: StepClock, device: str) -> None:
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
    from clickpaint.train.training_modes import repeatable
    from clickpaint.train.training_run import TrainingRun
    from clickpaint.train.training_session import Session
    from clickpaint.train.training_settings import TrainingJob, TrainingSettings
    from clickpaint.weights.device import Device

    kind = Kind("sd1", "epsilon", 4, 512)
    layout = UNetLayout(4, 4, tuple(unet.config["block_out_channels"]), 2, (1, 1, 1, 0), 1, 768, False, 0)
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4)
    checkpoint = Checkpoint("network", kind, layout, unet, vae, (), kind.scheduler_config(), unet.dtype, torch.device(device))
    settings = TrainingSettings(text_learning_rate=0.0, batch_size=len(latents), save_every=10**6)
    cpu = latents.float().cpu() / vae.config["scaling_factor"]
    words = context.cpu()
    batch = Prepared(cpu, torch.zeros_like(cpu), None, [""] * len(cpu), [{}] * len(cpu))
    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob("lora", "", "", Path(folder) / "x.safetensors", settings)
        where = Device(device, "float16" if device == "cuda" else "float32")
        run = TrainingRun(job, TrainingTurns(lambda epoch: [[None]]), where)  # type: ignore[list-item]
        with repeatable(where), learning(job, checkpoint) as learner:
            session = Session(run, OpenedForTraining(checkpoint, dict), learner, "")
            session.preparation.prepared = lambda turns: batch  # type: ignore[method-assign]
            session.preparation.fixed_captions = lambda *_: CaptionTensors(words)  # type: ignore[method-assign]
            for _ in clock.turns():
                session.step()


def measure(which: str, options: argparse.Namespace) -> dict[str, float]:
    """One turn: seconds a step, and the most memory in megabytes, without and with the network's own weights."""
    import resource

    import torch

    device = options.device
    unet = network(options.full, device)
    weights = sum(weight.nbytes for weight in unet.parameters()) / 2**20
    side = 64 if options.full else 32
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(options.batch, 4, side, side, generator=generator).to(device)
    context = torch.randn(options.batch, 77, 768, generator=generator).to(device, unet.dtype)
    clock = StepClock(device, options.steps)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    (ours if which == "ours" else theirs)(unet, latents, context, clock, device)
    if device == "cuda":
        most = torch.cuda.max_memory_allocated() / 2**20
    else:
        most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 + weights
    return {"seconds": clock.seconds, "megabytes besides the weights": most - weights, "megabytes": most}


def _in_a_process_of_its_own(which: str, arguments: list[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.train", *arguments, "--only", which]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _in_this_process(which: str, options: argparse.Namespace) -> dict[str, float]:
    import torch

    row = measure(which, options)
    gc.collect()
    torch.cuda.empty_cache()
    return row


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="Stable Diffusion 1's real size")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="measured ones of a turn; 0: 6 on a processor, 30 on a card")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    parser.add_argument("--json", type=Path, help="file that the numbers are written to as well")
    parser.add_argument("--only", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(arguments)
    options.steps = options.steps or (30 if options.device == "cuda" else 6)
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return 0
    rows: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for _ in range(options.rounds):
        for which, own in rows.items():
            own.append(_in_this_process(which, options) if options.device == "cuda" else _in_a_process_of_its_own(which, arguments))
    report = {"where": where(options.device), "full size": options.full, "batch": options.batch, "steps": options.steps, "turns": rows}
    best = {which: {what: min(row[what] for row in own) for what in own[0]} for which, own in rows.items()}
    report["least"] = best
    report["ratio"] = {what: best["ours"][what] / best["theirs"][what] for what in best["ours"]}
    print(report["where"])
    for which, own in best.items():
        each = ", ".join(f"{row['seconds']:.4f}" for row in rows[which])
        print(f"{which:7} {own['seconds']:.4f} s a step ({each}), {own['megabytes']:.0f} MB at most")
    print("ours / theirs: " + ", ".join(f"{what} {value:.3f}" for what, value in report["ratio"].items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def where(device: str) -> str:
    """The card or the processor, and the versions."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    return ", ".join([name, *(f"{package} {version(package)}" for package in ("torch", "diffusers", "peft"))])


if __name__ == "__main__":
    sys.exit(main())
