"""TIFF of any depth with all its tags. Pillow cuts colours of 16 bits to 8; cv2 reads extra channels and a white zero differently from
version to version; neither writes the tags. tifffile cannot write EXIF and GPS, and unpacks LZW only with a further package.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

from clickpaint.image.samples import Samples

TIFF_TAGS = (270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 700, 33432, 33723, 34377)
"""What a TIFF says about itself and not about its samples: description, maker, resolution, software, date, author, XMP, IPTC …"""

EXIF, GPS = 34665, 34853
SUB_DIRECTORIES = (EXIF, GPS)

_COLOURS = {0: 1, 1: 1, 2: 3}
"""Photometric interpretation (white is zero, black is zero, RGB) → channels of colour."""
_PREDICTABLE = (5, 8, 32946, 34925, 50000)
"""Compressions that may store differences to the pixel before: LZW, Deflate (twice), LZMA, Zstandard."""
_PACKED_BYTES = (1, 32773, *_PREDICTABLE)
"""Compressions that know nothing of pixels, only of bytes."""
_ASSOCIATED, _UNASSOCIATED = 1, 2
"""Kinds of extra channels: alpha that the colours are multiplied by, and alpha that they are not."""


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF as Pillow opens it, and one whose samples it knows no mode for. Of such a one there are the size and the tags."""

    known = True

    def _setup(self) -> None:
        try:
            super()._setup()
        except (SyntaxError, LookupError, ValueError):
            self.known = False
            self._size = int(self.tag_v2[256]), int(self.tag_v2[257])
            self.tile = []
            setattr(self, "_mode" if hasattr(self, "_mode") else "mode", "L")  # without one Pillow does not open it

    def load(self) -> Any:
        if not self.known:
            raise OSError("unknown pixel mode")
        return super().load()


@dataclass(frozen=True, eq=False)
class Channels:
    """The samples of a TIFF.

    Attributes:
        samples: grey or colour, with alpha where there is some.
        dropped: how many further channels there are, which are neither.
    """

    samples: Samples
    dropped: int


def read(image: Any, data: bytes) -> Channels | None:
    """The samples of a TIFF of 16 bits, or of 8 with extra channels, exactly as they are stored (but black is zero).

    Returns:
        None where Pillow's own reader does as well, or the only one that can.

    Args:
        image: the TIFF as Pillow has opened it.
        data: the file.
    """
    tags = image.tag_v2
    bits, colours = tags.get(258, (1,)), _COLOURS.get(tags.get(262, -1), 0)
    channels = tags.get(277, 1)
    extra = tags.get(338, (_UNASSOCIATED,) if channels == colours + 1 else ())
    extra = (extra if isinstance(extra, tuple) else (extra,))[: channels - colours] or ()
    extra += (0,) * (channels - colours - len(extra))
    plain = set(bits) == {8} and extra in ((), (_UNASSOCIATED,)) and tags[262] and tags.get(284, 1) == 1
    if not colours or channels < colours or plain or set(bits) not in ({8}, {16}) or set(tags.get(339, (1,))) != {1}:
        return None
    if tags.get(259, 1) not in _PACKED_BYTES:
        return None
    array = _stored(data, tags, bits[0], channels)
    if tags[262] == 0:
        array[..., :colours] = ~array[..., :colours]
    alpha = next((index for index, kind in enumerate(extra) if kind in (_ASSOCIATED, _UNASSOCIATED)), None)
    kept = list(range(colours)) + ([] if alpha is None else [colours + alpha])
    mode = ("L" if colours == 1 else "RGB") + ("" if alpha is None else "A") + (";16" if bits[0] == 16 else "")
    array = np.ascontiguousarray(array[..., kept] if len(kept) > 1 else array[..., 0])
    premultiplied = alpha is not None and extra[alpha] == _ASSOCIATED
    return Channels(Samples(mode.replace("L;16", "I;16"), array, premultiplied=premultiplied), channels - len(kept))


def _stored(data: bytes, tags: Any, bits: int, channels: int) -> np.ndarray:
    """The samples as they are stored, uint8 or uint16 [H, W, channels], new.

    Bytes are unpacked by Pillow, which gets to see one grey picture whose rows are those of the file, or one for each channel
    where each lies by itself.
    """
    width, height = tags[256], tags[257]
    apart = tags.get(284, 1) == 2 and channels > 1
    across = 1 if apart else channels
    tiled = 324 in tags
    offsets, lengths = (tags[324], tags[325]) if tiled else (tags[273], tags.get(279, (len(data),)))
    parts = [data[offset : offset + length] for offset, length in zip(offsets, lengths, strict=True)]
    planes = channels if apart else 1
    each = len(parts) // planes
    unpacked = [_unpacked(data[:2], tags, bits, across, parts[plane * each : (plane + 1) * each], tiled) for plane in range(planes)]
    array = np.stack([plane[..., 0] for plane in unpacked], axis=2) if apart else unpacked[0]
    if tags.get(317, 1) == 2 and tags.get(259, 1) in _PREDICTABLE:
        step = tags[322] if tiled else width
        for left in range(0, width, step):
            piece = array[:, left : left + step]
            np.add.accumulate(piece, axis=1, dtype=array.dtype, out=piece)
    assert array.shape == (height, width, channels)
    return array


def _unpacked(order: bytes, tags: Any, bits: int, across: int, parts: list[bytes], tiled: bool) -> np.ndarray:
    """One plane, [H, W, across], differences not yet added up."""
    width, height = tags[256], tags[257]
    lengths = [len(part) for part in parts]
    wanted = {256: [width * across], 257: [height], 258: [bits], 259: [tags.get(259, 1)], 262: [1], 277: [1]}
    if 266 in tags:
        wanted[266] = [tags[266]]
    wanted |= {322: [tags[322] * across], 323: [tags[323]]} if tiled else {278: [tags.get(278, height)]}
    wanted[325 if tiled else 279] = lengths
    ahead = 8 + 2 + 12 * (len(wanted) + 1) + 4
    spilled = 8 * len(parts) if len(parts) > 1 else 0  # two lists of so many numbers
    wanted[324 if tiled else 273] = (np.cumsum([0, *lengths[:-1]]) + ahead + spilled).tolist()

    form = "<" if order == b"II" else ">"
    entries, spill = b"", b""
    for tag, numbers in sorted(wanted.items()):
        packed = struct.pack(f"{form}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            spill, packed = spill + packed, struct.pack(form + "I", ahead + len(spill))
        entries += struct.pack(form + "HHI", tag, 4, len(numbers)) + packed
    head = order + struct.pack(form + "HIH", 42, 8, len(wanted)) + entries + bytes(4) + spill
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(head + b"".join(parts)))
    image.load()
    array = np.array(image).astype(np.uint16 if bits == 16 else np.uint8)
    return array.reshape(height, width, across)


def write(samples: Samples, tags: Mapping[int, Any], icc: bytes = b"") -> bytes:
    """A TIFF, losslessly packed (Deflate; horizontal predictor where it helps).

    Args:
        tags: go in as they are; a dict is a sub-directory (EXIF, GPS).
    """
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
    strip = zlib.compress(raw.tobytes(), 6)  # a single one: older versions of Pillow cannot place more

    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        ifd[tag] = value
    if icc:
        ifd.tagtype[34675] = 7
        ifd[34675] = icc
    ifd[256], ifd[257] = width, height
    ifd[258], ifd[259], ifd[262] = (bits,) * channels, 8, photometric
    ifd[277], ifd[278], ifd[284], ifd[317] = channels, height, 1, predictor
    if mode.startswith(("LA", "RGBA")):
        ifd[338] = _ASSOCIATED if samples.premultiplied else _UNASSOCIATED
    if mode == "P":
        assert samples.palette is not None
        colours = np.zeros((256, 3), np.uint16)
        colours[: len(samples.palette)] = samples.palette[:, :3].astype(np.uint16) * 257
        ifd[320] = tuple(colours.T.ravel().tolist())
    ifd[273], ifd[279] = 0, len(strip)  # Pillow adds the directory's own length to where the strip begins
    out = io.BytesIO()
    ifd.save(out)
    return out.getvalue() + strip
