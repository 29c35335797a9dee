"""What a file holds beside its first picture, by the file's own structure: further pictures, a film, where it ends."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_JPEG_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_MOST_PAGES = 10_000


def jpeg_end(data: bytes) -> int | None:
    """Where the first JPEG of a file ends; None where it has no end marker."""
    for marker, at, _ in _jpeg_segments(data):
        if marker == 0xD9:
            return at
    return None


def jpeg_is_whole(data: bytes) -> bool:
    """Whether every scan that a JPEG without an end marker needs has at least begun.

    A progressive one brings each coefficient of each component bit by bit (ITU-T T.81, annex G).
    """
    components: list[int] = []
    missing: dict[int, list[int]] = {}
    progressive = False
    for marker, at, length in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and length >= 8:
            progressive = marker in (0xC2, 0xC6, 0xCA, 0xCE)
            components = list(data[at + 6 : at + length - 2 : 3])
            missing = {component: [13] * 64 for component in components}
        elif marker == 0xDA and length >= 6:
            count = data[at]
            first, last, approximation = data[at + 1 + 2 * count : at + 4 + 2 * count]
            for component in data[at + 1 : at + 1 + 2 * count : 2]:
                for k in range(first, min(last, 63) + 1) if progressive else range(64):
                    missing.get(component, [0] * 64)[k] = approximation & 15 if progressive else 0
    return bool(components) and not any(any(bits) for bits in missing.values())


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, where its content begins or the file ends with it, length as it is written) of every segment."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        while at < len(data) and data[at] == 0xFF:
            at += 1
        if at >= len(data):
            return
        marker = data[at]
        at += 1
        if marker == 0xD9:
            yield marker, at, 0
            return
        if marker == 0 or marker in _JPEG_ALONE:
            continue
        if at + 2 > len(data):
            return
        length = struct.unpack_from(">H", data, at)[0]
        if at + length > len(data):
            return
        yield marker, at + 2, length
        at += length
        if marker == 0xDA:
            following = _JPEG_MARKER.search(data, at)
            if following is None:
                return
            at = following.start()


def gif_frames(data: bytes) -> tuple[int, int]:
    """How many pictures a GIF has, and where it ends (GIF89a specification, appendix B)."""

    def table(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    frames = 0
    try:
        at = 13 + table(data[10])
        while data[at] != 0x3B:
            if data[at] == 0x2C:
                frames += 1
                at += 10 + table(data[at + 9]) + 1
            else:
                at += 2
            while data[at]:
                at += data[at] + 1
            at += 1
        return frames, at + 1
    except IndexError:
        return frames, len(data)


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, its length) of every chunk of a WebP."""
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        yield kind, at + 8, length
        at += 8 + length + length % 2


def webp_frames(data: bytes) -> tuple[int, int]:
    """How many pictures a WebP has, and where it ends."""
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    return max(sum(kind == b"ANMF" for kind, _, _ in riff_chunks(data[:end])), 1), end


def webp_is_lossless(data: bytes) -> bool:
    """Whether the (first) picture in a WebP file is of the lossless kind."""
    for kind, at, _ in riff_chunks(data):
        if kind == b"ANMF":  # a frame's own chunks follow its 16 bytes of header
            return next((inner == b"VP8L" for inner, _, _ in riff_chunks(data[at + 4 :]) if inner in (b"VP8L", b"VP8 ")), False)
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
    return False


def tiff_pages(data: bytes) -> int:
    """How many pages a TIFF has; smaller versions of one page, as thumbnails are, do not count."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    offset, count_form, entry_bytes = ("Q", "Q", 20) if big else ("I", "H", 12)
    pages, seen = 0, set()
    try:
        at = struct.unpack_from(order + offset, data, 8 if big else 4)[0]
        while at and at not in seen and len(seen) < _MOST_PAGES:
            seen.add(at)
            count = struct.unpack_from(order + count_form, data, at)[0]
            entries = at + struct.calcsize(order + count_form)
            kinds = 0
            for entry in range(entries, entries + count * entry_bytes, entry_bytes):
                if struct.unpack_from(order + "H", data, entry)[0] == 254:  # NewSubfileType
                    kinds = struct.unpack_from(order + "I", data, entry + entry_bytes - (8 if big else 4))[0]
            pages += not kinds & 1
            at = struct.unpack_from(order + offset, data, entries + count * entry_bytes)[0]
    except struct.error:
        pass
    return max(pages, 1)


def boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """(name, length) of the outermost boxes of a HEIF or an AVIF (ISO/IEC 14496-12)."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length == 1 and at + 16 <= len(data):
            length = struct.unpack_from(">Q", data, at + 8)[0]
        length = length or len(data) - at
        if length < 8:
            return
        yield kind, length
        at += length
