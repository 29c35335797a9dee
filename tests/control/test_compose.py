from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickpaint.control import compose, fit, resize, thinning
from clickpaint.errors import InvalidInput
from tests.control.pictures import disc, scene

SCENE, DISC = scene(), disc()


def gray(*rows):
    return np.array(rows, np.uint8)[..., None].repeat(3, axis=2)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(8, 130))
def test_a_working_picture_is_padded_to_64_and_cropped_back(height, width, resolution):
    pixels = np.random.RandomState(height).randint(0, 256, (height, width, 3)).astype(np.uint8)
    at = resize.working(pixels, resolution)
    assert at.pixels.shape[0] % 64 == at.pixels.shape[1] % 64 == 0
    assert min(at.height, at.width) == resolution and at.crop(at.pixels).shape == (at.height, at.width, 3)
    assert at.pixels.shape[0] - at.height < 64 and at.pixels.shape[1] - at.width < 64
    assert np.array_equal(at.crop(at.pixels), resize.to_resolution(pixels, resolution))
    assert (at.pixels[:, at.width :] == at.pixels[:, at.width - 1 : at.width]).all(), "the edge goes on"


def test_an_object_alone_is_on_black_or_in_its_picture():
    control_map = np.full_like(SCENE, 90)
    black = compose.object_only(control_map, DISC, SCENE, "black")
    assert (black[DISC] == 90).all() and (black[~DISC] == 0).all()
    kept = compose.object_only(control_map, DISC, SCENE, "kept")
    assert (kept[DISC] == 90).all() and np.array_equal(kept[~DISC], SCENE[~DISC])
    assert (control_map == 90).all()


@pytest.mark.parametrize("size", [(115, 165), (460, 660)])
def test_the_object_is_found_in_a_map_of_another_size(size):
    control_map = np.full((*size, 3), 90, np.uint8)
    black = compose.object_only(control_map, DISC, SCENE, "black")
    share = (black[..., 0] == 90).mean()
    assert black.shape == control_map.shape and share == pytest.approx(DISC.mean(), rel=0.03)


def test_alpha_stays_where_an_object_is_alone():
    control_map = np.dstack([SCENE, np.where(DISC, 128, 255).astype(np.uint8)])
    assert np.array_equal(compose.object_only(control_map, DISC, SCENE, "black")[..., 3], control_map[..., 3])


@pytest.mark.parametrize(
    ("mode", "weights", "expected"),
    [
        ("lighten", (1, 1), [[100, 200]]),
        ("lighten", (1, 0.25), [[100, 50]]),
        ("average", (1, 1), [[50, 125]]),
        ("average", (0.25, 0.75), [[25, 162]]),
        ("add", (1, 1), [[100, 250]]),
        ("add", (0.5, 0.5), [[50, 125]]),
    ],
)
def test_maps_are_blended(mode, weights, expected):
    assert np.array_equal(compose.blended([gray([100, 50]), gray([0, 200])], weights, mode), gray(*expected))


def test_a_sum_does_not_overflow():
    assert (compose.blended([gray([200]), gray([200])], (1, 1), "add") == 255).all()


def test_a_blend_has_the_size_of_its_first_map():
    small, large = gray([0, 0], [0, 0]), np.full((8, 8, 3), 60, np.uint8)
    assert np.array_equal(compose.blended([small, large], (1, 1), "lighten"), np.full((2, 2, 3), 60))


def test_an_overlay_goes_from_the_picture_to_the_map():
    control_map = np.full((10, 14, 3), 255, np.uint8)
    assert np.array_equal(compose.overlay(control_map, SCENE, 0), SCENE)
    assert (compose.overlay(control_map, SCENE, 1) == 255).all()
    half = compose.overlay(control_map, SCENE, 0.5)
    assert half.shape == SCENE.shape and np.abs(half.astype(float) - (SCENE / 2 + 127.5)).max() <= 0.5
    with pytest.raises(InvalidInput, match="from 0 to 1"):
        compose.overlay(control_map, SCENE, 1.5)


def test_a_mask_is_made_of_brightness():
    control_map = gray([0, 99, 100, 200, 201])
    assert compose.mask_by_brightness(control_map, (5, 1), 100, 200).tolist() == [[False, False, True, True, False]]
    slope = np.arange(200, dtype=np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2)
    mask = compose.mask_by_brightness(slope, (400, 8), 50, 99)
    assert mask.shape == (8, 400) and mask[0].nonzero()[0].tolist() == [*range(100, 200)]
    with pytest.raises(InvalidInput, match="low <= high"):
        compose.mask_by_brightness(control_map, (5, 1), 9, 3)


def test_a_mask_is_made_of_a_colour():
    control_map = np.array([[[120, 120, 120], [180, 120, 120], [6, 230, 230]]], np.uint8)
    assert compose.mask_by_color(control_map, (6, 2), (180, 120, 120)).tolist() == [[False, False, True, True, False, False]] * 2
    assert compose.mask_by_color(control_map, (3, 1), (121, 119, 120), 1).tolist() == [[True, False, False]]
    with pytest.raises(InvalidInput, match="from 0 to 255"):
        compose.mask_by_color(control_map, (3, 1), (300, 0, 0))


@pytest.mark.parametrize(
    ("mode", "expected"), [("Just Resize", 640), ("Crop and Resize", 640), ("Resize and Fill", 334)]
)  # of 800 x 534 for 500 x 640
def test_pixel_perfect_is_one_pixel_of_map_for_each_of_the_target(mode, expected):
    assert fit.pixel_perfect((800, 534), (500, 640), mode) == expected


def test_cropping_takes_the_middle_and_filling_takes_the_borders_colour():
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12], wide[0], wide[-1] = 200, 10, 10
    assert fit.fitted(wide, 8, 8, "Crop and Resize").shape == (8, 8, 3)
    assert np.array_equal(fit.fitted(wide, 8, 8, "Crop and Resize"), wide[:, 4:12])
    filled = fit.fitted(wide, 16, 16, "Resize and Fill")
    assert np.array_equal(filled[4:12], wide) and (filled[:4] == 10).all() and (filled[12:] == 10).all()
    with pytest.raises(InvalidInput, match="Just Resize, Crop and Resize, Resize and Fill"):
        fit.fitted(wide, 8, 8, "Stretch")


def test_few_colours_stay_those_colours():
    classes = np.array([[120, 120, 120], [180, 120, 120], [6, 230, 230]], np.uint8)[np.arange(900).reshape(30, 30) // 50 % 3]
    fitted = fit.fitted(classes, 77, 51, "Just Resize")
    assert {tuple(color) for color in fitted.reshape(-1, 3)} == {tuple(color) for color in classes.reshape(-1, 3)}


@pytest.mark.parametrize("size", [(150, 150), (70, 70)])
def test_lines_of_one_pixel_stay_lines_of_one_pixel(size):
    lines = np.zeros((100, 100, 3), np.uint8)
    lines[50, 10:90] = 255
    lines[10:90, 30] = 255
    fitted = fit.fitted(lines, size[0], size[1], "Just Resize")
    assert set(np.unique(fitted)) == {0, 255}
    assert (fitted[size[1] * 4 // 5, :, 0] > 0).sum() == 1 and (fitted[:, size[0] * 3 // 4, 0] > 0).sum() == 1


def test_what_is_added_around_an_inpainted_picture_is_to_be_painted():
    fitted = fit.fitted(np.dstack([SCENE, np.zeros(SCENE.shape[:2], np.uint8)]), 330, 330, "Resize and Fill")
    assert fitted.dtype == np.float32 and (fitted[:50, :, 3] == 255).all() and (fitted[50:280, :, 3] == 0).all()
    looked_at = fit.fitted_picture(np.dstack([SCENE, np.full(SCENE.shape[:2], 255, np.uint8)]), 330, 330, "Resize and Fill")
    assert looked_at.dtype == np.uint8 and (looked_at[:50, :, 3] == 128).all() and (looked_at[50:280, :, 3] == 255).all()


def test_strokes_are_wide_lines_along_ridges():
    soft = np.zeros((64, 64), np.uint8)
    soft[28:37] = 255
    lines = thinning.strokes(soft)
    assert set(np.unique(lines)) == {0, 255} and (lines[32] == 255).all() and (lines[:16] == 0).all()


def test_thinning_leaves_one_pixel_and_pruning_shortens():
    bar = np.zeros((40, 60), np.uint8)
    bar[18:23, 10:50] = 255
    thinned = thinning.thin(bar, prune=False)
    assert (np.count_nonzero(thinned, axis=0)[14:46] == 1).all()
    assert np.count_nonzero(thinning.thin(bar, prune=True)) < np.count_nonzero(thinned)
    assert np.count_nonzero(bar) == 200
