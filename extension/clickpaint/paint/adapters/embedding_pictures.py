"""Textual inversions inside of pictures, as the web UI shares them: as text beside the pixels, or in the pixels at both sides."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".webp", ".jxl", ".avif")
_KEY = "sd-ti-embedding"
_LARGEST = 64 << 20
"""Bytes of text; an embedding of a whole prompt has three million."""

_IFD, _COMMENT, _DESCRIPTION = 0x8769, 0x9286, 0x010E


def embedding_in(path: Path) -> dict[str, Any] | None:
    """What an embedding's file would hold ("string_to_param", "name", …), its vectors as nested lists of numbers; None where the
    picture has no embedding in it, or cannot be read.

    Args:
        path: the picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return _in_text(picture) or _in_pixels(np.asarray(picture.convert("RGB")))
    except Exception:  # a picture that cannot be read has no embedding in it, whatever the reason
        return None


def _in_text(picture: Image.Image) -> dict[str, Any] | None:
    """From a PNG's text, or from EXIF where a picture was saved as WebP."""
    exif = picture.getexif()
    for value in (picture.info.get(_KEY), exif.get_ifd(_IFD).get(_COMMENT), exif.get(_DESCRIPTION)):
        text = _text(value)
        if not text:
            continue
        try:
            content = _decoded(base64.b64decode(text.strip().removeprefix(_KEY).lstrip(": ").encode(), validate=True))
        except (ValueError, RecursionError):
            continue
        if content is not None:
            return content
    return None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        if value.startswith(b"UNICODE\0"):
            order = "utf-16-le" if value[9:10] == b"\0" else "utf-16-be"
            return value[8:].decode(order, "ignore").removeprefix("\ufeff")
        return value.removeprefix(b"ASCII\0\0\0").decode("latin-1")
    return value if isinstance(value, str) else ""


def _in_pixels(pixels: np.ndarray) -> dict[str, Any] | None:
    """From the lower halves of the bytes left and right of the picture proper, from which a black column parts them: the halves of
    the bytes of compressed text, disguised.

    Args:
        pixels: uint8 [H, W, 3].
    """
    inside = (pixels > 0).all(2)
    columns, rows = np.flatnonzero(inside.any(axis=0)), np.flatnonzero(inside.T.any(axis=0))
    if not len(columns):
        return None
    halves = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] & 0x0F
    black = np.flatnonzero(~halves.any((0, 2)))
    if len(black) < 2:
        return None
    lower, upper = halves[:, : black[0]], halves[:, black[-1] + 1 :]
    if lower.shape != upper.shape or not lower.size:
        return None
    disguise = _disguise(lower.size)
    octets = ((upper.ravel() ^ disguise) << 4) | (lower.ravel() ^ disguise)
    if octets[0] != 0x78:  # how compressed text begins
        return None
    text = zlib.decompressobj().decompress(octets.tobytes(), _LARGEST)
    return _decoded(text)


def _disguise(count: int) -> np.ndarray:
    """uint8 [count], each below 16: the numbers of a linear congruential generator."""
    numbers = np.empty(count, np.uint8)
    state = 0
    for place in range(count):
        state = (1664525 * state + 1013904223) % (1 << 32)
        numbers[place] = state % 255 & 0x0F
    return numbers


def _decoded(text: bytes) -> dict[str, Any] | None:
    content = json.loads(text[:_LARGEST], object_hook=lambda entry: entry.get("TORCHTENSOR", entry))
    return content if isinstance(content, dict) and "string_to_param" in content else None
