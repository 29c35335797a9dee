"""Copied patches: structure goes on, grain stays what it is around the hole, and no seam shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clickpaint.erase import exemplar, seamless
from clickpaint.erase.structure import structure
from clickpaint.progress import SILENT
from tests.benchmarks.truth import rim_step, variance_ratio


def _sand(height: int = 240, width: int = 320) -> np.ndarray:
    """A bright beach with grain of some pixels, darker to the right: uint8 [height, width, 3]."""
    rng = np.random.default_rng(5)
    grain = cv2.GaussianBlur(rng.normal(size=(height, width, 1)), (0, 0), 0.8)[..., None]
    light = np.linspace(190, 120, width)[None, :, None] * np.array([1.0, 0.9, 0.75])
    return np.clip(light + 9 * grain / grain.std(), 0, 255).astype(np.uint8)


def _hole(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.ellipse(mask, (shape[1] // 2, shape[0] // 2), (70, 50), 20, 0, 360, 1, -1)
    return mask > 0


def _filled(truth: np.ndarray, mask: np.ndarray, grain: float = 1.0) -> np.ndarray:
    result = exemplar.fill(np.where(mask[..., None], 255 - truth, truth), mask, SILENT, grain=grain)
    assert result is not None
    np.testing.assert_array_equal(result[~mask], truth[~mask])
    return result


def test_grain_is_as_strong_as_around_the_hole() -> None:
    truth = _sand()
    mask = _hole(truth.shape)
    assert 0.8 <= variance_ratio(_filled(truth, mask), mask) <= 1.25


def test_without_grain_the_structure_is_left_and_nearer_to_the_truth() -> None:
    truth = _sand(120, 160)
    mask = np.zeros(truth.shape[:2], bool)
    mask[40:80, 50:110] = True
    results = {grain: _filled(truth, mask, grain) for grain in (0.0, 0.5, 1.0)}
    assert variance_ratio(results[0.0], mask) < 0.1
    errors = {grain: float(((result[mask].astype(float) - truth[mask]) ** 2).mean()) for grain, result in results.items()}
    assert errors[0.0] < 0.7 * errors[1.0]
    assert np.abs(results[0.5].astype(float) - (results[0.0] / 2 + results[1.0] / 2)).max() <= 1
    assert rim_step(results[0.0], mask) <= 1.2 * rim_step(truth, mask)


def test_of_two_fillings_stays_what_they_agree_in() -> None:
    x = np.mgrid[:100, :130][1]
    drawing = np.repeat(np.where(x // 2 % 10 == 0, 20.0, 240.0)[..., None], 3, axis=2).astype(np.float32)
    hole = np.zeros(drawing.shape[:2], bool)
    hole[30:70, 40:90] = True
    np.testing.assert_allclose(structure(drawing, drawing, hole, SILENT), drawing, atol=12)  # 5 % of a line
    rng = np.random.default_rng(3)
    first, second = (np.where(hole[..., None], rng.normal(128, 30, drawing.shape), 128).astype(np.float32) for _ in range(2))
    sure = structure(first, second, hole, SILENT)
    assert np.abs(sure[hole] - 128).mean() < 6
    np.testing.assert_array_equal(sure[~hole], first[~hole])


def test_no_rim_shows_where_the_light_changes() -> None:
    truth = _sand()
    mask = _hole(truth.shape)
    assert rim_step(_filled(truth, mask), mask) <= 1.2 * rim_step(truth, mask)


def test_a_periodic_structure_goes_on() -> None:
    y, x = np.mgrid[:240, :320]
    tiles = np.where((x // 20 + y // 20) % 2 == 0, 200, 60).astype(np.uint8)
    truth = np.repeat(tiles[..., None], 3, axis=2)
    mask = _hole(truth.shape)
    error = np.abs(_filled(truth, mask).astype(int) - truth)[mask]
    assert error.mean() < 8


def test_what_lies_far_away_is_not_fetched() -> None:
    """A red thing in a corner is not what lies behind an object on plain ground."""
    truth = _sand()
    truth[:60, :60] = (220, 20, 20)
    mask = _hole(truth.shape)
    inside = _filled(truth, mask)[mask].astype(int)
    assert (inside[:, 0] - inside[:, 1]).max() < 80


@pytest.mark.parametrize("trust", [0.0, 0.01])
def test_pixels_copied_from_themselves_are_restored(trust: float) -> None:
    picture = np.random.default_rng(0).normal(128, 40, (90, 131, 3)).astype(np.float32)
    hole = np.zeros((90, 131), bool)
    hole[20:70, 30:131] = True  # up to the picture's border
    hole[40:50, 50:60] = False
    rows, columns = np.mgrid[:90, :131]
    result = seamless.merged(picture, hole, rows, columns, trust, SILENT)
    np.testing.assert_array_equal(result[~hole], picture[~hole])
    assert np.sqrt(((result - picture)[hole] ** 2).mean()) < 1


def test_a_brighter_copy_takes_the_light_of_its_new_place() -> None:
    picture = np.tile(np.linspace(50, 200, 200, dtype=np.float32)[None, :, None], (60, 1, 3))
    hole = np.zeros((60, 200), bool)
    hole[20:40, 40:60] = True
    rows, columns = np.mgrid[:60, :200]
    result = seamless.merged(picture, hole, rows, columns + 100, 0, SILENT)
    assert np.abs(result - picture).max() < 1


def test_a_membrane_meets_its_rim() -> None:
    picture = np.tile(np.linspace(0, 255, 120, dtype=np.float32)[None, :, None], (80, 1, 1))
    hole = np.zeros((80, 120), bool)
    hole[10:60, 20:90] = True
    assert np.abs(seamless.membrane(picture, hole, SILENT) - picture).max() < 2  # a plane is its own membrane
