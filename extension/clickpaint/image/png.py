"""PNG by its chunks (PNG specification, third edition), and what of PNG no library here reads or writes whole."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clickpaint.errors import InvalidInput
from clickpaint.image import exif

if TYPE_CHECKING:
    from clickpaint.image.samples import Samples

Chunk = tuple[bytes, bytes]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP = "XML:com.adobe.xmp"

_KEPT = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
_NEEDED = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_EXIF_AS_TEXT = ("Raw profile type exif", "Raw profile type APP1")
_MOST_INFLATED = 64 << 20  # bytes of text or profile that one file may unpack to; what is over stays packed


class PngFile:
    """A PNG taken apart. Pillow refuses a whole picture whose text or profile unpacks to more than it likes, so it gets to see
    neither.

    Attributes:
        samples: the file with only what its samples need.
        kept: the chunks that say something about the whole picture: colour, resolution, text, EXIF, XMP.
        text: keyword → text.
        icc: the profile, b"" for none.
        exif: see `exif.usable`.
        dpi: (across, down), or None.
        key: the 16-bit numbers of the grey or the colour that means transparent, or None.
        frames: how many pictures an animation has, otherwise 1.
        end: where the PNG ends in the file.
    """

    def __init__(self, data: bytes) -> None:
        """Raises `InvalidInput`: the file ends before its last chunk."""
        self.kept: list[Chunk] = []
        self.text: dict[str, str] = {}
        self.icc, self.exif = b"", b""
        self.dpi: tuple[float, float] | None = None
        self.key: tuple[int, ...] | None = None
        self.frames = 1
        self._left = _MOST_INFLATED
        needed, transparency = [SIGNATURE], b""
        at, ended = len(SIGNATURE), False
        while not ended and at + 12 <= len(data):
            length, kind = struct.unpack_from(">I4s", data, at)
            after = at + 12 + length
            if after > len(data):
                break
            content = data[at + 8 : after - 4]
            if kind in _NEEDED or (kind == b"tRNS" and data[25] == 3):
                needed.append(data[at:after])
            elif kind == b"tRNS":
                transparency = content
            elif kind == b"acTL" and length >= 4:
                self.frames = max(struct.unpack_from(">I", content)[0], 1)
            if kind in _KEPT:
                self._keep(kind, content)
            at, ended = after, kind == b"IEND"
        if not ended:
            raise _cut_off()
        self.end = at
        self.samples = b"".join(needed)
        if len(transparency) in (2, 6):
            self.key = struct.unpack(f">{len(transparency) // 2}H", transparency)

    def _keep(self, kind: bytes, content: bytes) -> None:
        if kind == b"eXIf":
            self.exif = exif.usable(content)
            return  # it is put back upright
        if kind in _TEXTS:
            keyword, text = self._text(kind, content)
            if keyword in _EXIF_AS_TEXT:  # as older programs put it there: hexadecimal
                self.exif = self.exif or _exif_of_text(text or "")
                return
            if text is not None:
                self.text[keyword] = text
            if kind == b"iTXt":
                content = exif.upright_xmp(content)
        elif kind == b"iCCP":
            self.icc = self._inflated(content.partition(b"\0")[2][1:]) or b""
        elif kind == b"pHYs" and len(content) == 9 and content[8] == 1:
            across, down = struct.unpack_from(">II", content)
            self.dpi = (across * 0.0254, down * 0.0254)
        self.kept.append((kind, content))

    def _text(self, kind: bytes, content: bytes) -> tuple[str, str | None]:
        """(keyword, text), None where the text cannot be read."""
        name, _, rest = content.partition(b"\0")
        keyword = name.decode("latin-1")
        if kind == b"tEXt":
            return keyword, rest.decode("latin-1")
        if kind == b"zTXt":
            unpacked = self._inflated(rest[1:])
            return keyword, None if unpacked is None else unpacked.decode("latin-1")
        packed = rest[:1] == b"\1"
        body = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        unpacked = self._inflated(body) if packed else body
        return keyword, None if unpacked is None else unpacked.decode("utf-8", "replace")

    def _inflated(self, packed: bytes) -> bytes | None:
        """None for what is damaged or unpacks to too much."""
        if not self._left:
            return None
        unpacker = zlib.decompressobj()
        try:
            unpacked = unpacker.decompress(packed, self._left)
        except zlib.error:
            return None
        self._left -= len(unpacked)
        return unpacked if unpacker.eof else None


def _exif_of_text(text: str) -> bytes:
    """EXIF from the text of a raw profile: its name, its length, and hexadecimal digits."""
    try:
        return exif.usable(bytes.fromhex("".join(text.split()[2:])))
    except ValueError:
        return b""


def _cut_off() -> InvalidInput:
    return InvalidInput("The picture file is cut off.", "Copy or download it again.")


def text_chunk(keyword: str, text: str) -> Chunk:
    """A PNG's text, in Latin-1 where that can say it, which more programs read, and in UTF-8 otherwise."""
    try:
        return b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", keyword.encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")


def chunks_without_text(chunks: Iterable[Chunk], keywords: Container[str]) -> list[Chunk]:
    """Those that are no text under one of these keywords."""

    def named(content: bytes) -> str:
        return content.partition(b"\0")[0].decode("latin-1")

    return [(kind, content) for kind, content in chunks if kind not in _TEXTS or named(content) not in keywords]


def with_chunks(png: bytes, chunks: Iterable[Chunk]) -> bytes:
    """The PNG with `chunks` put right behind its header."""
    header = len(SIGNATURE) + 25
    return png[:header] + b"".join(chunk(*parts) for parts in chunks) + png[header:]


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_header(png: bytes, depth: int, colour: int) -> bytes:
    """The PNG with other words for its samples: bits of one, and the colour type."""
    header = png[16:24] + bytes([depth, colour]) + png[26:29]
    return SIGNATURE + chunk(b"IHDR", header) + png[33:]


def read_16_bits(png: bytes) -> np.ndarray:
    """The samples of a PNG of 16 bits, uint16 [H, W] or [H, W, channels]; Pillow would cut colours to 8.

    Raises:
        InvalidInput: they cannot be read.
    """
    import cv2

    array = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise InvalidInput("The picture's 16-bit samples cannot be read.", "Save it as a 16-bit PNG or with 8 bits.")
    if array.ndim == 2:
        return array
    if array.shape[2] == 3:
        return array[..., ::-1]
    return array[..., [0, 3]] if png[25] == 4 else array[..., [2, 1, 0, 3]]  # cv2 spreads grey with alpha over four channels


def write_16_bits(samples: Samples) -> bytes:
    """A PNG of 16 bits per sample."""
    import cv2

    array = samples.array
    if samples.mode == "LA;16":
        # cv2 knows no grey with alpha. A pixel's four bytes are packed as those of 8-bit RGBA are; only the header differs.
        out = io.BytesIO()
        image = Image.frombytes("RGBA", (array.shape[1], array.shape[0]), array.astype(">u2").tobytes())
        image.save(out, "PNG", compress_level=4)
        return with_header(out.getvalue(), 16, 4)
    if array.ndim == 3:
        array = array[..., [2, 1, 0, 3][: array.shape[2]]]
    packed = cv2.imencode(".png", np.ascontiguousarray(array), [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].tobytes()
    if samples.key is None:
        return packed
    return with_chunks(packed, [(b"tRNS", struct.pack(f">{len(samples.key)}H", *samples.key))])


def grey(rows: np.ndarray, width: int, depth: int) -> bytes:
    """A greyscale PNG that is quick to make and small where its rows are long runs, as those of masks are.

    Args:
        rows: uint8 [H, bytes], the samples as they are packed.
        depth: bits of a sample.
    """
    filtered = np.zeros((rows.shape[0], rows.shape[1] + 1), np.uint8)  # each row begins with its filter: 0, none
    filtered[:, 1:] = rows
    header = struct.pack(">IIBBBBB", width, rows.shape[0], depth, 0, 0, 0, 0)
    deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
    body = deflate.compress(filtered.data) + deflate.flush()
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
