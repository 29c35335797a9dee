"""Grow and feather follow the picture."""

from __future__ import annotations

import pytest

from clickpaint.image.geometry import Box
from clickpaint.image.soft_edge import SoftEdge, automatic


@pytest.mark.parametrize(
    ("size", "edge"),
    [((30, 30), SoftEdge(1, 0)), ((800, 600), SoftEdge(8, 4)), ((6000, 4000), SoftEdge(58, 29)), ((60000, 9000), SoftEdge(256, 128))],
)
def test_removing_takes_what_fits_the_picture(size, edge):
    assert automatic(size) == edge


def test_painting_is_wider_for_larger_areas_and_more_noise_and_never_eats_an_icon():
    size = (800, 600)
    small, large = automatic(size, "fill", Box(0, 0, 50, 50), 0.75), automatic(size, "fill", Box(0, 0, 500, 500), 0.75)
    assert small == SoftEdge(7, 6) and large.grow > small.grow and large.feather > small.feather
    assert automatic(size, "fill", Box(0, 0, 50, 50), 0.2).feather < small.feather
    assert automatic((30, 30), "fill", Box(10, 10, 20, 20), 1.0) == SoftEdge(1, 0)
    assert automatic(size, "expand", Box(0, 0, 800, 600), 1.0) == SoftEdge(8, 24)
    assert automatic(size, "replace", Box(0, 0, 50, 50)) == SoftEdge(0, 8)
