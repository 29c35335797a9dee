"""The video eraser that needs no network: what other frames show is put in the object's place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from clickpaint.erase.base import EraseOptions, Eraser
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks_
from clickpaint.image.blend import composite
from clickpaint.image.channels import chosen
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress
from clickpaint.video import joining, propagation
from clickpaint.video.base import Frames, Masks
from clickpaint.video.flow import grid, sampled
from clickpaint.video.motion import within
from clickpaint.video.scene import Scene
from clickpaint.video.side_by_side import in_order, threads_for
from clickpaint.video.steadying import Filling, steady
from clickpaint.video.video_eraser import VideoEraseOptions

MARGIN = 24
"""Pixels around a hole that are looked at."""
SLIVER = 40
"""Pixels; less than that is not worth a key frame of its own, it is filled in each frame as its surroundings want."""
_LONGEST_SEGMENT = 48
_SIDE_BY_SIDE = 300
"""Frames of a clip up to which several threads work: with them memory grows by a few dozen kilobytes a frame, without it does not."""
GRAIN = 0.8
"""Share of the missing noise that is added: coding blurs what lies around, too."""


class PropagatingEraser:
    """Takes what is behind the object from other frames; what none shows is painted once by an image eraser and carried along.

    Args:
        painter: paints what no frame shows, in key frames.
    """

    name = "propagation"

    def __init__(self, painter: Eraser) -> None:
        self._painter = painter

    def erase(
        self, frames: Frames, masks: Masks, options: VideoEraseOptions | None = None, progress: Progress = SILENT
    ) -> Iterator[np.ndarray]:
        options = options or VideoEraseOptions()
        width, height = frames.size
        first = masks.mask(0)
        if first.dtype != np.bool_ or first.shape != (height, width):
            raise InvalidInput(
                "The masks are {mask_width} × {mask_height}, the frames {width} × {height}.",
                "Give masks of the frames' size.",
                mask_width=first.shape[1], mask_height=first.shape[0], width=width, height=height,
            )  # fmt: skip
        reach, segment = _fitting(frames.size, options.budget)
        scene = Scene(frames, _Grown(masks, options.grow + options.feather), segment + 2 * reach + 2)
        before: Filling | None = None
        for start in range(0, len(frames), segment):
            numbers = range(start, min(start + segment, len(frames)))
            share = progress.part(numbers.start / len(frames), numbers.stop / len(frames))
            each = max(_bytes_at_work(scene.hole(number), reach) for number in numbers)
            threads = threads_for(each, options.budget) if len(frames) <= _SIDE_BY_SIDE else 1
            works = []
            share.report(0.0, "Looking behind the object", done=start, total=len(frames), unit="frame")
            for work in in_order(partial(_seen_elsewhere, scene, reach, share), numbers, threads):
                works.append(work)
                part = 0.8 * len(works) / len(numbers)
                share.report(part, "Looking behind the object", done=start + len(works), total=len(frames), unit="frame")
            _paint(scene, works, before, self._painter, share.part(0.8, 1.0), threads)
            steady(scene, works, before, share, threads)
            for work in works:
                yield _finished(scene.frame(work.number), masks.mask(work.number), work, options)
            before = works[-1]


class _Grown:
    def __init__(self, masks: Masks, pixels: int) -> None:
        self._masks, self._pixels = masks, pixels

    def mask(self, number: int) -> np.ndarray:
        mask = self._masks.mask(number)
        return masks_.grow(mask, self._pixels) if self._pixels else mask


def _fitting(size: tuple[int, int], budget: int) -> tuple[int, int]:
    """How far to look, and how many frames to work on together, so that frames and motions stay within `budget` bytes."""
    from clickpaint.video.flow import work_size

    small = work_size(size)
    each = size[0] * size[1] * 5 + small[0] * small[1] * 16 + size[0] * size[1] * 8  # frame, masks; flows both ways; what is under way
    most = max(budget // each, 12)
    reach = int(min(propagation.REACH, max(most // 4, 3)))
    return reach, int(min(_LONGEST_SEGMENT, max(most - 2 * reach, 4)))


def _bytes_at_work(hole: np.ndarray, reach: int) -> int:
    """About how many bytes it takes to look what other frames show of a hole: the layers of all of them."""
    around = masks_.bounds(hole)
    return 0 if around is None else around.padded(MARGIN).clipped(*hole.shape[::-1]).area * 20 * (reach + 10)


def _seen_elsewhere(scene: Scene, reach: int, progress: Progress, number: int) -> Filling:
    """A frame with all of its hole filled that other frames show."""
    hole = scene.hole(number)
    around = masks_.bounds(hole)
    if around is None:
        nothing = np.zeros((0, 0), bool)
        return Filling(number, None, np.zeros((0, 0, 3), np.float32), nothing, nothing, np.zeros(3, np.float32))
    box = around.padded(MARGIN).clipped(*scene.size)
    pixels = scene.frame(number)[box.slices].astype(np.float32)
    work = Filling(number, box, pixels, hole[box.slices], hole[box.slices].copy(), np.zeros(3, np.float32))
    grains = []
    for piece, own in pieces(hole):
        part = propagation.part_of(number, piece, scene.frame(number), own, hole)
        filled = joining.joined(part, propagation.layers_of(part, scene, progress, reach), progress)
        inner = piece.shifted(-box.left, -box.top).slices
        work.pixels[inner][filled.found] = filled.pixels[filled.found]
        work.left[inner] &= ~filled.found
        grains.append(filled.grain * filled.found.sum())
    work.grain = (np.sum(grains, axis=0) / max((work.hole & ~work.left).sum(), 1)).astype(np.float32)
    return work


def pieces(hole: np.ndarray) -> list[tuple[Box, np.ndarray]]:
    """The parts of a hole that are worked on one by one: boxes with their surroundings, and what of the hole is theirs, bool [H, W]."""
    size = hole.shape[1], hole.shape[0]
    groups: list[tuple[Box, list[masks_.Component]]] = []
    for component in masks_.components(hole):
        box, members = component.box.padded(MARGIN).clipped(*size), [component]
        merged = True
        while merged:
            merged = False
            for other in groups:
                common = other[0].union(box)
                if other[0].intersection(box) is not None and (common.area < 1.5 * (other[0].area + box.area) or len(groups) > 6):
                    groups.remove(other)
                    box, members, merged = common, members + other[1], True
                    break
        groups.append((box, members))
    result = []
    for box, members in groups:
        own = np.zeros_like(hole)
        for member in members:
            own[member.box.slices] |= member.mask
        result.append((box, own))
    return result


def _paint(scene: Scene, works: list[Filling], before: Filling | None, painter: Eraser, progress: Progress, threads: int) -> None:
    """Fill what no frame shows: painted in one frame, carried to the others of the segment."""
    if before is not None and before.box is not None:
        _carry(scene, before, works, progress, threads)
    while True:
        key = max(works, key=lambda work: int(work.left.sum()))
        area = int(key.left.sum())
        if area == 0:
            return
        progress.report(None, "Painting what no frame shows")
        _paint_key(scene, key, painter, progress)
        if area < SLIVER:
            continue  # nothing that anybody would see change
        _carry(scene, key, works, progress, threads)


def _paint_key(scene: Scene, key: Filling, painter: Eraser, progress: Progress) -> None:
    assert key.box is not None
    whole = scene.frame(key.number).copy()
    whole[key.box.slices] = np.clip(np.rint(key.pixels), 0, 255).astype(np.uint8)
    mask = np.zeros(whole.shape[:2], bool)
    mask[key.box.slices] = key.left
    result = painter.erase(whole, mask, EraseOptions(grow=0, feather=0), progress)
    key.pixels[key.left] = result[key.box.slices][key.left]
    key.left[:] = False


def _carry(scene: Scene, key: Filling, works: list[Filling], progress: Progress, threads: int) -> None:
    """Take what was painted in the key frame into the frames around it."""
    assert key.box is not None
    source = scene.frame(key.number).copy()
    source[key.box.slices] = np.clip(np.rint(key.pixels), 0, 255).astype(np.uint8)
    usable = scene.seen(key.number).copy()
    usable[scene.hole(key.number)] = 0
    usable[key.box.slices][key.hole & ~key.left] = 255
    by_number = {work.number: work for work in works}

    def towards(step: int) -> None:
        # Every frame's map into the key frame, from the map of its neighbour that is nearer to it.
        places = grid(*scene.size)
        number = key.number + step
        while number in by_number and 0 <= number < len(scene):
            progress.check()
            if scene.motion(number, -step).cut:
                break
            back = scene.follow(grid(*scene.size), number, -step)
            places = back if number == key.number + step else sampled(places, back) + (back - within(back, scene.size))
            work = by_number[number]
            if work.box is not None and work.left.any():
                _take(work, places, source, usable, key.number, progress)
            number += step

    for _ in in_order(towards, (1, -1), min(threads, 2)):
        pass


def _take(work: Filling, places: np.ndarray, source: np.ndarray, usable: np.ndarray, number: int, progress: Progress) -> None:
    """Take what is left of a hole from one frame; places: float32 [H, W, 2], where every pixel is in that."""
    import cv2

    assert work.box is not None
    lacking = masks_.bounds(work.left)
    assert lacking is not None
    inner = lacking.padded(MARGIN).clipped(work.box.width, work.box.height)
    box, left, pixels = inner.shifted(work.box.left, work.box.top), work.left[inner.slices], work.pixels[inner.slices]
    part = propagation.Part(work.number, box, pixels, left, masks_.grow(left, propagation.RING) & ~left)
    layer = propagation.layer_at(part, cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), places[box.slices], number, source, usable)
    if layer is None:
        return
    filled = joining.joined(part, [layer], progress)
    work.pixels[inner.slices] = chosen(filled.found, filled.pixels, pixels)
    work.left[inner.slices] &= ~filled.found


def _finished(frame: np.ndarray, mask: np.ndarray, work: Filling, options: VideoEraseOptions) -> np.ndarray:
    if work.box is None:
        return frame.copy()
    pixels = work.pixels
    if options.grain and work.grain.any():
        noise = np.random.default_rng(work.number).standard_normal(pixels.shape, np.float32)
        share = GRAIN * np.minimum(propagation.depth_of(work.hole) / propagation.THIN, 1)  # nobody sees that a speck is too clean
        pixels = pixels + noise * work.grain * share[..., None]
    result = frame.copy()
    result[work.box.slices] = np.where(work.hole[..., None], np.clip(np.rint(pixels), 0, 255).astype(np.uint8), result[work.box.slices])
    if options.feather:
        return composite(frame, result, masks_.feather(mask, options.feather, options.grow))
    return result
