"""From a mask to a cut-out: how opaque every pixel of its edge is, and which colour it has without what was behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clickpaint.compat import pymatting_parts
from clickpaint.compat.interruptible import interruptible
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress

log = logging.getLogger(__name__)

Method = Literal["closed-form", "vitmatte", "feathered"]
"""closed-form: Levin, Lischinski and Weiss 2008, by pymatting. vitmatte: Yao et al. 2023. feathered: the mask's own edge, softened, where
neither can work."""

Estimate = Callable[[np.ndarray, np.ndarray, Progress], np.ndarray]
"""estimate(pixels uint8 [h, w, 3], trimap float32 [h, w] of 0, 0.5 and 1, progress) → alpha float32 [h, w] in 0..1."""

_MOST_UNKNOWN = 250_000
"""Pixels whose opacity is solved for at once; a larger edge is solved for at a smaller scale, and its alpha scaled up."""


@dataclass(frozen=True, eq=False)
class Matte:
    """A cut-out.

    Attributes:
        box: where it lies in the picture; nothing outside of it is opaque.
        colours: uint8 [box.height, box.width, 3], of the object alone; the picture's own to the bit where it is wholly opaque.
        alpha: uint8 [box.height, box.width].
        method: how its edge was found.
    """

    box: Box
    colours: np.ndarray
    alpha: np.ndarray
    method: Method


def matte(pixels: np.ndarray, mask: np.ndarray, band: int, vitmatte: Estimate | None = None, progress: Progress = SILENT) -> Matte:
    """What a mask selects, with the edge that it has in the picture.

    Args:
        pixels: uint8 [H, W, 3].
        mask: bool [H, W].
        band: pixels on both sides of the mask's outline in which the edge is looked for; 0 takes the mask as it is.
        vitmatte: a network that is to be asked, if there is one.

    Raises:
        InvalidInput: nothing is selected. Interrupted.
    """
    area = masks.bounds(mask)
    if area is None:
        raise InvalidInput("Nothing is selected.", "Click on what is to be cut out first.")
    whole = Box(0, 0, mask.shape[1], mask.shape[0])
    around = area.padded(3 * band + 8).clipped(*whole.size)
    crop, inside = np.ascontiguousarray(pixels[around.slices]), mask[around.slices]
    progress.report(0.05, "Looking at the edge")
    known = _trimap(inside, band)
    if band == 0 or not (known == 0.5).any():
        return _cut(around, crop, inside.astype(np.float32), crop, "feathered")
    if vitmatte is not None:
        alpha = _solved(crop, known, vitmatte, progress.part(0.1, 0.7))
        return _cut(around, crop, alpha, _colours(crop, alpha, progress.part(0.7, 1.0)), "vitmatte")
    if pymatting_parts.available():
        try:
            estimate, _ = pymatting_parts.functions()
        except Exception as error:  # numba fails in many ways where it does not fit what else is installed
            log.warning("pymatting cannot be used here: %s", error)
        else:

            def closed_form(part: np.ndarray, trimap: np.ndarray, _: Progress) -> np.ndarray:
                return estimate(part / 255.0, trimap.astype(np.float64))

            alpha = _solved(crop, known, closed_form, progress.part(0.1, 0.7))
            return _cut(around, crop, alpha, _colours(crop, alpha, progress.part(0.7, 1.0)), "closed-form")
    alpha = feathered(inside, max(band / 4, 1.0))
    return _cut(around, crop, alpha, _nearest_colours(crop, alpha >= 1), "feathered")


def feathered(mask: np.ndarray, reach: float) -> np.ndarray:
    """A mask, bool [H, W], as alpha float32 [H, W] that goes from 0 to 1 within `reach` pixels on either side of its outline."""
    if mask.all():
        return mask.astype(np.float32)
    outside, inside = masks.feather(mask, reach), masks.feather(~mask, reach)
    return np.where(mask, 1 - inside / 2, outside / 2).astype(np.float32)


def _trimap(mask: np.ndarray, band: int) -> np.ndarray:
    """1 where the object is known to be, 0 where it is known not to be, 0.5 between, float32 [H, W]. Something thinner than the band keeps
    its middle."""
    core, reach = masks.shrink(mask, band), masks.grow(mask, band)
    for piece in masks.components(mask):
        part = core[piece.box.slices]
        if not (part & piece.mask).any():
            import cv2

            depth = cv2.distanceTransform(np.pad(piece.mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
            part |= piece.mask & (depth >= 0.9 * depth.max())
    return np.where(core, np.float32(1), np.where(reach, np.float32(0.5), np.float32(0)))


def _solved(pixels: np.ndarray, trimap: np.ndarray, estimate: Estimate, progress: Progress) -> np.ndarray:
    """Alpha float32 [h, w] that agrees with the trimap where that knows it."""
    import cv2

    progress.report(0.0, "Finding the edge")
    unknown = int((trimap == 0.5).sum())
    scale = min(1.0, (_MOST_UNKNOWN / max(unknown, 1)) ** 0.5)
    if scale < 1:
        size = max(round(pixels.shape[1] * scale), 8), max(round(pixels.shape[0] * scale), 8)
        small = cv2.resize(trimap, size, interpolation=cv2.INTER_AREA)
        small = np.where(small >= 1, np.float32(1), np.where(small <= 0, np.float32(0), np.float32(0.5)))
        part = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        alpha = interruptible(lambda: estimate(part, small, progress), progress).astype(np.float32)
        alpha = cv2.resize(alpha, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_CUBIC)
    else:
        alpha = interruptible(lambda: estimate(pixels, trimap, progress), progress).astype(np.float32)
    return np.where(trimap == 0.5, alpha.clip(0, 1), trimap)


def _colours(pixels: np.ndarray, alpha: np.ndarray, progress: Progress) -> np.ndarray:
    """The object's own colours, uint8 [h, w, 3], without what shines through its edge (Germer et al. 2020, by pymatting)."""
    progress.report(0.0, "Cleaning the edge's colours")
    try:
        _, estimate = pymatting_parts.functions()
    except Exception:
        return _nearest_colours(pixels, alpha >= 0.98)
    found = interruptible(lambda: estimate((pixels / np.float32(255)).astype(np.float32), alpha.astype(np.float32)), progress)
    return np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)


def _nearest_colours(pixels: np.ndarray, core: np.ndarray) -> np.ndarray:
    """Every pixel with the colour of the nearest one of the `core`, bool [h, w]; uint8 [h, w, 3]."""
    import cv2

    if not core.any():
        return pixels
    _, nearest = cv2.distanceTransformWithLabels((~core).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(nearest, np.int32)
    by_label = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    by_label[labels[core]] = pixels[core]
    return by_label[labels]


def _cut(box: Box, pixels: np.ndarray, alpha: np.ndarray, colours: np.ndarray, method: Method) -> Matte:
    opaque = np.rint(alpha * 255).astype(np.uint8)
    clean = np.where((opaque == 255)[..., None], pixels, colours)
    clean[opaque == 0] = 0  # nobody sees it, and files are smaller
    seen = masks.bounds(opaque > 0)
    inner = seen if seen is not None else Box(0, 0, box.width, box.height)
    return Matte(inner.shifted(box.left, box.top), clean[inner.slices], opaque[inner.slices], method)
