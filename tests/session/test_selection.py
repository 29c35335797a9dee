from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays
from PIL import Image

from clickpaint.errors import InvalidInput
from clickpaint.image.mask import Stroke
from clickpaint.image.packed import PackedMask
from clickpaint.session.selection import Adjustment, adjusted, combine

masks = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40))


@settings(deadline=None, max_examples=100)
@given(masks)
def test_packed_masks_come_back_bit_for_bit(mask):
    before = mask.copy()
    packed = PackedMask.of(mask)
    assert (mask == before).all()
    if packed is None:
        assert not mask.any()
        return
    assert (packed.mask == mask).all()
    assert packed.area == mask.sum()
    inside = np.zeros_like(mask)
    inside[packed.box.slices] = True
    assert not (mask & ~inside).any()
    assert mask[packed.box.top].any() and mask[packed.box.bottom - 1].any()
    assert mask[:, packed.box.left].any() and mask[:, packed.box.right - 1].any()


def test_packed_is_small():
    mask = np.zeros((4000, 4000), bool)
    mask[100:300, 200:400] = True
    packed = PackedMask.of(mask)
    assert packed is not None and packed.nbytes == 200 * 25 and packed.box == (200, 100, 400, 300)


A = np.array([[1, 1, 0, 0]], bool)
B = np.array([[1, 0, 1, 0]], bool)


@pytest.mark.parametrize(
    ("mode", "with_base", "without"),
    [
        ("replace", [1, 0, 1, 0], [1, 0, 1, 0]),
        ("add", [1, 1, 1, 0], [1, 0, 1, 0]),
        ("subtract", [0, 1, 0, 0], [0] * 4),
        ("intersect", [1, 0, 0, 0], [0] * 4),
    ],
)
def test_modes(mode, with_base, without):
    assert combine(A, B, mode).tolist() == [with_base]
    assert combine(None, B, mode).tolist() == [without]


def test_unknown_mode():
    with pytest.raises(InvalidInput, match="subtract"):
        combine(A, B, "xor")


def dot(size=9, radius=1):
    rows, columns = np.mgrid[:size, :size] - size // 2
    return rows**2 + columns**2 <= radius**2


def picture(mask):
    stream = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(stream, "PNG")
    return stream.getvalue()


def box(left, top, right, bottom, size=9):
    mask = np.zeros((size, size), bool)
    mask[top:bottom, left:right] = True
    return mask


ring = dot(radius=3) & ~dot(radius=1)


@pytest.mark.parametrize(
    ("start", "adjustment", "expected"),
    [
        (dot(radius=0), Adjustment("grow", 3), dot(radius=3)),
        (dot(radius=3), Adjustment("shrink", 20), np.zeros((9, 9), bool)),
        (ring, Adjustment("fill_holes"), dot(radius=3)),
        (ring, Adjustment("fill_holes", 4), ring),
        (dot(radius=1), Adjustment("drop_specks", 6), np.zeros((9, 9), bool)),
        (dot(radius=1), Adjustment("drop_specks", 5), dot(radius=1)),
        (dot(), Adjustment("invert"), ~dot()),
        (dot(), Adjustment("clear"), np.zeros((9, 9), bool)),
        (dot(), Adjustment("all"), np.ones((9, 9), bool)),
        (np.zeros((9, 9), bool), Adjustment("strokes", strokes=(Stroke(((4, 4),), 1),)), dot(radius=1)),
        (dot(radius=3), Adjustment("strokes", strokes=(Stroke(((4, 4),), 1, erase=True),)), ring),
        (dot(), Adjustment("box", box=(0, 0, 2, 3), mode="add"), dot() | box(0, 0, 2, 3)),
        (dot(), Adjustment("box", box=(-5, -5, 99, 4.4), mode="replace"), box(0, 0, 9, 4)),
        (dot(), Adjustment("box", box=(20, 20, 30, 30), mode="intersect"), np.zeros((9, 9), bool)),
        (dot(), Adjustment("lasso", points=((0, 0), (8, 0), (8, 8), (0, 8)), mode="replace"), np.ones((9, 9), bool)),
        (dot(), Adjustment("upload", image=picture(box(0, 0, 5, 9)), mode="subtract"), dot() & ~box(0, 0, 5, 9)),
        (dot(), Adjustment("region", index=1, mode="replace"), box(1, 2, 3, 4)),
    ],
)
def test_adjustments(start, adjustment, expected):
    before = start.copy()
    regions = [PackedMask.of(dot()), PackedMask.of(box(1, 2, 3, 4))]
    result, feather = adjusted(start, 5, [adjustment], regions)  # type: ignore[arg-type]
    assert (result == expected).all()
    assert feather == 5
    assert (start == before).all()


def test_adjustments_go_one_after_the_other_and_feather_is_only_remembered():
    result, feather = adjusted(dot(), 0, [Adjustment("invert"), Adjustment("feather", 3), Adjustment("invert")], [])
    assert (result == dot()).all() and feather == 3


@pytest.mark.parametrize(
    "adjustment",
    [
        Adjustment("sharpen"), Adjustment("grow"), Adjustment("feather"), Adjustment("strokes"),
        Adjustment("lasso", points=((0, 0), (1, 1))), Adjustment("box"), Adjustment("box", box=(5, 5, 5, 9)),
        Adjustment("upload", image=b"no picture"), Adjustment("region"),
        Adjustment("region", index=2), Adjustment("region", index=-1), Adjustment("box", box=(0, 0, 2, 2), mode="xor"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(adjustment):
    with pytest.raises(InvalidInput):
        adjusted(dot(), 0, [adjustment], [PackedMask.of(dot()), PackedMask.of(dot())])  # type: ignore[list-item]
