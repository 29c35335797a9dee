"""A picture with two lines of text, which these tests draw."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GROUND = (178, 200, 168)
LEVEL = (60, 44, 281, 79)
"""The box of its level line: (left, top, right, bottom)."""


def sign() -> np.ndarray:
    """uint8 [260, 420, 3]: "KEEP OUT 7" in black, level; below it "slanted" in red, rising to the right."""
    picture = Image.new("RGB", (420, 260), GROUND)
    font = ImageFont.load_default(44)
    draw = ImageDraw.Draw(picture)
    left, top, *_ = draw.textbbox((0, 0), "KEEP OUT 7", font=font)
    draw.text((LEVEL[0] - left, LEVEL[1] - top), "KEEP OUT 7", fill=(20, 20, 20), font=font)
    line = Image.new("L", (200, 60), 0)
    ImageDraw.Draw(line).text((10, 4), "slanted", fill=255, font=font)
    line = line.rotate(20, expand=True, resample=Image.Resampling.BICUBIC)
    picture.paste((200, 30, 30), (150, 110), line)
    return np.asarray(picture)
