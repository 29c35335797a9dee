from __future__ import annotations

import cv2
import numpy as np

from clickpaint.image.geometry import Box, CropRules, plan_crop
from clickpaint.image.groups import MAX_GROUPS, groups

RULES = CropRules(padding=0.25, padding_min=16, min_size=64, multiple=8, max_size=256)


def grouped(mask: np.ndarray, rules: CropRules = RULES):
    size = mask.shape[1], mask.shape[0]
    boxes = groups(mask, lambda box: plan_crop(box, size, rules))
    covered = np.zeros_like(mask)
    for box in boxes:
        covered[box.slices] = True
    assert covered[mask].all()
    return boxes, [plan_crop(box, size, rules) for box in boxes]


def test_nothing_makes_no_group():
    assert grouped(np.zeros((50, 50), bool)) == ([], [])


def test_far_pieces_get_a_crop_each_and_near_ones_share_one():
    mask = np.zeros((1000, 1000), bool)
    mask[100:110, 100:110] = mask[130:140, 140:150] = mask[800:810, 800:810] = True
    boxes, _ = grouped(mask)
    assert sorted(boxes) == [Box(100, 100, 150, 140), Box(800, 800, 810, 810)]


def test_a_chain_of_specks_is_never_joined_into_a_crop_that_must_be_shrunk():
    mask = np.zeros((64, 4000), bool)
    mask[30, ::50] = True
    boxes, plans = grouped(mask)
    assert not any(plan.shrunk for plan in plans) and 4000 / 256 <= len(boxes) <= 4000 / 100


def test_a_wire_across_the_picture_is_worked_on_at_full_resolution():
    canvas = np.zeros((1200, 1600), np.uint8)
    cv2.line(canvas, (0, 100), (1599, 1100), 1, 5)
    boxes, plans = grouped(canvas.astype(bool))
    assert 1 < len(boxes) < 30 and not any(plan.shrunk for plan in plans)


def test_a_huge_hole_is_one_shrunk_crop_and_comes_after_the_specks():
    mask = np.zeros((1500, 1500), bool)
    mask[100:1000, 100:1000] = True
    mask[1400:1405, 1400:1405] = True
    boxes, plans = grouped(mask)
    assert boxes == [Box(1400, 1400, 1405, 1405), Box(100, 100, 1000, 1000)]
    assert [plan.shrunk for plan in plans] == [False, True]


def test_noise_makes_a_bounded_number_of_groups():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.01, 1e-4):
        boxes, _ = grouped(rng.random((3000, 3000)) < share)
        assert 0 < len(boxes) <= MAX_GROUPS
