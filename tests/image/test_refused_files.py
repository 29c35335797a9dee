"""What is no picture, too large, damaged or too wide for a format: refused in a sentence, before much is done."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import Limits, decode, encode
from tests.image.files import file_of
from tests.image.toys import HEIGHT, LOSSLESS, WIDTH, png, rng, sample


@pytest.mark.parametrize(("format", "width"), [("WEBP", 20_000), ("JPEG", 70_000), ("GIF", 70_000), ("AVIF", 70_000), ("HEIF", 70_000)])
def test_what_is_too_wide_for_a_format_is_refused_in_our_words(format, width):
    if format in ("AVIF", "HEIF"):
        try:
            encode(from_pixels(np.zeros((8, 8, 3), np.uint8)), format)
        except InvalidInput:
            pytest.skip("its encoder is not here")
    with pytest.raises(InvalidInput) as refused:
        encode(from_pixels(np.zeros((1, width, 3), np.uint8)), format)
    assert refused.value.message == f"The picture of {width} × 1 pixels cannot be saved as {format}."


def test_limits():
    data = sample("PNG", "RGB")
    with pytest.raises(TooLarge, match="MB allowed") as too_many_bytes:
        decode(data, Limits(max_bytes=100))
    assert too_many_bytes.value.data.items() >= {"bytes": len(data), "limit": 100}.items() and too_many_bytes.value.remedy
    with pytest.raises(TooLarge, match="53 × 37") as too_many_pixels:
        decode(data, Limits(max_pixels=WIDTH * HEIGHT - 1))
    assert too_many_pixels.value.data.items() >= {"width": 53, "height": 37, "limit": WIDTH * HEIGHT - 1}.items()
    assert decode(data, Limits(WIDTH * HEIGHT, len(data))).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("side", [20_000, 100_000])
def test_a_decompression_bomb_is_refused_by_its_header(side):
    rows = zlib.compress(b"\0" * 1_000_000)
    data = png(side, side, 0, 1, b"").replace(zlib.compress(b""), rows)
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TooLarge):
            decode(data)
    assert before == Image.MAX_IMAGE_PIXELS


def test_only_our_limit_counts_not_pillows(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # as a host may have it
    assert decode(sample("PNG", "RGB")).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 100, b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF89a", b"II*\0"],
)
def test_what_is_not_a_picture_is_refused_in_a_sentence(data):
    with pytest.raises(InvalidInput) as error:
        decode(data)
    assert error.value.message.endswith(".") and error.value.remedy.endswith(".")


@pytest.mark.parametrize("truncated_is_fine", [False, True])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_cut_off_files_are_refused_whatever_the_host_told_pillow(format, truncated_is_fine, monkeypatch):
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", truncated_is_fine)
    data = file_of(Image.fromarray(rng().integers(0, 256, (200, 300, 3), np.uint8)), format)
    for share in (0.1, 0.5, 0.9, 0.999):
        with pytest.raises(InvalidInput):
            decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("format", ["WEBP", "TIFF", "BMP", "GIF"])
def test_other_cut_off_files_are_refused(format):
    data = file_of(Image.fromarray(rng().integers(0, 256, (200, 300, 3), np.uint8)), format)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(InvalidInput):
            decode(data[: int(len(data) * share)])


ANY_FILE = [(format, mode) for format, modes in LOSSLESS.items() for mode in modes] + [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK")]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(ANY_FILE), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_is_either_read_or_refused(kind, damages):
    data = bytearray(sample(*kind))
    for place, value in damages:
        data[int(place * (len(data) - 1))] = value
    try:
        picture = decode(bytes(data), Limits(max_pixels=1_000_000))
    except InvalidInput:
        return
    assert picture.pixels.shape == (picture.height, picture.width, 3)
    encode(picture, "PNG")


def test_samples_of_32_bits_are_refused_with_a_remedy():
    with pytest.raises(InvalidInput, match="32 bits") as error:
        decode(file_of(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    assert "16 or 8" in error.value.remedy
