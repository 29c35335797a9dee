"""What a painted picture keeps of the one that it was painted from: the luminance, or what a JPEG says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import decode, encode
from clickpaint.paint.agreement import LUMA, SameLuma, agreement_for, check_file

WIDTH, HEIGHT = 76, 52


def scene():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.dstack([np.sin(x / 5) + np.cos(y / 3), np.sin((x + y) / 6), np.cos(x / 9) * np.sin(y / 4)]) * 70 + 128
    waves[10:30, 20:50] = (230, 240, 20)
    return waves.clip(0, 255).astype(np.uint8)


def painted():
    """Something else, with colours at the ends of their range."""
    drawn = np.random.default_rng(1).normal(0, 25, (HEIGHT, WIDTH, 3)) + scene()[::-1]
    return drawn.clip(0, 255).astype(np.uint8)


def everywhere():
    return Box(0, 0, WIDTH, HEIGHT)


def test_the_luma_stays_and_the_colours_are_those_that_were_painted():
    grey = np.repeat(np.asarray(Image.fromarray(scene()).convert("L"))[..., None], 3, axis=2)
    made = SameLuma().made(grey, painted(), everywhere())
    assert np.array_equal(np.asarray(Image.fromarray(made).convert("L")), grey[..., 0])
    assert np.ptp(made.astype(int), axis=2).mean() > 20
    coloured = SameLuma().made(scene(), painted(), everywhere())
    assert np.abs(coloured @ np.array(LUMA) - scene() @ np.array(LUMA)).max() <= 0.1
    box = Box(8, 4, 40, 30)
    part = scene()[box.slices].copy()
    part[5:, 7:] = painted()[box.slices][5:, 7:]
    inside = SameLuma().made(scene(), part, box)
    assert np.array_equal(inside[:5], part[:5]) and not np.array_equal(inside, part)


@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 2), ("RGB", 1), ("RGB", 0), ("L", 0)])
def test_compressed_again_it_is_the_same_file_to_the_byte(mode, subsampling):
    stream = io.BytesIO()
    Image.fromarray(scene()).convert(mode).save(stream, "JPEG", quality=15, subsampling=subsampling)
    picture = decode(stream.getvalue())
    before = np.array(picture.pixels)
    agreement = agreement_for(picture, "restore", None)
    tables = [list(table) for table in picture.source.extras["qtables"]]

    def compressed(pixels):
        out = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(out, "JPEG", qtables=tables, subsampling=subsampling)
        return out.getvalue()

    made = agreement.made(before, painted(), everywhere())
    assert compressed(made) == compressed(before)
    assert compressed(painted()) != compressed(before)
    assert np.abs(made.astype(int) - before).mean() > 3
    box = Box(13, 9, 61, 52)
    whole = before.copy()
    whole[box.slices] = agreement.made(before, painted()[box.slices], box)
    assert compressed(whole) == compressed(before) and not np.array_equal(whole, before)
    kept = before[box.slices].copy()
    kept[:, :20] = painted()[box.slices][:, :20]
    assert np.array_equal(agreement.made(before, kept, box)[:, 20:], before[box.slices][:, 20:])


def test_what_a_file_cannot_say_or_keep_is_refused():
    with pytest.raises(InvalidInput, match="does not say how it was compressed"):
        agreement_for(from_pixels(scene()), "restore", None)
    assert agreement_for(from_pixels(scene()), "restore", 30).tables[0][0] == 27  # libjpeg's 16 at a quality of 30
    assert agreement_for(from_pixels(scene()), "fill", None) is None
    stream, grey = io.BytesIO(), io.BytesIO()
    Image.fromarray(scene()).save(stream, "JPEG", quality=20)
    Image.fromarray(scene()).convert("L").save(grey, "PNG")
    jpeg, grey = decode(stream.getvalue()), decode(grey.getvalue())
    with pytest.raises(InvalidInput, match="would undo it"):
        check_file(jpeg, "restore")
    with pytest.raises(InvalidInput, match="is grey"):
        check_file(grey, "colorize")
    coloured = grey.with_pixels(painted()).in_colour()
    assert np.array_equal(decode(encode(coloured)).pixels, painted())
    assert Image.open(io.BytesIO(encode(jpeg.newly_compressed()))).quantization[0][0] < 3 <= jpeg.source.extras["qtables"][0][0]
