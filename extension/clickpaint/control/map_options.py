"""What is asked for when a control map is: of which preprocessors, how they become one, and at which size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clickpaint.control.base import RESOLUTION
from clickpaint.control.compose import BACKGROUNDS, BLENDS
from clickpaint.control.fit import check_mode, pixel_perfect
from clickpaint.errors import InvalidInput

_MOST_LAYERS = 8

_MOST_SIDE = 8192
"""Pixels of a map that is fitted."""


@dataclass(frozen=True)
class Layer:
    """One of the maps that are asked for.

    Attributes:
        preprocessor: its name, or one of its aliases.
        values: of its parameters, by their keys; what is left out is the default.
        resolution: pixels of the shorter side; None for the preprocessor's default.
        seed: for those that use chance.
        weight: 0 to 1, where several are blended.
    """

    preprocessor: str
    values: Mapping[str, float] = field(default_factory=dict)
    resolution: int | None = None
    seed: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Fit:
    """To which size a map is brought, and how.

    Attributes:
        width, height: in pixels.
        mode: one of `control.fit.FIT_MODES`.

    Raises:
        InvalidInput: an unknown mode, a side out of range.
    """

    width: int
    height: int
    mode: str = "Crop and Resize"

    def __post_init__(self) -> None:
        check_mode(self.mode)
        check_sides(self.width, self.height)


@dataclass(frozen=True)
class MapOptions:
    """What map is asked for.

    Attributes:
        layers: at least one.
        blend: how several become one, of `control.compose.BLENDS`.
        background: "black" or "kept" for a map of what is selected only, "" for one of the whole picture.
        fit: None leaves the size that the first preprocessor gives.
        pixel_perfect: the resolution follows from `fit`, or from the picture's own size, instead of the layers' own.

    Raises:
        InvalidInput: no layers or too many, an unknown name, a weight out of range.
    """

    layers: tuple[Layer, ...]
    blend: str = "lighten"
    background: str = ""
    fit: Fit | None = None
    pixel_perfect: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= _MOST_LAYERS:
            raise InvalidInput("There are {count} preprocessors.", "Give 1 to {limit}.", count=len(self.layers), limit=_MOST_LAYERS)
        if self.blend not in BLENDS:
            raise InvalidInput(
                "Maps cannot be blended by {blend!r}.", "Choose one of {blends}.", blend=self.blend, blends=", ".join(BLENDS)
            )
        if self.background and self.background not in BACKGROUNDS:
            raise InvalidInput(
                "There is no background {background!r}.",
                "Choose one of {backgrounds}.",
                background=self.background,
                backgrounds=", ".join(BACKGROUNDS),
            )
        if any(not 0 <= layer.weight <= 1 for layer in self.layers) or not any(layer.weight for layer in self.layers):
            raise InvalidInput("The weights cannot be used.", "Each goes from 0 to 1, and one at least is over 0.")

    def perfect_resolution(self, size: tuple[int, int]) -> int:
        """The resolution for one pixel of map to one of its target, as near as preprocessors go; size: the picture's (width, height)."""
        fit = self.fit or Fit(*size)
        return int(RESOLUTION.nearest(pixel_perfect(size, (fit.width, fit.height), fit.mode)))


def check_sides(width: int, height: int) -> None:
    """Raises `InvalidInput` for sides in pixels that no map can have."""
    if not (1 <= width <= _MOST_SIDE and 1 <= height <= _MOST_SIDE):
        raise InvalidInput(
            "A map cannot be {width} x {height}.",
            "Sides go from 1 to {limit} pixels.",
            width=width,
            height=height,
            limit=_MOST_SIDE,
        )
