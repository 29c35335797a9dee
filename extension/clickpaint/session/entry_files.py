"""The files of one stored workspace: their names, their forms, and what they take."""

from __future__ import annotations

import io
import os
import re
import time
import zipfile
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MANIFEST, SOURCE = "manifest.json", "source"
_FILE = re.compile(r"(?:mask|tiles|frame|result)-\d+\.npz|thumbnail-\d+\.jpg|source")


def file_name(name: Any) -> str:
    if not isinstance(name, str) or not _FILE.fullmatch(name):
        raise ValueError(f"{name!r} is none of its files")
    return name


def write_file(path: Path, data: bytes) -> None:
    """A file that only this user may read, on the disk once this returns."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """An .npz, packed at the fastest level, which `numpy.savez_compressed` does not offer."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return stream.getvalue()


def unpacked(path: Path) -> dict[str, np.ndarray]:
    # opened here: what turns out to be no archive would be left open
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def sweep(folder: Path, named: Container[str]) -> None:
    """Remove the files of an entry that its manifest does not name."""
    for file in folder.iterdir():
        if file.name not in named and file.name != MANIFEST:
            file.unlink(missing_ok=True)


def measured(folder: Path) -> tuple[float, int]:
    """When the entry (without a manifest: its folder) was changed last, in seconds since 1970, and its bytes."""
    changed, nbytes = 0.0, 0
    try:
        with os.scandir(folder) as files:
            for file in files:
                stat = file.stat(follow_symlinks=False)
                nbytes += stat.st_size
                # one without a manifest is being written by another program, or was left by one that died
                changed = stat.st_mtime if file.name == MANIFEST else changed
        return changed or folder.stat().st_mtime, nbytes
    except OSError:
        return time.time(), nbytes
