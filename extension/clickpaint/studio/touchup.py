"""The use-case behind the always-on script: touch up a picture that was just generated, from inside the generation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.paint import in_picture
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.paint.touchup_job import TouchUp
from clickpaint.progress import Progress
from clickpaint.segment import pointing
from clickpaint.segment.everything import EverythingOptions, Region
from clickpaint.studio.studio import Studio

_POINTS_PER_SIDE = 16
"""Everything mode's grid: what is worth choosing by itself is large enough for a coarse one."""
_WHOLE = 0.6
"""Share of the picture from which on a region is its background rather than something in it."""


def touch_up(
    studio: Studio, pixels: np.ndarray, options: TouchUp, generation: PaintOptions, native: int, run: in_picture.Run, progress: Progress
) -> np.ndarray:
    """`pixels`, uint8 [H, W, 3], as wished. Called in a thread that holds the host's lock.

    Args:
        generation: what the picture was generated with, as far as it matters to painting into it.
        native: side in pixels of the square that the model was asked to generate at, which is the size it paints at best.
        run: paints within the generation that is under way.

    Raises:
        ClickpaintError: and nothing was changed.
    """
    picture = from_pixels(pixels)
    with studio.in_this_thread(progress):
        mask = _selected(studio, picture, options)
        if options.task == "remove":
            return studio.erasing.erase_picture(picture, mask, options.eraser, options.grow, options.feather).picture.pixels
    canvas = in_picture.paint(picture.pixels, mask, options.painting(generation), run, native=native, progress=progress)
    return next(canvas.pictures())


def best(regions: Sequence[Region], size: tuple[int, int]) -> Region:
    """The region that a picture of `size` (width, height) is most likely about: large, certain, and near the middle.

    Raises:
        InvalidInput: there is none.
    """
    if not regions:
        raise InvalidInput("Nothing was found in the picture.", "Say with points or a box where it is.")
    width, height = size
    inside = [region for region in regions if region.area < _WHOLE * width * height] or regions

    def worth(region: Region) -> float:
        (x, y), reach = region.box.center, math.hypot(width, height) / 2
        return region.area * region.score * (1 - min(math.hypot(x - width / 2, y - height / 2) / reach, 1.0)) ** 2

    return max(inside, key=worth)


def _selected(studio: Studio, picture: Picture, options: TouchUp) -> np.ndarray:
    if options.points or options.box:
        return studio.selecting.segment(picture, pointing.prompts(options.points, options.box, picture.size)).candidates[0].mask
    everything = studio.selecting.segment_everything(picture, EverythingOptions(points_per_side=_POINTS_PER_SIDE))
    region = best(everything.regions, picture.size)
    mask = np.zeros(picture.pixels.shape[:2], bool)
    mask[region.box.slices] = region.inside
    return mask
