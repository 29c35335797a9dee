"""The frames of a clip on a checkpoint: holes in some of them, painted alike, and whole clips from a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.engines.base import Scene
from clickpaint.paint.diffusion.frames import ByFrame, CrossFrame, SmoothBackground, carried_noise, cells_along, moved
from clickpaint.paint.diffusion.latents import Coder, latent_mask
from clickpaint.paint.diffusion.loop import Part, denoise, generators, noise
from clickpaint.paint.diffusion.sampling import Preview, Setup, Tools, computing, previewing, set_up, steering
from clickpaint.paint.paint_job import PaintJob, PaintOptions
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint

STEADY_SAMPLER = "DPM++ 2M"
"""Where the user chooses none: it adds no noise on the way, which would be another one in every frame."""
_TOGETHER = 4
"""Frames that are painted at once where memory allows it."""


@dataclass(frozen=True, eq=False)
class FrameJob:
    """One frame of several that are painted alike.

    Attributes:
        job: as of a picture; all frames of one size, with the same options, strength and seed.
        places: float32 [h, w, 2], the (x, y) in the first frame's job, in its pixels, of what each pixel shows; the start noise is
            carried along it. None for the first frame, and where the noise is to be that of the seed.
    """

    job: PaintJob
    places: np.ndarray | None = None


def paint_frames(
    checkpoint: AnyCheckpoint, jobs: Sequence[FrameJob], *, across: bool = True, tools: Tools | None = None, progress: Progress = SILENT,
    preview: Preview | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """Each job's picture, uint8 [h, w, 3]; a frame comes out the same whichever others are painted beside the first one.

    Args:
        across: whether all frames look at the first one (`CrossFrame`), which only U-Nets can.

    Raises:
        As `sampling.paint_with`.
    """
    tools = tools or Tools()
    options = jobs[0].job.options
    setup = set_up(checkpoint, options, tools)
    if not options.sampling.sampler and setup.sampler == samplers.DEFAULT:
        options = replace(options, sampling=replace(options.sampling, sampler=STEADY_SAMPLER))
        setup = set_up(checkpoint, options, tools)

    def attempt(together: int, thrift: int) -> list[np.ndarray]:
        groups = [[*jobs[:1], *jobs[start : start + together - 1]] for start in range(1, len(jobs), together - 1)] or [list(jobs)]
        pictures: list[np.ndarray] = []
        for number, group in enumerate(groups):
            share = progress.part(number / len(groups), (number + 1) / len(groups))
            painted = _painted(setup, group, across, thrift, share, preview)
            pictures += painted if number == 0 else painted[1:]
        return pictures

    return setup.attempted([lambda: attempt(_TOGETHER, 0), lambda: attempt(2, 1), lambda: attempt(2, 2)])


def _painted(
    setup: Setup, jobs: Sequence[FrameJob], across: bool, thrift: int, progress: Progress, preview: Preview | None
) -> list[np.ndarray]:  # fmt: skip
    import torch

    checkpoint, options, tools, seed = setup.checkpoint, setup.options, setup.tools, jobs[0].job.seed
    with computing(checkpoint, setup.model, tools.device, thrift):
        progress.report(0.0, "Preparing")
        coder = Coder(checkpoint, setup.model)
        # The same noise in every frame's job, which shows the same thing: also that which some samplers add on the way.
        sources = [generators(seed, 1)[0] for _ in jobs]
        recipes, schedulers, controls, scenes = [], [], [], []
        for place, (frame, source) in enumerate(zip(jobs, sources, strict=True)):
            job = replace(frame.job, options=options)
            scheduler = setup.model.scheduler(setup.sampler, setup.schedule, options.sampling, (job.width, job.height))
            carried = None
            if frame.places is not None:
                carried = carried_noise(
                    cells_along(frame.places, setup.model.cell), torch.Generator("cpu").manual_seed(_further(seed, place))
                )
            scene = Scene(checkpoint, setup.model, job, scheduler, [source], coder, tools.depth, carried)
            scenes.append(scene)
            recipes.append(setup.engine.recipe(scene))
            schedulers.append(scheduler)
            controls.append(list(tools.control(checkpoint, job)) if options.control and tools.control else [])
            progress.check()
        timesteps = recipes[0].timesteps
        taken = options.sampling.steps if samplers.adaptive(setup.sampler) else len({float(t) for t in timesteps})
        conditioning = setup.model.conditioning(options, scenes[0], taken, tools.words)
        parts: list[Part] = [ByFrame([[*control, *recipe.parts] for control, recipe in zip(controls, recipes, strict=True)])]
        if across and not isinstance(checkpoint, FlowCheckpoint):
            parts.append(CrossFrame())
        parts += steering(scenes[0], tools)
        latents = denoise(
            setup.model.network(options), schedulers[0], timesteps, torch.cat([recipe.latents for recipe in recipes]), conditioning,
            recipes[0].guidance, parts, generators=sources, together=thrift == 0,
            progress=progress.part(0.05, 0.95), preview=previewing(setup.model, preview),
        )  # fmt: skip
        return _decoded(coder, latents, progress)


def _further(seed: int, number: int) -> int:
    return (seed + 0x9E3779B9 * (number + 1)) % 2**32


def _decoded(coder: Coder, latents: torch.Tensor, progress: Progress) -> list[np.ndarray]:
    results = []
    for picture in latents.split(1):
        progress.report(0.95, "Decoding")
        progress.check()
        results.append(coder.decode(picture))
    return results


@dataclass(frozen=True)
class Motion:
    """How a clip from a prompt moves (Text2Video-Zero, section 3.3.1).

    Attributes:
        across, down: pixels by which the scene moves from frame to frame, to the right and downwards.
        began, moves: shares of the sampling, 0..1. The first frame is painted up to `moves` alone; that state is moved for every
            other frame and noised back to the level of `began`, from which all go on together: the further apart, the freer they are.
        smooth: how much of what is behind the object is taken from the first frame, moved along, 0..1; 0.6 in the paper.
    """

    across: float = 1.5
    down: float = 0.0
    began: float = 0.04
    moves: float = 0.1
    smooth: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.across, self.down):
            if not -512 <= value <= 512:
                raise InvalidInput("A motion of {value} pixels a frame is too much.", "Give -512 to 512.", value=value)
        if not 0 <= self.smooth <= 1:
            raise InvalidInput("The background cannot be smoothed by {value}.", "Give 0 to 1.", value=f"{self.smooth:g}")

    def steps(self, count: int) -> tuple[int, int]:
        """After how many of `count` steps the frames part, and after how many the first one is moved."""
        parts = min(max(round(self.began * count), 1), count - 1)
        return parts, min(max(round(self.moves * count), parts + 1), count - 1)


def text_to_frames(
    checkpoint: AnyCheckpoint, options: PaintOptions, size: tuple[int, int], count: int, *, seed: int, motion: Motion = Motion(),
    in_front: Callable[[np.ndarray], np.ndarray] | None = None, tools: Tools | None = None, progress: Progress = SILENT,
    preview: Preview | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """A clip of `count` pictures of `size` (width, height), multiples of 8, from nothing but a prompt: Text2Video-Zero.

    Args:
        in_front: what is the object in a picture, uint8 [h, w, 3] → bool [h, w]; needed where the background is to be smooth.

    Raises:
        InvalidInput: another sampler than DDIM, fewer than 4 steps, or a checkpoint that paints no whole pictures; else as
            `sampling.paint_with`.
    """
    tools = tools or Tools()
    sampling = options.sampling
    if sampling.sampler and samplers.resolve(sampling.sampler)[0] != "DDIM":
        raise InvalidInput("Clips are sampled with DDIM.", "Choose it, or no sampler.")
    if sampling.batch_count != 1:
        raise InvalidInput("A clip has one result.", "Leave the number of results at 1.")
    if sampling.steps < 4:
        raise InvalidInput("A clip needs at least 4 steps.", "Give more, 50 for example.")
    if (
        isinstance(checkpoint, FlowCheckpoint)
        or checkpoint.kind.in_channels != 4
        or options.engine not in ("auto", "inpaint")
        or options.control
    ):
        raise InvalidInput(
            "Clips are painted from a prompt alone.", "Choose an ordinary checkpoint, the engine auto, and no ControlNet.",
            checkpoint=checkpoint.kind.title,
        )  # fmt: skip
    setup = set_up(checkpoint, replace(options, sampling=replace(sampling, sampler="DDIM", scheduler="")), tools)

    def attempt(together: int, thrift: int) -> list[np.ndarray]:
        return _clip(setup, size, count, seed, motion, in_front, together, thrift, progress, preview)

    return setup.attempted([lambda: attempt(_TOGETHER, 0), lambda: attempt(2, 1), lambda: attempt(2, 2)])


def _clip(
    setup: Setup, size: tuple[int, int], count: int, seed: int, motion: Motion, in_front: Callable[[np.ndarray], np.ndarray] | None,
    together: int, thrift: int, progress: Progress, preview: Preview | None,
) -> list[np.ndarray]:  # fmt: skip
    import torch

    checkpoint, options, (width, height) = setup.checkpoint, setup.options, size
    with computing(checkpoint, setup.model, setup.tools.device, thrift):
        progress.report(0.0, "Preparing")
        source = generators(seed, 1)
        scheduler = setup.model.scheduler(setup.sampler, setup.schedule, options.sampling, size)
        timesteps = list(scheduler.timesteps)
        parted, moving = motion.steps(len(timesteps))
        grey = np.full((height, width, 3), 128, np.uint8)
        job = PaintJob(grey, np.ones((height, width), bool), options, "latent nothing", 1.0, seed)
        coder = Coder(checkpoint, setup.model)
        scene = Scene(checkpoint, setup.model, job, scheduler, source, coder)
        conditioning = setup.model.conditioning(options, scene, len(timesteps), setup.tools.words)

        steered = steering(scene, setup.tools)

        def on(latents: torch.Tensor, first: int, last: int, share: Progress, parts: Sequence[Part] = ()) -> torch.Tensor:
            return denoise(
                setup.model.network(options), scheduler, timesteps[first:last], latents, conditioning,
                setup.model.guidance(options), [*parts, *steered], generators=source * len(latents), together=thrift == 0,
                progress=share, preview=previewing(setup.model, preview),
            )  # fmt: skip

        start = noise(source, (4, height // 8, width // 8), checkpoint.device) * scheduler.init_noise_sigma
        early = on(start, 0, parted, progress.part(0.02, 0.06))
        shown = on(early, parted, moving, progress.part(0.06, 0.1))
        levels = scheduler.alphas_cumprod.to(shown.device)
        share = levels[timesteps[parted]] / levels[timesteps[moving]]
        fresh = torch.randn((count - 1, *shown.shape[1:]), generator=source[0]).to(shown)
        object_mask = None
        if motion.smooth and in_front is not None:
            (alone,) = _decoded(coder, on(early, parted, len(timesteps), progress.part(0.1, 0.2)), progress)
            object_mask = latent_mask(in_front(alone), checkpoint.device) > 0
        pictures: list[np.ndarray] = []
        groups = [range(first, min(first + together - 1, count)) for first in range(1, count, together - 1)] or [range(0)]
        for number, group in enumerate(groups):
            part = progress.part(0.1 + 0.9 * number / len(groups), 0.1 + 0.9 * (number + 1) / len(groups))
            others = [
                share.sqrt() * moved(shown, frame * motion.across, frame * motion.down) + (1 - share).sqrt() * fresh[frame - 1 : frame]
                for frame in group
            ]
            parts: list[Part] = [CrossFrame()]
            if object_mask is not None:
                shifts = [(frame * motion.across, frame * motion.down) for frame in (0, *group)]
                parts.append(SmoothBackground(object_mask, shifts, motion.smooth))
            latents = on(torch.cat([early, *others]), parted, len(timesteps), part.part(0.0, 0.95), parts)
            pictures += _decoded(coder, latents if number == 0 else latents[1:], part)
        return pictures
