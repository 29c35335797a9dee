"""Putting a model's result into a picture so that nothing outside the mask changes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box, CropPlan, CropRules, plan_crop
from clickpaint.image.groups import groups
from clickpaint.progress import SILENT, Progress

Fill = Callable[[np.ndarray, np.ndarray, Progress], np.ndarray]
"""fill(crop uint8 [h, w, 3], hole bool [h, w], progress) → uint8 [h, w, 3]. What it returns outside the hole does not matter.
The hole may be everything there is. Both arrays are its own to write into."""


def hole(mask: np.ndarray, grow: float, feather: float) -> np.ndarray:
    """What a model may change, bool [H, W]: everything within `grow + feather` pixels of the mask."""
    return masks.grow(mask, grow + feather)


def alpha(mask: np.ndarray, grow: float, feather: float) -> np.ndarray:
    """How much of the result is taken, float32 [H, W]: exactly 1 within `grow` of the mask, exactly 0 outside the `hole`."""
    return masks.feather(mask, feather, grow)


def composite(original: np.ndarray, result: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`result` over `original`, both uint8 [H, W, 3]; bit for bit the original where alpha is 0 and the result where it is 1."""
    out = np.where((alpha >= 1)[..., None], result, original)
    band = (alpha > 0) & (alpha < 1)
    share = alpha[band][:, None]
    out[band] = np.rint(original[band] * (1 - share) + result[band] * share)
    return out


def inpaint(
    pixels: np.ndarray,
    mask: np.ndarray,
    fill: Fill,
    *,
    rules: CropRules,
    grow: float = 0,
    feather: float = 0,
    progress: Progress = SILENT,
) -> np.ndarray:
    """`pixels`, uint8 [H, W, 3], with what `mask`, bool [H, W], selects filled by `fill`; a new array.

    Everything farther than `grow + feather` from the mask stays bit for bit; everything within `grow` is the result
    alone; between them it fades. `fill` is called once per group of pieces of the mask (`clickpaint.image.groups`) with a crop
    made by `rules`; its hole holds all that is still to be filled in that crop, its own group or not. Time and memory go with
    the holes' sizes and not with the picture's, but for one copy of `pixels`.

    Raises:
        InvalidInput: the mask has another size than the picture, or `grow` or `feather` is negative.
        Interrupted: the user asked to stop.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or mask.dtype != bool:
        raise TypeError(f"expected uint8 [H, W, 3] and bool [H, W], got {pixels.dtype} {pixels.shape} and {mask.dtype} {mask.shape}")
    masks.check_size(mask, (pixels.shape[1], pixels.shape[0]))
    if not (0 <= grow < math.inf and 0 <= feather < math.inf):
        raise InvalidInput(
            "The mask cannot grow by {grow:g} and be feathered by {feather:g} pixels.", "Give 0 or more.", grow=grow, feather=feather
        )
    size = pixels.shape[1], pixels.shape[0]
    reach = math.ceil(grow + feather)

    # Copies are made when they are first written to: while the network of the only group computes, which is the most, there are none.
    out = pixels
    left = mask  # what is still to be filled

    def plan_of(box: Box) -> CropPlan:
        return plan_crop(box.padded(reach).clipped(*size), size, rules)

    boxes = groups(mask, plan_of)
    plans = [plan_of(box) for box in boxes]
    costs = np.cumsum([0.0] + [plan.work_size[0] * plan.work_size[1] for plan in plans])
    for box, plan, start, end in zip(boxes, plans, costs, costs[1:], strict=False):
        if not left[box.slices].any():  # done together with another group
            continue
        part = progress.part(start / costs[-1], end / costs[-1])
        part.check()
        own = np.zeros((plan.box.height, plan.box.width), bool)
        own[box.shifted(-plan.box.left, -plan.box.top).slices] = left[box.slices]
        # What another group will fill counts as a hole here too, and so does its margin where it reaches into this crop.
        wide = plan.box.padded(reach).clipped(*size)
        holes = hole(left[wide.slices], grow, feather)[plan.box.shifted(-wide.left, -wide.top).slices]

        crop = plan.extract(out)
        result = fill(crop, plan.mask_to_work(holes), part)
        if result.shape != (*plan.work_size[::-1], 3) or result.dtype != np.uint8:
            raise TypeError(f"fill returned {result.dtype} {result.shape} instead of uint8 {(*plan.work_size[::-1], 3)}")
        out = pixels.copy() if out is pixels else out
        out[plan.box.slices] = composite(out[plan.box.slices], plan.restore(result), alpha(own, grow, feather))
        if end < costs[-1]:
            left = mask.copy() if left is mask else left
            left[box.slices] = False
    progress.check()
    return pixels.copy() if out is pixels else out
