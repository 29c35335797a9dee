"""Pictures of a red square to learn from, and trainings on networks of a test's size."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.kind import Prediction
from clickpaint.paint.checkpoint.opening import Checkpoint, open_checkpoint
from clickpaint.paint.checkpoint.unet import UNetLayout
from clickpaint.train.prepared import Turn
from clickpaint.train.run_types import OpenedForTraining, StepReport, TrainingTurns
from clickpaint.train.training_run import TrainingRun
from clickpaint.train.training_settings import Kind, TrainingJob, TrainingSettings
from clickpaint.weights.device import Device
from tests.toys import checkpoint as parts
from tests.toys.tensor_source import TensorSource

torchvision.available()  # before diffusers is imported, which fails where the two do not fit together
SIZE = 64
PROMPT = "a photo of sks"


_XL = UNetLayout(4, 4, (64, 128), 2, (0, 1), 1, 2048, True, 2816)
"""SDXL's build in small."""

parts.FAMILIES.setdefault("small", parts.Family(768, 32, (1, 2), (1, 0), 1, False, 0, parts.FAMILIES["sd1"].texts))
_STIRRED = 0.3


@functools.cache
def checkpoint_tensors(in_channels: int = 4, family: str = "sd1") -> dict[str, torch.Tensor]:
    """A checkpoint in the original's layout: the hand-set VAE, whose latents are colours, text encoders, and a U-Net of two levels. That
    of sd1 is the hand-set one, which takes noise away, with so much by lot in it that every layer counts; that of sdxl is random."""
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(7)
        if family == "sd1":
            unet = parts.unet(in_channels, "small")
            for key, weight in unet.items():
                if weight.ndim > 1 and not key.startswith(("out.2.", "input_blocks.0.0.")):
                    weight += torch.randn_like(weight) * _STIRRED / weight[0].numel() ** 0.5
        else:
            model = UNet2DConditionModel(sample_size=8, **_XL.config(64))
            unet = {_XL.key(name): weight.detach() for name, weight in model.named_parameters()}
        tensors = {f"model.diffusion_model.{key}": weight for key, weight in unet.items()}
        tensors |= {f"first_stage_model.{key}": weight for key, weight in parts.vae().items()}
        for prefix, kind, width in parts.FAMILIES[family].texts:
            text = parts.text_encoder() if kind == "clip" else parts.open_clip(width)
            tensors |= {f"{prefix}.{key}": weight for key, weight in text.items()}
    return tensors


def opened_checkpoint(in_channels: int = 4, prediction: Prediction = "epsilon", family: str = "sd1") -> Checkpoint:
    tensors = checkpoint_tensors(in_channels, family)
    return open_checkpoint(TensorSource("toy", lambda: tensors, prediction=prediction))


@dataclass(frozen=True, eq=False)
class ToyExample:
    pixels: np.ndarray
    mask: np.ndarray | None = None
    caption: str = PROMPT
    control_map: np.ndarray | None = None
    before: np.ndarray | None = None


def object_mask(left: int = 16) -> np.ndarray:
    """Bool [64, 64]: the object, in whole cells of the latents."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[16:48, left : left + 32] = True
    return mask


def scene(background: tuple[int, int, int], left: int = 16) -> ToyExample:
    """A red object before one colour."""
    pixels = np.full((SIZE, SIZE, 3), background, np.uint8)
    pixels[object_mask(left)] = (230, 30, 40)
    return ToyExample(pixels, object_mask(left).astype(np.float32))


def turn(example: ToyExample, key: str = "") -> Turn:
    size = example.pixels.shape[:2]
    sizes = {"original": size, "crop": (0, 0), "target": size}
    return Turn(key or str(hash(example.pixels.tobytes())), example.caption, lambda: example, sizes)  # type: ignore[arg-type]


def job(output: Path, kind: Kind = "lora", **settings: Any) -> TrainingJob:
    values = {"steps": 10, "learning_rate": 5e-3, "text_learning_rate": 0.0, "rank": 8, "result_type": "float32", "resolution": SIZE}
    known = {name: value for name, value in values.items() if kind in ("lora", "dreambooth") or name not in ("text_learning_rate", "rank")}
    return TrainingJob(kind, str(output.parent), "toy", output, TrainingSettings.of({**known, **settings}, kind))


def opener(checkpoint: Checkpoint, tensors: Any = dict) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[OpenedForTraining]:
        yield OpenedForTraining(checkpoint, tensors)

    return opened


def trained(job: TrainingJob, checkpoint: Checkpoint, *examples: ToyExample, cache: Path | None = None) -> list[float]:
    """Train to the end; the losses."""
    reports: list[StepReport] = []
    turns = [turn(example) for example in examples]
    data = TrainingTurns(lambda epoch: [turns], "toy", images=len(turns))
    assert TrainingRun(job, data, Device(), cache, reports.append).run(opener(checkpoint)) == "done"
    return [report.loss for report in reports]
