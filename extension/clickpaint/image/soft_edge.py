"""How far beyond a mask a task may go: the one place that decides it where nobody says it in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from clickpaint.image.geometry import Box

Edged = Literal["remove", "fill", "replace", "expand", "cutout", "clear"]
"""The tasks that have an edge; what painting tasks not listed here do is "fill"."""

AUTO = "auto"
"""How users say it in the place of a number of pixels."""

_SEEN = 0.008
"""Share of the diagonal by which an object's mask may miss its outline: 8 pixels in a picture of a megapixel. Segmenters see every
picture at one size, and so do eyes on a screen, so what they miss grows with the picture."""


_BESIDE = 0.3
"""Share of an object's diagonal within which its shadow and its reflection are looked for, where nobody says how far they reach."""


@dataclass(frozen=True)
class SoftEdge:
    """The edge of a mask.

    Attributes:
        grow: pixels by which the mask is dilated.
        feather: width in pixels of the band around that in which the result fades into the picture.
    """

    grow: int
    feather: int


def automatic(size: tuple[int, int], task: Edged = "remove", area: Box | None = None, strength: float = 1.0) -> SoftEdge:
    """The edge that fits a picture, from an icon to tens of megapixels.

    Args:
        size: (width, height) of the picture in pixels.
        task: what is done. "replace" paints around the mask, which stays; "cutout" takes it out; "clear" removes it with its shadow and
            its reflection, which lie beside it.
        area: the mask's bounds, which make the band of a painted area wider; None for none.
        strength: denoising strength, 0..1: the more is painted anew, the wider the band.

    Returns:
        Grow and feather in pixels, at most 256 and 128.
    """
    seen = _SEEN * math.hypot(*size)
    if task == "remove":
        return _edge(max(seen, 1.0), seen / 2)
    if task == "cutout":  # feather: on either side of the outline
        return _edge(0.0, max(seen, 2.0))
    if task == "replace":
        return _edge(0.0, seen)
    extent = 0.0 if area is None else math.hypot(*area.size)
    if task == "clear":
        beside = max(_BESIDE * extent, 2 * seen)
        return _edge(beside / 2, beside / 2)
    band = max(0.1 * extent, 4 * seen) * strength / 2
    grow, feather = max(seen / 2 + band / 4, 1.0), band / 2
    if task == "expand":  # the picture's own pixels are given up only as far as a seam needs
        grow, feather = min(grow, max(seen, 1.0)), min(feather, 3 * seen)
    return _edge(grow, feather)


def _edge(grow: float, feather: float) -> SoftEdge:
    return SoftEdge(min(round(grow), 256), min(round(feather), 128))
