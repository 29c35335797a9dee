"""Files for the user: each is new, and there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from itertools import count
from pathlib import Path

_LONGEST = 180
"""Bytes of a stem: file systems take 255 with number and ending."""


def save_new(folder: Path, name: str, data: bytes) -> Path:
    """Write a file that was not there before.

    Args:
        folder: made where it is missing.
        name: of the file, with its ending; where it is taken, a number is put before that.
        data: what the file holds.

    Returns:
        Where it is.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem, ending = Path(name).stem or "picture", Path(name).suffix
    stem = stem.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    partial = folder / f".{secrets.token_hex(8)}.part"
    try:
        partial.write_bytes(data)
        for number in count(1):
            path = folder / (f"{stem}{ending}" if number == 1 else f"{stem}_{number}{ending}")
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # the name is ours now
            except FileExistsError:
                continue
            partial.replace(path)
            return path
    finally:
        partial.unlink(missing_ok=True)
    raise AssertionError("numbers do not end")
