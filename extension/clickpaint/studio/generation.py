"""The use-cases that paint whole pictures and clips: from a prompt alone, from a picture that is to move, or a picture enlarged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.paint.acting import check_task
from clickpaint.paint.context import MULTIPLE, scaled
from clickpaint.paint.diffusion.frame_sampling import Motion
from clickpaint.paint.paint_job import Painted, PaintOptions
from clickpaint.progress import Progress
from clickpaint.segment.base import Point, Prompts
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.painting import PaintedPictures
from clickpaint.studio.request import Requests
from clickpaint.studio.systems import Systems

_LARGEST_SIDE = 4096
"""Of a generated picture, in pixels."""

_MOST_ENLARGED = 32_000_000
"""Pixels of an enlarged picture."""

_MOST_FRAMES = 256
"""Of a generated clip."""


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """A clip from a prompt, or one that begins with a picture.

    Attributes:
        frames: uint8 [H, W, 3] each.
        seed: that it was painted with.
    """

    frames: tuple[np.ndarray, ...]
    seed: int


class Generation:
    """Part of the studio: our engines on the host's checkpoint, and the systems with files of their own."""

    def __init__(self, pool: ModelPool, own_sampler: OwnSampler, systems: Systems, requests: Requests) -> None:
        self._pool, self._own_sampler, self._systems, self._requests = pool, own_sampler, systems, requests

    def generate(self, options: PaintOptions, width: int | None = None, height: int | None = None) -> PaintedPictures:
        """New pictures from the prompt alone, on an engine of ours.

        Args:
            width, height: in pixels, multiples of 8; None for the checkpoint's own size.

        Raises:
            InvalidInput: a side is no multiple of 8, or too long.
            HostUnsupported: there is no checkpoint.
        """
        _check_sides(width, height)
        running = self._systems.ready(options.system, "generate", options) if options.system else None
        if running is None:
            check_task(options, task="generate")
        elif width or height:
            _check_sides(width, height, multiple=running.multiple())

        def work(progress: Progress) -> list[Painted]:
            self._pool.make_room()
            if running is not None:
                side = running.native_size(progress)
                return running.generate(options, (width or side, height or side), options.sampling.first_seed(), progress)
            with self._own_sampler.opened(options) as checkpoint:
                _check_sides(width, height, multiple=checkpoint.multiple)
                size = width or checkpoint.native_size, height or checkpoint.native_size
                return checkpoint.generate(options, size, options.sampling.first_seed(), progress)

        with self._requests.run("generate") as request:
            painted = request.compute(work)
        pictures = tuple(from_pixels(result.pixels).with_text(parameters=result.infotext) for result in painted)
        return PaintedPictures(pictures, tuple(result.seed for result in painted))

    def generate_clip(
        self, options: PaintOptions, count: int, motion: Motion, width: int | None = None, height: int | None = None
    ) -> GeneratedClip:
        """A clip of `count` frames, 2 to 256, from a prompt alone (Text2Video-Zero), on an engine of ours. Else as `generate`.

        What is in front, where the motion smooths the background, is what the segmenter finds in the middle of the first frame.
        """
        _check_sides(width, height)
        if not 2 <= count <= _MOST_FRAMES:
            raise InvalidInput("A clip cannot have {value} frames.", "Give 2 to {limit}.", value=count, limit=_MOST_FRAMES)
        if not options.system:  # which `opened` refuses
            check_task(options, task="generate a clip")
        seed = options.sampling.first_seed()

        def work(progress: Progress) -> list[np.ndarray]:
            self._pool.make_room()
            with self._own_sampler.opened(options) as checkpoint:
                size = width or checkpoint.native_size, height or checkpoint.native_size
                return checkpoint.generate_clip(options, size, count, motion, seed, self._in_the_middle, progress)

        with self._requests.run("generate") as request:
            return GeneratedClip(tuple(request.compute(work)), seed)

    def _in_the_middle(self, pixels: np.ndarray) -> np.ndarray:
        """What one would click on in the middle of a picture, bool [h, w]."""
        segmenter = self._pool.segmenter(self._pool.segmenter_name())
        middle = Prompts((Point(pixels.shape[1] / 2, pixels.shape[0] / 2),))
        return segmenter.predict(segmenter.encode(pixels), middle)[0].mask

    def animate(
        self, picture: Picture, options: PaintOptions, system: str = "auto", frames: int = 14, fps: float = 7.0, motion: int = 127,
        workspace: Workspace | None = None,
    ) -> GeneratedClip:  # fmt: skip
        """A clip that begins with a picture.

        Args:
            workspace: whose picture it is, if it is one's.
            frames: 2 to 64.
            motion: how much moves, 1 to 255.

        Raises:
            NotFound, HostUnsupported: there is no such system, or it cannot be used.
            InvalidInput: a number out of its range.
        """
        for name, value, low, high in (("frames", frames, 2, 64), ("motion", motion, 1, 255)):
            if not low <= value <= high:
                raise InvalidInput(
                    "A clip's {name} cannot be {value}.", "Give {minimum} to {maximum}.", name=name, value=value, minimum=low, maximum=high
                )
        seed = options.sampling.first_seed()
        running = self._systems.ready(system, "animate", options)

        def work(progress: Progress) -> list[np.ndarray]:
            self._pool.make_room()
            return running.animate(picture.pixels, options, frames, fps, motion, seed, progress)

        with self._requests.run("generate", workspace) as request:
            return GeneratedClip(tuple(request.compute(work)), seed)

    def enlarge(self, picture: Picture, options: PaintOptions, system: str = "auto") -> PaintedPictures:
        """A picture four times as large each way; of the options steps and seed act.

        Raises:
            NotFound, HostUnsupported: there is no such system, or it cannot be used.
            InvalidInput: the picture would become too large.
        """
        if 16 * picture.width * picture.height > _MOST_ENLARGED:
            raise InvalidInput(
                "The enlarged picture would have {megapixels:.0f} megapixels, more than {limit:.0f}.", "Enlarge a part of it.",
                megapixels=16 * picture.width * picture.height / 1e6, limit=_MOST_ENLARGED / 1e6,
            )  # fmt: skip
        seed, running = options.sampling.first_seed(), self._systems.ready(system, "enlarge", options)

        def work(progress: Progress) -> np.ndarray:
            self._pool.make_room()
            return running.enlarge(picture.pixels, options, seed, progress)

        with self._requests.run("generate") as request:
            pixels = request.compute(work)
        alpha = None if picture.alpha is None else scaled(picture.alpha, (pixels.shape[1], pixels.shape[0]))
        return PaintedPictures((picture.anew(pixels, alpha),), (seed,))


def _check_sides(*sides: int | None, multiple: int = MULTIPLE) -> None:
    """Raises `InvalidInput` for sides in pixels that no picture can have."""
    for side in sides:
        if side is not None and (side % multiple or not 64 <= side <= _LARGEST_SIDE):
            raise InvalidInput(
                "A side cannot be {value} pixels.", "Give a multiple of {multiple} from 64 to {limit}.", value=side, multiple=multiple,
                limit=_LARGEST_SIDE,
            )  # fmt: skip
