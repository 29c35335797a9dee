"""From a field of logits to masks of the picture's size, without upscaling what has only one sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_DENSE_PIXELS = 1 << 21
"""Up to here interpolating every pixel is the faster way."""


_PIXELS_AT_ONCE = 1 << 24
"""Of masks that are made together on a card: 64 MB of float32."""


def above(field: Tensor, size: tuple[int, int], thresholds: Sequence[float] = (0.0,)) -> Iterator[list[np.ndarray]]:
    """Where `field`, bilinearly resized to `size`, is above the thresholds.

    The same as `F.interpolate(field, size, mode="bilinear", align_corners=False) > threshold`. A pixel between four samples
    on the same side of the threshold lies on that side too, so only those on a mask's edge are interpolated: a picture of
    16 megapixels costs milliseconds instead of tenths of a second, and no float array of its size.

    Args:
        field: float32 [N, h, w].
        size: (H, W).

    Returns:
        N times the masks of the thresholds, bool [H, W] on the CPU; one after the other, as many may not fit into memory.
    """
    height, width = size
    enlarges = height >= field.shape[1] and width >= field.shape[2]
    if field.device.type != "cpu" or height * width <= _DENSE_PIXELS or not enlarges:
        yield from (_dense(logits, size, thresholds) for logits in field)
        return
    rows, columns = _Axis(field.shape[1], height), _Axis(field.shape[2], width)
    yield from ([_sparse(logits, size, threshold, rows, columns) for threshold in thresholds] for logits in field)


def stable(field: Tensor, size: tuple[int, int], offset: float, least: float) -> Iterator[np.ndarray | None]:
    """Where `field`, resized as `above` does, is above 0, for each of it that changes little when it is cut higher or lower.

    Args:
        field: float32 [N, h, w].
        size: (H, W).
        offset: cut that much higher and lower; a mask's stability is the IoU of the two (Kirillov et al. 2023, appendix B).
        least: lowest stability, 0..1.

    Returns:
        N times the mask, bool [H, W] on the CPU; None for those less stable. On a card, what is not kept never leaves it.
    """
    if field.device.type != "cpu":
        yield from _stable_on_card(field, size, offset, least)
        return
    for mask, inner, outer in above(field, size, (0.0, offset, -offset)):
        yield mask if np.count_nonzero(inner) / max(np.count_nonzero(outer), 1) >= least else None


def _stable_on_card(field: Tensor, size: tuple[int, int], offset: float, least: float) -> Iterator[np.ndarray | None]:
    """As `stable`: only the counts, and of the masks those that are kept, leave the card."""
    import torch
    from torch.nn import functional

    for part in field.split(max(1, _PIXELS_AT_ONCE // (size[0] * size[1]))):
        full = functional.interpolate(part[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        inner, outer = torch.stack([(full > threshold).sum((1, 2)) for threshold in (offset, -offset)]).cpu().numpy()
        keep = inner / outer.clip(min=1) >= least
        masks = iter((full > 0)[torch.from_numpy(keep).to(full.device)].cpu().numpy())
        yield from (next(masks) if kept else None for kept in keep)


def _dense(field: Tensor, size: tuple[int, int], thresholds: Sequence[float]) -> list[np.ndarray]:
    from torch.nn import functional

    full = functional.interpolate(field[None, None], size, mode="bilinear", align_corners=False)[0, 0]
    return [(full > threshold).cpu().numpy() for threshold in thresholds]


class _Axis:
    """Along one axis: between which two samples each of `size` pixels lies, and where the pixels of each sample begin.

    The arithmetic is torch's, in float32, so that the interpolated values are its values.
    """

    def __init__(self, samples: int, size: int) -> None:
        ratio = np.float32(samples) / np.float32(size)
        at = np.maximum(ratio * (np.arange(size, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5), np.float32(0))
        self.low = np.minimum(at.astype(np.int32), samples - 1)
        self.high = np.minimum(self.low + 1, samples - 1)
        self.far = np.clip(at - self.low.astype(np.float32), np.float32(0), np.float32(1))
        self.near = np.float32(1) - self.far
        self.begin = np.searchsorted(self.low, np.arange(samples + 1)).astype(np.int32)
        self.most = int(np.diff(self.begin).max())


def _sparse(field: Tensor, size: tuple[int, int], threshold: float, rows: _Axis, columns: _Axis) -> np.ndarray:
    values = field.numpy()
    over = (values > threshold).view(np.uint8)
    pairs = over + np.concatenate([over[1:], over[-1:]])
    four = pairs + np.concatenate([pairs[:, 1:], pairs[:, -1:]], axis=1)  # of the samples around a pixel, how many are above
    mixed = (four - 1) < 3  # 0 wraps around to 255
    if np.count_nonzero(mixed) > 0.1 * mixed.size:
        return _dense(field, size, (threshold,))[0]
    mask = np.take(np.take(four == 4, columns.low, axis=1), rows.low, axis=0)

    top, left = np.nonzero(mixed)
    y = rows.begin[top][:, None] + np.arange(rows.most, dtype=np.int32)
    x = columns.begin[left][:, None] + np.arange(columns.most, dtype=np.int32)
    inside = (y < rows.begin[top + 1][:, None])[:, :, None] & (x < columns.begin[left + 1][:, None])[:, None, :]
    y, x = np.minimum(y, size[0] - 1), np.minimum(x, size[1] - 1)
    near, far = columns.near[x], columns.far[x]
    bottom, after = np.minimum(top + 1, values.shape[0] - 1), np.minimum(left + 1, values.shape[1] - 1)
    upper = values[top, left][:, None] * near + values[top, after][:, None] * far
    lower = values[bottom, left][:, None] * near + values[bottom, after][:, None] * far
    edge = upper[:, None, :] * rows.near[y][:, :, None] + lower[:, None, :] * rows.far[y][:, :, None]
    where = np.broadcast_to(y[:, :, None], inside.shape)[inside], np.broadcast_to(x[:, None, :], inside.shape)[inside]
    mask[where] = edge[inside] > threshold
    return mask
