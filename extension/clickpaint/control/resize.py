"""At which size a preprocessor looks at a picture, to the pixel as sd-webui-controlnet does it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.errors import TooLarge

MULTIPLE = 64
MOST_PIXELS, LONGEST_SIDE = 32 << 20, 32766
"""Of what a preprocessor looks at: the largest resolution with sides of 8 to 1, and what OpenCV can remap. Strips that are much
longer would fill the memory."""


@dataclass(frozen=True, eq=False)
class Working:
    """A picture made ready for a preprocessor.

    Attributes:
        pixels: uint8 [H, W, 3] RGB, both sides multiples of 64, the edge repeated at the right and at the bottom.
        height, width: how much of that is the picture: what `crop` keeps.
    """

    pixels: np.ndarray
    height: int
    width: int

    def crop(self, pixels: np.ndarray) -> np.ndarray:
        """The part of a map ([H, W] or [H, W, C], of the size of `pixels`) that is the picture; a view."""
        return pixels[: self.height, : self.width]


def working_size(height: int, width: int, resolution: int) -> tuple[int, int]:
    """(height, width) with `resolution` as the short side; rounded half to even, at least 1.

    Raises:
        TooLarge: that would be more than `MOST_PIXELS`, or longer than `LONGEST_SIDE`.
    """
    scale = resolution / min(height, width)
    size = max(1, int(np.round(height * scale))), max(1, int(np.round(width * scale)))
    if size[0] * size[1] > MOST_PIXELS or max(size) > LONGEST_SIDE:
        raise TooLarge(
            "A picture of {width} x {height} pixels is too long for a map at {resolution}: {map_width} x {map_height}.",
            "Choose a smaller resolution, or a part of the picture.",
            width=width,
            height=height,
            resolution=resolution,
            map_width=size[1],
            map_height=size[0],
        )
    return size


def to_resolution(pixels: np.ndarray, resolution: int) -> np.ndarray:
    """`pixels` (uint8 [H, W, 3]) with `resolution` as the length of the short side: cubic if larger, else area averages."""
    import cv2

    height, width = working_size(pixels.shape[0], pixels.shape[1], resolution)
    enlarging = resolution > min(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC if enlarging else cv2.INTER_AREA))


def working(pixels: np.ndarray, resolution: int) -> Working:
    """`pixels` (uint8 [H, W, 3]) at `resolution` and padded to multiples of 64: what most preprocessors are run on."""
    import cv2

    resized = to_resolution(pixels, resolution)
    height, width = resized.shape[:2]
    padded = cv2.copyMakeBorder(resized, 0, -height % MULTIPLE, 0, -width % MULTIPLE, cv2.BORDER_REPLICATE)
    return Working(np.asarray(padded), height, width)


def gray_to_rgb(gray: np.ndarray) -> np.ndarray:
    """uint8 [H, W] → uint8 [H, W, 3], three equal channels."""
    import cv2

    return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))
