"""Masks in as few bytes as they take: of a clip there are thousands."""

from __future__ import annotations

import json
import zlib

import numpy as np

from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask


def compressed(mask: np.ndarray) -> tuple[str, bytes]:
    """A mask, bool [H, W], as its bounds and area in JSON and its bits; both empty where it selects nothing."""
    packed = PackedMask.of(mask)
    if packed is None:
        return "", b""
    return json.dumps([*packed.box, packed.area]), zlib.compress(packed.bits.tobytes(), 1)


def uncompressed(bounds: str, bits: bytes, size: tuple[int, int]) -> PackedMask | None:
    """What `compressed` made of a mask of this (width, height); None where it selects nothing."""
    if not bounds:
        return None
    left, top, right, bottom, area = json.loads(bounds)
    box = Box(left, top, right, bottom)
    packed = np.frombuffer(zlib.decompress(bits), np.uint8).reshape(box.height, (box.width + 7) // 8)
    return PackedMask(size, box, packed, area)
