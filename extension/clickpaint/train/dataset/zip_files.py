"""Data sets that come in a zip file."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.settings import MEGABYTE

_MOST_FILES = 50_000
_UNPACKED = 20
"""A zip file of pictures unpacks to little more than its own size; of one that claims more than so many times it nothing is unpacked."""


def unpack_zip(data: IO[bytes], folder: Path, limit: int) -> None:
    """Unpack the files of a zip that a data set consists of. Raises `InvalidInput`, `TooLarge`."""
    try:
        with zipfile.ZipFile(data) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            size, packed = sum(info.file_size for info in files), sum(info.compress_size for info in files)
            if len(files) > _MOST_FILES or size > max(packed * _UNPACKED, MEGABYTE) or size > limit * _UNPACKED:
                raise TooLarge("The zip file holds too much.", "Import the folder with the command line: clickpaint dataset import.")
            for info in files:
                parts = PurePosixPath(info.filename.replace("\\", "/"))
                if parts.is_absolute() or ".." in parts.parts or ":" in info.filename or stat.S_ISLNK(info.external_attr >> 16):
                    continue
                target = folder / parts
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise InvalidInput("This is no zip file that can be read.", "Pack the folder of the data set into a zip file.") from error


def inner_folder(folder: Path) -> Path:
    """Where the data set begins: who packs a folder often has the folder itself in the zip."""
    there = [path for path in folder.iterdir() if path.name != "__MACOSX" and not path.name.startswith(".")]
    return inner_folder(there[0]) if len(there) == 1 and there[0].is_dir() else folder
