"""From superpixels to pixels: a GrabCut in a narrow band, then a guided filter towards the full picture."""

from __future__ import annotations

import numpy as np

Pixels = list[tuple[int, int, int]]
"""Known pixels: (x, y, label), label 1 inside and 0 outside."""


def sharpen(pixels: np.ndarray, mask: np.ndarray, known: Pixels, band: int = 5) -> np.ndarray:
    """Move the outline of `mask`, bool [h, w], to the edges of `pixels`, uint8 [h, w, 3], by no more than `band` pixels.

    One round of GrabCut (Rother et al. 2004). Known pixels get what they are known to be.
    """
    import cv2

    box = _around(mask, 3 * band + 8)
    crop, inside = np.ascontiguousarray(pixels[box]), mask[box].astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    sure = cv2.erode(inside, kernel, borderValue=1)
    possible = cv2.dilate(inside, kernel)
    state = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    state[sure > 0] = cv2.GC_FGD
    state[possible == 0] = cv2.GC_BGD
    for x, y, label in known:
        x, y = x - box[1].start, y - box[0].start
        if 0 <= x < crop.shape[1] and 0 <= y < crop.shape[0]:
            cv2.circle(state, (x, y), 2, cv2.GC_FGD if label else cv2.GC_BGD, -1)
    foreground = (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)
    if min(foreground.sum(), (~foreground).sum()) < 10:  # fewer samples than the mixtures have parts
        return mask
    cv2.setRNGSeed(1)
    models = np.zeros((2, 1, 65))
    cv2.grabCut(crop, state, None, models[0], models[1], 1, cv2.GC_INIT_WITH_MASK)  # type: ignore
    result = mask.copy()
    result[box] = (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)
    return result


def enlarge(mask: np.ndarray, small: np.ndarray, guide: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`mask`, bool [h, w] over `small`, uint8 [h, w, 3], as bool [height, width] for `size` = (width, height), along the edges of `guide`.

    The fast guided filter (He and Sun 2015): its linear coefficients are found on the small picture and used on the large one. `guide` is
    the picture at a size between; beyond it the soft outline is only interpolated.
    """
    import cv2

    result = np.zeros((size[1], size[0]), bool)
    box = _around(mask, 8)
    h, w = mask.shape
    soft = cv2.GaussianBlur(mask[box].astype(np.float32), (0, 0), 0.8)
    slope, offset = _guided(small[box].astype(np.float32) / 255, soft, radius=2, epsilon=1e-3)
    gh, gw = guide.shape[:2]
    target = _scaled(box, gw / w, gh / h, gw, gh)
    shape = (target[1].stop - target[1].start, target[0].stop - target[0].start)
    fitted, soft = (cv2.resize(part, shape, interpolation=cv2.INTER_LINEAR) for part in (offset, soft))
    for channel in range(3):  # one after another: together they would cost as much memory as some masks
        steep = cv2.resize(np.ascontiguousarray(slope[..., channel]), shape, interpolation=cv2.INTER_LINEAR)
        fitted += steep * (guide[target][..., channel].astype(np.float32) / 255)
    soft = np.where(np.abs(soft - 0.5) < 0.49, 0.5 * soft + 0.5 * fitted, soft)  # the filter may only move the outline, not make islands
    final = _scaled(box, size[0] / w, size[1] / h, *size)
    shape = (final[1].stop - final[1].start, final[0].stop - final[0].start)
    levels = np.clip(np.rint(254 * soft), 0, 254).astype(np.uint8)  # a fourth of the floats' memory at the picture's size
    np.greater(cv2.resize(levels, shape, interpolation=cv2.INTER_LINEAR), 127, out=result[final])
    return result


def _guided(guide: np.ndarray, soft: np.ndarray, radius: int, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """The colour guided filter (He et al. 2010): slope, float32 [h, w, 3], and offset, [h, w], with soft ≈ slope · guide + offset."""
    import cv2

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.blur(plane, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    center, level = mean(guide), mean(soft)
    covariance = np.stack([mean(guide * guide[..., c : c + 1]) for c in range(3)], -1) - center[..., None] * center[..., None, :]
    covariance += epsilon * np.eye(3, dtype=np.float32)
    with_soft = mean(guide * soft[..., None]) - center * level[..., None]
    slope = np.linalg.solve(covariance, with_soft[..., None])[..., 0].astype(np.float32)
    offset = level - (slope * center).sum(2)
    return mean(slope), mean(offset)


def _around(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The part of the picture that holds the mask and a margin; all of it for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    return (
        slice(max(0, int(rows[0]) - margin), min(mask.shape[0], int(rows[-1]) + 1 + margin)),
        slice(max(0, int(columns[0]) - margin), min(mask.shape[1], int(columns[-1]) + 1 + margin)),
    )


def _scaled(box: tuple[slice, slice], x: float, y: float, width: int, height: int) -> tuple[slice, slice]:
    """The same part of a picture of another size, at least one pixel wide and high."""
    top, left = min(round(box[0].start * y), height - 1), min(round(box[1].start * x), width - 1)
    bottom, right = min(height, round(box[0].stop * y)), min(width, round(box[1].stop * x))
    return slice(top, max(top + 1, bottom)), slice(left, max(left + 1, right))
