from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clickpaint.errors import NotFound
from clickpaint.image import examples


@pytest.mark.parametrize("name", examples.TITLES)
def test_a_picture_is_the_same_each_time_and_looks_like_one(name):
    data = examples.png(name)
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert pixels.shape == (512, 768, 3) and pixels.dtype == np.uint8
    assert np.array_equal(examples._PAINTED[name](), pixels)
    assert 40 < pixels.mean() < 215 and pixels.std(axis=(0, 1)).min() > 15  # neither dark, blown out, nor flat


def test_the_thing_to_remove_stands_out():
    beach = np.asarray(Image.open(io.BytesIO(examples.png("beach")))).astype(int)
    ball, sand = beach[410, 430], beach[480, 150]
    assert abs(ball - sand).sum() > 120


def test_a_thumbnail_is_the_picture_in_small():
    data = examples.thumbnail("beach")
    small, whole = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(examples.png("beach")))
    assert small.size == (288, 192) and len(data) < 30_000
    difference = np.asarray(small, int) - np.asarray(whole.resize(small.size, Image.Resampling.BOX), int)
    assert np.abs(difference).mean() < 6


@pytest.mark.parametrize("file", [examples.png, examples.thumbnail])
def test_unknown(file):
    with pytest.raises(NotFound, match="eagle"):
        file("eagle")
