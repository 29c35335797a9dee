"""The filter for graphics cards is PIL's: on the processor's tensors, where both can be compared."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from clickpaint.segment.resizing import filtered, resized  # noqa: E402
from clickpaint.weights.device import Device  # noqa: E402


@pytest.mark.parametrize(("shape", "size"), [((97, 131), (64, 47)), ((40, 33), (64, 64)), ((300, 20), (7, 128)), ((64, 64), (64, 64))])
def test_a_cards_filter_rounds_where_pil_rounds(shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    before = pixels.copy()
    expected = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)).astype(int)
    exact = resized(pixels, size, Device())
    assert exact.dtype == torch.uint8 and (exact[0].permute(1, 2, 0).numpy() == expected).all()
    near = filtered(torch.from_numpy(pixels).permute(2, 0, 1)[None], size)
    difference = np.abs(near[0].permute(1, 2, 0).numpy().astype(int) - expected)
    assert near.dtype == torch.uint8 and difference.max() <= 1 and (difference > 0).mean() < 0.02
    assert (pixels == before).all()
