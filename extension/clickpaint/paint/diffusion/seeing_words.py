"""Where in a picture a checkpoint sees words: without painting anything, and with no weights but its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.context import plan, scaled
from clickpaint.paint.diffusion.attention import wrapped
from clickpaint.paint.diffusion.conditioning import words_of
from clickpaint.paint.diffusion.cross_attention import WordMaps
from clickpaint.paint.diffusion.engines.base import Scene
from clickpaint.paint.diffusion.latents import Coder
from clickpaint.paint.diffusion.loop import Moment, generators, looked
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.prompt import check_constant
from clickpaint.paint.diffusion.sampling import Tools, computing
from clickpaint.paint.diffusion.words_mask import guidance_map
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import PaintJob
from clickpaint.progress import SILENT, Progress
from clickpaint.weights import device as devices

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyCheckpoint, Checkpoint

T = TypeVar("T")

_STEPS = 20
_LOOKS = 8
"""Levels at which the attention to words is looked at, from little noise to much; a mean of them shows more than each."""

_FROM, _TO = 0.2, 0.8
"""Shares of the noise levels between which these are."""


@dataclass(frozen=True, eq=False)
class SeenWord:
    """Where a word of a prompt is seen.

    Attributes:
        text: the word, in small letters.
        seen: float32 [h, w] in 0..1, of an eighth to a thirty-second of the size at which the picture was looked at; its largest is 1.
    """

    text: str
    seen: np.ndarray


def difference(
    checkpoint: AnyCheckpoint, pixels: np.ndarray, words: str, instead: str = "", *,
    ratio: float = 3.0, resolution: int = 0, seed: int = 0, tools: Tools | None = None, progress: Progress = SILENT,
) -> np.ndarray:  # fmt: skip
    """How much of a picture differs between two prompts (DiffEdit, Couairon et al., 2023): float32 [h, w] in 0..1, with an eighth of the
    sides at which it was looked at; what is over 0.5 is selected.

    Args:
        pixels: uint8 [H, W, 3].
        words: what is there.
        instead: what might be; "" for nothing in particular.
        ratio: of the mean difference, what counts as 1; less selects more.
        resolution: side in pixels of the square whose area the picture is looked at in; 0 for the checkpoint's own.

    Raises:
        InvalidInput: no words, or a checkpoint that only follows instructions. CorruptModel, OutOfMemory, Interrupted.
    """
    tools = tools or Tools()
    job = _job(checkpoint, pixels, words, instead, resolution, seed)

    def look(thrift: int) -> np.ndarray:
        scene = _scene(checkpoint, job, tools, thrift)
        return guidance_map(
            scene.model.network(job.options), scene.scheduler, scene.known, scene.conditioning(1, further={"source": words}),
            job.options.sampling.guidance_scale, scene.generators[0], scene.beside(), steps=_STEPS, ratio=ratio,
            together=scene.together, progress=progress,
        ).cpu().numpy()  # fmt: skip

    return _retried(checkpoint, tools, look)


def word_maps(
    checkpoint: AnyCheckpoint, pixels: np.ndarray, prompt: str, *,
    resolution: int = 0, seed: int = 0, tools: Tools | None = None, progress: Progress = SILENT,
) -> list[SeenWord]:  # fmt: skip
    """Where each word of a prompt is seen in a picture, by the attention to it (Hertz et al., 2022), in the order of the prompt.
    resolution: as in `difference`.

    Raises:
        HostUnsupported: the network shows no attention at the size that is needed. And as `difference`.
    """
    tools = tools or Tools()
    job = _job(checkpoint, pixels, prompt, prompt, resolution, seed)
    words = words_of(_u_net(checkpoint), prompt, tools.words)

    def look(thrift: int) -> list[SeenWord]:
        scene = _scene(checkpoint, job, tools, thrift)
        network = scene.model.network(job.options)
        maps = WordMaps(scene.shape[1:])
        conditioning, timesteps = scene.conditioning(1), scene.scheduler.timesteps
        with wrapped(network, [maps.attention]):
            for number in range(_LOOKS):
                progress.report(number / _LOOKS, "Looking for the words", done=number, total=_LOOKS, unit="look")
                share = _FROM + (_TO - _FROM) * number / (_LOOKS - 1)
                at = timesteps[len(timesteps) - 1 - int(share * (len(timesteps) - 1))]
                noised = scene.scheduler.add_noise(scene.known, scene.noise, at.reshape(1))
                moment = Moment(1 - share, 1 - share, at, None, scene.scheduler, scene.generators, float(at))
                sample = scene.scheduler.scale_model_input(noised, at)
                looked(network, sample, conditioning, ("cond",), [*scene.beside(), maps], moment, scene.together, progress)
        seen = maps.maps()
        if seen is None:
            raise HostUnsupported("This checkpoint does not show where it sees words.", "Choose another checkpoint.")
        return [SeenWord(word.text, _normed(seen[list(word.places)].sum(0).cpu().numpy())) for word in words]

    return _retried(checkpoint, tools, look)


def _normed(seen: np.ndarray) -> np.ndarray:
    return (seen / max(float(seen.max()), 1e-12)).astype(np.float32)


def _job(checkpoint: AnyCheckpoint, pixels: np.ndarray, words: str, instead: str, resolution: int, seed: int) -> PaintJob:
    """The whole picture, as large as it is looked at."""
    if _u_net(checkpoint).kind.only_instructs:
        raise InvalidInput(
            "The checkpoint only follows instructions.",
            "Choose the task instruct, or another checkpoint.",
            checkpoint=checkpoint.kind.title,
        )
    if not words.strip():
        raise InvalidInput("There is nothing to look for.", "Say it in words.")
    check_constant(words, instead)
    size = pixels.shape[1], pixels.shape[0]
    where = plan(Box(0, 0, *size), size, checkpoint.kind.native_size, resolution=resolution, whole=True, refine=False)
    small = scaled(pixels, where.first)
    everywhere = np.ones(small.shape[:2], bool)
    return PaintJob(small, everywhere, grouped(prompt=instead, steps=_STEPS, sampler="DDIM"), "original", 1.0, seed)


def _u_net(checkpoint: AnyCheckpoint) -> Checkpoint:
    """Raises `HostUnsupported` for a checkpoint without one."""
    if isinstance(checkpoint, FlowCheckpoint):
        raise HostUnsupported("This checkpoint does not show where it sees words.", "Choose one of Stable Diffusion 1, 2 or XL.")
    return checkpoint


def _scene(checkpoint: AnyCheckpoint, job: PaintJob, tools: Tools, thrift: int) -> Scene:
    model = model_of(checkpoint)
    scheduler = model.scheduler(*model.resolve("DDIM", ""), job.options.sampling, (job.width, job.height))
    coder = Coder(checkpoint, model)
    return Scene(
        checkpoint, model, job, scheduler, generators(job.seed, 1), coder, tools.depth, words=tools.words, together=thrift == 0
    )  # fmt: skip


def _retried(checkpoint: AnyCheckpoint, tools: Tools, look: Callable[[int], T]) -> T:
    """`look(thrift)`, more thriftily each time that memory runs out."""

    def attempt(thrift: int) -> T:
        with computing(checkpoint, model_of(checkpoint), tools.device, thrift):
            return look(thrift)

    def free() -> None:
        tools.free()
        devices.release(tools.device)

    attempts = [lambda thrift=thrift: attempt(thrift) for thrift in range(3)]
    return devices.retrying(attempts, free, "Choose a smaller picture, or close other programs.")
