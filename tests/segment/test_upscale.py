"""Masks at the picture's size are torch's own bilinear interpolation, cut at the threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickpaint.image.packed import PackedMask
from clickpaint.segment import upscale

torch = pytest.importorskip("torch")


def smooth(height: int, width: int, seed: int = 0, count: int = 2) -> torch.Tensor:
    """A few waves: large areas of one sign, as the logits of a trained network have."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40.0
    waves = [
        np.sin(x * rng.uniform(0.3, 2) + rng.uniform(0, 6)) + np.cos(y * rng.uniform(0.3, 2) + rng.uniform(0, 6)) for _ in range(count)
    ]
    return torch.tensor(np.stack(waves).astype(np.float32) * 8)


def expected(field: torch.Tensor, size: tuple[int, int], threshold: float) -> np.ndarray:
    full = torch.nn.functional.interpolate(field[None], size, mode="bilinear", align_corners=False)[0]
    return (full > threshold).numpy()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 300), st.integers(0, 300), st.integers(0, 999), st.sampled_from([0.0, 1.0, -1.0])
)
def test_only_the_edges_are_interpolated_and_every_pixel_is_right(h: int, w: int, more_h: int, more_w: int, seed: int, at: float) -> None:
    field = smooth(h, w, seed)
    size = (h + more_h, w + more_w)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upscale, "_DENSE_PIXELS", 0)
        pieces = list(upscale.above(field, size, (at,)))
    assert np.array_equal(np.stack([mask for (mask,) in pieces]), expected(field, size, at))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(0, 3), st.integers(0, 3), st.integers(1, 300), st.integers(1, 300),
    st.integers(0, 999), st.sampled_from([0.0, 1.0, -1.0]),
)  # fmt: skip
def test_what_is_enlarged_twice_is_interpolated_twice_where_its_edges_are(
    rows: int, columns: int, less_h: int, less_w: int, height: int, width: int, seed: int, at: float
) -> None:
    """SAM's own code enlarges its logits four times, cuts the padding off and resizes that to the picture's size."""
    samples = smooth(rows, columns, seed, count=2)
    field = upscale.FourTimes(samples, (4 * rows - less_h, 4 * columns - less_w))
    enlarged = torch.nn.functional.interpolate(samples[None], scale_factor=4.0, mode="bilinear", align_corners=False)[0]
    enlarged = enlarged[:, : 4 * rows - less_h, : 4 * columns - less_w]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upscale, "_dense", None)
        patch.setattr(upscale, "_DENSE_SHARE_OF_TWICE", 1)
        made = np.stack([mask for (mask,) in upscale.above(field, (height, width), (at,))])
    assert np.array_equal(made, expected(enlarged, (height, width), at))


@pytest.mark.parametrize("size", [(1500, 1000), (3000, 2000), (683, 1024), (300, 400)])
def test_pictures_of_all_sizes(size: tuple[int, int]) -> None:
    field = smooth(683, 1024) if size[0] < size[1] else smooth(1024, 683)
    for index, masks in enumerate(upscale.above(field, size, (0.0, 1.0, -1.0))):
        for mask, threshold in zip(masks, (0.0, 1.0, -1.0), strict=True):
            assert mask.dtype == bool
            assert np.array_equal(mask, expected(field, size, threshold)[index])


def test_noise_is_interpolated_everywhere() -> None:
    field = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 256, 256)).astype(np.float32))
    ((mask,),) = upscale.above(field, (1000, 1200))
    assert np.array_equal(mask, expected(field, (1000, 1200), 0.0)[0])
    twice = upscale.FourTimes(field, (700, 1024))
    ((mask,),) = upscale.above(twice, (1000, 1200))
    assert np.array_equal(mask, expected(twice.whole(), (1000, 1200), 0.0)[0])


def test_the_field_is_left_alone() -> None:
    field = smooth(64, 64)
    before = field.clone()
    list(upscale.above(field, (1024, 1024)))
    assert torch.equal(field, before)


def test_a_large_picture_is_not_upscaled(monkeypatch, peak_memory) -> None:
    monkeypatch.setattr(torch.nn.functional, "interpolate", None)
    field, height, width = smooth(1024, 1024, count=1), 4000, 4000
    assert peak_memory(lambda: list(upscale.above(field, (height, width)))) < 2 * height * width  # four are one float array of its size


def test_only_masks_that_change_little_when_they_are_cut_elsewhere_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a card as on a processor: the same masks, whichever are made together, and none of the others."""
    field = torch.cat([smooth(64, 48, seed, 1) * scale for seed, scale in enumerate((1.0, 0.05, 3.0, 0.1, 20.0))])
    size, offset, least = (200, 150), 0.5, 0.9
    cut = [[expected(field, size, at)[index] for at in (0.0, offset, -offset)] for index in range(len(field))]
    right = [PackedMask.of(mask) if inner.sum() / max(outer.sum(), 1) >= least else None for mask, inner, outer in cut]
    assert {mask is None for mask in right} == {True, False}
    monkeypatch.setattr(upscale, "_PIXELS_AT_ONCE", 2 * 200 * 150)
    for made in (upscale.stable(field, size, offset, least), upscale._stable_on_card(field, size, offset, least)):
        masks = list(made)
        assert [mask is None for mask in masks] == [mask is None for mask in right]
        for mask, other in zip(masks, right, strict=True):
            if mask is not None and other is not None:
                assert (mask.size, mask.box, mask.area) == (other.size, other.box, other.area)
                assert np.array_equal(mask.bits, other.bits) and mask.bits.base is None
