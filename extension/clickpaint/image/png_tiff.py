"""The formats that Pillow cannot write as we need them: 16-bit PNG, and TIFF of any depth with all its tags."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

from clickpaint.image.metadata import PNG_SIGNATURE, png_chunk
from clickpaint.image.samples import Samples

TIFF_TAGS = (270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 700, 33432, 33723, 34377)
"""What a TIFF says about itself and not about its samples: description, maker, resolution, software, date, author, XMP, IPTC …"""

SUB_DIRECTORIES = (34665, 34853)
"""EXIF and GPS."""

_PNG_COLOUR = {"I;16": 0, "RGB;16": 2, "LA;16": 4, "RGBA;16": 6}
_STRIP_BYTES = 1 << 20


def png_16(samples: Samples) -> bytes:
    """A PNG of 16 bits per sample; every row is filtered by Paeth's predictor (PNG specification, 9.4)."""
    height, width = samples.array.shape[:2]
    rows = np.frombuffer(samples.array.astype(">u2").tobytes(), np.uint8).reshape(height, -1)
    step = rows.shape[1] // width
    packer = zlib.compressobj(4)
    packed = []
    above = np.zeros(rows.shape[1] + step, np.int16)
    for row in rows:
        here = np.concatenate([np.zeros(step, np.int16), row])
        a, b, c = here[:-step], above[step:], above[:-step]
        to_a, to_b, to_c = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
        predicted = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
        packed.append(packer.compress(b"\4" + (row - predicted).astype(np.uint8).tobytes()))
        above = here
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR[samples.mode], 0, 0, 0)
    body = b"".join(packed) + packer.flush()
    return PNG_SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def tiff(samples: Samples, tags: Mapping[int, Any], icc: bytes = b"") -> bytes:
    """A TIFF in strips, losslessly packed (Deflate; horizontal predictor where it helps). `tags` go in as they are; a dict
    is a sub-directory (EXIF, GPS)."""
    array, mode = samples.array, samples.mode
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    bits = 1 if mode == "1" else array.dtype.itemsize * 8
    photometric = 3 if mode == "P" else 5 if mode == "CMYK" else 2 if mode.startswith("RGB") else 1
    predictor = 2 if mode not in ("1", "P") else 1
    if predictor == 2:
        flat = array.reshape(height, width, channels)
        array = np.concatenate([flat[:, :1], flat[:, 1:] - flat[:, :-1]], axis=1)
    raw = np.packbits(array, axis=1) if mode == "1" else array.astype(array.dtype.newbyteorder("<"), copy=False)
    per_strip = max(1, _STRIP_BYTES // max(1, raw.nbytes // height))
    strips = [zlib.compress(raw[top : top + per_strip].tobytes(), 6) for top in range(0, height, per_strip)]
    lengths = [len(strip) for strip in strips]

    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        ifd[tag] = value
    if icc:
        ifd.tagtype[34675] = 7
        ifd[34675] = icc
    ifd[256], ifd[257] = width, height
    ifd[258], ifd[259], ifd[262] = (bits,) * channels, 8, photometric
    ifd[277], ifd[278], ifd[284], ifd[317] = channels, per_strip, 1, predictor
    if mode.startswith(("LA", "RGBA")):
        ifd[338] = 2  # the last channel is alpha, not multiplied in
    if mode == "P":
        assert samples.palette is not None
        colours = np.zeros((256, 3), np.uint16)
        colours[: len(samples.palette)] = samples.palette[:, :3].astype(np.uint16) * 257
        ifd[320] = tuple(colours.T.ravel().tolist())
    ifd[273] = tuple(np.cumsum([0, *lengths[:-1]]).tolist())  # Pillow's writer adds the directory's own length
    ifd[279] = tuple(lengths)
    out = io.BytesIO()
    ifd.save(out)
    return out.getvalue() + b"".join(strips)
