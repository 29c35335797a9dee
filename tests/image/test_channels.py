"""Arithmetic on channels gives what NumPy's plain expressions give."""

from __future__ import annotations

import numpy as np

from clickpaint.image.channels import chosen, extent_of, greatest_of, length_of, mean_of, repeated, scaled


def test_it_is_what_numpy_says():
    rng = np.random.default_rng(0)
    pixels, others = rng.normal(0, 90, (2, 7, 5, 3)).astype(np.float32)
    where, vectors = rng.random((7, 5)) > 0.5, pixels[..., :2]
    for plane in (pixels, pixels[1:6, 1:4]):  # a part of a picture lies in memory with gaps
        np.testing.assert_allclose(mean_of(plane), plane.mean(axis=2), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(scaled(plane, np.array([2, 1, 0.5]), np.array([1, 0, -3])), plane * [2, 1, 0.5] + [1, 0, -3], rtol=1e-5)
    assert (greatest_of(pixels) == pixels.max(axis=2)).all()
    np.testing.assert_allclose(length_of(vectors), np.linalg.norm(vectors, axis=2), rtol=1e-6)
    np.testing.assert_array_equal(extent_of(vectors), (vectors.min((0, 1)), vectors.max((0, 1))))
    before = others.copy()
    for mask in (where, where.T.copy().T):
        assert (chosen(mask, pixels, others) == np.where(mask[..., None], pixels, others)).all()
        assert (chosen(mask, pixels, 7) == np.where(mask[..., None], pixels, 7)).all()
        assert (repeated(mask, 2) == np.dstack([mask, mask])).all()
    assert (others == before).all()
    assert (repeated(pixels[..., 0]) == np.dstack([pixels[..., 0]] * 3)).all()
