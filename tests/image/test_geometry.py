from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.image.geometry import Box, CropRules, plan_crop

SMALL = CropRules(padding=0.25, padding_min=4, min_size=16, multiple=8, max_size=64)


def test_box_algebra():
    box = Box(2, 3, 7, 5)
    assert (box.width, box.height, box.size, box.area, box.center) == (5, 2, (5, 2), 10, (4.5, 4.0))
    assert np.ones((9, 9))[box.slices].shape == (2, 5)
    assert box.padded(3) == (-1, 0, 10, 8)
    assert box.padded(3).clipped(8, 6) == (0, 0, 8, 6)
    assert Box(20, 20, 30, 30).clipped(8, 6).area == 0
    assert box.union(Box(0, 4, 1, 9)) == (0, 3, 7, 9)
    assert box.intersection(Box(6, 0, 9, 4)) == (6, 3, 7, 4)
    assert box.intersection(Box(7, 0, 9, 4)) is None  # they only touch
    assert box.contains(Box(2, 3, 3, 4)) and not box.contains(Box(1, 3, 3, 4))
    assert box.shifted(-2, 1) == (0, 4, 5, 6)


def test_the_crop_is_shifted_at_a_border_instead_of_losing_context():
    middle = plan_crop(Box(95, 95, 105, 105), (200, 200), SMALL)
    corner = plan_crop(Box(190, 0, 200, 10), (200, 200), SMALL)
    assert middle.box == (88, 88, 112, 112)
    assert corner.box == (176, 0, 200, 24)


def test_padding_goes_with_the_diagonal():
    plan = plan_crop(Box(500, 500, 530, 540), (1000, 1000), CropRules(padding=1, padding_min=4, min_size=16, multiple=1, max_size=999))
    assert plan.box == (450, 450, 580, 590)  # diagonal 50


def test_square():
    rules = CropRules(padding=0, padding_min=2, min_size=8, multiple=8, max_size=64, square=True)
    plan = plan_crop(Box(0, 50, 40, 52), (200, 100), rules)
    assert plan.box.size == (48, 48) and plan.work_size == (48, 48)
    narrow = plan_crop(Box(0, 5, 40, 7), (200, 10), rules)  # the picture is not high enough: filled up by reflection
    assert narrow.box.size == (48, 10) and narrow.work_size == (48, 48)


def test_small_pictures_are_filled_up_by_reflection_mask_and_all():
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    rules = CropRules(padding_min=0, padding=0, min_size=4, multiple=4, max_size=8)
    plan = plan_crop(Box(0, 0, 1, 1), (3, 2), rules)
    assert plan.extract(picture).tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [0, 1, 2, 2]]
    assert plan.mask_to_work((picture == 2)[plan.box.slices]).tolist() == [[0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    assert (plan.restore(plan.extract(picture)) == picture).all()


def test_large_crops_are_shrunk_and_come_back_close():
    y, x = np.mgrid[:300, :500]
    picture = np.stack([x / 2, y / 2, (x + y) / 4], axis=2).astype(np.uint8)
    plan = plan_crop(Box(0, 0, 500, 300), (500, 300), CropRules(min_size=16, multiple=8, max_size=100))
    assert plan.shrunk and plan.content_size == (96, 58) and plan.work_size == (96, 64)
    assert np.abs(plan.restore(plan.extract(picture)).astype(int) - picture).max() <= 3


def test_a_shrunk_mask_loses_no_pixel():
    mask = np.zeros((300, 500), bool)
    mask[123, 321] = True
    plan = plan_crop(Box(0, 0, 500, 300), (500, 300), CropRules(min_size=16, multiple=8, max_size=64))
    work = plan.mask_to_work(mask[plan.box.slices])
    assert work[123 * 38 // 300, 321 * 64 // 500] and 1 <= work[: plan.content_size[1]].sum() <= 4


def test_a_result_of_another_size_is_refused():
    plan = plan_crop(Box(0, 0, 5, 5), (50, 50), SMALL)
    with pytest.raises(ValueError, match="expected a result"):
        plan.restore(np.zeros((9, 9, 3), np.uint8))


@pytest.mark.parametrize("wrong", [{"padding": -1}, {"multiple": 0}, {"min_size": 0}, {"min_size": 512, "max_size": 256}])
def test_unusable_rules_are_refused(wrong):
    with pytest.raises(ValueError, match="CropRules"):
        CropRules(**wrong)


@st.composite
def cases(draw):
    width, height = draw(st.integers(1, 300)), draw(st.integers(1, 300))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = Box(left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    multiple, min_size = draw(st.integers(1, 32)), draw(st.integers(1, 64))
    rules = CropRules(draw(st.floats(0, 1)), draw(st.integers(0, 40)), min_size, multiple, draw(st.integers(64, 200)), draw(st.booleans()))
    return box, (width, height), rules


@settings(deadline=None, max_examples=150)
@given(cases())
def test_every_plan_keeps_its_promises(case):
    box, (width, height), rules = case
    plan = plan_crop(box, (width, height), rules)
    assert plan.box.contains(box) and Box(0, 0, width, height).contains(plan.box)
    assert all(side % rules.multiple == 0 and side >= rules.min_size for side in plan.work_size)
    assert all(a <= b for a, b in zip(plan.content_size, plan.work_size, strict=True))
    assert max(plan.content_size) <= rules.max_size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    before = picture.copy()
    crop = plan.extract(picture)
    assert crop.shape == (*plan.work_size[::-1], 3) and not np.shares_memory(crop, picture)
    restored = plan.restore(crop)
    assert restored.shape == (plan.box.height, plan.box.width, 3)
    if not plan.shrunk:
        assert (restored == picture[plan.box.slices]).all()
    assert (picture == before).all()
