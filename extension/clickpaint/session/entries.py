"""The entries of the history on the disk: which there are, what a list says of them, and what has to go."""

from __future__ import annotations

import json
import logging
import re
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickpaint.errors import InvalidInput
from clickpaint.session.entry_files import MANIFEST, measured
from clickpaint.session.manifest import FORMAT

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9_-]{24}")
DAY = 24 * 3600.0
"""In seconds."""

DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    FileNotFoundError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    InvalidInput,
)
"""What reading an entry raises that somebody wrote into, or that was cut off."""


@dataclass(frozen=True)
class StorageBounds:
    """What may be kept; where either is 0, nothing is.

    Attributes:
        days: longer than that after its last change, an entry is removed.
        nbytes: what all entries together may take; the oldest go first.
    """

    days: float
    nbytes: int

    @property
    def off(self) -> bool:
        return self.days <= 0 or self.nbytes <= 0


@dataclass(frozen=True)
class StoredWorkspace:
    """An entry of the history.

    Attributes:
        id: of the workspace.
        name: of the file that was opened.
        size: (width, height) of what is shown.
        versions: numbers of the results that can be shown, 0 for the original.
        steps: what was done to the picture to get what is shown, for people, in order.
        opened, changed: in seconds since 1970.
        nbytes: on disk.
    """

    id: str
    name: str
    size: tuple[int, int]
    versions: tuple[int, ...]
    steps: tuple[str, ...]
    opened: float
    changed: float
    nbytes: int


class Entries:
    """The entries below one folder; whoever shares this between threads locks it.

    Args:
        folder: need not be there.
        bounds: asked whenever something is read or pruned.
    """

    def __init__(self, folder: Path, bounds: Callable[[], StorageBounds]) -> None:
        self._folder, self._bounds = folder, bounds

    def prune(self, newest: str, opened: Container[str]) -> list[str]:
        """Remove what is too old, and of the rest the oldest until it is within bounds; those that are open after all others.

        Args:
            newest: the entry that was written last, which goes last.
            opened: ids of the workspaces that are open.

        Returns:
            Ids of what was removed although it is open.
        """
        bounds, now = self._bounds(), time.time()
        entries = {id: measured(self._folder / id) for id in self.names()}
        for id, (changed, _) in entries.items():
            if now - changed > bounds.days * DAY and id not in opened:
                self.remove(id)
        entries = {id: measured for id, measured in entries.items() if (self._folder / id).is_dir()}
        gone, total = [], sum(nbytes for _, nbytes in entries.values())
        for id in sorted(entries, key=lambda id: (id == newest, id in opened, entries[id][0])):
            if total <= bounds.nbytes:
                break
            level = logging.WARNING if id in opened else logging.INFO
            log.log(level, "The stored picture %s… is removed: stored pictures may take %d MB.", id[:6], bounds.nbytes >> 20)
            if id in opened:
                gone.append(id)
            self.remove(id)
            total -= entries[id][1]
        return gone

    def remove_all(self) -> None:
        for id in self.names():
            self.remove(id)

    def names(self) -> list[str]:
        """Ids of all."""
        try:
            return [entry.name for entry in self._folder.iterdir() if is_id(entry.name)]
        except OSError:
            return []

    def remove(self, id: str) -> None:
        folder = self._folder / id
        try:
            (folder / MANIFEST).unlink(missing_ok=True)  # first, so that half an entry is none
            shutil.rmtree(folder)
        except OSError as error:
            log.warning("The stored picture %s… cannot be removed: %s", id[:6], error.strerror)

    def remove_damaged(self, id: str, error: Exception) -> None:
        log.warning("The stored picture %s… is damaged (%s: %s) and is removed.", id[:6], type(error).__name__, error)
        self.remove(id)

    def manifest(self, id: str) -> dict[str, Any] | None:
        """None where there is no entry, or one that is too old. Raises whatever a damaged one does."""
        try:
            manifest = json.loads((self._folder / id / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not isinstance(manifest, dict) or manifest.get("id") != id or manifest.get("format") != FORMAT:
            raise ValueError("it is of another program's form")
        return None if time.time() - measured(self._folder / id)[0] > self._bounds().days * DAY else manifest

    def described(self, id: str) -> StoredWorkspace | None:
        """The entry for a list; None where there is none. One that is damaged is removed."""
        try:
            manifest = self.manifest(id)
            if manifest is None:
                return None
            width, height = map(int, manifest["size"])
            versions = sorted({0, *(int(state["version"]) for state in manifest["states"])})
            steps: dict[int, str] = {}
            for state in manifest["states"][: int(manifest["index"]) + 1]:
                steps.setdefault(int(state["version"]), str(state["label"]))
            steps.pop(0, None)
            changed, nbytes = measured(self._folder / id)
            return StoredWorkspace(
                id,
                str(manifest["name"]),
                (width, height),
                tuple(versions),
                tuple(steps.values()),
                float(manifest["opened"]),
                changed,
                nbytes,
            )
        except DAMAGED as error:
            self.remove_damaged(id, error)
        except OSError as error:
            log.warning("The stored picture %s… cannot be read: %s", id[:6], error.strerror)
        return None


def is_id(name: str) -> bool:
    """Whether a workspace, or a video, could have this id."""
    return _ID.fullmatch(name) is not None
