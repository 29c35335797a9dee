"""An example as arrays in its bucket's size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clickpaint.train.dataset.buckets import Item
from clickpaint.train.dataset.picture_reading import file_checksum, mask_of, read_picture


@dataclass(frozen=True, eq=False)
class LoadedExample:
    """What a training step needs of an example, all cut, scaled and mirrored alike.

    Attributes:
        pixels: uint8 [H, W, 3] RGB in the bucket's size.
        mask: float32 [H, W], 1 for the object; None where all of the picture counts.
        caption: with the trigger word.
        control_map: uint8 [H, W, 3] RGB; None for none.
        before: uint8 [H, W, 3] RGB, what the picture was before the edit; None for none.
    """

    pixels: np.ndarray
    mask: np.ndarray | None
    caption: str
    control_map: np.ndarray | None = None
    before: np.ndarray | None = None


def load(item: Item) -> LoadedExample:
    """Read an example for its turn.

    Raises:
        InvalidInput: a file of it is not there (any more), or is no picture.
    """
    example = item.example
    mask = mask_of(example)
    soft = None if mask is None else _fitted(mask, item).astype(np.float32) / np.float32(255)
    return LoadedExample(
        _fitted(read_picture(example.picture).pixels, item), soft, item.caption, _further(example.control_map, item),
        _further(example.before, item),
    )  # fmt: skip


def cache_key(item: Item) -> str:
    """What the pictures of a turn are known by, hexadecimal: equal exactly where their files, size, crop and mirroring are. Not the
    caption. Raises `InvalidInput`."""
    example = item.example
    files = [example.picture, example.mask, example.control_map, example.before]
    checksums = [None if file is None else file_checksum(file) for file in files]
    return hashlib.sha256(repr((checksums, item.size, item.crop, item.flipped)).encode()).hexdigest()


def _further(file: Path | None, item: Item) -> np.ndarray | None:
    return None if file is None else _fitted(read_picture(file).pixels, item)


def _fitted(array: np.ndarray, item: Item) -> np.ndarray:
    """A picture's array, uint8 [H, W] or [H, W, 3], in the item's size. It may have another size than the item's picture, not other
    proportions."""
    across, down = array.shape[1] / item.picture_size[0], array.shape[0] / item.picture_size[1]
    left, top, right, bottom = item.crop
    box = (left * across, top * down, min(right * across, array.shape[1]), min(bottom * down, array.shape[0]))
    if box == (0, 0, array.shape[1], array.shape[0]) and item.size == (array.shape[1], array.shape[0]):
        fitted = array
    else:
        fitted = np.asarray(Image.fromarray(array).resize(item.size, Image.Resampling.LANCZOS, box=box))
    return np.ascontiguousarray(fitted[:, ::-1] if item.flipped else fitted)
