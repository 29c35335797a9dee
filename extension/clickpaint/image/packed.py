"""Masks in little memory: hundreds of them, of a large picture, would not fit as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.image.geometry import Box


@dataclass(frozen=True, eq=False)
class PackedMask:
    """A mask that selects something, as bits within its bounds.

    Attributes:
        size: (width, height) of the picture.
        box: the smallest box around what is selected.
        bits: uint8 [box.height, ceil(box.width / 8)], `numpy.packbits` of the rows within the box.
        area: how many pixels are selected.
    """

    size: tuple[int, int]
    box: Box
    bits: np.ndarray
    area: int

    @classmethod
    def of(cls, mask: np.ndarray) -> PackedMask | None:
        """The packed form of `mask`, bool [H, W]; None where nothing is selected."""
        packed = packed_fields(mask)
        return None if packed is None else cls(*packed)

    @property
    def inside(self) -> np.ndarray:
        """The mask within the box, bool [box.height, box.width], a new array."""
        return np.unpackbits(self.bits, axis=1, count=self.box.width).view(bool)

    @property
    def mask(self) -> np.ndarray:
        """The whole mask, bool [H, W], a new array."""
        whole = np.zeros(self.size[::-1], bool)
        whole[self.box.slices] = self.inside
        return whole

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes


def packed_fields(
    mask: np.ndarray, size: tuple[int, int] | None = None, at: tuple[int, int] = (0, 0)
) -> tuple[tuple[int, int], Box, np.ndarray, int] | None:
    """The fields of a `PackedMask`; None where nothing is selected.

    Args:
        mask: bool [h, w], of the picture or of a crop of it.
        size: (width, height) of the picture where the mask is of a crop.
        at: (left, top) of that crop in the picture.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    box = Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    inside = mask[box.slices]
    whole = size or (mask.shape[1], mask.shape[0])
    return whole, box.shifted(*at), np.packbits(inside, axis=1), int(np.count_nonzero(inside))
