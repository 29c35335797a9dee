"""What a picture's alpha becomes where something is painted or removed."""

from __future__ import annotations

import numpy as np

from clickpaint.image import mask as masks


def painted_over(alpha: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint laid over a picture (Porter and Duff 1984, "over").

    Args:
        alpha: uint8 [H, W], the picture's before.
        share: float32 [H, W] in 0..1, how opaque the paint is.

    Returns:
        share: float32 [H, W], how much of the paint's colour is in the result's. It is all where the picture shows nothing, and `share`
            itself where it is opaque.
        alpha: uint8 [H, W], the result's; never less than before.
    """
    under = alpha.astype(np.float32) / 255 * (1 - share)
    whole = share + under
    colour = np.where(alpha == 255, share, np.divide(share, whole, out=np.zeros_like(whole), where=whole > 0)).astype(np.float32)
    after = np.where(share > 0, np.rint(whole * 255), alpha).clip(0, 255).astype(np.uint8)
    return colour, np.maximum(after, alpha)


def without_object(alpha: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """The alpha of a picture from which something was removed: continued from around it, as its colours are.

    So what lay on nothing leaves nothing, and a hole in something opaque is closed. Where what was removed was no more and no less opaque
    than what is around it, every value stays.

    Args:
        alpha: uint8 [H, W].
        mask: bool [H, W], what was removed.
        reach: pixels around it that were filled, too.

    Returns:
        uint8 [H, W]; `alpha` itself where it stays.
    """
    import cv2

    box = masks.bounds(mask)
    if box is None:
        return alpha
    around = box.padded(int(reach) + 4).clipped(alpha.shape[1], alpha.shape[0])
    before, inside = alpha[around.slices], masks.grow(mask[around.slices], reach)
    if before.min() == before.max() or inside.all():
        return alpha
    after = before.copy()
    for piece in masks.components(inside):
        near = piece.box.padded(3).clipped(before.shape[1], before.shape[0])
        hole = np.zeros((near.height, near.width), bool)
        hole[piece.box.shifted(-near.left, -near.top).slices] = piece.mask
        ring = before[near.slices][masks.grow(hole, 2) & ~inside[near.slices]]
        if not ring.size:
            continue
        least, most = ring.min(), ring.max()
        was = before[near.slices][hole]
        if was.min() >= least and was.max() <= most and (least > 0 or most == 0):
            continue
        filled = cv2.inpaint(np.ascontiguousarray(before[near.slices]), hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        part = after[near.slices]
        part[hole] = filled[hole].clip(least, most)
    if np.array_equal(after, before):
        return alpha
    out = alpha.copy()
    out[around.slices] = after
    return out
