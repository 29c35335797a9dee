"""Samples while a training goes on: what the checkpoint paints with what was learned so far, from fixed prompts and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.compat.randomness import kept_randomness
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import encode
from clickpaint.image.whole_file import write_whole
from clickpaint.paint.adapters.control_influence import Control, ControlPart, control_image
from clickpaint.paint.diffusion.loop import Inputs, Residuals
from clickpaint.paint.diffusion.sampling import Tools, paint_with, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit, Painted, PaintJob, PaintOptions
from clickpaint.progress import Progress
from clickpaint.train.learners import ControlLearner, Learner
from clickpaint.train.prepared import Turn
from clickpaint.train.run_folder import SAMPLES
from clickpaint.train.training_settings import TrainingJob
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    import torch

COMPARING = ("controlnet", "instruct")
"""Kinds whose samples need a picture of the data set besides the prompt."""


@dataclass(frozen=True, eq=False)
class _LearnedControl(Control):
    """A ControlNet that learns, in float32, beside a checkpoint of any precision."""

    def residuals(self, inputs: Inputs, timestep: torch.Tensor) -> Residuals | None:
        made = super().residuals(inputs, timestep)
        dtype = inputs.sample.dtype
        return None if made is None else Residuals(tuple(residual.to(dtype) for residual in made.down), made.mid.to(dtype))


def sample_files(job: TrainingJob, step: int) -> list[Path]:
    """The samples of a step."""
    prompts = job.settings.sample_prompts or (job.name,)
    return [job.folder / SAMPLES / f"{step:06}_{number}.png" for number in range(1, len(prompts) + 1)]


def samples_missing(job: TrainingJob, step: int) -> bool:
    """Whether this step has samples that are not there."""
    every = job.settings.sample_every
    return bool(every) and step % every == 0 and not all(file.is_file() for file in sample_files(job, step))


def paint_samples(job: TrainingJob, learner: Learner, device: Device, step: int, turns: Sequence[Turn], progress: Progress) -> None:
    """Paint the samples of a step into the training's folder; nothing of the training's own lot is used.

    Args:
        job: what is trained.
        learner: what has learned.
        device: what is computed on.
        step: how many steps are done.
        turns: of the data set, at least one where `job.kind` is one of `COMPARING`: each prompt has the map or the picture of one of
            them, and where no prompt is given, it is the caption of the first.
        progress: told where it is.

    Raises:
        Interrupted: the samples of this step are painted when the training goes on.
    """
    settings = job.settings
    share = min(step / settings.steps, 1.0)
    for number, file in enumerate(sample_files(job, step)):
        turn = turns[number % len(turns)] if job.kind in COMPARING else None
        prompt = settings.sample_prompts[number] if settings.sample_prompts else turn.caption if turn else job.name
        options = grouped(
            prompt=prompt, negative_prompt=settings.sample_negative, steps=settings.sample_steps, clip_skip=settings.clip_skip,
            task="instruct" if job.kind == "instruct" else "fill",
        )  # fmt: skip
        with kept_randomness():
            painted = _painted(job, learner, device, options, settings.sample_seed + number, turn, progress.part(share, share))
        write_whole(file, encode(from_pixels(painted.pixels), "PNG"))


def _painted(
    job: TrainingJob, learner: Learner, device: Device, options: PaintOptions, seed: int, turn: Turn | None, progress: Progress
) -> Painted:
    kind, tools = learner.checkpoint.kind, Tools(device, words=learner.words())
    side = (job.settings.resolution or kind.native_size) // 8 * 8
    if turn is None:
        return text_to_image(learner.checkpoint, options, (side, side), seed=seed, tools=tools, progress=progress)[0]
    example = turn.load()
    if isinstance(learner, ControlLearner):
        assert example.control_map is not None
        control = _LearnedControl(learner.network, control_image(example.control_map))
        options = replace(options, control=(ControlUnit("none", job.name),))
        tools = replace(tools, control=lambda *_: [ControlPart([control])])
        height, width = example.control_map.shape[:2]
        return text_to_image(learner.checkpoint, options, (width, height), seed=seed, tools=tools, progress=progress)[0]
    assert example.before is not None
    checkpoint = replace(learner.checkpoint, kind=replace(kind, in_channels=learner.checkpoint.unet.config["in_channels"]))
    work = PaintJob(example.before, np.ones(example.before.shape[:2], bool), options, "original", 1.0, seed=seed)
    return paint_with(checkpoint, work, tools=tools, progress=progress)[0]
