"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from clickpaint.errors import cannot_write


def write_whole(target: Path, data: bytes) -> None:
    """Write a file, with the folders that lead to it, or leave what is there. Raises `InvalidInput`: it cannot be written."""
    part = target.with_name(f".{uuid.uuid4().hex[:12]}.part")  # short, whatever the target's name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(target, error) from error
        raise
