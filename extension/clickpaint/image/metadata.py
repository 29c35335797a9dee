"""What travels with a picture: EXIF and XMP once the picture stands upright, and the chunks of a PNG."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Container, Iterable

from clickpaint.errors import InvalidInput

Chunk = tuple[bytes, bytes]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = {b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf"}

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION, _THUMBNAIL_OFFSET, _THUMBNAIL_BYTES = 0x0112, 0x0201, 0x0202


def upright_exif(exif: bytes) -> bytes:
    """EXIF whose orientation says "upright" and whose thumbnail is wiped: it would show what was removed from the picture.
    Everything else stays where it is, so that makers' notes, which hold absolute offsets, stay readable."""
    start = 6 if exif.startswith(b"Exif\0\0") else 0
    data = bytearray(exif)
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[start : start + 2]))
    try:
        if order is None:
            return exif
        first = start + struct.unpack_from(order + "I", data, start + 4)[0]
        count = struct.unpack_from(order + "H", data, first)[0]
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            if struct.unpack_from(order + "H", data, entry)[0] == _ORIENTATION:
                struct.pack_into(order + "HIHH", data, entry + 2, 3, 1, 1, 0)
        link = first + 2 + 12 * count
        second = struct.unpack_from(order + "I", data, link)[0]
        if second:
            struct.pack_into(order + "I", data, link, 0)
            second += start
            entries = range(second + 2, second + 2 + 12 * struct.unpack_from(order + "H", data, second)[0], 12)
            values = {tag: value for tag, _, _, value in (struct.unpack_from(order + "HHII", data, entry) for entry in entries)}
            at, length = start + values.get(_THUMBNAIL_OFFSET, 0), values.get(_THUMBNAIL_BYTES, 0)
            if start < at and at + length <= len(data):
                data[at : at + length] = bytes(length)
    except struct.error:  # damaged EXIF goes on as far as it could be read
        pass
    return bytes(data)


def upright_xmp(xmp: bytes) -> bytes:
    return re.sub(rb"""(tiff:Orientation(?:\s*=\s*["']|>))[2-8]""", rb"\g<1>1", xmp)


def kept_chunks(png: bytes) -> tuple[Chunk, ...]:
    """The chunks that say something about the whole picture, upright: colour, resolution, text, EXIF, XMP.

    Raises:
        InvalidInput: the file ends before its last chunk.
    """
    kept: list[Chunk] = []
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if at + 12 + length > len(png):
            break
        if kind == b"IEND":
            return tuple(kept)
        if kind in _KEPT:
            content = png[at + 8 : at + 8 + length]
            kept.append((kind, upright_exif(content) if kind == b"eXIf" else upright_xmp(content) if kind == b"iTXt" else content))
        at += 12 + length
    raise InvalidInput("The picture file is cut off.", "Copy or download it again.")


def webp_is_lossless(data: bytes) -> bool:
    """Whether the (first) picture in a WebP file is of the lossless kind."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        at += 24 if kind == b"ANMF" else 8 + length + length % 2  # a frame's own chunks follow its 16 bytes of header
    return False


def text_chunk(keyword: str, text: str) -> Chunk:
    """A PNG's text, in Latin-1 where that can say it, which more programs read, and in UTF-8 otherwise."""
    try:
        return b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode("utf-8")


def chunks_without_text(chunks: Iterable[Chunk], keywords: Container[str]) -> tuple[Chunk, ...]:
    """Those that are no text under one of these keywords."""

    def named(content: bytes) -> str:
        return content.partition(b"\0")[0].decode("latin-1")

    return tuple((kind, content) for kind, content in chunks if kind not in _TEXTS or named(content) not in keywords)


def png_with(png: bytes, chunks: Iterable[Chunk]) -> bytes:
    """The PNG with `chunks` put right behind its header."""
    header = len(PNG_SIGNATURE) + 25
    return png[:header] + b"".join(png_chunk(*chunk) for chunk in chunks) + png[header:]


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
