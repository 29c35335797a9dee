"""Selections: combined, and adjusted by operations other than clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask

MODES = ("replace", "add", "subtract", "intersect")

_FROM_AMOUNT = {"grow": masks.grow, "shrink": masks.shrink, "drop_specks": masks.drop_specks, "fill_holes": masks.fill_holes}
_SHAPES = ("box", "lasso", "upload", "region", "transparent")

OPERATIONS = (*_FROM_AMOUNT, "feather", "invert", "clear", "all", "strokes", *_SHAPES)


@dataclass(frozen=True)
class Adjustment:
    """One operation on a selection.

    Attributes:
        op: one of `OPERATIONS`.
        amount: pixels for grow, shrink and feather, an area in pixels for drop_specks and fill_holes (None: all that a hole can be).
        strokes: of a brush, for the operation of this name.
        points: a lasso's corners (x, y) in pixels, at least three.
        box: (left, top, right, bottom) in pixels, right and bottom exclusive.
        image: an upload's encoded picture; white or opaque is selected.
        index: of a region of the last "everything".
        mode: how a shape is combined with the selection, one of `MODES`.
    """

    op: str
    amount: int | None = None
    strokes: tuple[masks.Stroke, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    image: bytes = b""
    index: int | None = None
    mode: str = "add"


def check_mode(mode: str) -> None:
    """Raises `InvalidInput` for one that is not among `MODES`."""
    if mode not in MODES:
        raise InvalidInput("The mode {mode!r} is unknown.", "Choose one of {modes}.", mode=mode, modes=", ".join(MODES))


def combine(base: np.ndarray | None, new: np.ndarray, mode: str) -> np.ndarray:
    """Two masks as one, bool [H, W].

    Args:
        base: bool [H, W], never written to; None for nothing selected.
        new: bool [H, W], never written to.
        mode: one of `MODES`.

    Raises:
        InvalidInput: an unknown mode.
    """
    check_mode(mode)
    if mode == "replace" or (base is None and mode == "add"):
        return new
    if base is None:
        return np.zeros_like(new)
    if mode == "add":
        return masks.union(base, new)
    return masks.difference(base, new) if mode == "subtract" else masks.intersection(base, new)


def transparent(alpha: np.ndarray | None) -> np.ndarray:
    """What is rather transparent than opaque, bool [H, W].

    Args:
        alpha: uint8 [H, W], the picture's; None for none.

    Raises:
        InvalidInput: nothing is.
    """
    if alpha is None or alpha.min() > 127:
        raise InvalidInput("Nothing in this picture is transparent.", "Click on something, or draw a box.")
    return alpha < 128


def adjusted(
    mask: np.ndarray,
    feather: int,
    adjustments: Sequence[Adjustment],
    regions: Sequence[PackedMask],
    alpha: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """The selection after all adjustments, in order, and the width of its soft edge.

    Args:
        mask: bool [H, W], never written to.
        feather: width of the soft edge in pixels.
        adjustments: the operations.
        regions: what "region" picks from.
        alpha: uint8 [H, W], the picture's, for "transparent"; None for none.

    Raises:
        InvalidInput: an unknown operation, or one that lacks what it needs.
    """
    for adjustment in adjustments:
        if adjustment.op == "feather":
            feather = _amount(adjustment)
        else:
            mask = _apply(mask, adjustment, regions, alpha)
    return mask, feather


def _apply(mask: np.ndarray, adjustment: Adjustment, regions: Sequence[PackedMask], alpha: np.ndarray | None) -> np.ndarray:
    op = adjustment.op
    if op == "transparent":
        return combine(mask, transparent(alpha), adjustment.mode)
    if op in _SHAPES:
        return combine(mask, _shape(mask.shape, adjustment, regions), adjustment.mode)
    if op == "strokes":
        if not adjustment.strokes:
            raise InvalidInput("There are no strokes.", "Give at least one with its points and its radius.")
        return masks.from_strokes((mask.shape[1], mask.shape[0]), adjustment.strokes, mask)
    if op == "fill_holes" and adjustment.amount is None:
        return masks.fill_holes(mask)
    if op in _FROM_AMOUNT:
        return _FROM_AMOUNT[op](mask, _amount(adjustment))
    if op == "invert":
        return masks.invert(mask)
    if op in ("clear", "all"):
        return np.full_like(mask, op == "all")
    raise InvalidInput("The operation {op!r} is unknown.", "Choose one of {operations}.", op=op, operations=", ".join(OPERATIONS))


def _amount(adjustment: Adjustment) -> int:
    if adjustment.amount is None:
        raise InvalidInput("The operation {op!r} needs an amount.", "Give it in pixels.", op=adjustment.op)
    return adjustment.amount


def _shape(shape: tuple[int, ...], adjustment: Adjustment, regions: Sequence[PackedMask]) -> np.ndarray:
    height, width = shape
    if adjustment.op == "box":
        return _box(height, width, adjustment.box)
    if adjustment.op == "lasso":
        if len(adjustment.points) < 3:
            raise InvalidInput("A lasso needs at least three points.")
        return masks.from_lasso((width, height), adjustment.points)
    if adjustment.op == "upload":
        return masks.from_file(adjustment.image, (width, height))
    if adjustment.index is None or not 0 <= adjustment.index < len(regions):
        raise InvalidInput(
            "There is no region {index}.", "Let everything be segmented first, and give the index of one of the regions.",
            index=adjustment.index, regions=len(regions),
        )  # fmt: skip
    return regions[adjustment.index].mask


def _box(height: int, width: int, box: tuple[float, float, float, float] | None) -> np.ndarray:
    if box is None:
        raise InvalidInput("The box is missing.", "Give left, top, right, bottom in pixels.")
    left, top, right, bottom = (round(value) for value in box)
    if left >= right or top >= bottom:
        raise InvalidInput("The box is empty.", "Give left < right and top < bottom.", box=list(box))
    shape = np.zeros((height, width), bool)
    shape[Box(max(left, 0), max(top, 0), max(right, 0), max(bottom, 0)).slices] = True
    return shape
