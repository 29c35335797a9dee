"""Masks in little memory: hundreds of them, of a large picture, would not fit as they are."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

    @classmethod
    def of_rows(cls, size: tuple[int, int], box: Box, rows: np.ndarray, area: int) -> PackedMask:
        """From the whole mask's `rows`. box, area: the mask's."""
        first = box.left // 8
        bits = rows[box.top : box.bottom, first : -(-box.right // 8)]
        if box.left % 8:
            bits = np.packbits(np.unpackbits(bits, axis=1)[:, box.left - 8 * first : box.right - 8 * first], axis=1)
        return cls(size, box, bits.copy(), area)  # which holds nothing else

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
    def rows(self) -> np.ndarray:
        """The whole mask as bits, uint8 [H, ceil(W / 8)], `numpy.packbits` of its rows, a new array: an eighth of what `mask` takes."""
        box, first = self.box, self.box.left // 8
        inside = np.zeros((box.height, 8 * (-(-box.right // 8) - first)), bool)
        inside[:, box.left - 8 * first : box.right - 8 * first] = self.inside
        rows = np.zeros((self.size[1], (self.size[0] + 7) // 8), np.uint8)
        rows[box.top : box.bottom, first : first + inside.shape[1] // 8] = np.packbits(inside, axis=1)
        return rows

    def scaled(self, size: tuple[int, int]) -> np.ndarray:
        """The mask in another (width, height), bool [h, w]: each pixel is the one in its middle. Only the rows asked for are unpacked."""
        columns, rows = (_middles(to, of) for to, of in zip(size, self.size, strict=True))
        across = (columns >= self.box.left) & (columns < self.box.right)
        down = (rows >= self.box.top) & (rows < self.box.bottom)
        whole = np.zeros((size[1], size[0]), bool)
        if across.any() and down.any():
            inside = np.unpackbits(self.bits[rows[down] - self.box.top], axis=1, count=self.box.width).view(bool)
            whole[np.ix_(down, across)] = inside[:, columns[across] - self.box.left]
        return whole

    @property
    def nbytes(self) -> int:
        return self.bits.nbytes


class DeferredMask(PackedMask):
    """A mask of which only the size is known until somebody asks for more: at 16 megapixels, making one costs as much as a click.

    Args:
        size: (width, height) of the picture.
        make: gives the mask, bool [H, W], where something is selected; called once, in the thread of whoever asks first.
        scaled: gives it in another (width, height), as `PackedMask.scaled`, without making it.
        nbytes: what the two hold.
    """

    def __init__(
        self, size: tuple[int, int], make: Callable[[], np.ndarray], scaled: Callable[[tuple[int, int]], np.ndarray], nbytes: int
    ) -> None:
        # a frozen dataclass's own way to set its fields
        for name, value in (("size", size), ("_source", (make, scaled, nbytes)), ("_made", None), ("_making", threading.Lock())):
            object.__setattr__(self, name, value)

    @property
    def made(self) -> PackedMask | None:
        """The mask, where it has been made already."""
        return self._made

    def _whole(self) -> PackedMask:
        with self._making:
            made, source = self._made, self._source
            if made is None:
                assert source is not None
                made = PackedMask.of(source[0]())
                assert made is not None, "it selects nothing"
                object.__setattr__(self, "_made", made)
                object.__setattr__(self, "_source", None)
            return made

    # What is a field there is made here when it is first asked for.
    @property
    def box(self) -> Box:  # pyrefly: ignore[bad-override]
        return self._whole().box

    @property
    def bits(self) -> np.ndarray:  # pyrefly: ignore[bad-override]
        return self._whole().bits

    @property
    def area(self) -> int:  # pyrefly: ignore[bad-override]
        return self._whole().area

    def scaled(self, size: tuple[int, int]) -> np.ndarray:
        source = self._source
        return self._whole().scaled(size) if source is None else source[1](size)

    @property
    def nbytes(self) -> int:
        source = self._source
        return self._whole().nbytes if source is None else source[2]

    _source: tuple[Callable[[], np.ndarray], Callable[[tuple[int, int]], np.ndarray], int] | None
    _made: PackedMask | None
    _making: threading.Lock


def resampled(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask, bool [H, W], in another (width, height): each pixel is the one in its middle."""
    return mask[np.ix_(_middles(size[1], mask.shape[0]), _middles(size[0], mask.shape[1]))]


def _middles(to: int, of: int) -> np.ndarray:
    """Which of `of` pixels lies in the middle of each of `to` that cover the same."""
    return ((np.arange(to) * 2 + 1) * of) // (2 * to)


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
