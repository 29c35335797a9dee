"""Picture files that no library writes, put together by hand."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def file_of(image: Image.Image | np.ndarray, format: str, **options) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format, **options)
    return out.getvalue()


def photo(width: int = 48, height: int = 32) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x * 5 + y * 3) % 256], -1).astype(np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    return png[:33] + chunk(kind, content) + png[33:]


def grey_png(rows: list[bytes], width: int, bits: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, len(rows), bits, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(
    samples: np.ndarray, photometric: int, extra: tuple[int, ...] = (), order: str = "<", apart: bool = False, deflate: bool = False
) -> bytes:
    """A TIFF of [H, W, channels], uint8 or uint16, in one strip, or one for each channel that lies `apart`; `deflate` with differences."""
    height, width, channels = samples.shape
    planes = [samples[..., [index]] for index in range(channels)] if apart else [samples]
    strips = []
    for plane in planes:
        if deflate:
            plane = np.concatenate([plane[:, :1], plane[:, 1:] - plane[:, :-1]], axis=1)
        raw = plane.astype(plane.dtype.newbyteorder(order)).tobytes()
        strips.append(zlib.compress(raw) if deflate else raw)
    offsets = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    bits = samples.dtype.itemsize * 8
    values = {
        256: ("H", [width]), 257: ("H", [height]), 258: ("H", [bits] * channels), 259: ("H", [8 if deflate else 1]),
        262: ("H", [photometric]),
        273: ("I", offsets), 277: ("H", [channels]), 278: ("H", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if apart else 1]), 317: ("H", [2 if deflate else 1]),
    }  # fmt: skip
    if extra:
        values[338] = ("H", list(extra))
    body = b"".join(strips)
    at = 8 + len(body) + len(body) % 2
    entries, spill, spill_at = b"", b"", at + 2 + 12 * len(values) + 4
    for tag, (form, numbers) in sorted(values.items()):
        packed = struct.pack(order + form * len(numbers), *numbers)
        entries += struct.pack(order + "HHI", tag, 3 if form == "H" else 4, len(numbers))
        if len(packed) > 4:
            entries += struct.pack(order + "I", spill_at + len(spill))
            spill += packed
        else:
            entries += packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)
    return head + body + bytes(len(body) % 2) + struct.pack(order + "H", len(values)) + entries + bytes(4) + spill
