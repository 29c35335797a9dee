"""What can be put around an object in a clip: a picture, another clip, or a painted scene that moves with the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks_
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress
from clickpaint.video.base import Frames, Masks, TimedFrames
from clickpaint.video.flow import completed, sampled
from clickpaint.video.object_motion import ObjectScene, Way

EDGE = 3
"""Pixels around an object that are not the old background's alone."""
SLIVER = 0.002
"""Share of a frame below which nothing is painted where the camera uncovers something: its surroundings go on there."""


def covering(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`pixels` (uint8 [h, w, 3]) scaled and cut, at its middle, so that it covers a frame of `size` (width, height)."""
    import cv2

    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    wide, high = max(round(width * scale), size[0]), max(round(height * scale), size[1])
    if (wide, high) != (width, height):
        pixels = cv2.resize(pixels, (wide, high), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left, top = (wide - size[0]) // 2, (high - size[1]) // 2
    return np.ascontiguousarray(pixels[top : top + size[1], left : left + size[0]])


def from_clip(background: TimedFrames, frames: TimedFrames) -> Iterator[np.ndarray]:
    """For each of `frames` what `background` shows at the same time, covering it; from its start again where it is over."""
    if len(background) == 1:
        still = covering(background.frame(0), frames.size)
        for _ in range(len(frames)):
            yield still
        return
    at, number, ends = 0.0, 0, background.seconds(0)
    for shown in range(len(frames)):
        while at >= ends - 1e-6:
            number = (number + 1) % len(background)
            ends += max(background.seconds(number), 1e-3)
        yield covering(background.frame(number), frames.size)
        at += frames.seconds(shown)


@dataclass(frozen=True, eq=False)
class Opening:
    """A part of a frame's background to be painted.

    Attributes:
        number: of the frame.
        pixels: uint8 [H, W, 3], the frame, with what is known of its new background.
        hole: bool [H, W], what is to be painted.
        before: as of `filling.KeyFrame`.
    """

    number: int
    pixels: np.ndarray
    hole: np.ndarray
    before: Callable[[np.ndarray], np.ndarray] | None = None


Paint = Callable[[Opening, Opening, Progress], np.ndarray]
"""paint(the clip's first opening, this one, progress) → this one painted, uint8 [H, W, 3]."""
Erase = Callable[[np.ndarray, np.ndarray, Progress], np.ndarray]
"""erase(pixels uint8 [H, W, 3], mask bool [H, W], progress) → uint8 [H, W, 3]."""


class _Around:
    """What is not the object, nor its edge."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks

    def mask(self, number: int) -> np.ndarray:
        mask = self._masks.mask(number)
        return ~masks_.grow(mask, EDGE) if mask.any() else ~mask


@dataclass(frozen=True, eq=False)
class _Plate:
    """A whole background.

    Attributes:
        way: to the first one; None where it is not known.
    """

    number: int
    pixels: np.ndarray
    way: Way | None


class PaintedBackground:
    """A scene that is painted once and moves as the old background did; where the camera uncovers more, that is painted to it.

    Args:
        paint: see `Paint`.
        erase: fills the scene where the object stands in the frame that was painted.
        every: frames after which it is looked what was uncovered.
    """

    def __init__(self, frames: Frames, masks: Masks, paint: Paint, erase: Erase, every: int, progress: Progress = SILENT) -> None:
        self._masks, self._paint, self._erase, self._every, self._progress = masks, paint, erase, every, progress
        self._scene = ObjectScene(frames, _Around(masks), every + 3)
        self._whole = Box(0, 0, *frames.size)
        self._first: Opening | None = None

    def frames(self) -> Iterator[np.ndarray]:
        """A background for every frame, uint8 [H, W, 3], in order."""
        scene, number, plate = self._scene, 0, None
        while number < len(scene):
            plate = plate or self._painted(number, None)
            last = number
            while last + 1 < len(scene) and last - number < self._every and not scene.motion(last, 1).lost:
                last += 1
            forward = self._ways(range(number, last + 1), 1)
            after = plate if last == number else self._continued(plate, last, forward[last])
            backward = self._ways(range(last, number - 1, -1), -1)
            for each in range(number, last):
                yield self._between(plate, forward[each], after, backward[each], (each - number) / (last - number))
            goes_on = last > number and last + 1 < len(scene) and not scene.motion(last, 1).lost
            if not goes_on:
                yield after.pixels
            number, plate = last if goes_on else last + 1, after if goes_on else None

    def _ways(self, numbers: range, step: int) -> dict[int, Way]:
        way = Way.still(self._whole)
        ways = {numbers[0]: way}
        for number in numbers[1:]:
            self._progress.check()
            way = way.after(self._scene, number - step, step, self._whole)
            ways[number] = way
        return ways

    def _painted(self, number: int, way: Way | None) -> _Plate:
        """A background that owes nothing to the frames before."""
        frame, around = self._scene.frame(number), self._scene.mask(number)
        if not around.any():
            raise InvalidInput("There is nothing to paint.", "Select an object that does not fill the whole picture.")
        opening = Opening(number, frame, around)
        if self._first is None:
            self._first, way = opening, Way.still(self._whole)
        return _Plate(number, self._without_object(self._paint(self._first, opening, self._part(number)), number), way)

    def _without_object(self, pixels: np.ndarray, number: int) -> np.ndarray:
        hole = ~self._scene.mask(number)
        return self._erase(pixels, hole, self._part(number)) if hole.any() else pixels

    def _continued(self, plate: _Plate, number: int, way: Way) -> _Plate:
        """The plate as a later frame's camera sees it, with what that uncovers painted to it."""
        assert self._first is not None
        colours, shown = self._seen(plate, way)
        missing = ~shown & self._scene.mask(number)
        to_first = None if plate.way is None else Way(self._whole, plate.way.at(way.places), way.astray)
        pixels = np.clip(np.rint(completed(colours, shown)), 0, 255).astype(np.uint8)
        if missing.mean() < SLIVER:
            return _Plate(number, pixels, to_first)
        # The network sees the object before its new background, as it will stand there.
        with_object = np.where(self._scene.mask(number)[..., None], pixels, self._scene.frame(number))
        opening = Opening(number, with_object, masks_.grow(missing, 2), None if to_first is None else to_first.at)
        painted = self._paint(self._first, opening, self._part(number))
        known = self._scene.mask(number) | shown
        result = np.where(self._scene.mask(number)[..., None], painted, pixels)
        return _Plate(number, result if known.all() else self._erase(result, ~known, self._part(number)), to_first)

    def _seen(self, plate: _Plate, way: Way) -> tuple[np.ndarray, np.ndarray]:
        """The plate along a way, float32 [H, W, 3], and where that shows it, bool [H, W]."""
        # Where the way back misses, something passed in front of the old background; the new one goes on there.
        shown = way.inside(self._whole.size)
        pixels = plate.pixels.astype(np.float32)
        still = bool((way.places == Way.still(self._whole).places).all())
        return (pixels if still else np.clip(sampled(pixels, way.places, smooth=True), 0, 255)), shown

    def _between(self, before: _Plate, way: Way, after: _Plate, way_after: Way, share: float) -> np.ndarray:
        """Between two plates; share: 0 at the one before to 1 at the one after."""
        planes, weights = [], []
        for plate, along, weight in ((before, way, 1 - share), (after, way_after, share)):
            colours, shown = self._seen(plate, along)
            planes.append(colours)
            weights.append(np.where(shown, max(weight, 1e-3), 0).astype(np.float32))
        total = weights[0] + weights[1]
        colours = (weights[0][..., None] * planes[0] + weights[1][..., None] * planes[1]) / np.maximum(total, 1e-9)[..., None]
        if not (total > 0).all():
            colours = completed(colours.astype(np.float32), total > 0)
        return np.clip(np.rint(colours), 0, 255).astype(np.uint8)

    def _part(self, number: int) -> Progress:
        done = number / len(self._scene)
        self._progress.report(done, "Painting the background", done=number, total=len(self._scene), unit="frame")
        return self._progress.part(done, done)
