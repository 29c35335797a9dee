"""How a video is turned and the shape of its pixels, set in the finished file: PyAV cannot tell FFmpeg's muxers."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

TURNED = {".mp4", ".m4v", ".mov", ".mkv", ".webm"}
"""Endings of the containers that can say how a video is turned."""
_MATROSKA = {".mkv", ".webm"}
_FIXED, _WHOLE = 1 << 16, 1 << 30
"""One in the two kinds of fixed point numbers of a display matrix."""


def set_shape(path: Path, ending: str, turns: int, aspect: Fraction) -> None:
    """Say in a video's file how it is shown.

    Args:
        ending: of the container, with its dot.
        turns: by how many quarters frames have to be turned counterclockwise to be upright; only for one of `TURNED`.
        aspect: width of a pixel for a height of 1, before turning.

    Raises:
        ValueError: the file is not laid out as FFmpeg does it.
    """
    if ending in _MATROSKA:
        if turns or aspect != 1:
            _set_matroska(path, turns, aspect, ending == ".mkv")
    elif turns:
        _set_mp4(path, turns)


# MP4 and MOV (ISO/IEC 14496-12): the matrix in the track's header. The pixels' shape PyAV does hand on to them.


def _set_mp4(path: Path, turns: int) -> None:
    with path.open("r+b") as file:
        for track in _boxes(file, b"moov", b"trak"):
            handlers = [file.read(12)[8:] for _ in _inside(file, track, b"mdia", b"hdlr")]
            if handlers != [b"vide"]:
                continue
            for start, _ in _inside(file, track, b"tkhd"):
                version = file.read(1)[0]
                at = start + (52 if version == 1 else 40)
                file.seek(at + 36)
                width, height = struct.unpack(">II", file.read(8))
                file.seek(at)
                file.write(_matrix(turns, width, height))
            return
    raise ValueError("there is no track of pictures")


def _matrix(turns: int, width: int, height: int) -> bytes:
    """a, b, u, c, d, v, x, y, w: what turns the picture, and moves it back to where its corner was; sizes in 16.16."""
    a, b, c, d, x, y = {
        1: (0, -1, 1, 0, 0, width),
        2: (-1, 0, 0, -1, width, height),
        3: (0, 1, -1, 0, height, 0),
    }[turns % 4]
    return struct.pack(">9i", a * _FIXED, b * _FIXED, 0, c * _FIXED, d * _FIXED, 0, x, y, _WHOLE)


def _boxes(file: IO[bytes], *names: bytes) -> Iterator[tuple[int, int]]:
    end = file.seek(0, 2)
    yield from _inside(file, (0, end), *names)


def _inside(file: IO[bytes], within: tuple[int, int], *names: bytes) -> Iterator[tuple[int, int]]:
    """Where the contents of boxes of these names, each in the one before, begin and end; the file stands at the beginning."""
    at, end = within
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        size = size or end - at
        if size < head:
            raise ValueError("a box is damaged")
        if kind == names[0]:
            content = at + head, at + size
            if len(names) == 1:
                file.seek(content[0])
                yield content
            else:
                yield from _inside(file, content, *names[1:])
        at += size


# Matroska (RFC 9559): elements in the track's description. It grows; the reserve after the index of the header shrinks by as much, so
# that nothing behind moves.

_SEGMENT, _SEEK_HEAD, _TRACKS, _CLUSTER, _VOID, _CRC = 0x18538067, 0x114D9B74, 0x1654AE6B, 0x1F43B675, 0xEC, 0xBF
_SEEK, _SEEK_POSITION, _ENTRY, _TYPE, _VIDEO = 0x4DBB, 0x53AC, 0xAE, 0x83, 0xE0
_WIDTH, _HEIGHT, _SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
_PROJECTION, _PROJECTION_TYPE, _YAW, _PITCH, _ROLL = 0x7670, 0x7671, 0x7673, 0x7674, 0x7675
_LONGEST_HEADER = 1 << 24


@dataclass(frozen=True)
class _Element:
    """An element: its id, where it begins, where its content does, and where it ends."""

    id: int
    start: int
    content: int
    end: int


def _set_matroska(path: Path, turns: int, aspect: Fraction, exact: bool) -> None:
    with path.open("r+b") as file:
        data = file.read(_LONGEST_HEADER)
        segment = next(element for element in _elements(data, 0, len(data)) if element.id == _SEGMENT)
        parts = []
        for element in _elements(data, segment.content, len(data)):
            if element.id == _CLUSTER:
                break
            parts.append(element)
        head, reserve, tracks = (next((part for part in parts if part.id == id), None) for id in (_SEEK_HEAD, _VOID, _TRACKS))
        if head is None or reserve is None or tracks is None or not head.end <= reserve.start < tracks.start:
            raise ValueError("the header has no reserve before its tracks")
        described = _coded(_TRACKS, _summed(_with_shape(data, tracks, turns, aspect, exact)))
        grown = len(described) - (tracks.end - tracks.start)
        region = _void(reserve.end - reserve.start - grown) + data[reserve.end : tracks.start] + described
        index = _moved(data, head, segment.content, reserve.start, tracks.end, -grown)
        file.seek(head.start)
        file.write(index)
        file.seek(reserve.start)
        file.write(region)


def _with_shape(data: bytes, tracks: _Element, turns: int, aspect: Fraction, exact: bool) -> bytes:
    """The content of the tracks without its checksum, with the shape in the first track of pictures."""
    made, done = b"", False
    for entry in _elements(data, tracks.content, tracks.end):
        if entry.id == _CRC:
            continue
        inner = [*_elements(data, entry.content, entry.end)]
        if entry.id != _ENTRY or done or not any(part.id == _TYPE and data[part.content : part.end] == b"\x01" for part in inner):
            made += data[entry.start : entry.end]
            continue
        done = True
        content = b""
        for part in inner:
            content += _shaped(data, part, turns, aspect, exact) if part.id == _VIDEO else data[part.start : part.end]
        made += _coded(_ENTRY, content)
    if not done:
        raise ValueError("there is no track of pictures")
    return made


def _shaped(data: bytes, video: _Element, turns: int, aspect: Fraction, exact: bool) -> bytes:
    kept, size = b"", {}
    for part in _elements(data, video.content, video.end):
        if part.id in (_WIDTH, _HEIGHT):
            size[part.id] = int.from_bytes(data[part.content : part.end], "big")
        if part.id not in (_SHOWN_WIDTH, _SHOWN_HEIGHT, _UNIT, _PROJECTION):
            kept += data[part.start : part.end]
    across, down, unit = size[_WIDTH] * aspect, Fraction(size[_HEIGHT]), b""
    if exact and across.denominator > 1:  # as a ratio, which WebM does not know
        across, down, unit = Fraction((across / down).numerator), Fraction((across / down).denominator), _coded(_UNIT, b"\x03")
    kept += _coded(_SHOWN_WIDTH, _number(max(round(across), 1))) + _coded(_SHOWN_HEIGHT, _number(round(down))) + unit
    if turns % 4:
        # counterclockwise, from -180 to 180
        roll = {1: 90.0, 2: 180.0, 3: -90.0}[turns % 4]
        angles = ((_YAW, 0.0), (_PITCH, 0.0), (_ROLL, roll))
        flat = _coded(_PROJECTION_TYPE, b"\x00") + b"".join(_coded(id, struct.pack(">f", angle)) for id, angle in angles)
        kept += _coded(_PROJECTION, flat)
    return _coded(_VIDEO, kept)


def _moved(data: bytes, head: _Element, origin: int, first: int, end: int, by: int) -> bytes:
    """The index with other positions for what lies from `first` to `end` in the file, where it has moved."""
    content = b""
    for seek in _elements(data, head.content, head.end):
        if seek.id == _CRC:
            continue
        if seek.id != _SEEK:
            content += data[seek.start : seek.end]
            continue
        entry = b""
        for part in _elements(data, seek.content, seek.end):
            position = int.from_bytes(data[part.content : part.end], "big")
            moves = part.id == _SEEK_POSITION and first <= origin + position < end
            length = part.end - part.content
            entry += data[part.start : part.content] + ((position + by).to_bytes(length, "big") if moves else data[part.content : part.end])
        content += data[seek.start : seek.content] + entry
    checked = _summed(content) if any(part.id == _CRC for part in _elements(data, head.content, head.end)) else content
    made = data[head.start : head.content] + checked
    if len(made) != head.end - head.start:
        raise ValueError("the index of the header is damaged")
    return made


def _elements(data: bytes, at: int, end: int) -> Iterator[_Element]:
    """The elements one after the other; the last one may reach beyond the end."""
    while at + 2 <= end:
        id_length = 9 - data[at].bit_length()
        size_at = at + id_length
        if id_length > 4 or size_at >= len(data):
            raise ValueError("an element is damaged")
        size_length = 9 - data[size_at].bit_length()
        if size_length > 8:
            raise ValueError("an element is damaged")
        content = size_at + size_length
        size = int.from_bytes(data[size_at:content], "big") & ((1 << (7 * size_length)) - 1)
        yield _Element(int.from_bytes(data[at:size_at], "big"), at, content, content + size)
        at = content + size


def _coded(id: int, content: bytes) -> bytes:
    length = next(length for length in range(1, 9) if len(content) < (1 << (7 * length)) - 1)
    size = (len(content) | 1 << (7 * length)).to_bytes(length, "big")
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + size + content


def _number(value: int) -> bytes:
    return value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big")


def _summed(content: bytes) -> bytes:
    """The content with its checksum before it."""
    return _coded(_CRC, zlib.crc32(content).to_bytes(4, "little")) + content


def _void(length: int) -> bytes:
    if length < 2:
        raise ValueError("the reserve of the header is too small")
    head = b"\xec" + (bytes([0x80 | (length - 2)]) if length < 10 else (1 << 56 | (length - 9)).to_bytes(8, "big"))
    return head + bytes(length - len(head))
