"""Files that come with a request and are too large for memory: written to the disk while they arrive, where they are to stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from fastapi import Request

from clickpaint.errors import InvalidInput

MOST_FILES = 20_000
_LONGEST_HEADER = 4096


async def receive(request: Request, folder: Path) -> list[str]:
    """Write the files of a multipart form, or the body itself, into a folder, named "0", "1" … in their order.

    Args:
        folder: is there and is empty.

    Returns:
        The names that they came with.

    Raises:
        InvalidInput: the form cannot be read, has no file, or too many. OSError: the disk is full.
    """
    kind, parameters = _content_type(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        with (folder / "0").open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        return [request.query_params.get("name", "")]
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise _broken()
    files = _Files(folder)
    try:
        parser = _parser(boundary, files.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except (InvalidInput, OSError):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("multipart", "python_multipart"):
            raise
        raise _broken() from error
    finally:
        files.close()
    if not files.names:
        raise InvalidInput("The form has no file.", "Send the clip in the field 'file'.")
    return files.names


def _broken() -> InvalidInput:
    return InvalidInput("The form cannot be read.", "Send multipart/form-data with the clip in the field 'file'.")


def _content_type(text: str) -> tuple[str, dict[bytes, bytes]]:
    parse = _multipart().parse_options_header
    kind, parameters = parse(text)
    return kind.decode("latin-1").lower(), parameters


def _multipart() -> Any:
    """The package's module, which has had two names."""
    try:
        from python_multipart import multipart
    except ImportError:
        from multipart import multipart
    return multipart


def _parser(boundary: bytes, callbacks: dict[str, Callable[..., None]]) -> Any:
    return _multipart().MultipartParser(boundary, callbacks)


class _Files:
    """Takes the parts of a form as they arrive; those that are no files are passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._field, self._value = b"", b""
        self._disposition = b""
        self.names: list[str] = []

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin, "on_header_field": self._header_field, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._headers, "on_part_data": self._data, "on_part_end": self.close,
        }  # fmt: skip

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _begin(self) -> None:
        self._field, self._value, self._disposition = b"", b"", b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]
        self._check(self._field)

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check(self._value)

    def _check(self, header: bytes) -> None:
        if len(header) > _LONGEST_HEADER:
            raise _broken()

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _headers(self) -> None:
        _, parameters = _multipart().parse_options_header(self._disposition)
        if b"filename" not in parameters:
            return
        if len(self.names) >= MOST_FILES:
            raise InvalidInput("The form has more than {limit} files.", "Send a video instead of its frames.", limit=MOST_FILES)
        self._file = (self._folder / str(len(self.names))).open("wb")
        self.names.append(parameters[b"filename"].decode("utf-8", "replace"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
