"""EXIF and XMP as bytes (CIPA DC-008), changed in place.

Makers' notes hold offsets that count from the beginning of the EXIF, so nothing in it is moved: what grows is put at its end.
"""

from __future__ import annotations

import re
import struct

HEADER = b"Exif\0\0"

_ORIENTATION, _THUMBNAIL_OFFSET, _THUMBNAIL_BYTES = 0x0112, 0x0201, 0x0202
_EXIF_DIRECTORY, USER_COMMENT = 0x8769, 0x9286
_UNDEFINED = 7  # the type of a user comment
_EMPTY = b"MM\0*\0\0\0\x08\0\0\0\0\0\0"  # a first directory without entries
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def usable(exif: bytes) -> bytes:
    """`exif` beginning with `HEADER`, as a JPEG holds it; b"" for what is no EXIF or cannot be read by others."""
    while exif.startswith(HEADER):
        exif = exif[len(HEADER) :]
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return b""
    from PIL import Image

    try:
        _Directories(exif)
        Image.Exif().load(exif)  # what Pillow's writers do with it
    except Exception:  # it fails in many ways on damaged EXIF
        return b""
    return HEADER + exif


def orientation(exif: bytes) -> int:
    """1 … 8 as the EXIF says, 1 where it says nothing that can be used. exif: see `usable`."""
    if not exif:
        return 1
    value = _Directories(exif.removeprefix(HEADER)).number(_ORIENTATION)
    return value if value is not None and 1 <= value <= 8 else 1


def upright(exif: bytes) -> bytes:
    """EXIF whose orientation says "upright" and whose thumbnail is wiped: it would show what was removed from the picture."""
    start = len(HEADER) if exif.startswith(HEADER) else 0
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
    """XMP whose orientation says "upright"."""
    return re.sub(rb"""(tiff:Orientation(?:\s*=\s*["']|>))[2-8]""", rb"\g<1>1", xmp)


def without_film(xmp: bytes) -> bytes:
    """XMP that no longer says that a film follows the picture."""
    return re.sub(rb"""((?:GCamera|Camera):(?:MotionPhoto|MicroVideo)(?:\s*=\s*["']|>))1""", rb"\g<1>0", xmp)


def user_comment(exif: bytes) -> str:
    """The text of the user comment, "" where there is none. exif: see `usable`."""
    if not exif:
        return ""
    return comment_text(_Directories(exif.removeprefix(HEADER)).comment())


def comment_text(raw: bytes) -> str:
    """The text of a user comment: eight bytes that name its encoding (UNICODE, ASCII, JIS, or nothing known), then the text."""
    code, body = raw[:8], raw[8:]
    if code == b"UNICODE\0":
        if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return body.decode("utf-16", "replace").rstrip("\0")
        # The standard leaves the byte order open. Infotexts are full of letters whose high byte is zero.
        big = body[::2].count(0) >= body[1::2].count(0)
        return body.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")
    if code == b"JIS\0\0\0\0\0":
        return body.decode("iso2022_jp" if b"\x1b" in body else "shift_jis", "replace").rstrip("\0")
    if code in (b"ASCII\0\0\0", bytes(8)):
        return body.decode("utf-8", "replace").rstrip("\0 ")
    return raw.decode("utf-8", "replace").rstrip("\0 ")


def comment_bytes(text: str) -> bytes:
    """A user comment as the web UI writes it: UTF-16, big-endian."""
    return b"UNICODE\0" + text.encode("utf-16-be", "replace")


def with_user_comment(exif: bytes, text: str) -> bytes:
    """EXIF with `text` as its user comment, or with none for ""; what the comment was before is wiped.

    Args:
        exif: see `usable`; b"" for none so far.
    """
    if not exif and not text:
        return b""
    directories = _Directories(exif.removeprefix(HEADER) or _EMPTY)
    directories.set_comment(comment_bytes(text) if text else None)
    return HEADER + bytes(directories.data)


class _Directories:
    """The first directory of an EXIF and the one that it calls "Exif". Raises `struct.error` for what is not there."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.order = "<" if data[:2] == b"II" else ">"
        self.first = struct.unpack_from(self.order + "I", data, 4)[0]
        self._entries(self.first)

    def _entries(self, at: int) -> list[bytes]:
        count = struct.unpack_from(self.order + "H", self.data, at)[0]
        if at + 2 + 12 * count > len(self.data):
            raise struct.error("the directory is cut off")
        return [bytes(self.data[entry : entry + 12]) for entry in range(at + 2, at + 2 + 12 * count, 12)]

    def _find(self, at: int, tag: int) -> tuple[int, int, int] | None:
        """(type, count, value) of an entry."""
        for entry in self._entries(at):
            if struct.unpack_from(self.order + "H", entry)[0] == tag:
                return struct.unpack_from(self.order + "HII", entry, 2)
        return None

    def number(self, tag: int) -> int | None:
        entry = self._find(self.first, tag)
        if entry is None:
            return None
        kind, _, value = entry
        return value if kind == 4 else struct.unpack(self.order + "HH", struct.pack(self.order + "I", value))[0]

    def _inner(self) -> int | None:
        """Where the directory called "Exif" is; None where there is none that can be read."""
        entry = self._find(self.first, _EXIF_DIRECTORY)
        try:
            return None if entry is None or not self._entries(entry[2]) else entry[2]
        except struct.error:
            return None

    def _comment_at(self) -> slice | None:
        inner = self._inner()
        entry = None if inner is None else self._find(inner, USER_COMMENT)
        if entry is None:
            return None
        kind, count, at = entry
        length = count * _TYPE_BYTES.get(kind, 1)
        return slice(at, at + length) if length > 4 and at + length <= len(self.data) else None

    def comment(self) -> bytes:
        at = self._comment_at()
        return b"" if at is None else bytes(self.data[at])

    def set_comment(self, raw: bytes | None) -> None:
        old = self._comment_at()
        if old is not None:
            self.data[old] = bytes(old.stop - old.start)
        inner = self._inner()
        entries = [] if inner is None else self._entries(inner)
        entries = [entry for entry in entries if struct.unpack_from(self.order + "H", entry)[0] != USER_COMMENT]
        if raw is not None:
            entries.append(struct.pack(self.order + "HHII", USER_COMMENT, _UNDEFINED, len(raw), self._append(raw)))
        placed = self._place(inner, entries)
        if placed != inner:
            first = [entry for entry in self._entries(self.first) if struct.unpack_from(self.order + "H", entry)[0] != _EXIF_DIRECTORY]
            first.append(struct.pack(self.order + "HHII", _EXIF_DIRECTORY, 4, 1, placed))
            self.first = self._place(self.first, first)
            struct.pack_into(self.order + "I", self.data, 4, self.first)

    def _append(self, raw: bytes) -> int:
        if len(self.data) % 2:
            self.data += b"\0"
        at = len(self.data)
        self.data += raw
        return at

    def _place(self, at: int | None, entries: list[bytes]) -> int:
        """Write a directory where it was if it fits there, otherwise at the end; returns where."""
        entries = sorted(entries, key=lambda entry: struct.unpack_from(self.order + "H", entry)[0])
        link = bytes(4)
        room = -1
        if at is not None:
            room = len(self._entries(at))
            link = bytes(self.data[at + 2 + 12 * room : at + 6 + 12 * room]).ljust(4, b"\0")
        raw = struct.pack(self.order + "H", len(entries)) + b"".join(entries) + link
        if at is None or len(entries) > room:
            return self._append(raw)
        self.data[at : at + len(raw)] = raw
        return at
