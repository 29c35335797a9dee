"""Masks of large pictures: what is looked at is made without the whole, which is made when it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.compat import torchvision
from clickpaint.image.packed import resampled
from clickpaint.segment import neural_segmenter
from clickpaint.segment.base import DeferredCandidate, Point, Prompts
from clickpaint.weights.device import Device
from tests.segment import toys
from tests.segment.toys import iou

pytest.importorskip("segment_anything") if torchvision.available() is None else pytest.skip(
    "torchvision cannot be imported", allow_module_level=True
)  # fmt: skip


def test_a_whole_mask_is_made_when_it_is_asked_for_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 16 megapixels making one costs as much as a click."""
    store: Any = toys.saved(toys.randomised(toys.build_sam), tmp_path / "toy.pth")
    segmenter = toys.ToySam("sam_vit_b", "sam_vit_b", store, Device(), toys.cache())
    pixels = np.random.default_rng(3).integers(0, 256, (600, 900, 3), np.uint8)
    made: list[tuple[int, int]] = []
    above = neural_segmenter.above
    monkeypatch.setattr(neural_segmenter, "above", lambda field, size, thresholds: (made.append(size), above(field, size, thresholds))[1])
    predicted = segmenter.predict(segmenter.encode(pixels), Prompts((Point(200, 120),)))
    candidates = [candidate for candidate in predicted if isinstance(candidate, DeferredCandidate)]  # others may select nothing
    assert candidates and len(made) == len(predicted) - len(candidates)
    made.clear()
    small = [candidate.scaled((300, 200)) for candidate in candidates]
    seen = [candidate.scaled((256, 170)) for candidate in candidates]
    assert set(made) == {(200, 300)}, "no whole one yet"
    for candidate, shown, silhouette in zip(candidates, small, seen, strict=True):
        assert candidate.packed is not None and candidate.packed.size == (900, 600)
        assert np.array_equal(candidate.mask, candidate.packed.mask) and candidate.packed.area == candidate.mask.sum()
        assert iou(shown, resampled(candidate.mask, (300, 200))) > 0.97
        assert candidate.logits is not None and np.array_equal(silhouette, candidate.logits[0, :170] > 0)
    assert made.count((600, 900)) == len(candidates)
