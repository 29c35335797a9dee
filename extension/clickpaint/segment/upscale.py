"""From a field of logits to masks of the picture's size, without upscaling what has only one sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask

if TYPE_CHECKING:
    from torch import Tensor

_DENSE_PIXELS = 1 << 21
"""Up to here interpolating every pixel of a field that is enlarged once is the faster way."""
_DENSE_SHARE, _DENSE_SHARE_OF_TWICE = 0.1, 0.04
"""From so many cells on that a mask's edge goes through, of all, it is as well."""

_PIXELS_AT_ONCE = 1 << 24
"""Of masks that are made together on a card: 64 MB of float32."""


@dataclass(frozen=True, eq=False)
class FourTimes:
    """A field that is its samples, enlarged four times and cut, as SAM's own code does it before it resizes them to the picture's size.

    Attributes:
        samples: float32 [N, r, c], at least one more in each direction than the field needs, or all there are.
        size: (h, w) of the field.
    """

    samples: Tensor
    size: tuple[int, int]

    def whole(self) -> Tensor:
        """The field, float32 [N, h, w]."""
        from torch.nn import functional

        enlarged = functional.interpolate(self.samples[None], scale_factor=4.0, mode="bilinear", align_corners=False)[0]
        return enlarged[:, : self.size[0], : self.size[1]]


def above(field: Tensor | FourTimes, size: tuple[int, int], thresholds: Sequence[float] = (0.0,)) -> Iterator[list[np.ndarray]]:
    """Where `field`, bilinearly resized to `size`, is above the thresholds.

    The same as `F.interpolate(field, size, mode="bilinear", align_corners=False) > threshold`. A pixel between four samples
    on the same side of the threshold lies on that side too, so only those on a mask's edge are interpolated: a picture of
    16 megapixels costs milliseconds instead of tenths of a second, and no float array of its size.

    Args:
        field: float32 [N, h, w]; one that is `FourTimes` its samples is never made whole where only its edges count.
        size: (H, W).

    Returns:
        N times the masks of the thresholds, bool [H, W] on the CPU; one after the other, as many may not fit into memory.
    """
    height, width = size
    if isinstance(field, FourTimes):
        if field.samples.device.type == "cpu":
            twice = _Twice(field, size)
            yield from ([twice.above(index, threshold) for threshold in thresholds] for index in range(len(field.samples)))
            return
        field = field.whole()
    enlarges = height >= field.shape[1] and width >= field.shape[2]
    if field.device.type != "cpu" or height * width <= _DENSE_PIXELS or not enlarges:
        yield from (_dense(logits, size, thresholds) for logits in field)
        return
    rows, columns = _Axis(field.shape[1], height), _Axis(field.shape[2], width)
    yield from ([_sparse(logits, size, threshold, rows, columns) for threshold in thresholds] for logits in field)


def stable(field: Tensor | FourTimes, size: tuple[int, int], offset: float, least: float) -> Iterator[PackedMask | None]:
    """Where `field`, resized as `above` does, is above 0, for each of it that changes little when it is cut higher or lower.

    Args:
        field: as of `above`.
        size: (H, W).
        offset: cut that much higher and lower; a mask's stability is the IoU of the two (Kirillov et al. 2023, appendix B).
        least: lowest stability, 0..1.

    Returns:
        N times the mask; None for those less stable, and those that select nothing. On a card, what is not kept never leaves it, and
        what is kept leaves it as bits.
    """
    if isinstance(field, FourTimes) and field.samples.device.type != "cpu":
        field = field.whole()
    if not isinstance(field, FourTimes) and field.device.type != "cpu":
        yield from _stable_on_card(field, size, offset, least)
        return
    for mask, inner, outer in above(field, size, (0.0, offset, -offset)):
        kept = np.count_nonzero(inner) / max(np.count_nonzero(outer), 1) >= least
        yield PackedMask.of(mask) if kept else None


def _stable_on_card(field: Tensor, size: tuple[int, int], offset: float, least: float) -> Iterator[PackedMask | None]:
    """As `stable`: only the counts, and of the masks that are kept their bits, leave the card."""
    import torch
    from torch.nn import functional

    for part in field.split(max(1, _PIXELS_AT_ONCE // (size[0] * size[1]))):
        full = functional.interpolate(part[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        masks = full > 0
        down, across = masks.any(2).byte(), masks.any(1).byte()  # of bool there is no argmax
        counts = [(full > offset).sum((1, 2)), (full > -offset).sum((1, 2)), masks.sum((1, 2))]
        edges = [across.argmax(1), down.argmax(1), size[1] - across.flip(1).argmax(1), size[0] - down.flip(1).argmax(1)]
        numbers = torch.stack([*counts, *edges], 1).cpu().numpy()
        keep = (numbers[:, 0] / numbers[:, 1].clip(min=1) >= least) & (numbers[:, 2] > 0)
        rows = iter(_bits(masks[torch.from_numpy(keep).to(full.device)]).cpu().numpy())
        for kept, (_, _, area, *box) in zip(keep, numbers.tolist(), strict=True):
            yield PackedMask.of_rows((size[1], size[0]), Box(*box), next(rows), area) if kept else None


def _bits(masks: Tensor) -> Tensor:
    """`numpy.packbits` of the rows of masks, bool [N, H, W]: uint8 [N, H, ceil(W / 8)]."""
    import torch
    from torch.nn import functional

    eights = functional.pad(masks.byte(), (0, -masks.shape[2] % 8)).unflatten(2, (-1, 8))
    places = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=masks.device)
    return (eights * places).sum(3, dtype=torch.uint8)


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
    if np.count_nonzero(mixed) > _DENSE_SHARE * mixed.size:
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


_STEPS = np.arange(6)
_LOW = np.array([0, 1, 1, 1, 1, 2])
"""Of six rows of a field that is `FourTimes` its samples, the first the last of its four, between which of four samples each lies: this
one and the next."""


class _Twice:
    """Masks of a field that is `FourTimes` its samples.

    Where the samples around it are on one side of the threshold, so is the field, and so is what is made of the field. So only blocks
    that the edge goes through are computed: those four rows and columns of the field that lie between the same samples, with what they
    share with their neighbours. Block g is rows 4 g - 2 to 4 g + 1, between samples g - 1 and g. All arithmetic is torch's; see `_Axis`.
    """

    def __init__(self, field: FourTimes, size: tuple[int, int]) -> None:
        self._field, self._size = field, size
        (rows, columns), (height, width) = field.samples.shape[1:], field.size
        self._rows, self._columns = _blocks(rows, height, size[0]), _blocks(columns, width, size[1])

    def above(self, index: int, threshold: float) -> np.ndarray:
        values = self._field.samples[index].numpy()
        over = np.pad((values > threshold).view(np.uint8), 1, mode="edge")
        pairs = over[:-1] + over[1:]
        four = pairs[:, :-1] + pairs[:, 1:]
        block, across = np.nonzero((four - 1) < 3)  # 0 wraps around to 255
        if len(block) > _DENSE_SHARE_OF_TWICE * four.size:
            return _dense(FourTimes(self._field.samples[index, None], self._field.size).whole()[0], self._size, (threshold,))[0]
        mask = np.take(np.take(four == 4, self._columns.of, axis=1), self._rows.of, axis=0)
        seen = self._rows.seen[block] & self._columns.seen[across]
        if seen.any():
            self._interpolate(values, threshold, block[seen], across[seen], mask)
        return mask

    def _interpolate(self, values: np.ndarray, threshold: float, block: np.ndarray, across: np.ndarray, mask: np.ndarray) -> None:
        rows, columns = self._rows, self._columns
        samples = values[rows.samples[block][:, :, None], columns.samples[across][:, None, :]]
        near, far = columns.near[across][:, None], columns.far[across][:, None]
        wide = samples[:, :, _LOW] * near + samples[:, :, _LOW + 1] * far
        near, far = rows.near[block][:, :, None], rows.far[block][:, :, None]
        field = wide[:, _LOW] * near + wide[:, _LOW + 1] * far  # [n, 6, 6]

        at = np.arange(0, field.size, 6).reshape(-1, 6, 1)
        near, far = columns.pixel_near[across][:, None], columns.pixel_far[across][:, None]
        wide = np.take(field, at + columns.low[across][:, None]) * near + np.take(field, at + columns.high[across][:, None]) * far
        count = wide.shape[2]
        at = np.arange(0, wide.size, 6 * count).reshape(-1, 1, 1) + np.arange(count)
        near, far = rows.pixel_near[block][:, :, None], rows.pixel_far[block][:, :, None]
        low, high = (at + (edge[block] * count)[:, :, None] for edge in (rows.low, rows.high))
        edge = np.take(wide, low) * near + np.take(wide, high) * far
        mask.reshape(-1)[(rows.pixels[block] * mask.shape[1])[:, :, None] + columns.pixels[across][:, None]] = edge > threshold


class _Blocks:
    """Along one axis of `_Twice`: for each block, which samples, rows of the field and pixels it is about.

    Attributes:
        of: block of each pixel.
        samples: [blocks, 4] around it.
        near, far: [blocks, 6] weights of the samples in its six rows of the field.
        pixels: [blocks, m] that lie between these rows, the last of them repeated.
        low, high: [blocks, m] between which of the six rows; pixel_near, pixel_far: their weights.
        seen: bool [blocks], whether any pixel lies there.
    """

    def __init__(self, samples: int, length: int, size: int) -> None:
        first, second = _Axis(samples, 4 * samples), _Axis(length, size)
        self.of = (second.low + 2) // 4
        blocks = np.arange(samples + 1)
        self.samples = (blocks[:, None] + np.arange(-2, 2)).clip(0, samples - 1)
        start = 4 * blocks - 3
        row = (start[:, None] + _STEPS).clip(0, 4 * samples - 1)
        self.near, self.far = first.near[row], first.far[row]
        begin, end = (second.begin[row.clip(0, length)].astype(np.intp) for row in (start, start + 5))
        self.seen = end > begin
        self.pixels = np.minimum(begin[:, None] + np.arange((end - begin).max()), (end - 1)[:, None])
        self.pixel_near, self.pixel_far = second.near[self.pixels], second.far[self.pixels]
        self.low, self.high = second.low[self.pixels] - start[:, None], second.high[self.pixels] - start[:, None]


@lru_cache(maxsize=8)
def _blocks(samples: int, length: int, size: int) -> _Blocks:
    """Kept for the next candidate, and the next click in the same picture."""
    return _Blocks(samples, length, size)
