"""Mask algebra. A mask is bool [H, W], True = selected; nothing here writes into its argument.

Distances are Euclidean between pixel centres: growing by r takes every pixel within r of a selected one, which is a dilation
by a disc. Work is done inside the mask's bounds, so a small mask in a large picture is cheap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.picture_files import Limits, decode

Rle = dict[str, list[int]]

_SUBPIXEL = 4  # binary places of the coordinates handed to cv2's drawing functions
_FARTHEST = 1 << 20  # pixels; keeps those coordinates inside int32


@dataclass(frozen=True)
class Stroke:
    """One stroke of a round brush.

    Attributes:
        points: (x, y) in pixels of the picture, (0, 0) = centre of the top-left pixel.
        radius: in pixels; 0 is one pixel wide.
        erase: takes away instead of adding.
    """

    points: Sequence[tuple[float, float]]
    radius: float
    erase: bool = False


@dataclass(frozen=True, eq=False)
class Component:
    """One connected piece (8-neighbours).

    Attributes:
        box: around it.
        area: in pixels.
        mask: bool [box.height, box.width], this piece only.
    """

    box: Box
    area: int
    mask: np.ndarray


def bounds(mask: np.ndarray) -> Box | None:
    """The smallest box around everything selected; None if nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return Box(int(columns[0]), top, int(columns[-1]) + 1, bottom)


def grow(mask: np.ndarray, pixels: float) -> np.ndarray:
    """Everything within `pixels` of the selection."""
    _not_negative(pixels)
    return _near(mask, pixels, lambda distance: distance <= pixels, bool)


def shrink(mask: np.ndarray, pixels: float) -> np.ndarray:
    """What is farther than `pixels` from everything not selected. The picture's border does not eat into the selection."""
    _not_negative(pixels)
    out = np.zeros_like(mask)
    box = _bounds_padded(mask, 1)
    if box is not None:
        out[box.slices] = _distance(~mask[box.slices]) > pixels
    return out


def feather(mask: np.ndarray, pixels: float, grown: float = 0) -> np.ndarray:
    """A soft mask, float32 [H, W]: exactly 1 within `grown` of the selection, exactly 0 beyond `grown + pixels`, smooth between."""
    _not_negative(pixels)
    _not_negative(grown)

    def fade(distance: np.ndarray) -> np.ndarray:
        if pixels == 0:
            return (distance <= grown).astype(np.float32)
        t = np.clip((grown + pixels - distance) / np.float32(pixels), 0, 1)
        return t * t * (3 - 2 * t)

    return _near(mask, grown + pixels, fade, np.float32)


def invert(mask: np.ndarray) -> np.ndarray:
    return ~mask


def union(*masks: np.ndarray) -> np.ndarray:
    """What is in any of them."""
    return np.logical_or.reduce(_alike(masks))


def intersection(*masks: np.ndarray) -> np.ndarray:
    """What is in all of them."""
    return np.logical_and.reduce(_alike(masks))


def difference(mask: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """What is in `mask` and in none of the others."""
    return np.logical_and.reduce([mask, *(~other for other in _alike((mask, *others))[1:])])


def fill_holes(mask: np.ndarray, max_area: int | None = None) -> np.ndarray:
    """With the holes selected that are wholly enclosed; only those of at most `max_area` pixels if that is given."""
    out = mask.copy()
    box = bounds(mask)
    if box is not None:
        # A ring of "outside" joins everything that is open to the box's border into one piece.
        labels, stats = _labelled(np.pad(~mask[box.slices], 1, constant_values=True), connectivity=4)
        hole = np.ones(len(stats), bool) if max_area is None else stats[:, 4] <= max_area
        hole[0] = hole[labels[0, 0]] = False
        out[box.slices] |= hole[labels[1:-1, 1:-1]]
    return out


def drop_specks(mask: np.ndarray, min_area: int) -> np.ndarray:
    """Without the connected pieces of fewer than `min_area` pixels."""
    out = np.zeros_like(mask)
    box = bounds(mask)
    if box is not None:
        labels, stats = _labelled(mask[box.slices])
        keep = stats[:, 4] >= min_area
        keep[0] = False
        out[box.slices] = keep[labels]
    return out


def components(mask: np.ndarray) -> list[Component]:
    """The connected pieces, largest first."""
    around = bounds(mask)
    if around is None:
        return []
    labels, stats = _labelled(mask[around.slices])
    pieces = []
    for label, (left, top, width, height, area) in enumerate(stats.tolist()[1:], start=1):
        box = Box(left, top, left + width, top + height)
        pieces.append(Component(box.shifted(around.left, around.top), area, labels[box.slices] == label))
    return sorted(pieces, key=lambda component: -component.area)


def from_strokes(size: tuple[int, int], strokes: Iterable[Stroke], base: np.ndarray | None = None) -> np.ndarray:
    """The strokes drawn one after the other on `base`, or on an empty mask of `size` (width, height).

    Raises:
        InvalidInput: a coordinate or radius is not a finite number, a radius is negative, or `base` has another size.
    """
    import cv2

    if base is not None and base.shape != size[::-1]:
        raise InvalidInput("The mask to draw on has another size than the picture.", "Give a mask of the picture's size.")
    canvas = np.zeros(size[::-1], np.uint8) if base is None else base.astype(np.uint8)
    for stroke in strokes:
        points = _coordinates(stroke.points)
        if not (math.isfinite(stroke.radius) and 0 <= stroke.radius <= _FARTHEST):
            raise InvalidInput(
                "A stroke has the radius {radius:g}.", "Give the radius in pixels of the picture, 0 or more.", radius=stroke.radius
            )
        value = int(not stroke.erase)
        radius = round(stroke.radius * (1 << _SUBPIXEL))
        fixed = _fixed(points)
        for x, y in fixed.tolist():
            cv2.circle(canvas, (x, y), radius, value, cv2.FILLED, shift=_SUBPIXEL)
        for start, end, a, b in zip(points, points[1:], fixed, fixed[1:], strict=False):
            length = math.dist(start, end)
            if length > 0:
                across = np.array([start[1] - end[1], end[0] - start[0]]) * (stroke.radius / length)
                corners = np.stack([start + across, end + across, end - across, start - across])
                cv2.fillConvexPoly(canvas, _fixed(corners), value, shift=_SUBPIXEL)
                cv2.line(canvas, a.tolist(), b.tolist(), value, shift=_SUBPIXEL)
    return canvas.astype(bool)


def from_lasso(size: tuple[int, int], points: Sequence[tuple[float, float]]) -> np.ndarray:
    """The inside of the closed line through `points` (x, y), in a mask of `size` (width, height). Where the line crosses itself
    the even-odd rule says what is inside.

    Raises:
        InvalidInput: fewer than three points, or a coordinate that is not a finite number.
    """
    import cv2

    if len(points) < 3:
        raise InvalidInput("A lasso needs at least three points.", "Draw a line around what you want to select.")
    canvas = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(canvas, [_fixed(_coordinates(points))], 1, shift=_SUBPIXEL)
    return canvas.astype(bool)


def from_file(data: bytes, size: tuple[int, int], limits: Limits = Limits()) -> np.ndarray:  # noqa: B008 (frozen)
    """A mask from a picture file: opaque is selected where the file has transparency, otherwise white is.

    Args:
        size: (width, height) that it must have; one with the same proportions is scaled (nearest pixel).
        limits: of the file; one of the picture's own size is never too large.

    Raises:
        InvalidInput: not a picture, or one with other proportions.
    """
    picture = decode(data, replace(limits, max_pixels=max(limits.max_pixels, size[0] * size[1])))
    alpha = picture.alpha
    mask = picture.pixels.max(axis=2) > 127 if alpha is None or alpha.min() == alpha.max() else alpha > 127
    width, height = size
    if picture.size == size:
        return mask
    if abs(picture.width * height / picture.height - width) > 1 and abs(picture.height * width / picture.width - height) > 1:
        raise InvalidInput(
            "The mask is {width} × {height}, the picture {picture_width} × {picture_height}.",
            "Give a mask of the picture's size, or at least of its proportions.",
            width=picture.width,
            height=picture.height,
            picture_width=width,
            picture_height=height,
        )
    rows = (np.arange(height) * 2 + 1) * picture.height // (2 * height)
    columns = (np.arange(width) * 2 + 1) * picture.width // (2 * width)
    return mask[np.ix_(rows, columns)]


def check_size(mask: np.ndarray, size: tuple[int, int]) -> None:
    """Raises `InvalidInput` where a mask, bool [H, W], is none of a picture of this size, (width, height)."""
    if mask.shape != size[::-1]:
        raise InvalidInput(
            "The mask is {width} × {height}, the picture {picture_width} × {picture_height}.",
            "Give a mask of the picture's size.",
            width=mask.shape[1],
            height=mask.shape[0],
            picture_width=size[0],
            picture_height=size[1],
        )


def to_png(mask: np.ndarray) -> bytes:
    """A PNG of one 8-bit channel, 255 = selected."""
    import cv2

    # Masks are long runs of equal bytes: the quickest level already makes them small, and a click waits for this.
    flags = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    return cv2.imencode(".png", mask.astype(np.uint8) * 255, flags)[1].tobytes()


def to_rle(mask: np.ndarray) -> Rle:
    """COCO's uncompressed run-length code: {"size": [H, W], "counts": lengths of runs down the columns, beginning with unselected}."""
    flat = np.ravel(mask, order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat.size and flat[0] else counts}


def _distance(mask: np.ndarray) -> np.ndarray:
    """How far every pixel is from the nearest selected one, float32; 0 on these, infinite where there is none."""
    import cv2

    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of distances are whole numbers; some versions of cv2 miss them by a rounding error, which `<=` would see.
    return np.sqrt(np.rint(np.square(distance, out=distance), out=distance), out=distance)


def _near(mask: np.ndarray, reach: float, of_distance: Any, dtype: Any) -> np.ndarray:
    """`of_distance(distance to the selection)` within `reach` of it, zero elsewhere."""
    out = np.zeros(mask.shape, dtype)
    box = _bounds_padded(mask, math.ceil(reach))
    if box is not None:
        out[box.slices] = of_distance(_distance(mask[box.slices]))
    return out


def _bounds_padded(mask: np.ndarray, pixels: int) -> Box | None:
    box = bounds(mask)
    return None if box is None else box.padded(pixels).clipped(mask.shape[1], mask.shape[0])


def _labelled(mask: np.ndarray, connectivity: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Labels int32 [H, W], 0 = unselected, and per label (left, top, width, height, area)."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=connectivity)
    return labels, stats


def _coordinates(points: Sequence[tuple[float, float]]) -> np.ndarray:
    array = np.asarray(points, np.float64).reshape(-1, 2)
    if not np.isfinite(array).all():
        raise InvalidInput("A point has a coordinate that is not a number.", "Give x and y in pixels of the picture.")
    return np.clip(array, -_FARTHEST, _FARTHEST)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Coordinates as cv2 draws them: int32 with `_SUBPIXEL` binary places."""
    return np.rint(points * (1 << _SUBPIXEL)).astype(np.int32)


def _not_negative(pixels: float) -> None:
    if not (math.isfinite(pixels) and pixels >= 0):
        raise InvalidInput("A mask cannot be changed by {pixels:g} pixels.", "Give a number of pixels, 0 or more.", pixels=pixels)


def _alike(masks: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    if len({mask.shape for mask in masks}) != 1:
        raise InvalidInput("The masks have different sizes.", "Combine masks of one picture.", sizes=[list(mask.shape) for mask in masks])
    return masks
