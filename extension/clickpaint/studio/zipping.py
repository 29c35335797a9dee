"""Zip files that are made of what is here and handed on: nothing in them is compressed once more."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from typing import IO

_IN_MEMORY = 64 << 20


def zipped(fill: Callable[[zipfile.ZipFile], object]) -> IO[bytes]:
    """One zip file, to be read from its begin and closed by who asked; in memory while it is small. fill: writes into it."""
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (the caller closes it)
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            fill(archive)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file
