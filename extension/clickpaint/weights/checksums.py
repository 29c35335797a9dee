"""Checksums of model files: computed once, and remembered beside the files by path, size and time of change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clickpaint.errors import Sentence
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.catalog import ModelFile

_SUMS = ".clickpaint-sums.json"
_BLOCK = 8 << 20


class RememberedSums:
    """The checksums that were computed before.

    Args:
        folders: the folders of a kind of model; the file of sums lies in the first of them, which is ours.
    """

    def __init__(self, folders: Callable[[str], list[Path]]) -> None:
        self._folders = folders
        self._sums: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def known(self, file: ModelFile, path: Path) -> str | None:
        """The file's checksum in hexadecimal digits, if it was computed and the file has not changed since; None otherwise."""
        with self._lock:
            entry = self._read(file).get(str(path))
        if entry is None or file.checksum is None:
            return None
        try:
            stat = path.stat()
        except OSError:
            return None
        now = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "algorithm": file.checksum.algorithm}
        return entry.get("sum") if {**entry, **now} == entry else None

    def remember(self, file: ModelFile, path: Path, value: str) -> None:
        """Keep a checksum that was just computed of the file at `path`."""
        if file.checksum is None:
            return
        stat = path.stat()
        entry = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "algorithm": file.checksum.algorithm, "sum": value}
        with self._lock:
            self._read(file)[str(path)] = entry
            self._write(file)

    def forget(self, file: ModelFile, path: Path) -> None:
        """Drop what is known of the file at `path`."""
        with self._lock:
            if self._read(file).pop(str(path), None) is not None:
                self._write(file)

    def _read(self, file: ModelFile) -> dict[str, Any]:
        folder = str(self._folders(file.kind)[0])
        if folder not in self._sums:
            try:
                stored = json.loads((Path(folder) / _SUMS).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                stored = {}
            valid = stored.items() if isinstance(stored, dict) else ()
            self._sums[folder] = {path: entry for path, entry in valid if isinstance(entry, dict)}
        return self._sums[folder]

    def _write(self, file: ModelFile) -> None:
        folder = self._folders(file.kind)[0]
        temporary = folder / f"{_SUMS}.{os.getpid()}.{threading.get_ident()}"
        with contextlib.suppress(OSError):  # a folder that cannot be written costs another reading after the next start
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._read(file), indent=1), encoding="utf-8")
            temporary.replace(folder / _SUMS)


def checksum(path: Path, algorithm: str = "sha256", progress: Progress = SILENT) -> str:
    """The file's checksum in hexadecimal digits, read in blocks."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    total, done = path.stat().st_size, 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            hasher.update(block)
            done += len(block)
            progress.report(done / max(total, 1), f"Checking {path.name}", done=done, total=total, unit="B")
    return hasher.hexdigest()


def mismatch(file: ModelFile, path: Path, actual: str) -> Sentence:
    """Say that the file has another checksum than the catalog promises."""
    expected = file.checksum
    assert expected is not None
    return Sentence(
        "{filename} is not what the catalog promises: its {algorithm} is {actual} instead of {expected}.",
        filename=path.name,
        algorithm=expected.algorithm,
        actual=actual,
        expected=expected.value,
    )
