"""A control map made to fit the picture that is generated, to the pixel as sd-webui-controlnet does it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from clickpaint.control.thinning import ridges, thin
from clickpaint.errors import InvalidInput

FitMode = Literal["Just Resize", "Crop and Resize", "Resize and Fill"]
FIT_MODES: tuple[FitMode, ...] = ("Just Resize", "Crop and Resize", "Resize and Fill")

_FEW_COLORS = 200


def pixel_perfect(size: tuple[int, int], target: tuple[int, int], mode: str) -> int:
    """The resolution at which a map of a picture of this size has, once fitted, one pixel for each of the target; both (width, height)."""
    check_mode(mode)
    width, height = size
    scales = (target[1] / height, target[0] / width)
    scale = min(scales) if mode == "Resize and Fill" else max(scales)
    return int(np.round(scale * min(height, width)))


def fitted(pixels: np.ndarray, width: int, height: int, mode: str) -> np.ndarray:
    """A map resized, cropped or filled up to a size.

    Args:
        pixels: uint8 [h, w, 3], or for inpainting [h, w, 4] with the mask (0 or 255) as the fourth channel.
        mode: one of `FIT_MODES`; "Resize and Fill" fills with the median colour of the map's border.

    Returns:
        uint8 [height, width, 3]; for inpainting float32 [height, width, 4], not clipped, its mask 0 or 255.
    """
    check_mode(mode)
    map_pixels = pixels if pixels.shape[2] == 3 else pixels.astype(np.float32)
    if mode == "Just Resize":
        return resized(map_pixels, width, height)
    scales = (height / map_pixels.shape[0], width / map_pixels.shape[1])
    scale = min(scales) if mode == "Resize and Fill" else max(scales)
    scaled = resized(map_pixels, int(np.round(map_pixels.shape[1] * scale)), int(np.round(map_pixels.shape[0] * scale)))
    new_height, new_width = scaled.shape[:2]
    if mode == "Crop and Resize":
        top, left = max(0, (new_height - height) // 2), max(0, (new_width - width) // 2)
        return np.ascontiguousarray(scaled[top : top + height, left : left + width])
    border = np.concatenate([map_pixels[0], map_pixels[-1], map_pixels[:, 0], map_pixels[:, -1]])
    color = np.median(border, axis=0).astype(map_pixels.dtype)
    if color.size == 4:
        color[3] = 255  # what is added is to be painted
    filled = np.tile(color, (height, width, 1))
    top, left = max(0, (height - new_height) // 2), max(0, (width - new_width) // 2)
    filled[top : top + new_height, left : left + new_width] = scaled
    return filled


def fitted_picture(pixels: np.ndarray, width: int, height: int, mode: str) -> np.ndarray:
    """As `fitted`, of a map as it is looked at: uint8 [h, w, 3], or [h, w, 4] with an alpha of 128 where inpainting is to paint."""
    if pixels.shape[2] == 3:
        return fitted(pixels, width, height, mode)
    hole = np.where(pixels[..., 3:] < 192, np.uint8(255), np.uint8(0))
    fitted_map = np.rint(fitted(np.concatenate([pixels[..., :3], hole], axis=2), width, height, mode).clip(0, 255)).astype(np.uint8)
    fitted_map[..., 3] = 255 - fitted_map[..., 3] // 2
    return fitted_map


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """A map of another size with what it says kept: few colours stay those colours, black and white stays black and white, lines of
    one pixel stay lines of one pixel. Arrays as `fitted` takes and returns them, float32 ones of whole numbers."""
    import cv2

    mask = pixels[:, :, 3] if pixels.shape[2] == 4 else None
    colors = np.ascontiguousarray(pixels[:, :, :3])
    if colors.shape[:2] == (height, width):
        enlarged = colors
    else:
        growth = height * width - colors.shape[0] * colors.shape[1]
        count = _count_colors(colors)
        binary = count == 2 and colors.min() < 16 and colors.max() > 240
        how = cv2.INTER_NEAREST if 2 < count < _FEW_COLORS else cv2.INTER_AREA if growth < 0 else cv2.INTER_CUBIC
        enlarged = np.asarray(cv2.resize(colors, (width, height), interpolation=how))
        if mask is not None:
            mask = np.asarray(cv2.resize(mask, (width, height), interpolation=how))
        if binary:
            enlarged = _black_and_white(enlarged, _has_thin_lines(colors), prune=growth > 0)
    if mask is None:
        return enlarged
    return np.dstack([enlarged, np.where(mask > 127, np.float32(255), np.float32(0))])


def check_mode(mode: str) -> None:
    """Raises `InvalidInput` for a mode that is none of `FIT_MODES`."""
    if mode not in FIT_MODES:
        raise InvalidInput("There is no resize mode {mode!r}.", "Choose one of {modes}.", mode=mode, modes=", ".join(FIT_MODES))


def _black_and_white(soft: np.ndarray, thin_lines: bool, prune: bool) -> np.ndarray:
    import cv2

    gray = soft.astype(np.float32).mean(axis=2).clip(0, 255).astype(np.uint8)
    if thin_lines:
        gray = ridges(gray)
    sharp = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    if thin_lines:
        sharp = thin(np.asarray(sharp), prune)
    return np.asarray(cv2.merge((sharp, sharp, sharp)))


def _has_thin_lines(colors: np.ndarray) -> bool:
    """Whether most of what is white vanishes when it is eroded and dilated by one pixel."""
    import cv2

    square = np.ones((3, 3), np.uint8)
    opened = cv2.dilate(cv2.erode(colors, square), square)
    return 2 * np.count_nonzero(opened < colors) > np.count_nonzero(colors > 127)


def _count_colors(colors: np.ndarray) -> int:
    """How many colours there are; for a photograph, whose pixels need not all be looked at, at least `_FEW_COLORS`."""
    red, green, blue = (colors[..., channel].astype(np.int32) for channel in range(3))
    packed = (red << 16 | green << 8 | blue).reshape(-1)
    some = np.unique(packed[:: max(1, packed.size // 4096)]).size
    return some if some >= _FEW_COLORS else np.unique(packed).size
