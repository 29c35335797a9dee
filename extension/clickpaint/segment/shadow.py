"""The cast shadow and the reflection that belong to a selected object, found without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box

WORK = 320
"""Long side, in pixels, of the surroundings that are looked at; the cost does not depend on the picture's size."""

_REACH = 1.1
"""How far around the object is looked, in lengths of its longer side."""
_FAINT, _DARK = 0.045, 0.11
"""Natural logarithm of how much less light there is: at the shadow's outer edge, and in a place that must be there for it to be one."""
_FOOT = 0.4
"""Where the ground may begin, from the object's top, in its heights."""
_POSSIBLE = 0.45
"""Confidence below which nothing is said."""
_LIT = 0.25
"""Share of the surroundings that has to be one plain surface, lit; where there is less, nothing is said."""


@dataclass(frozen=True, eq=False)
class Shadow:
    """What belongs to an object besides itself.

    Attributes:
        mask: bool [H, W] of the full picture, disjoint from the object's.
        confidence: 0..1.
        reflected: whether any of it is a reflection.
    """

    mask: np.ndarray
    confidence: float
    reflected: bool

    @property
    def sure(self) -> bool:
        """Whether it may be taken along without asking."""
        return self.confidence >= 0.6


def find_shadow(pixels: np.ndarray, mask: np.ndarray) -> Shadow | None:
    """The shadow and the reflection of what `mask`, bool [H, W], selects in `pixels`, uint8 [H, W, 3] RGB; None where there is none to see.

    A cast shadow is where the surface that lies around the object's foot gets less light: darker by the same factor in all colours,
    with the same texture, touching the object, to one side of it. The lit surface is fitted to the surroundings as smooth light on one
    colour, so that it is known under the shadow too and soft edges count as far as they go (compare Finlayson et al. 2006, "On the
    removal of shadows from images", and Guo et al. 2011, "Single-image shadow detection using paired regions"). A reflection is the
    object again, upside down below itself.
    """
    import cv2

    if not mask.any() or mask.all():
        return None
    height, width = mask.shape
    box = masks.bounds(mask)
    if box is None:
        return None
    around = box.padded(max(8, round(_REACH * max(box.size)))).clipped(width, height)
    scale = min(1.0, WORK / max(around.size))
    size = (max(8, round(around.width * scale)), max(8, round(around.height * scale)))
    small = cv2.resize(pixels[around.slices], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask[around.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    inside = share > 0.5
    if min(inside.sum(), (~inside).sum()) < 40:
        return None
    cast, sure = _cast(small, inside, _touching(around, width, height))
    mirrored, likeness = _reflection(small, inside)
    if not cast.any() and not mirrored.any():
        return None
    both = (cast | mirrored).astype(np.float32)
    both = cv2.GaussianBlur(both, (0, 0), 0.8)
    result = np.zeros_like(mask)
    result[around.slices] = cv2.resize(both, around.size, interpolation=cv2.INTER_LINEAR) > 0.4
    result &= ~mask
    return Shadow(result, max(sure, likeness), bool(mirrored.any())) if result.any() else None


class _Sides(NamedTuple):
    """Which sides of the surroundings are the picture's own border."""

    left: bool
    top: bool
    right: bool
    bottom: bool


def _touching(around: Box, width: int, height: int) -> _Sides:
    return _Sides(around.left == 0, around.top == 0, around.right == width, around.bottom == height)


def _cast(small: np.ndarray, inside: np.ndarray, border: _Sides) -> tuple[np.ndarray, float]:
    """The cast shadow, bool [h, w] (empty if none), and how sure it is."""
    import cv2

    light = np.log(cv2.GaussianBlur(small, (0, 0), 0.7).astype(np.float32) / 255 + 0.02)
    object_box = masks.bounds(inside)
    assert object_box is not None
    length = float(np.sqrt(inside.sum()))
    outline = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # its own soft edge says nothing of the ground
    lit, agreeing = _ground(light, outline, object_box)
    if agreeing < _LIT:
        return np.zeros_like(inside), 0.0
    smooth = cv2.GaussianBlur(light, (0, 0), 1.2)
    less = lit - smooth
    darker = less.mean(2)
    spread = less.max(2) - less.min(2)
    # Shade is a little bluer than sunlight, never much.
    plain = (spread < 0.06 + 0.45 * np.maximum(darker, 0)) & (darker < 2.2) & ~outline
    noise = _scatter(darker, outline)
    faint, dark = max(_FAINT, 1.6 * noise), max(_DARK, 2.6 * noise)
    standing = np.arange(inside.shape[0])[:, None] > object_box.top + _FOOT * object_box.height  # above that no ground is known
    seen = plain & standing & (darker > faint)
    # With the object, so that a thin strip along it is not lost; what hangs on by a thread is something else.
    width = 2 * max(1, round(0.03 * length)) + 1
    grown = cv2.morphologyEx(
        (seen | outline).astype(np.uint8), cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    )
    grown[~seen] = 0
    near = cv2.dilate(outline.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))) > 0
    count, labels = cv2.connectedComponents(grown, connectivity=4)
    result, sure = np.zeros_like(inside), 0.0
    for label in range(1, count):
        part = labels == label
        core = part & (darker > dark)
        if (part & near).sum() < max(4, 0.08 * length) or core.sum() < max(12, 0.01 * inside.sum()):
            continue
        part = _closed(part, outline) & ~inside
        likely = _plausible(part, light, smooth, less, inside, near, border, agreeing, length)
        if likely >= _POSSIBLE:
            result, sure = result | part, max(sure, likely)
    return result, sure


def _ground(light: np.ndarray, outline: np.ndarray, box: Box) -> tuple[np.ndarray, float]:
    """The surface around the object's foot as it would be lit, float32 [h, w, 3], and the share of the surroundings that agrees.

    Iteratively reweighted least squares of a quadratic in x and y per channel, which begins at the bright side: the shadow is the
    darker of two levels of one surface.
    """
    height, width = outline.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = (x - (box.left + box.right) / 2) / max(width, 1), (y - box.bottom) / max(height, 1)
    terms = np.stack([np.ones_like(u), u, v, u * v, u * u, v * v], -1)
    # Below the object's middle lies what it stands on; what is above may be far behind.
    foot = (y > box.top + _FOOT * box.height) & ~outline
    if foot.sum() < 60:
        return light, 0.0
    step = max(1, int(np.sqrt(foot.sum() / 4000)))
    chosen = foot.copy()
    chosen[np.arange(height) % step != 0] = False
    chosen[:, np.arange(width) % step != 0] = False
    a, values = terms[chosen], light[chosen]
    brightness = values.mean(1)
    start = np.percentile(brightness, 70)
    weight = np.exp(-(((brightness - start) / 0.25) ** 2))
    model = np.zeros((6, 3), np.float32)
    for turn in range(12):
        terms_used = 3 if turn < 4 else 6
        w = weight[:, None] * a[:, :terms_used]
        system = a[:, :terms_used].T @ w + 1e-3 * weight.sum() * np.diag([0, 1, 1, 1, 1, 1][:terms_used])
        model[:] = 0
        model[:terms_used] = np.linalg.solve(system, w.T @ values)
        off = values - a @ model
        middle = off.mean(1)
        wide = 0.25 if turn < 4 else max(0.05, 1.5 * float(np.median(np.abs(middle[weight > 0.3]))) if (weight > 0.3).any() else 0.25)
        # What is darker than fitted is shadow more often than what is brighter is anything: it loses its say first.
        scaled = np.where(middle < 0, 1.5, 1.0) * middle / (3 * wide)
        colour = np.abs(off - middle[:, None]).max(1) / 0.15
        weight = np.clip(1 - scaled**2, 0, None) ** 2 * np.clip(1 - colour**2, 0, None) ** 2
        if weight.sum() < 30:
            return light, 0.0
    return (terms @ model).astype(np.float32), float((weight > 0.2).mean())


def _scatter(darker: np.ndarray, outline: np.ndarray) -> float:
    """The standard deviation of the lit surface's texture, from its brighter half, which no shadow touches."""
    values = darker[~outline]
    values = values[(values < 0) & (values > -0.5)]
    return float(np.sqrt((values**2).mean())) if len(values) > 20 else 0.05


def _closed(result: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Without small holes, and joined to the object."""
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    joined = cv2.morphologyEx((result | outline).astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    reach = cv2.dilate(result.astype(np.uint8), kernel) > 0
    return masks.fill_holes(joined & (result | reach), round(0.02 * outline.size)) & (result | reach)


def _plausible(
    result: np.ndarray, light: np.ndarray, smooth: np.ndarray, less: np.ndarray, inside: np.ndarray, near: np.ndarray, border: _Sides,
    agreeing: float, length: float,
) -> float:  # fmt: skip
    """How sure a cast shadow is, 0..1: the product of what speaks for it."""
    import cv2

    darker = less.mean(2)
    area, depth = result.sum() / inside.sum(), float(np.median(darker[result]))
    core = result & (darker > 0.6 * np.percentile(darker[result], 80))
    even = float(darker[core].std() / max(darker[core].mean(), 1e-3)) if core.any() else 1.0
    cut = [(result[:, 0], border.left), (result[0], border.top), (result[:, -1], border.right), (result[-1], border.bottom)]
    cut_share = sum(float(side.sum()) for side, own in cut if not own) / max(length, 1)
    ring = near & ~inside
    contact = float((result & ring).sum() / max(ring.sum(), 1))
    rows = np.nonzero(result)[0]
    own_rows = np.flatnonzero(inside.any(1))
    below = float((rows > own_rows[0] + 0.35 * (own_rows[-1] - own_rows[0])).mean())
    fine = np.abs((light - smooth).mean(2))
    ground = ~inside & ~result & (np.abs(darker) < 0.1)
    far = cv2.erode(ground.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    inner = cv2.erode(result.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    alike = float((fine[inner].mean() + 0.01) / (fine[far].mean() + 0.01)) if inner.sum() > 20 and far.sum() > 20 else 1.0
    tint = float(np.median((less.max(2) - less.min(2))[core] / np.maximum(darker[core], 0.05))) if core.any() else 1.0
    return float(
        _ramp(area, 0.02, 0.06) * _ramp(area, 3.0, 1.5) * _ramp(depth, 0.06, 0.16) * _ramp(even, 0.7, 0.4) * _ramp(cut_share, 0.6, 0.2)
        * _ramp(contact, 0.04, 0.1) * _ramp(contact, 0.85, 0.6) * _ramp(below, 0.4, 0.75) * _ramp(abs(np.log(alike)), 1.6, 0.9)
        * _ramp(tint, 0.6, 0.35) * _ramp(agreeing, _LIT, 0.42)
    )  # fmt: skip


def _ramp(value: float, zero: float, full: float) -> float:
    """0 at `zero`, 1 at `full` and beyond it, straight between; whichever is larger."""
    return float(np.clip((value - zero) / (full - zero), 0, 1))


def _reflection(small: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the object is seen again upside down below itself, bool [h, w] (empty if nowhere), and how sure that is."""
    import cv2

    nothing = np.zeros_like(inside), 0.0
    box = masks.bounds(inside)
    assert box is not None
    height = inside.shape[0]
    if inside.shape[0] - box.bottom < 0.25 * box.height or box.height < 12:
        return nothing
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    best, place = 0.0, None
    columns = slice(box.left, box.right)
    for squeeze in (1.0, 0.85, 0.7):
        tall = max(6, round(box.height * squeeze))
        size = (box.width, tall)
        image = cv2.resize(gray[box.slices], size, interpolation=cv2.INTER_AREA)[::-1]
        shape = cv2.resize(inside[box.slices].astype(np.float32), size, interpolation=cv2.INTER_AREA)[::-1] > 0.5
        for top in range(box.bottom - 3, min(box.bottom + 5, height - 8)):
            rows = min(tall, height - top)
            seen, there = shape[:rows] & ~inside[top : top + rows, columns], gray[top : top + rows, columns]
            if seen.sum() < 0.3 * shape.sum():
                continue
            score = min(_correlation(image[:rows][seen], there[seen]), 1.0)
            if score > best and score > 0.5:
                planes = (np.ascontiguousarray(image[:rows]), np.ascontiguousarray(there))
                steep = [cv2.Laplacian(cv2.GaussianBlur(plane, (0, 0), 1.5), cv2.CV_32F) for plane in planes]
                inner = cv2.erode(np.pad(seen.astype(np.uint8), 1), np.ones((7, 7), np.uint8))[1:-1, 1:-1] > 0
                score = min(score, 0.25 + _correlation(100 * steep[0][inner], 100 * steep[1][inner])) if inner.sum() > 40 else 0.0
                if score > best:
                    best, place = score, (top, rows, seen)
    if place is None or best < 0.55:
        return nothing
    top, rows, seen = place
    result = np.zeros_like(inside)
    result[top : top + rows, columns] = seen
    result = cv2.dilate(result.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return result & ~inside, _ramp(best, 0.5, 0.75)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, 0 where one of them is plain."""
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread > 20 * len(a) else 0.0
