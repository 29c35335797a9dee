from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box
from clickpaint.image.mask import Stroke
from clickpaint.image.picture_files import Limits
from tests.image.rle import from_rle

any_mask = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=24))
quick = settings(deadline=None, max_examples=60)


def drawn(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def within(mask: np.ndarray, radius: float) -> np.ndarray:
    """Growing, from its definition."""
    ys, xs = np.nonzero(mask)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    return ((y[..., None] - ys) ** 2 + (x[..., None] - xs) ** 2 <= radius**2).any(axis=2)


def test_growing_by_two_gives_a_disc():
    mask = np.zeros((7, 7), bool)
    mask[3, 3] = True
    assert (masks.grow(mask, 2) == drawn(".......", "...#...", "..###..", ".#####.", "..###..", "...#...", ".......")).all()


@quick
@given(any_mask, st.integers(0, 30))
def test_grow_takes_exactly_what_is_within_the_radius(mask, radius):
    before = mask.copy()
    assert (masks.grow(mask, radius) == within(mask, radius)).all()
    assert (mask == before).all()


@quick
@given(any_mask, st.integers(0, 12))
def test_shrink_mirrors_grow(mask, radius):
    before = mask.copy()
    assert (masks.shrink(mask, radius) == ~within(~mask, radius)).all()
    assert (mask == before).all()


def test_the_border_does_not_eat_into_a_selection():
    assert masks.shrink(np.ones((5, 4), bool), 3).all()


@quick
@given(any_mask, st.integers(0, 9), st.integers(0, 9))
def test_feather_is_one_inside_zero_outside_and_falls(mask, pixels, grown):
    soft = masks.feather(mask, pixels, grown)
    assert soft.dtype == np.float32 and ((soft >= 0) & (soft <= 1)).all()
    assert (soft[within(mask, grown)] == 1).all()
    assert (soft[~within(mask, grown + pixels)] == 0).all()


def test_feather_falls_smoothly():
    mask = np.zeros((1, 12), bool)
    mask[0, :2] = True
    soft = masks.feather(mask, 8)[0]
    assert soft[:2].tolist() == [1, 1] and soft[9] == 0
    assert (np.diff(soft[1:10]) < 0).all() and soft[5] == pytest.approx(0.5)


@pytest.mark.parametrize("pixels", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("change", [masks.grow, masks.shrink, masks.feather])
def test_impossible_amounts_are_refused(change, pixels):
    with pytest.raises(InvalidInput, match="cannot be changed by"):
        change(np.ones((3, 3), bool), pixels)


def test_set_algebra():
    a, b, c = drawn("##.."), drawn(".##."), drawn("...#")
    assert (masks.union(a, b, c) == drawn("####")).all()
    assert (masks.intersection(a, b) == drawn(".#..")).all()
    assert (masks.difference(a, b, c) == drawn("#...")).all()
    assert (masks.difference(a) == a).all()
    assert (masks.invert(a) == drawn("..##")).all()
    for combine in (masks.union, masks.intersection, masks.difference):
        with pytest.raises(InvalidInput, match="different sizes"):
            combine(a, np.ones((2, 2), bool))


def test_fill_holes_fills_what_is_enclosed_and_only_that():
    mask = drawn("######..", "#..#.#..", "####.##.", "#.......", "######..", "#...##..", "######..")
    assert (masks.fill_holes(mask) == drawn("######..", "####.#..", "####.##.", "#.......", "######..", "######..", "######..")).all()
    assert (
        masks.fill_holes(mask, max_area=2) == drawn("######..", "####.#..", "####.##.", "#.......", "######..", "#...##..", "######..")
    ).all()
    # A diagonal gap lets nothing through: the outline itself hangs together over corners.
    assert masks.fill_holes(drawn(".#.", "#.#", ".#."))[1, 1]


def test_drop_specks_counts_over_corners():
    mask = drawn("##...#", "##..#.", "......", "#...##")
    assert (masks.drop_specks(mask, 2) == drawn("##...#", "##..#.", "......", "....##")).all()
    assert not masks.drop_specks(mask, 5).any()


def test_bounds_and_components():
    mask = drawn("......", ".##...", ".#..#.", "...#..")
    assert masks.bounds(mask) == (1, 1, 5, 4)
    assert masks.bounds(np.zeros((3, 3), bool)) is None
    first, second = masks.components(mask)
    assert (first.box, first.area) == (Box(1, 1, 3, 3), 3) and (first.mask == drawn("##", "#.")).all()
    assert (second.box, second.area) == (Box(3, 2, 5, 4), 2) and (second.mask == drawn(".#", "#.")).all()
    assert masks.components(np.zeros((3, 3), bool)) == []


@quick
@given(any_mask)
def test_components_put_together_are_the_mask(mask):
    rebuilt = np.zeros_like(mask)
    for piece in masks.components(mask):
        assert piece.area == piece.mask.sum()
        assert not (rebuilt[piece.box.slices] & piece.mask).any()
        rebuilt[piece.box.slices] |= piece.mask
    assert (rebuilt == mask).all()


@quick
@given(any_mask)
def test_run_lengths_come_back(mask):
    rle = masks.to_rle(mask)
    assert sum(rle["counts"]) == mask.size and (from_rle(rle) == mask).all()


def test_run_lengths_are_cocos():
    assert masks.to_rle(drawn(".#", "##")) == {"size": [2, 2], "counts": [1, 3]}
    assert masks.to_rle(drawn("##", ".#")) == {"size": [2, 2], "counts": [0, 1, 1, 2]}


def test_a_stroke_covers_its_radius_and_no_more():
    mask = masks.from_strokes((60, 40), [Stroke([(10, 20), (45.5, 20)], 6)])
    y, x = np.mgrid[:40, :60]
    distance = np.hypot(x - np.clip(x, 10, 45.5), y - 20)
    assert mask[distance < 5.4].all() and not mask[distance > 6.8].any()


def test_strokes_add_and_erase_in_order_and_leave_the_base_alone():
    base = np.zeros((20, 20), bool)
    base[:, :5] = True
    before = base.copy()
    strokes = [Stroke([(10, 10)], 4), Stroke([(10, 10)], 1, erase=True), Stroke([(2, 0), (2, 19)], 0, erase=True)]
    mask = masks.from_strokes((20, 20), strokes, base)
    assert mask[10, 13] and not mask[10, 10] and not mask[:, 2].any() and mask[:, 1].all()
    assert (base == before).all()
    single = masks.from_strokes((5, 5), [Stroke([(3, 1)], 0)])
    assert np.argwhere(single).tolist() == [[1, 3]]


def test_strokes_far_outside_the_picture_are_harmless():
    mask = masks.from_strokes((30, 30), [Stroke([(-1e12, 15), (1e12, 15)], 2), Stroke([(1e300, -1e300)], 5), Stroke([], 3)])
    assert mask[15].all() and not mask[:12].any()


@pytest.mark.parametrize("stroke", [Stroke([(float("nan"), 1)], 2), Stroke([(1, 1)], -1), Stroke([(1, 1)], float("inf"))])
def test_impossible_strokes_are_refused(stroke):
    with pytest.raises(InvalidInput):
        masks.from_strokes((9, 9), [stroke])


def test_a_base_of_another_size_is_refused():
    with pytest.raises(InvalidInput, match="another size"):
        masks.from_strokes((9, 9), [], np.zeros((9, 8), bool))


def test_a_lasso_selects_its_inside():
    mask = masks.from_lasso((20, 10), [(2, 1), (12, 1), (12, 6), (2, 6)])
    assert masks.bounds(mask) == (2, 1, 13, 7) and mask.sum() == 11 * 6
    with pytest.raises(InvalidInput, match="three points"):
        masks.from_lasso((20, 10), [(1, 1), (2, 2)])
    with pytest.raises(InvalidInput, match="not a number"):
        masks.from_lasso((20, 10), [(1, 1), (2, 2), (float("inf"), 1)])


def saved(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def test_masks_go_to_files_and_come_back():
    mask = np.random.default_rng(0).random((33, 21)) > 0.5
    data = masks.to_png(mask)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "L" and (np.asarray(image) == mask * np.uint8(255)).all()
    assert (masks.from_file(data, (21, 33)) == mask).all()


def test_transparency_decides_where_there_is_any_otherwise_white():
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, 0, 3] = 255  # black, but opaque
    assert masks.from_file(saved(rgba), (2, 2)).tolist() == [[True, False], [False, False]]
    rgba[..., 3] = 255
    rgba[1, 1, :3] = 200
    assert masks.from_file(saved(rgba), (2, 2)).tolist() == [[False, False], [False, True]]
    assert masks.from_file(saved(np.array([[127, 128]], np.uint8)), (2, 1)).tolist() == [[False, True]]


def test_a_mask_of_the_same_proportions_is_scaled_and_any_other_refused():
    small = np.array([[255, 0], [0, 255]], np.uint8)
    assert (masks.from_file(saved(small), (6, 6)) == np.kron(small, np.ones((3, 3))).astype(bool)).all()
    assert masks.from_file(saved(np.full((50, 75), 255, np.uint8)), (1001, 667)).all()  # rounded sides
    with pytest.raises(InvalidInput, match="2 × 2, the picture 6 × 4") as error:
        masks.from_file(saved(small), (6, 4))
    assert error.value.data == {"width": 2, "height": 2, "picture_width": 6, "picture_height": 4}
    with pytest.raises(InvalidInput):
        masks.from_file(b"no picture", (6, 4))


def test_a_small_selection_in_a_large_picture_is_cheap(peak_memory):
    mask = np.zeros((8000, 8000), bool)
    mask[4000:4040, 4000:4040] = True
    assert peak_memory(lambda: masks.grow(mask, 12)) < 1.01 * mask.nbytes  # the distances of all of it are four times that


def test_a_mask_as_large_as_the_picture_is_never_too_large():
    """The picture was let in by the settings, which the mask's own limit need not know."""
    selected = np.zeros((20, 30), bool)
    selected[5:9, 4:20] = True
    assert np.array_equal(masks.from_file(masks.to_png(selected), (30, 20), Limits(max_pixels=100)), selected)
    with pytest.raises(TooLarge):
        masks.from_file(masks.to_png(selected), (15, 10), Limits(max_pixels=100))
