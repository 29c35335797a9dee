"""Workspaces on disk: what was opened and made outlives the program, within bounds.

An entry is a folder named by the workspace's id. Its manifest names the files that belong to it and is replaced as a whole, after they
were written and before those of an earlier manifest are removed: whenever the program dies, the last manifest and all it names are there.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.errors import TooLarge
from clickpaint.image.picture import Picture
from clickpaint.session.entries import DAMAGED, Entries, StorageBounds, StoredWorkspace, is_id
from clickpaint.session.entry_files import MANIFEST, SOURCE, file_name, packed, sweep, unpacked, write_file
from clickpaint.session.manifest import contents_of, manifest_of
from clickpaint.session.workspace import Workspace

log = logging.getLogger(__name__)

_THUMBNAIL = 320
_REST, _LONGEST_REST = 0.3, 2.0
"""Seconds without another click after which a click is written, and those after which it is in any case: they come in series, and making
and packing whole masks would take the processor from the next one."""


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
        self._entries = Entries(folder, bounds)
        self._opened: dict[str, _Entry] = {}
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
            with self._disk:  # nothing is to be kept: nothing stays
                self._entries.remove_all()
            return
        with self._changed:
            self._opened[workspace.id] = _Entry(bytes(source))
        self._follow(workspace)
        self.changed(workspace)

    def changed(self, workspace: Workspace) -> None:
        """Let a workspace be written once what is being written now is; after a click, once there is a rest."""
        clicked, now = workspace.state.answer is not None, time.monotonic()
        with self._changed:
            if workspace.closed or workspace.id not in self._opened:
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
                self._opened.pop(workspace.id, None)

    def forget(self, id: str) -> bool:
        """Remove an entry. Whether there was one."""
        with self._changed:
            known = self._opened.pop(id, None) is not None
            self._waiting.pop(id, None)
            self._due.pop(id, None)
        if not is_id(id):
            return False
        with self._disk:
            there = (self._folder / id).is_dir()
            if there:
                self._entries.remove(id)
        return known or there

    def load(self, id: str) -> Workspace | None:
        """A workspace as it was written last; None where there is none. One that is damaged is removed.

        Raises:
            TooLarge: its picture has more pixels than may be opened now. Busy: as whatever decodes it.
        """
        if not is_id(id) or self._bounds().off:
            return None
        self.settle(id)
        try:
            with self._disk:
                manifest = self._entries.manifest(id)
                if manifest is None:
                    return None
                workspace, entry = self._read(id, manifest)
        except TooLarge:
            raise
        except DAMAGED as error:
            with self._disk:
                self._entries.remove_damaged(id, error)
            return None
        except OSError as error:
            log.warning("The stored picture %s… cannot be read: %s", id[:6], error.strerror)
            return None
        with self._changed:
            self._opened[id] = entry
        self._follow(workspace)
        return workspace

    def history(self, ids: Iterable[str] | None = None) -> list[StoredWorkspace]:
        """What is on disk, the one changed last first. ids: only these, as far as there are any; None for all."""
        if self._bounds().off:
            return []
        with self._disk:
            names = self._entries.names() if ids is None else [id for id in dict.fromkeys(ids) if is_id(id)]
            entries = [entry for entry in map(self._entries.described, names) if entry is not None]
        return sorted(entries, key=lambda entry: -entry.changed)

    def thumbnail(self, id: str) -> bytes | None:
        """A small JPEG of what an entry shows; None where there is none."""
        if not is_id(id) or self._bounds().off:
            return None
        try:
            with self._disk:
                manifest = self._entries.manifest(id)
                return None if manifest is None else (self._folder / id / file_name(manifest["thumbnail"])).read_bytes()
        except (OSError, *DAMAGED):
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
                    self._opened.pop(id, None)
                self._changed.notify_all()

    def _write(self, workspace: Workspace) -> None:
        entry = self._opened.get(workspace.id)
        if entry is None or self._bounds().off:
            return
        folder = self._folder / workspace.id
        if entry.source is None and not (folder / MANIFEST).is_file():
            self._opened.pop(workspace.id, None)  # somebody removed it: without its source it is worth nothing
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
            sweep(folder, named)
            for pruned in self._entries.prune(workspace.id, self._opened):
                self._opened.pop(pruned, None)

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
        sweep(folder, {SOURCE, thumbnail, *held})
        entry.number = 1 + max(int(name.partition("-")[2].partition(".")[0]) for name in (thumbnail, *held))
        entry.manifest = (folder / MANIFEST).read_bytes()
        return workspace, entry


_identity = id  # where `id` is a workspace's
