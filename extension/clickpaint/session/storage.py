"""Workspaces on disk: what was opened and made outlives the program, within bounds.

An entry is a folder named by the workspace's id. Its manifest names the files that belong to it and is replaced as a whole, after they
were written and before those of an earlier manifest are removed: whenever the program dies, the last manifest and all it names are there.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image.picture import Picture
from clickpaint.session.entry_files import MANIFEST, SOURCE, file_name, measured, packed, unpacked, write_file
from clickpaint.session.manifest import FORMAT, contents_of, manifest_of
from clickpaint.session.workspace import Workspace

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9_-]{24}")
_DAY = 24 * 3600.0
_THUMBNAIL = 320
_REST, _LONGEST_REST = 1.0, 5.0
"""Seconds without another click after which a click is written, and those after which it is in any case: they come in series, and making
and packing whole masks would take the processor from the next one."""
_DAMAGED = (
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


@dataclass
class _Entry:
    """What is known of a workspace that is open.

    Attributes:
        source: the file as it came, until it is written.
        files: names of files by the `id` of what was written into them; that is held, so that no other object gets the same.
        number: of the next file.
        manifest: as it was written last.
        thumbnail: the version that it shows, and its file's name.
    """

    source: bytes | None = None
    files: dict[int, tuple[object, str]] = field(default_factory=dict)
    number: int = 1
    manifest: bytes = b""
    thumbnail: tuple[int, str] = (-1, "")


class WorkspaceStorage:
    """The entries below one folder. Everything may be called from any thread; what is slow about writing happens on one of its own.

    Args:
        folder: whose entries are ours; made when the first is written, for this user alone.
        bounds: asked whenever something is written, read or listed.
        decode: makes the picture of a file's bytes.
    """

    def __init__(self, folder: Path, bounds: Callable[[], StorageBounds], decode: Callable[[bytes], Picture]) -> None:
        self._folder, self._bounds, self._decode = folder, bounds, decode
        self._entries: dict[str, _Entry] = {}
        self._waiting: dict[str, Workspace] = {}
        self._due: dict[str, tuple[float, float]] = {}  # of those that wait: from when on they are written, and since when they wait
        self._settling: list[str | None] = []
        self._writing: str | None = None
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._disk = threading.RLock()

    def begin(self, workspace: Workspace, source: bytes) -> None:
        """Keep a workspace that was just opened, and each of its changes.

        Args:
            workspace: with what is known of it so far.
            source: the file that its picture was made of.
        """
        if self._bounds().off:
            self._clear()
            return
        with self._changed:
            self._entries[workspace.id] = _Entry(bytes(source))
        self._follow(workspace)
        self.changed(workspace)

    def changed(self, workspace: Workspace) -> None:
        """Let a workspace be written once what is being written now is; after a click, once there is a rest."""
        clicked, now = workspace.state.answer is not None, time.monotonic()
        with self._changed:
            if workspace.closed or workspace.id not in self._entries:
                return
            self._waiting[workspace.id] = workspace
            due, since = self._due.get(workspace.id, (now + _REST, now))
            if not clicked:
                self._due[workspace.id] = now, since
                self._changed.notify_all()
            elif due > now:
                self._due[workspace.id] = min(now + _REST, since + _LONGEST_REST), since
            if self._thread is None:
                # no daemon: the program ends once everything is written
                self._thread = threading.Thread(target=self._write_all, name="clickpaint-storage", daemon=False)
                self._thread.start()

    def settle(self, id: str | None = None) -> None:
        """Wait until a workspace (None: every one) is on disk as it is now."""
        with self._changed:
            self._settling.append(id)
            self._changed.notify_all()
            try:
                if id is None:
                    self._changed.wait_for(lambda: not self._waiting and self._writing is None)
                else:
                    self._changed.wait_for(lambda: id not in self._waiting and self._writing != id)
            finally:
                self._settling.remove(id)

    def release(self, workspace: Workspace) -> None:
        """A workspace is not open any more; what is on disk stays there."""
        with self._changed:
            if workspace.id not in self._waiting and self._writing != workspace.id:
                self._entries.pop(workspace.id, None)

    def forget(self, id: str) -> bool:
        """Remove an entry. Whether there was one."""
        with self._changed:
            known = self._entries.pop(id, None) is not None
            self._waiting.pop(id, None)
            self._due.pop(id, None)
        if not _ID.fullmatch(id):
            return False
        with self._disk:
            there = (self._folder / id).is_dir()
            if there:
                self._remove(id)
        return known or there

    def load(self, id: str) -> Workspace | None:
        """A workspace as it was written last; None where there is none. One that is damaged is removed.

        Raises:
            TooLarge: its picture has more pixels than may be opened now. Busy: as whatever decodes it.
        """
        if not _ID.fullmatch(id) or self._bounds().off:
            return None
        self.settle(id)
        try:
            with self._disk:
                manifest = self._manifest(id)
                if manifest is None:
                    return None
                workspace, entry = self._read(id, manifest)
        except TooLarge:
            raise
        except _DAMAGED as error:
            self._damaged(id, error)
            return None
        except OSError as error:
            log.warning("The stored picture %s… cannot be read: %s", id[:6], error.strerror)
            return None
        with self._changed:
            self._entries[id] = entry
        self._follow(workspace)
        return workspace

    def history(self, ids: Iterable[str] | None = None) -> list[StoredWorkspace]:
        """What is on disk, the one changed last first. ids: only these, as far as there are any; None for all."""
        if self._bounds().off:
            return []
        with self._disk:
            names = self._names() if ids is None else [id for id in dict.fromkeys(ids) if _ID.fullmatch(id)]
            entries = [entry for entry in map(self._described, names) if entry is not None]
        return sorted(entries, key=lambda entry: -entry.changed)

    def thumbnail(self, id: str) -> bytes | None:
        """A small JPEG of what an entry shows; None where there is none."""
        if not _ID.fullmatch(id) or self._bounds().off:
            return None
        try:
            with self._disk:
                manifest = self._manifest(id)
                return None if manifest is None else (self._folder / id / file_name(manifest["thumbnail"])).read_bytes()
        except (OSError, *_DAMAGED):
            return None

    def _follow(self, workspace: Workspace) -> None:
        workspace.after_turn = self.changed

    def _write_all(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._thread = None
                    return
                asked = self._waiting if None in self._settling else self._waiting.keys() & self._settling
                id = min(asked or self._waiting, key=lambda id: self._due[id])
                rest = 0.0 if asked else self._due[id][0] - time.monotonic()
                if rest > 0:
                    self._changed.wait(rest)
                    continue
                del self._due[id]
                workspace, self._writing = self._waiting.pop(id), id
            try:
                with self._disk:
                    self._write(workspace)
            except OSError as error:
                log.warning("The picture %s… could not be stored, and would be lost with this program: %s", id[:6], error.strerror)
            except Exception:
                log.exception("The picture %s… could not be stored", id[:6])
            with self._changed:
                self._writing = None
                if workspace.closed and id not in self._waiting:
                    self._entries.pop(id, None)
                self._changed.notify_all()

    def _write(self, workspace: Workspace) -> None:
        entry = self._entries.get(workspace.id)
        if entry is None or self._bounds().off:
            return
        folder = self._folder / workspace.id
        if entry.source is None and not (folder / MANIFEST).is_file():
            self._entries.pop(workspace.id, None)  # somebody removed it: without its source it is worth nothing
            log.warning("The stored picture %s… was removed; it is not stored any more.", workspace.id[:6])
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if entry.source is not None:
            write_file(folder / SOURCE, entry.source)
        contents, named = workspace.contents(), {SOURCE}

        def name_of(kind: str, content: object, arrays: Callable[[], Mapping[str, np.ndarray]]) -> str:
            known = entry.files.get(id(content))
            if known is None:
                known = content, f"{kind}-{entry.number}.npz"
                entry.number += 1
                write_file(folder / known[1], packed(arrays()))
                entry.files[id(content)] = known
            named.add(known[1])
            return known[1]

        manifest = manifest_of(workspace.id, contents, name_of)
        shown = contents.states[contents.index].version
        if entry.thumbnail[0] != shown:
            small = workspace.small_jpeg(shown, _THUMBNAIL)
            entry.thumbnail = shown, f"thumbnail-{entry.number}.jpg"
            entry.number += 1
            write_file(folder / entry.thumbnail[1], small)
        named.add(entry.thumbnail[1])
        width, height = workspace.size
        manifest |= {"thumbnail": entry.thumbnail[1], "thumbnail_of": shown, "size": [width, height]}
        data = json.dumps(manifest).encode()
        if data != entry.manifest:
            partial = folder / f"{MANIFEST}.part"
            write_file(partial, data)
            partial.replace(folder / MANIFEST)
            entry.manifest, entry.source = data, None
            entry.files = {key: known for key, known in entry.files.items() if known[1] in named}
            self._sweep(folder, named)
            self._prune(workspace.id)

    def _sweep(self, folder: Path, named: set[str]) -> None:
        for file in folder.iterdir():
            if file.name not in named and file.name != MANIFEST:
                file.unlink(missing_ok=True)

    def _prune(self, newest: str) -> None:
        """Remove what is too old, and of the rest the oldest until it is within bounds; those that are open after all others."""
        bounds, now = self._bounds(), time.time()
        entries = {id: measured(self._folder / id) for id in self._names()}
        for id, (changed, _) in entries.items():
            if now - changed > bounds.days * _DAY and id not in self._entries:
                self._remove(id)
        entries = {id: measured for id, measured in entries.items() if (self._folder / id).is_dir()}
        total = sum(nbytes for _, nbytes in entries.values())
        for id in sorted(entries, key=lambda id: (id == newest, id in self._entries, entries[id][0])):
            if total <= bounds.nbytes:
                break
            level = logging.WARNING if id in self._entries else logging.INFO
            log.log(level, "The stored picture %s… is removed: stored pictures may take %d MB.", id[:6], bounds.nbytes >> 20)
            self._entries.pop(id, None)
            self._remove(id)
            total -= entries[id][1]

    def _clear(self) -> None:
        """Nothing is to be kept: nothing stays."""
        with self._disk:
            for id in self._names():
                self._remove(id)

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in self._folder.iterdir() if _ID.fullmatch(entry.name)]
        except OSError:
            return []

    def _remove(self, id: str) -> None:
        folder = self._folder / id
        try:
            (folder / MANIFEST).unlink(missing_ok=True)  # first, so that half an entry is none
            shutil.rmtree(folder)
        except OSError as error:
            log.warning("The stored picture %s… cannot be removed: %s", id[:6], error.strerror)

    def _damaged(self, id: str, error: Exception) -> None:
        log.warning("The stored picture %s… is damaged (%s: %s) and is removed.", id[:6], type(error).__name__, error)
        with self._disk:
            self._remove(id)

    def _manifest(self, id: str) -> dict[str, Any] | None:
        """None where there is no entry, or one that is too old. Raises whatever a damaged one does."""
        try:
            manifest = json.loads((self._folder / id / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not isinstance(manifest, dict) or manifest.get("id") != id or manifest.get("format") != FORMAT:
            raise ValueError("it is of another program's form")
        return None if time.time() - measured(self._folder / id)[0] > self._bounds().days * _DAY else manifest

    def _described(self, id: str) -> StoredWorkspace | None:
        try:
            manifest = self._manifest(id)
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
        except _DAMAGED as error:
            self._damaged(id, error)
        except OSError as error:
            log.warning("The stored picture %s… cannot be read: %s", id[:6], error.strerror)
        return None

    def _read(self, id: str, manifest: Mapping[str, Any]) -> tuple[Workspace, _Entry]:
        folder, entry = self._folder / id, _Entry()
        held: dict[str, Any] = {}

        def read(name: str, make: Callable[[dict[str, np.ndarray]], Any]) -> Any:
            if name not in held:
                held[name] = make(unpacked(folder / file_name(name)))
                entry.files[_identity(held[name])] = held[name], name
            return held[name]

        original = self._decode((folder / SOURCE).read_bytes())
        workspace = Workspace.restored(id, original, contents_of(manifest, original, read))
        thumbnail = file_name(manifest["thumbnail"])
        entry.thumbnail = int(manifest["thumbnail_of"]), thumbnail
        self._sweep(folder, {SOURCE, thumbnail, *held})
        entry.number = 1 + max(int(name.partition("-")[2].partition(".")[0]) for name in (thumbnail, *held))
        entry.manifest = (folder / MANIFEST).read_bytes()
        return workspace, entry


_identity = id  # where `id` is a workspace's
