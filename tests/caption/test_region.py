from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from clickpaint.caption.region import RegionOptions, crop_region, whole
from clickpaint.errors import InvalidInput
from tests.caption.toys import photo, square

SMALL = RegionOptions(padding=0, smallest=1)


def test_a_crop_is_the_regions_box_with_its_padding():
    pixels, mask = photo(), square()
    np.testing.assert_array_equal(crop_region(pixels, mask, SMALL).pixels, pixels[20:40, 30:50])
    padded = crop_region(pixels, mask, RegionOptions(padding=0.25, smallest=1))
    np.testing.assert_array_equal(padded.pixels, pixels[15:45, 25:55])
    np.testing.assert_array_equal(padded.mask, mask[15:45, 25:55])


def test_padding_ends_at_the_border():
    pixels, mask = photo(), square()
    crop = crop_region(pixels, mask, RegionOptions(padding=4, smallest=1))
    np.testing.assert_array_equal(crop.pixels, pixels)


@pytest.mark.parametrize("background", ["keep", "white", "blur", "dim"])
def test_the_background_is_what_was_asked_for_and_the_region_stays(background):
    pixels, mask = photo(), square()
    mask[20:25, 30:35] = False
    crop = crop_region(pixels, mask, RegionOptions(padding=0.25, smallest=1, background=background))
    part, inside = pixels[15:45, 25:55], mask[15:45, 25:55]
    expected = {
        "keep": part,
        "white": np.full_like(part, 255),
        "dim": np.rint(part * 0.3).astype(np.uint8),
        "blur": np.asarray(Image.fromarray(part).filter(ImageFilter.GaussianBlur(30 / 16))),
    }[background]
    np.testing.assert_array_equal(crop.pixels[~inside], expected[~inside])
    np.testing.assert_array_equal(crop.pixels[inside], part[inside])


def test_a_small_region_is_enlarged():
    pixels, mask = photo(), square()
    mask[30:40] = False  # 20 x 10
    crop = crop_region(pixels, mask, RegionOptions(padding=0, smallest=80))
    expected = Image.fromarray(pixels[20:30, 30:50]).resize((80, 40), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(crop.pixels, np.asarray(expected))
    assert crop.mask.shape == (40, 80) and crop.mask.all()


def test_nothing_is_written_into_the_arguments():
    pixels, mask = photo(), square()
    before = pixels.copy(), mask.copy()
    for crop in (crop_region(pixels, mask, SMALL), whole(pixels)):
        crop.pixels[:] = 0
        crop.mask[:] = False
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("options", [{"padding": -0.1}, {"padding": float("nan")}, {"background": "black"}, {"smallest": 0}])
def test_options_out_of_their_range_are_refused(options):
    with pytest.raises(InvalidInput):
        crop_region(photo(), square(), RegionOptions(**options))


def test_an_empty_mask_has_no_crop():
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        crop_region(photo(), np.zeros((60, 90), bool))
