"""Painting in clips on the host's checkpoint: between the video room, which carries on what is painted, and the painting one."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image.soft_edge import SoftEdge, automatic
from clickpaint.paint.acting import check_task
from clickpaint.paint.in_frames import Frame, FramePainter, edge_of
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import Progress
from clickpaint.segment.matting import Estimate
from clickpaint.settings import MEGABYTE
from clickpaint.studio import vitmatte
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.video.backgrounds import Opening, PaintedBackground, from_clip
from clickpaint.video.base import Frames, Masks, TimedFrames
from clickpaint.video.filling import FillOptions, KeyFrame, fill
from clickpaint.video.replacing import ReplaceOptions
from clickpaint.video.replacing import replace as replaced

EVERY = FillOptions().every
"""Frames from one key frame to the next where nobody says otherwise."""


@dataclass(eq=False)
class ClipPainting:
    """One painting in a clip: what was asked for, and once frames are there, how it is done.

    Attributes:
        options: of the paint room; None where nothing is painted.
        every: frames from one key frame to the next.
        edge: the pixels that act, known from the first frame on.
        seed: that all key frames are painted with.
        painted: numbers of the key frames by now.
    """

    options: PaintOptions | None
    every: int
    edge: SoftEdge | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        FillOptions(every=self.every)  # the same range
        self.painted: set[int] = set()

    def details(self) -> dict[str, Any]:
        """How it was done, for who asks afterwards."""
        edge = {} if self.edge is None else {"grow": self.edge.grow, "feather": self.edge.feather}
        return edge if self.seed is None else {**edge, "seed": self.seed, "painted": len(self.painted)}


class VideoPainting:
    """Part of the studio. Its generators compute where they are gone through; the caller holds the host's lock."""

    def __init__(self, host: Host, pool: ModelPool, own_sampler: OwnSampler) -> None:
        self._host, self._pool, self._own_sampler = host, pool, own_sampler

    def filled(
        self, frames: Frames, masks: Masks, asked: ClipPainting, eraser: str | None, progress: Progress
    ) -> Generator[np.ndarray, None, None]:  # fmt: skip
        """Every frame with what the prompt says in the masks' place, as `video.filling.fill`.

        Args:
            eraser: for the masked content "erased"; None for the setting's.

        Raises:
            HostUnsupported: see `OwnSampler.opened`. InvalidInput: nothing is selected in any frame.
        """
        assert asked.options is not None
        first = next((mask for number in range(len(frames)) if (mask := masks.mask(number)).any()), None)
        if first is None:
            raise InvalidInput("Nothing is selected.", "Give the mask of one frame at least.")
        edge = asked.edge = edge_of(asked.options, frames.size, first)
        masking = replace(asked.options.masking, grow=edge.grow, feather=edge.feather)
        with self._painter(replace(asked.options, task="fill", masking=masking), asked, edge, eraser) as painter:

            def paint(keys: Sequence[KeyFrame], part: Progress) -> list[np.ndarray]:
                asked.painted.update(key.number for key in keys)
                return painter.paint([Frame(key.pixels, key.mask, key.before) for key in keys], part)

            options = FillOptions(edge.grow, edge.feather, asked.every, budget=self._host.setting("video_budget_mb") * MEGABYTE)
            yield from fill(frames, masks, paint, options, progress)

    def replaced(
        self, frames: TimedFrames, masks: Masks, asked: ClipPainting, background: TimedFrames | None, eraser: str | None,
        progress: Progress,
    ) -> Generator[np.ndarray, None, None]:  # fmt: skip
        """Every frame with something else around what the masks select, as `video.replacing.replace`.

        Args:
            background: what is to be there; None for what the options' prompt says.
            eraser: fills a painted scene where the object stood; None for the setting's.
        """
        masking = asked.options.masking if asked.options is not None else None
        band = automatic(frames.size, "cutout").feather if masking is None or masking.feather is None else masking.feather
        grow = 0 if masking is None or masking.grow is None else masking.grow
        options, edge = ReplaceOptions(grow, band), SoftEdge(grow, band)
        asked.edge = edge
        estimate = self._matting()
        if background is not None:
            yield from replaced(frames, masks, from_clip(background, frames), options, estimate, progress)
            return
        assert asked.options is not None
        name = self._pool.eraser_name(eraser)
        with self._painter(replace(asked.options, task="replace"), asked, edge, eraser) as painter:

            def paint(first: Opening, opening: Opening, part: Progress) -> np.ndarray:
                asked.painted.add(opening.number)
                shown = [Frame(each.pixels, each.hole, each.before) for each in (first, opening)]
                return painter.paint(shown if opening is not first else shown[:1], part)[-1]

            scene = PaintedBackground(frames, masks, paint, partial(self._pool.erased, name), asked.every, progress)
            yield from replaced(frames, masks, scene.frames(), options, estimate, progress)

    def _matting(self) -> Estimate | None:
        """ViTMatte where it is here; None for pymatting."""
        folder = vitmatte.folder(self._pool.host.folders(vitmatte.KIND))
        return None if folder is None else vitmatte.ViTMatte(folder, self._pool)

    @contextmanager
    def _painter(self, options: PaintOptions, asked: ClipPainting, edge: SoftEdge, eraser: str | None) -> Iterator[FramePainter]:
        """The checkpoint, ready to paint within this block."""
        check_task(options, eraser=eraser if options.task == "fill" else None)  # replacing erases in what it painted, too
        name = self._pool.eraser_name(eraser) if options.masking.content == "erased" else ""
        self._pool.make_room()
        with self._own_sampler.opened(options) as checkpoint:
            erase = partial(self._pool.erased, name) if name else None
            painter = FramePainter(options, checkpoint.native_size, checkpoint.run_frames, edge, erase, checkpoint.multiple)
            asked.seed = painter.seed
            yield painter
