"""A file as an answer, of which a client may ask for a part (RFC 9110, section 14): players look into a video before they play it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

_BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def file_answer(request: Request, path: Path, media_type: str, download: str = "", *, lasting: bool = False) -> Response:
    """The file, or the part that the request's Range asks for (206), or 416 where there is no such part.

    Args:
        path: of the file, which does not change while it is sent.
        download: name to save it under; "" for a file that is to be shown.
        lasting: whether this address never has another content.
    """
    stat = path.stat()
    tag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Cache-Control": "private, max-age=31536000, immutable" if lasting else "private, no-cache",
        "Content-Encoding": "identity",  # without one of its own, the web UIs' GZipMiddleware packs the file, and then no part is right
        "X-Content-Type-Options": "nosniff",
    }
    if download:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(download, safe='')}"
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    first, last = 0, stat.st_size - 1
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip().lower().replace(" ", ""))
    partial = asked is not None and any(asked.groups()) and request.headers.get("if-range", tag) == tag
    if partial and asked is not None:
        begin, end = asked.groups()
        if begin:
            first, last = int(begin), min(int(end), last) if end else last
        else:
            first = max(stat.st_size - int(end), 0) if int(end) else stat.st_size
        if first > last:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{stat.st_size}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{stat.st_size}"
    headers["Content-Length"] = str(last - first + 1)
    return StreamingResponse(_blocks(path, first, last + 1), 206 if partial else 200, headers, media_type)


def _blocks(path: Path, first: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while first < end and (block := file.read(min(_BLOCK, end - first))):
            first += len(block)
            yield block
