"""The files of an example as arrays, and what is known of them without the pixels."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image import picture_files, readers
from clickpaint.image.geometry import Box
from clickpaint.image.picture import Picture
from clickpaint.image.picture_files import Limits
from clickpaint.train.dataset.examples import TrainingExample

_LIMITS = Limits(max_pixels=1_000_000_000, max_bytes=4 << 30)
"""The user's own files, which were chosen one by one."""
_REMEMBERED = 65536
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values that exchange width and height."""


@dataclass(frozen=True)
class Measures:
    """An example's picture and object, in pixels of the picture's file.

    Attributes:
        width, height: of the picture, upright.
        object_box: around the mask (what is at least half selected); None without a mask, or for an empty one.
        object_area: pixels of the mask; all of the picture without one.
    """

    width: int
    height: int
    object_box: Box | None
    object_area: int


def read_picture(file: Path) -> Picture:
    """Raises `InvalidInput` with the file's name: it is not there, or no picture."""
    try:
        return picture_files.decode(file.read_bytes(), _LIMITS)
    except OSError as error:
        raise InvalidInput("{file} cannot be read: {reason}.", file=file.name, reason=error.strerror or error) from error
    except ClickpaintError as error:
        raise InvalidInput("{file} cannot be read: {reason}", error.remedy, file=file.name, reason=error.message) from error


def read_mask(file: Path, own_alpha: bool) -> np.ndarray | None:
    """A mask's file, uint8 [H, W], 255 for what is selected; None where it selects everything or is no mask at all.

    Args:
        file: of a picture.
        own_alpha: whether it is the mask of its own pixels: then only its alpha counts.

    Raises:
        InvalidInput: it cannot be read.
    """
    picture = read_picture(file)
    alpha = picture.alpha
    if own_alpha or (alpha is not None and alpha.min() != alpha.max()):
        return None if alpha is None or alpha.min() == 255 else alpha
    return picture.pixels.max(axis=2)


def mask_of(example: TrainingExample) -> np.ndarray | None:
    """An example's mask as `read_mask` gives it; None without one."""
    return None if example.mask is None else read_mask(example.mask, example.mask == example.picture)


def measures(example: TrainingExample) -> Measures:
    """What is known of an example, remembered until its files change. Raises `InvalidInput`."""
    mask = example.mask
    return _measures(example.picture, _stamp(example.picture), mask, None if mask is None else _stamp(mask))


def file_checksum(file: Path) -> str:
    """sha256 of a file, hexadecimal, remembered until it changes. Raises `InvalidInput`."""
    return _checksum(file, _stamp(file))


@lru_cache(_REMEMBERED)
def _measures(picture: Path, stamp: object, mask: Path | None, mask_stamp: object) -> Measures:
    width, height = _size(picture)
    selected = None if mask is None else read_mask(mask, mask == picture)
    if selected is None:
        return Measures(width, height, None, width * height)
    inside = selected > 127
    box = masks.bounds(inside)
    across, down = width / inside.shape[1], height / inside.shape[0]
    if abs(across / down - 1) > 0.02 and abs(inside.shape[1] - width * inside.shape[0] / height) > 1:
        raise InvalidInput(
            "The mask of {file} is {width} × {height}, the picture {picture_width} × {picture_height}.",
            "Give a mask of the picture's size, or at least of its proportions.",
            file=picture.name,
            width=inside.shape[1],
            height=inside.shape[0],
            picture_width=width,
            picture_height=height,
        )
    if box is not None:
        box = Box(int(box.left * across), int(box.top * down), -int(-box.right * across // 1), -int(-box.bottom * down // 1))
    return Measures(width, height, box, round(np.count_nonzero(inside) * across * down))


def _size(file: Path) -> tuple[int, int]:
    """(width, height) of a picture, upright: from its header where that says it, since a photograph takes half a second to unpack."""
    try:
        data = file.read_bytes()
        format = readers.format_of(data)
        if format == "PNG" and not any(mark in data for mark in (b"eXIf", b"exif", b"tiff:Orientation")):
            return struct.unpack_from(">II", data, 16)
        if format in ("JPEG", "WEBP"):
            image = readers.opened(format, data)
            width, height = image.size
            return (height, width) if image.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE else (width, height)
    except Exception:  # whatever is wrong with it is said where it is read
        pass
    return read_picture(file).size


@lru_cache(_REMEMBERED)
def _checksum(file: Path, stamp: object) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidInput("{file} cannot be read: {reason}.", file=file.name, reason=error.strerror or error) from error


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise InvalidInput("{file} cannot be read: {reason}.", file=file.name, reason=error.strerror or error) from error
    return status.st_mtime_ns, status.st_size
