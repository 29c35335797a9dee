"""Files of pictures in every kind of samples, small and with few colours."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from tests.image.files import file_of

LOSSLESS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "RGB;16"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("P",),
    "WEBP": ("RGB", "RGBA"),
}
WIDTH, HEIGHT = 53, 37


def rng():
    return np.random.default_rng(0)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def photo(mode: str = "RGB") -> Image.Image:
    # Few enough colours that a palette has entries left.
    image = Image.fromarray(rng().integers(0, 5, (HEIGHT, WIDTH, 3), np.uint8) * np.uint8(60))
    if mode == "P":
        return image.quantize(100)
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(rng().integers(0, 256, (HEIGHT, WIDTH), np.uint8)))
        return image
    return image.convert(mode)


def deep(format: str, channels: int) -> bytes:
    array = rng().integers(0, 65536, (HEIGHT, WIDTH, channels), dtype=np.uint16)
    return cv2.imencode({"PNG": ".png", "TIFF": ".tiff"}[format], array)[1].tobytes()


def png(width: int, height: int, colour: int, bits: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG put together by hand."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)),
        *chunks,
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def sample(format: str, mode: str) -> bytes:
    if mode == "LA;16":
        array = rng().integers(0, 65536, (HEIGHT, WIDTH, 2), dtype=np.uint16).astype(">u2")
        return png(WIDTH, HEIGHT, 4, 16, b"".join(b"\0" + row.tobytes() for row in array))
    if mode.endswith(";16"):
        return deep(format, {"I;16": 1, "RGB;16": 3, "RGBA;16": 4}[mode])
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    return file_of(photo(mode), format, **options)
