"""Key frames of a clip, painted on the host's checkpoint: between the video room, which carries them on, and the painting one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.errors import InvalidInput
from clickpaint.image.soft_edge import SoftEdge
from clickpaint.paint.in_frames import Frame, FramePainter, edge_of
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import Progress
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.painting import Painting
from clickpaint.video.base import Frames, Masks
from clickpaint.video.filling import FillOptions, KeyFrame

EVERY = FillOptions().every
"""Frames from one key frame to the next where nobody says otherwise."""


class OpenPainter:
    """What paints key frames while the checkpoint is in use.

    Attributes:
        edge: how far beyond the masks it paints.
        painted: how many key frames there are by now.
    """

    def __init__(self, painter: FramePainter, edge: SoftEdge) -> None:
        self._painter, self.edge = painter, edge
        self._numbers: set[int] = set()

    @property
    def seed(self) -> int:
        """That all are painted with."""
        return self._painter.seed

    @property
    def painted(self) -> int:
        return len(self._numbers)

    def paint(self, keys: Sequence[KeyFrame], progress: Progress) -> list[np.ndarray]:
        """See `video.filling.KeyPainter`."""
        self._numbers.update(key.number for key in keys)
        return self._painter.paint([Frame(key.pixels, key.mask, key.before) for key in keys], progress)


class KeyFrames:
    """Args:
    eraser: for the masked content "erased"; None for the setting's.
    """

    def __init__(self, pool: ModelPool, painting: Painting, own_sampler: OwnSampler, options: PaintOptions, eraser: str | None) -> None:
        self._pool, self._painting, self._own_sampler, self._options = pool, painting, own_sampler, options
        self._eraser = pool.eraser_name(eraser) if options.masking.content == "erased" else ""

    @contextmanager
    def opened(self, frames: Frames, masks: Masks) -> Iterator[OpenPainter]:
        """The checkpoint, ready to paint in this clip within this block; the caller holds the host's lock.

        Raises:
            HostUnsupported: see `OwnSampler.opened`. InvalidInput: nothing is selected in any frame.
        """
        first = next((mask for number in range(len(frames)) if (mask := masks.mask(number)).any()), None)
        if first is None:
            raise InvalidInput("Nothing is selected.", "Give the mask of one frame at least.")
        self._painting.make_room()
        with self._own_sampler.opened(self._options) as checkpoint:
            edge = edge_of(self._options, frames.size, first)
            masking = replace(self._options.masking, grow=edge.grow, feather=edge.feather)
            options = replace(self._options, masking=masking)
            yield OpenPainter(FramePainter(options, checkpoint.native_size, checkpoint.run_frames, edge, self._erase), edge)

    def _erase(self, pixels: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        return self._pool.eraser(self._eraser).erase(pixels, hole, EraseOptions(0, 0), progress)
