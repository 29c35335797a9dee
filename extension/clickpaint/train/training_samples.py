"""Samples while a training goes on: what the checkpoint paints with what was learned so far, from fixed prompts and seeds."""

from __future__ import annotations

from pathlib import Path

from clickpaint.compat.randomness import kept_randomness
from clickpaint.image.picture import encode, from_pixels
from clickpaint.image.whole_file import write_whole
from clickpaint.paint.diffusion.sampling import Tools, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.progress import Progress
from clickpaint.train.learners import Learner
from clickpaint.train.run_folder import SAMPLES
from clickpaint.train.training_settings import TrainingJob
from clickpaint.weights.device import Device

PAINTED_KINDS = ("lora", "dreambooth", "embedding", "finetune")
"""Kinds whose samples need nothing but a prompt."""


def sample_files(job: TrainingJob, step: int) -> list[Path]:
    """The samples of a step."""
    prompts = job.settings.sample_prompts or (job.name,)
    return [job.folder / SAMPLES / f"{step:06}_{number}.png" for number in range(1, len(prompts) + 1)]


def samples_missing(job: TrainingJob, step: int) -> bool:
    """Whether this step has samples that are not there."""
    every = job.settings.sample_every
    return bool(every) and job.kind in PAINTED_KINDS and step % every == 0 and not all(file.is_file() for file in sample_files(job, step))


def paint_samples(job: TrainingJob, learner: Learner, device: Device, step: int, progress: Progress) -> None:
    """Paint the samples of a step into the training's folder; nothing of the training's own lot is used.

    Raises:
        Interrupted: the samples of this step are painted when the training goes on.
    """
    settings, kind = job.settings, learner.checkpoint.kind
    side = (settings.resolution or kind.native_size) // 8 * 8
    share = min(step / settings.steps, 1.0)
    for number, (file, prompt) in enumerate(zip(sample_files(job, step), settings.sample_prompts or (job.name,), strict=True)):
        options = grouped(
            prompt=prompt, negative_prompt=settings.sample_negative, steps=settings.sample_steps, clip_skip=settings.clip_skip
        )
        with kept_randomness():
            painted = text_to_image(
                learner.checkpoint, options, (side, side), seed=settings.sample_seed + number, tools=Tools(device, words=learner.words()),
                progress=progress.part(share, share),
            )  # fmt: skip
        write_whole(file, encode(from_pixels(painted[0].pixels), "PNG"))
