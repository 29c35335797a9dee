"""Shadows and reflections on drawn scenes, where what belongs to the object is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clickpaint.segment.shadow import Shadow, find_shadow
from tests.segment.toys import iou
from tests.toys.shadow_scenes import HEIGHT, OBJECT, WIDTH, X, Y, ground, scene, thrown


@pytest.mark.parametrize("kind", ["sand", "grass", "sloping light", "table"])
@pytest.mark.parametrize(("dx", "dy", "softness"), [(110, 34, 2.0), (-90, 40, 5.0)])
def test_a_cast_shadow_is_found_and_sure(kind, dx, dy, softness):
    shade = thrown(dx, dy, softness)
    shadow = find_shadow(scene(ground(kind), shade), OBJECT)
    expected = (shade > 0.3) & ~OBJECT
    assert shadow is not None and shadow.sure and not shadow.reflected
    assert iou(shadow.mask, expected) > 0.65
    assert not (shadow.mask & OBJECT).any()


def unlike(kind: str) -> np.ndarray:
    """Scenes without a shadow: what lies about is dark for other reasons."""
    surface = ground("sand")
    if kind == "another thing":  # a green mat that touches the object
        surface[(X > 215) & (X < 330) & (Y > 150) & (Y < 215)] = (60, 110, 60)
    elif kind == "two floors":  # dark tiles begin at the object's foot
        surface[Y > 185] = ground("table")[Y > 185] * 0.45
    elif kind == "a distant shadow":
        surface *= 1 - 0.5 * (((X - 350) / 40) ** 2 + ((Y - 240) / 20) ** 2 <= 1)[..., None]
    elif kind == "vignette":
        surface *= (1.1 - 0.6 * np.hypot((X - 210) / 300, (Y - 150) / 220))[..., None]
    elif kind in ("grass", "sloping light", "table"):
        surface = ground(kind)
    return scene(surface)


@pytest.mark.parametrize(
    "kind", ["plain", "grass", "sloping light", "table", "another thing", "two floors", "a distant shadow", "vignette"]
)
def test_nothing_is_sure_where_there_is_no_shadow(kind):
    shadow = find_shadow(unlike(kind), OBJECT)
    assert shadow is None or (not shadow.sure and kind in ("another thing", "two floors"))


def test_a_reflection_is_found_below_the_object():
    water = np.array([70, 95, 110]) * (1 + 0.04 * np.sin(Y[:, :1] / 3))[..., None]
    pixels = scene(np.where((Y > 192)[..., None], water, ground("table"))).astype(np.float32)
    mirrored = np.zeros_like(OBJECT)
    mirrored[193:] = OBJECT[86:193][::-1]
    pixels[mirrored] = 0.6 * np.pad(pixels[86:193][::-1], ((193, 0), (0, 0), (0, 0)))[mirrored] + 0.4 * water.repeat(WIDTH, 1)[mirrored]
    shadow = find_shadow(pixels.astype(np.uint8), OBJECT)
    assert shadow is not None and shadow.reflected and shadow.sure
    assert iou(shadow.mask & (Y > 193), mirrored) > 0.6


def test_size_does_not_matter_and_nothing_is_written():
    shade = thrown(110, 34, 2.0)
    small = scene(ground("sand"), shade)
    large = cv2.resize(small, (WIDTH * 4, HEIGHT * 4), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(OBJECT.astype(np.uint8), (WIDTH * 4, HEIGHT * 4), interpolation=cv2.INTER_NEAREST) > 0
    large.flags.writeable = mask.flags.writeable = False
    shadow, again = find_shadow(small, OBJECT), find_shadow(large, mask)
    assert shadow is not None and again is not None
    assert iou(again.mask[::4, ::4], shadow.mask) > 0.85


@pytest.mark.parametrize("mask", [np.zeros((40, 50), bool), np.ones((40, 50), bool), np.eye(40, 50, dtype=bool)])
def test_odd_selections_have_none(mask):
    assert find_shadow(np.full((40, 50, 3), 120, np.uint8), mask) is None


def test_only_high_confidence_is_sure():
    assert Shadow(OBJECT, 0.7, False).sure
    assert not Shadow(OBJECT, 0.5, False).sure
