"""A picture on another canvas, and parts of it: what came with the file stays."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from clickpaint.image.geometry import Box
from clickpaint.image.picture_files import decode, encode
from tests.image.files import file_of
from tests.image.toys import HEIGHT, LOSSLESS, WIDTH, opened, photo


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_crop_and_a_cut_out_keep_what_came_with_the_file(format):
    exif = Image.Exif()
    exif[0x010E] = "a meadow"
    picture = decode(file_of(photo(), format, dpi=(144, 144), exif=exif, **({"quality": 90} if format == "JPEG" else {})))
    part = picture.cropped(Box(10, 5, 40, 30))
    again = decode(encode(part))
    assert again.size == (30, 25) and again.source.format == format and opened(encode(part)).getexif()[0x010E] == "a meadow"
    if format in ("PNG", "TIFF"):
        assert np.array_equal(again.pixels, picture.pixels[5:30, 10:40])
    cut = opened(encode(picture.cut_out(picture.pixels[:9, :8], np.full((9, 8), 99, np.uint8)), "PNG"))
    assert (cut.mode, cut.size) == ("RGBA", (8, 9)) and cut.getexif()[0x010E] == "a meadow"
    if format != "WEBP":
        assert round(cut.info["dpi"][0]) == 144


@pytest.mark.parametrize("mode", LOSSLESS["PNG"])
def test_another_canvas_keeps_every_sample_that_stays(mode):
    data = file_of(photo(mode), "PNG") if ";16" not in mode or mode == "I;16" else None
    if data is None:
        pytest.skip("Pillow writes no such file")
    picture = decode(data)
    left, top, right, bottom = margins = (-3, 4, 5, -6)
    base = picture.cropped(Box(3, 0, WIDTH, HEIGHT - 6))
    pixels = np.pad(base.pixels, ((top, 0), (0, right), (0, 0)), mode="edge")
    moved = picture.on_canvas(pixels, margins)
    assert moved.size == (WIDTH + left + right, HEIGHT + top + bottom)
    again = decode(encode(moved))
    assert again.source.mode == picture.source.mode and np.array_equal(again.pixels, pixels)
