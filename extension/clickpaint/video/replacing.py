"""Puts another background around an object in every frame: the object is matted, and its matte is steady over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks_
from clickpaint.progress import SILENT, Progress
from clickpaint.segment.matting import Estimate, matte
from clickpaint.video.base import Frames, Masks, Recent
from clickpaint.video.filling import check_masks
from clickpaint.video.flow import grid, sampled
from clickpaint.video.object_motion import ObjectScene

STEADY = 1.5
"""Pixels by which the way to a neighbour and back may miss for its matte to be asked."""


@dataclass(frozen=True)
class ReplaceOptions:
    """How an object is cut out.

    Attributes:
        grow: pixels by which each mask is dilated first, 0 to 256.
        band: pixels on both sides of its outline in which the edge is looked for, 0 to 128; 0 takes the mask as it is.
    """

    grow: int = 0
    band: int = 4

    def __post_init__(self) -> None:
        for name, value, most in (("grow", self.grow, 256), ("feather", self.band, 128)):
            if not 0 <= value <= most:
                raise InvalidInput("{name} cannot be {value}.", "It goes from 0 to {maximum} pixels.", name=name, value=value, maximum=most)


@dataclass(frozen=True, eq=False)
class _Cut:
    """An object cut out of a frame: colours uint8 [H, W, 3] of it alone, alpha float32 [H, W], 0 to 255."""

    colours: np.ndarray
    alpha: np.ndarray


def replace(
    frames: Frames, masks: Masks, backgrounds: Iterable[np.ndarray], options: ReplaceOptions | None = None,
    estimate: Estimate | None = None, progress: Progress = SILENT,
) -> Iterator[np.ndarray]:  # fmt: skip
    """Every frame of the clip in order, uint8 [H, W, 3]: what the masks select before a background. Within the object, as far as it is
    opaque, every value is as it was.

    Args:
        backgrounds: uint8 [H, W, 3] for each frame, in order.
        estimate: what finds the edge in the place of pymatting.

    Raises:
        InvalidInput: the masks have another size, or a frame cannot be read. Interrupted.
    """
    check_masks(frames, masks)
    return _replaced(frames, masks, backgrounds, options or ReplaceOptions(), estimate, progress)


def _replaced(
    frames: Frames, masks: Masks, backgrounds: Iterable[np.ndarray], options: ReplaceOptions, estimate: Estimate | None, progress: Progress
) -> Iterator[np.ndarray]:  # fmt: skip
    grown = _Grown(masks, options.grow)
    scene = ObjectScene(frames, grown, 6)

    def cut(number: int) -> _Cut:
        frame, mask = scene.frame(number), scene.mask(number)
        alpha = np.zeros(mask.shape, np.float32)
        if not mask.any():
            return _Cut(frame, alpha)
        made = matte(frame, mask, options.band, estimate, progress.part(0, 0))
        colours = frame.copy()
        # Where the matte has nothing, its neighbours in time may have something: of the frame's own colour.
        colours[made.box.slices] = np.where(made.alpha[..., None] > 0, made.colours, colours[made.box.slices])
        alpha[made.box.slices] = made.alpha
        return _Cut(colours, alpha)

    cuts: Recent[_Cut] = Recent(cut, 4)
    for number, background in zip(range(len(frames)), backgrounds, strict=False):
        progress.report(number / len(frames), "Replacing the background", done=number, total=len(frames), unit="frame")
        here = cuts(number)
        alpha = _steadied(scene, cuts, number, options.band)
        share = alpha[..., None] / 255
        mixed = here.colours * share + background * (1 - share)
        yield np.where(share >= 1, scene.frame(number), np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


class _Grown:
    def __init__(self, masks: Masks, pixels: int) -> None:
        self._masks, self._pixels = masks, pixels

    def mask(self, number: int) -> np.ndarray:
        mask = self._masks.mask(number)
        return masks_.grow(mask, self._pixels) if self._pixels else mask


def _steadied(scene: ObjectScene, cuts: Recent[_Cut], number: int, band: int) -> np.ndarray:
    """The matte of a frame, float32 [H, W], 0 to 255: in the band around the outline the median of what it and its neighbours in time
    say there, moved with the object; what flickers for one frame goes, what moves with the object stays."""
    own = cuts(number).alpha
    mask = scene.mask(number)
    edge = masks_.bounds(mask)
    if edge is None or band == 0:
        return own
    box = edge.padded(2 * band + 4).clipped(*scene.size)
    here = own[box.slices]
    told = [here]
    for step in (-1, 1):
        if not 0 <= number + step < len(scene) or scene.motion(number, step).lost:
            continue
        places, astray = scene.follow(grid(box.width, box.height, box.left, box.top), number, step)
        there = sampled(cuts(number + step).alpha, places)
        told.append(np.where(astray < STEADY, there, here))
    if len(told) < 3:
        return own
    inside = mask[box.slices]
    unsure = masks_.grow(inside, band) & ~masks_.shrink(inside, band)
    result = own.copy()
    result[box.slices] = np.where(unsure, np.median(np.stack(told), axis=0), here)
    return result
