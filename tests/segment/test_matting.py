"""Cut-outs whose true alpha and colours are known."""

from __future__ import annotations

import numpy as np
import pytest

from clickpaint.compat import pymatting_parts
from clickpaint.image import mask as masks
from clickpaint.segment import matting

RED, BLUE = np.array([210, 40, 30]), np.array([30, 60, 200])


def test_the_number_of_torchs_threads_stays(monkeypatch):
    import torch

    from clickpaint.compat import pymatting_parts

    before = torch.get_num_threads()
    assert pymatting_parts._threads_kept(lambda: torch.set_num_threads(before + 1) or 5)() == 5
    assert torch.get_num_threads() == before


def disc_over(soft: float, size: int = 96) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pixels, mask, true alpha) of a red disc with an edge `soft` pixels wide over blue, both with grain."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - size / 2, columns - size / 2)
    alpha = np.clip((size / 4 - distance) / soft + 0.5, 0, 1).astype(np.float32)
    grain = np.random.default_rng(0).normal(0, 3, (size, size, 3))
    pixels = np.rint(np.clip(alpha[..., None] * RED + (1 - alpha[..., None]) * BLUE + grain, 0, 255)).astype(np.uint8)
    return pixels, distance < size / 4 + 2, alpha  # a mask that takes a rim of the background along, as segmenters' do


def placed(cut: matting.Matte, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    colours, alpha = np.zeros((size, size, 3), np.uint8), np.zeros((size, size), np.float32)
    colours[cut.box.slices], alpha[cut.box.slices] = cut.colours, cut.alpha / 255
    return colours, alpha


@pytest.mark.skipif(not pymatting_parts.available(), reason="needs pymatting")
def test_the_edge_is_the_objects_and_no_rim_of_the_background_shows(monkeypatch):
    pixels, mask, truth = disc_over(6)
    before = pixels.copy()
    cut = matting.matte(pixels, mask, 8)
    colours, alpha = placed(cut)
    assert cut.method == "closed-form" and np.array_equal(pixels, before)
    assert np.abs(alpha - truth).mean() < 0.01 < np.abs(mask - truth).mean()
    seen = alpha > 0.1
    blue = colours[..., 2].astype(int) - colours[..., 0]
    assert (blue[seen] < -90).mean() > 0.97, "a rim of the old background"
    opaque = alpha == 1
    assert np.array_equal(colours[opaque], pixels[opaque]) and opaque.sum() > 1000
    monkeypatch.setattr(matting, "_MOST_UNKNOWN", 600)  # as in a picture that is too large to be solved at once
    assert np.abs(placed(matting.matte(pixels, mask, 8))[1] - truth).mean() < 0.02


def test_without_pymatting_the_masks_edge_is_softened_with_the_objects_colours(monkeypatch):
    monkeypatch.setattr(pymatting_parts, "available", lambda: False)
    pixels, mask, _ = disc_over(2)
    inside = masks.shrink(mask, 4)
    cut = matting.matte(pixels, inside, 8)
    colours, alpha = placed(cut)
    assert cut.method == "feathered" and ((alpha > 0) & (alpha < 1)).any()
    assert (colours[..., 0][alpha > 0] > 180).all() and (alpha[~masks.grow(inside, 2)] == 0).all()


def test_a_band_of_nothing_takes_the_mask_and_a_network_is_asked_first():
    pixels, mask, _ = disc_over(4)
    assert np.array_equal(placed(matting.matte(pixels, mask, 0))[1], mask)
    asked = []

    def network(part, trimap, progress):
        asked.append(np.unique(trimap).tolist())
        return np.full(trimap.shape, 0.25, np.float32)

    cut = matting.matte(pixels, mask, 6, network)
    assert cut.method == "vitmatte" and asked == [[0, 0.5, 1]] and 64 in np.unique(cut.alpha)


def test_what_is_thinner_than_the_band_does_not_vanish():
    mask = np.zeros((40, 60), bool)
    mask[10:12, 5:55] = mask[25:35, 20:30] = True
    known = matting._trimap(mask, 8)
    assert (known[10:12, 5:55] == 1).any() and (known[25:35, 20:30] == 1).any() and (known == 0).any()
