"""What holds for every eraser: nothing outside the mask changes, nothing is written to, every shape works."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickpaint.erase import registry
from clickpaint.erase.base import EraseOptions, Eraser
from clickpaint.errors import Interrupted, InvalidInput
from clickpaint.image import blend
from clickpaint.progress import Progress

Create = Callable[[str], Eraser]
CLASSIC = ("classic", "patchmatch", "opencv_telea", "opencv_ns")


@st.composite
def jobs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, EraseOptions]:
    """Pictures of odd sizes, one pixel wide, with noise or flat; masks at borders, empty, full, of specks or of a box."""
    height, width = draw(st.sampled_from([(1, 1), (1, 37), (41, 1), (7, 9), (33, 50), (64, 64), (90, 131)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    flat = np.full((height, width, 3), draw(st.integers(0, 255)), np.uint8)
    pixels = draw(st.sampled_from([flat, rng.integers(0, 256, (height, width, 3), np.uint8)]))
    mask = np.zeros((height, width), bool)
    kind = draw(st.sampled_from(["empty", "full", "specks", "box", "border"]))
    if kind == "full":
        mask[:] = True
    elif kind == "specks":
        mask = rng.random((height, width)) < 0.02
    elif kind == "box":
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, 30)), left : left + draw(st.integers(1, 30))] = True
    elif kind == "border":
        mask[:, -1:] = True
    return pixels, mask, EraseOptions(draw(st.integers(0, 9)), draw(st.integers(0, 6)))


@pytest.mark.parametrize("name", registry.ERASERS)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(job=jobs())
def test_nothing_outside_the_mask_changes(name: str, create: Create, job: tuple[np.ndarray, np.ndarray, EraseOptions]) -> None:
    pixels, mask, options = job
    before, mask_before = pixels.copy(), mask.copy()
    pixels.flags.writeable = mask.flags.writeable = False
    result = create(name).erase(pixels, mask, options)
    assert result.dtype == np.uint8 and result.shape == pixels.shape and not np.shares_memory(result, pixels)
    outside = ~blend.hole(mask, options.grow, options.feather)
    np.testing.assert_array_equal(result[outside], before[outside])
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(mask, mask_before)


@pytest.mark.parametrize("name", CLASSIC)
def test_a_flat_picture_is_restored(name: str, create: Create) -> None:
    pixels = np.full((80, 100, 3), (200, 120, 40), np.uint8)
    mask = np.zeros((80, 100), bool)
    mask[30:50, 40:60] = True
    damaged = pixels.copy()
    damaged[mask] = 0
    assert np.abs(create(name).erase(damaged, mask).astype(int) - pixels).max() <= 8  # Telea drifts a little


@pytest.mark.parametrize("name", registry.ERASERS)
def test_the_same_again_gives_the_same(name: str, create: Create) -> None:
    """Also for those that draw noise; and what they draw is not taken from the process's own random numbers."""
    pixels = np.random.default_rng(1).integers(0, 256, (90, 90, 3), np.uint8)
    mask = np.zeros((90, 90), bool)
    mask[30:60, 30:60] = True
    torch.manual_seed(7)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = create(name).erase(pixels, mask)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    np.testing.assert_array_equal(create(name).erase(pixels, mask), first)
    assert (first[mask] != pixels[mask]).any()


def test_bad_input_is_refused(create: Create) -> None:
    eraser = create("classic")
    pixels = np.zeros((10, 10, 3), np.uint8)
    with pytest.raises(InvalidInput):
        eraser.erase(pixels, np.zeros((10, 11), bool))
    with pytest.raises(InvalidInput):
        eraser.erase(pixels, np.zeros((10, 10), np.uint8))
    with pytest.raises(InvalidInput):
        eraser.erase(pixels[..., 0], np.zeros((10, 10), bool))
    for wrong in ({"grow": -1}, {"grain": -0.1}, {"grain": 1.1}, {"grain": float("nan")}):
        with pytest.raises(InvalidInput):
            EraseOptions(**wrong)


@pytest.mark.parametrize("name", registry.ERASERS)
def test_grain_is_left_out_by_those_that_say_they_can_and_refused_by_all_others(name: str, create: Create) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (60, 70, 3), np.uint8)
    mask = np.zeros((60, 70), bool)
    mask[20:40, 20:50] = True
    eraser, options = create(name), EraseOptions(0, 0, grain=0.0)
    if "grain" not in registry.info(name).options:
        with pytest.raises(InvalidInput, match="grain"):
            eraser.erase(pixels, mask, options)
        return
    without, with_grain = (eraser.erase(pixels, mask, how)[mask].std() for how in (options, EraseOptions(0, 0)))
    assert without < 0.5 * with_grain


@pytest.mark.parametrize("name", registry.ERASERS)
def test_an_interrupt_stops_it(name: str, create: Create) -> None:
    mask = np.zeros((300, 300), bool)
    mask[100:200, 100:200] = True
    stop = Progress(None, lambda: True)
    with pytest.raises(Interrupted):
        create(name).erase(np.zeros((300, 300, 3), np.uint8), mask, EraseOptions(), stop)
