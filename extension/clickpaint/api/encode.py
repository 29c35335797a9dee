"""Answers as bytes. The ones on a click's way are made by hand, because every millisecond there is felt."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import quote

import numpy as np
from fastapi import Response
from fastapi.responses import StreamingResponse
from PIL import Image

from clickpaint.errors import with_codes
from clickpaint.image import png
from clickpaint.image.packed import PackedMask

PRIVATE = {"Cache-Control": "private, no-store"}
"""Headers of what only who asked may see, and what is another thing under the same address soon."""


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII: text from a request may hold what UTF-8 cannot (half of a surrogate pair)."""
    body = json.dumps(with_codes(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=str).encode("ascii")
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


_BLOCK = 1 << 18


def zip_file(file: IO[bytes], name: str) -> Response:
    """A zip file to be saved under this name; it is closed when all of it is sent."""
    headers = {**PRIVATE, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return StreamingResponse(_blocks(file), 200, headers, "application/zip")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def mask_png(mask: np.ndarray) -> bytes:
    """A 1-bit greyscale PNG of a mask, bool [H, W]; selected is white.

    Written by hand (PNG specification, sections 5 and 11.2) since it takes 0.5 ms per megapixel; cv2 needs 1.2 and Pillow 2.3.
    """
    return png.grey(np.packbits(mask, axis=1), mask.shape[1], depth=1)


def packed_png(mask: PackedMask) -> bytes:
    """The same PNG of a mask that is packed already."""
    return png.grey(mask.rows, mask.size[0], depth=1)


def grey_png(values: np.ndarray) -> bytes:
    """A greyscale PNG of uint8 or uint16 [H, W]."""
    depth = values.dtype.itemsize * 8
    return png.grey(values.astype(values.dtype.newbyteorder(">")).view(np.uint8), values.shape[1], depth)


def rgb_png(pixels: np.ndarray) -> bytes:
    """A PNG of uint8 [H, W, 3], or [H, W, 4] with alpha, made fast rather than small."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
