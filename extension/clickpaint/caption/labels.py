"""The picture with every region outlined and its caption beside it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clickpaint.caption.all_regions import Described
from clickpaint.image import mask as masks

_LETTERS_PER_LINE = 28
_MOST_LINES = 4


def labelled(pixels: np.ndarray, described: Sequence[Described]) -> np.ndarray:
    """uint8 [H, W, 3]; `pixels` stays as it is. The largest regions are drawn first, so that small ones lie on top."""
    height, width = pixels.shape[:2]
    line = max(1, round(max(width, height) / 500))
    font = _font(max(10, round(max(width, height) / 60)))
    painted = pixels.copy()
    for index, region in enumerate(described):
        mask = np.pad(region.region.inside, line)
        edge = (mask & ~masks.shrink(mask, line))[line:-line, line:-line]
        painted[region.region.box.slices][edge] = _colour(index)
    image = Image.fromarray(painted)
    draw = ImageDraw.Draw(image)
    for index, region in enumerate(described):
        text = _wrapped(region.caption)
        right, bottom = draw.multiline_textbbox((0, 0), text, font=font)[2:]
        size = right + 2 * line + 4, bottom + 2 * line + 4
        x = max(0, min(region.region.box.left, width - size[0]))
        y = max(0, min(region.region.box.top, height - size[1]))
        draw.rectangle((x, y, x + size[0], y + size[1]), fill=(255, 255, 255), outline=_colour(index), width=line)
        draw.multiline_text((x + line + 2, y + line + 2), text, fill=(0, 0, 0), font=font)
    return np.array(image)


def _colour(index: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.8, 0.9)  # steps of the golden ratio: neighbours differ most
    return round(red * 255), round(green * 255), round(blue * 255)


def _wrapped(text: str) -> str:
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= _LETTERS_PER_LINE:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    lines.append(line)
    return "\n".join(lines[:_MOST_LINES]) + ("…" if len(lines) > _MOST_LINES else "")


def _font(size: int) -> Any:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size
        return ImageFont.load_default()
