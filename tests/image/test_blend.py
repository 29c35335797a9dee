from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.image import blend
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress

RULES = CropRules(padding=0.25, padding_min=4, min_size=16, multiple=8, max_size=64)


def paint(value):
    """A fill that returns this colour everywhere and spoils what it was given."""

    def fill(crop, hole, progress):
        assert crop.shape[:2] == hole.shape and crop.dtype == np.uint8 and hole.dtype == bool
        assert all(side % RULES.multiple == 0 and side >= RULES.min_size for side in hole.shape)
        crop[:], hole[:] = 1, True
        return np.full_like(crop, value)

    return fill


def noise(width, height):
    return np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), np.uint8)


sides = st.one_of(st.just(1), st.integers(1, 200))


@st.composite
def masks_of_all_kinds(draw):
    width, height = draw(sides), draw(sides)
    kind = draw(st.sampled_from(["empty", "full", "box", "specks", "border", "arbitrary"]))
    mask = np.zeros((height, width), bool)
    if kind == "full":
        mask[:] = True
    elif kind == "box":
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : draw(st.integers(top, height)), left : draw(st.integers(left, width))] = True
    elif kind == "specks":
        mask = np.random.default_rng(draw(st.integers(0, 99))).random((height, width)) < draw(st.sampled_from([0.5, 0.02, 0.001]))
    elif kind == "border":
        mask[0], mask[:, -1] = True, True
    elif kind == "arbitrary":
        mask = draw(arrays(bool, (min(height, 20), min(width, 20))))
    return mask


@settings(deadline=None, max_examples=150)
@given(masks_of_all_kinds(), st.integers(0, 12), st.integers(0, 12), st.integers(0, 255))
def test_nothing_outside_the_hole_changes_and_nothing_of_the_original_stays_inside(mask, grow, feather, value):
    pixels = noise(mask.shape[1], mask.shape[0])
    pixels_before, mask_before = pixels.copy(), mask.copy()
    pixels.setflags(write=False)
    mask.setflags(write=False)
    out = blend.inpaint(pixels, mask, paint(value), rules=RULES, grow=grow, feather=feather)
    assert out.dtype == np.uint8 and out.shape == pixels.shape and out.flags.writeable
    hole, alpha = blend.hole(mask, grow, feather), blend.alpha(mask, grow, feather)
    assert (out[~hole] == pixels[~hole]).all()
    assert (out[blend.hole(mask, grow, 0)] == value).all()
    assert (alpha[~hole] == 0).all() and (alpha[mask] == 1).all()
    # In the band every pixel lies between the original and the result.
    assert ((out >= np.minimum(pixels, value)) & (out <= np.maximum(pixels, value))).all()
    assert (pixels == pixels_before).all() and (mask == mask_before).all()


def test_the_band_is_the_mix_that_alpha_says():
    pixels, mask = noise(40, 30), np.zeros((30, 40), bool)
    mask[10:15, 10:15] = True
    out = blend.inpaint(pixels, mask, paint(200), rules=RULES, grow=2, feather=6)
    share = blend.alpha(mask, 2, 6)[..., None].astype(float)
    assert np.abs(out - (pixels * (1 - share) + 200 * share)).max() <= 0.5 + 1e-4
    assert len(np.unique(share)) > 10


def test_a_fill_that_returns_the_crop_changes_nothing_unless_it_was_shrunk():
    pixels, mask = noise(150, 90), np.zeros((90, 150), bool)
    mask[3:9, 120:150] = mask[80:, :4] = True
    out = blend.inpaint(pixels, mask, lambda crop, hole, progress: crop, rules=RULES, grow=3, feather=5)
    assert (out == pixels).all()


def test_every_crop_shows_all_that_is_still_to_be_filled_as_hole():
    rules = CropRules(padding=0, padding_min=24, min_size=8, multiple=8, max_size=64)
    pixels, mask = np.zeros((64, 400, 3), np.uint8), np.zeros((64, 400), bool)
    mask[30:33, 5:395] = True  # a wire, cut into lengths
    pixels[blend.hole(mask, 2, 0)] = 255
    calls = []

    def fill(crop, hole, progress):
        calls.append(crop.shape)
        assert not crop[~hole].any(), "what is to be removed stands in the context"
        return np.where(hole[..., None], 0, crop).astype(np.uint8)

    out = blend.inpaint(pixels, mask, fill, rules=rules, grow=2, feather=1)
    assert len(calls) > 4 and not out[blend.hole(mask, 2, 0)].any()


def test_a_later_crop_sees_what_an_earlier_one_filled():
    rules = CropRules(padding=0, padding_min=24, min_size=8, multiple=8, max_size=64)
    pixels, mask = noise(400, 64), np.zeros((64, 400), bool)
    mask[30:33, 5:395] = True
    seen = []

    def fill(crop, hole, progress):
        seen.append(((crop == 77).all(axis=2) & ~hole).any())  # and as something known
        return np.full_like(crop, 77)

    blend.inpaint(pixels, mask, fill, rules=rules)
    assert not seen[0] and all(seen[1:])


def test_only_the_hole_of_a_shrunk_crop_is_pasted_and_it_has_no_seam():
    y, x = np.mgrid[:400, :500]
    pixels = np.stack([x / 2, y / 2, (x + y) / 4], axis=2).astype(np.uint8)
    mask = np.zeros((400, 500), bool)
    mask[100:300, 100:400] = True
    shapes = []

    def fill(crop, hole, progress):
        shapes.append(crop.shape)
        return crop

    out = blend.inpaint(pixels, mask, fill, rules=RULES, grow=4, feather=4)
    assert shapes == [(56, 64, 3)]
    assert np.abs(out.astype(int) - pixels).max() <= 3
    assert (out[~blend.hole(mask, 4, 4)] == pixels[~blend.hole(mask, 4, 4)]).all()


def test_progress_runs_over_the_groups_without_going_back():
    pixels, mask = noise(400, 400), np.zeros((400, 400), bool)
    mask[10:20, 10:20] = mask[350:360, 350:360] = mask[10:20, 350:360] = True
    steps = []

    def fill(crop, hole, progress):
        for fraction in (0, 0.5, 1):
            progress.report(fraction, "Filling")
        return crop

    blend.inpaint(pixels, mask, fill, rules=RULES, progress=Progress(lambda step: steps.append(step.fraction)))
    assert len(steps) == 9 and steps == sorted(steps) and steps[0] == 0 and steps[-1] == pytest.approx(1)


def test_an_interruption_leaves_the_original_alone():
    pixels, mask = noise(400, 400), np.zeros((400, 400), bool)
    mask[10:20, 10:20] = mask[350:360, 350:360] = True
    before, calls = pixels.copy(), []

    def fill(crop, hole, progress):
        calls.append(1)
        return np.zeros_like(crop)

    with pytest.raises(Interrupted):
        blend.inpaint(pixels, mask, fill, rules=RULES, progress=Progress(interrupted=lambda: len(calls) == 1))
    assert len(calls) == 1 and (pixels == before).all()


@pytest.mark.parametrize(("grow", "feather"), [(-1, 0), (0, -1), (float("nan"), 0), (0, float("inf"))])
def test_impossible_margins_are_refused(grow, feather):
    with pytest.raises(InvalidInput, match="cannot grow"):
        blend.inpaint(noise(9, 9), np.ones((9, 9), bool), paint(0), rules=RULES, grow=grow, feather=feather)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(InvalidInput, match="8 × 9, the picture 9 × 9"):
        blend.inpaint(noise(9, 9), np.ones((9, 8), bool), paint(0), rules=RULES)


def test_a_fill_that_breaks_its_contract_is_found_out():
    mask = np.ones((9, 9), bool)
    for wrong in (lambda c, h, p: c[:-1], lambda c, h, p: c.astype(float), lambda c, h, p: c[..., 0]):
        with pytest.raises(TypeError, match="fill returned"):
            blend.inpaint(noise(9, 9), mask, wrong, rules=RULES)
    with pytest.raises(TypeError, match="expected uint8"):
        blend.inpaint(noise(9, 9).astype(float), mask, paint(0), rules=RULES)


def test_nothing_is_copied_before_the_network_has_filled_the_hole():
    """While it computes, which takes the most memory, the result of a large picture would lie beside it."""
    pixels, mask = np.zeros((2000, 1500, 3), np.uint8), np.zeros((2000, 1500), bool)
    mask[900:950, 700:750] = True
    held = []

    def fill(crop, hole, progress):
        held.append(tracemalloc.get_traced_memory()[0])
        return np.full_like(crop, 9)

    tracemalloc.start()
    try:
        result = blend.inpaint(pixels, mask, fill, rules=CropRules())
    finally:
        tracemalloc.stop()
    assert held[0] < pixels.nbytes / 4 and result[925, 725, 0] == 9 and not pixels.any() and mask.sum() == 2500
    nothing = blend.inpaint(pixels, np.zeros_like(mask), fill, rules=CropRules())
    assert nothing is not pixels and nothing.flags.writeable and not np.shares_memory(nothing, pixels) and len(held) == 1


def test_the_work_does_not_grow_with_the_picture(peak_memory):
    def cost(side: int) -> tuple[int, int]:
        pixels, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
        mask[side // 2 : side // 2 + 60, side // 2 : side // 2 + 60] = True
        crops = []

        def fill(crop, hole, progress):
            crops.append(crop.shape)
            return crop

        spent = peak_memory(lambda: blend.inpaint(pixels, mask, fill, rules=CropRules(), grow=8, feather=4))
        return spent - pixels.nbytes - mask.nbytes, crops[0]  # beyond the result and its mask

    (small, crop), (large, same) = cost(1024), cost(4096)
    assert crop == same
    assert large < small + 200_000  # one byte per pixel more would be 16 million
