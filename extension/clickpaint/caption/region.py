"""The part of a picture that a captioner looks at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from clickpaint.caption.base import Crop
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks

BACKGROUNDS = ("keep", "white", "blur", "dim")
_DIMMED = 0.3
_BLUR = 16
"""The blur's radius is this fraction of the crop's longer side: shapes go, colours and light stay."""


@dataclass(frozen=True)
class RegionOptions:
    """What a captioner sees of a selected region.

    Attributes:
        padding: what is shown around the region, as a share of its box's longer side.
        background: what becomes of everything in the crop that is not selected, one of `BACKGROUNDS`.
        smallest: pixels that the crop's longer side has at least; it is enlarged to that.
    """

    padding: float = 0.1
    background: str = "keep"
    smallest: int = 224

    def checked(self) -> RegionOptions:
        """Raises `InvalidInput`."""
        if not 0 <= self.padding <= 4:
            raise InvalidInput(
                "The padding cannot be {padding!r}.", "It goes from 0 to 4 times the region's longer side.", padding=self.padding
            )
        if self.background not in BACKGROUNDS:
            raise InvalidInput(
                "The background {background!r} is unknown.",
                "Choose one of {backgrounds}.",
                background=self.background,
                backgrounds=", ".join(BACKGROUNDS),
            )
        if not 1 <= self.smallest <= 2048:
            raise InvalidInput("The smallest side cannot be {smallest!r}.", "It goes from 1 to 2048 pixels.", smallest=self.smallest)
        return self


def crop_region(pixels: np.ndarray, mask: np.ndarray, options: RegionOptions = RegionOptions()) -> Crop:
    """What to show of the region `mask`, bool [H, W], of a picture, uint8 [H, W, 3].

    Raises:
        InvalidInput: nothing is selected, or an option is out of its range.
    """
    options = options.checked()
    around = masks.bounds(mask)
    if around is None:
        raise InvalidInput("Nothing is selected.", "Click on what is to be described first.")
    box = around.padded(math.ceil(options.padding * max(around.size))).clipped(pixels.shape[1], pixels.shape[0])
    inside = mask[box.slices].copy()
    shown = np.where(inside[..., None], pixels[box.slices], _background(pixels[box.slices], options.background))
    if max(box.size) >= options.smallest:
        return Crop(shown, inside)
    scale = options.smallest / max(box.size)
    size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
    enlarged = np.array(Image.fromarray(shown).resize(size, Image.Resampling.BICUBIC))
    return Crop(enlarged, np.array(Image.fromarray(inside).resize(size, Image.Resampling.NEAREST)))


def whole(pixels: np.ndarray) -> Crop:
    """All of a picture, uint8 [H, W, 3]: what the context is taken from."""
    return Crop(pixels.copy(), np.ones(pixels.shape[:2], bool))


def _background(pixels: np.ndarray, kind: str) -> np.ndarray:
    if kind == "white":
        return np.full_like(pixels, 255)
    if kind == "dim":
        return np.rint(pixels * _DIMMED).astype(np.uint8)
    if kind == "blur":
        return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(max(pixels.shape[:2]) / _BLUR)))
    return pixels
