"""All editing sessions that are open, within bounds: who is closed when there is no room for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickpaint.errors import Busy, NotFound, TooLarge
from clickpaint.session.workspace import Workspace

if TYPE_CHECKING:
    from clickpaint.image.picture import Picture
    from clickpaint.session.entries import StoredWorkspace
    from clickpaint.session.storage import WorkspaceStorage


@dataclass(frozen=True)
class Bounds:
    """What all workspaces together may take.

    Attributes:
        number: how many there may be.
        nbytes: what they may hold.
        seconds: unused for longer than that, one is closed.
    """

    number: int
    nbytes: int
    seconds: float


class Workspaces:
    """All open workspaces, and those that can be opened again because they are stored.

    Args:
        bounds: asked whenever something is opened or grows.
        in_use: whether something is under way for the workspace of this id, which then is not closed for lack of room.
        closed: called with the id of every workspace that is closed.
        storage: where they outlive being closed for lack of room, and the program; None for nowhere.
        brought_back: called with every workspace that is opened again from there.
    """

    def __init__(
        self,
        bounds: Callable[[], Bounds],
        in_use: Callable[[str], bool],
        closed: Callable[[str], object] = lambda _: None,
        storage: WorkspaceStorage | None = None,
        brought_back: Callable[[Workspace], object] = lambda _: None,
    ) -> None:
        self._bounds, self._in_use, self._closed = bounds, in_use, closed
        self._storage, self._brought_back = storage, brought_back
        self._all: dict[str, Workspace] = {}
        self._lock = threading.Lock()
        self._restoring = threading.Lock()

    def open(self, original: Picture, name: str = "", source: bytes = b"", segmenter: str = "") -> Workspace:
        """A new workspace.

        Args:
            original: the picture.
            name: of its file.
            source: its file, for the storage; empty for a picture that is not stored.
            segmenter: name of the one that clicks will use.

        Raises:
            TooLarge: one picture is more than all may hold. Busy: no other can be closed for it.
        """
        workspace = Workspace(original, name)
        workspace.segmenter = segmenter
        self._add(workspace)
        if self._storage is not None and source:
            self._storage.begin(workspace, source)
        return workspace

    def _add(self, workspace: Workspace) -> None:
        bounds = self._bounds()
        if workspace.nbytes > bounds.nbytes:
            raise TooLarge(
                "This picture needs {megabytes} MB, more than all open pictures may take.",
                "Raise the setting workspaces_budget_mb, or open a smaller one.",
                nbytes=workspace.nbytes,
                limit=bounds.nbytes,
                megabytes=workspace.nbytes >> 20,
            )
        self._close_expired(bounds)
        with self._lock:
            self._all[workspace.id] = workspace
        if not self.make_room(workspace):
            self.put_away(workspace.id)
            raise Busy("Too many pictures are being worked on.", "Try again in a minute, or close one.", limit=bounds.number)

    def get(self, id: str) -> Workspace:
        """The workspace, which counts as used now; one that is stored is opened again. Raises `NotFound`, and as `open`."""
        self._close_expired(self._bounds())
        workspace = self._open(id) or self._restored(id)
        if workspace is None:
            raise NotFound("There is no such workspace (any more).", "Open the picture again.")
        workspace.used = time.monotonic()
        return workspace

    def _open(self, id: str) -> Workspace | None:
        with self._lock:
            return self._all.get(id)

    def _restored(self, id: str) -> Workspace | None:
        if self._storage is None:
            return None
        with self._restoring:  # two requests at once are to get the same one
            workspace = self._open(id) or self._storage.load(id)
            if workspace is None or self._open(id) is workspace:
                return workspace
            self._add(workspace)
        self._brought_back(workspace)
        return workspace

    def history(self, ids: Iterable[str] | None = None) -> list[StoredWorkspace]:
        """What is stored, the one changed last first. ids: only these, as far as there are any; None for all."""
        return [] if self._storage is None else self._storage.history(ids)

    def thumbnail(self, id: str) -> bytes | None:
        """A small JPEG of what a stored workspace shows; None where there is none."""
        return None if self._storage is None else self._storage.thumbnail(id)

    def settle(self) -> None:
        """Wait until everything that is to be stored is."""
        if self._storage is not None:
            self._storage.settle()

    def recent(self) -> list[Workspace]:
        """Those that are open, the one last used first."""
        return sorted(self._list(), key=lambda workspace: -workspace.used)

    def close(self, id: str) -> bool:
        """Forget a workspace, also where it is stored; what is under way for it finds it closed. Whether there was one."""
        with self._restoring:
            was_open = self.put_away(id)
            return (self._storage is not None and self._storage.forget(id)) or was_open

    def put_away(self, id: str) -> bool:
        """Free a workspace's memory; one that is stored can be opened again. What is under way for it finds it closed. Whether it was
        open."""
        with self._lock:
            workspace = self._all.pop(id, None)
        if workspace is None:
            return False
        workspace.closed = True
        self._closed(id)
        if self._storage is not None:
            self._storage.release(workspace)
        return True

    def make_room(self, keep: Workspace) -> bool:
        """Close what was unused longest, except `keep` and what is in use, until the rest is within bounds; then let `keep` forget its
        oldest steps. False where that was not enough."""
        bounds = self._bounds()
        sizes = {workspace.id: workspace.nbytes for workspace in self._list()}

        def within() -> bool:
            return len(sizes) <= bounds.number and sum(sizes.values()) <= bounds.nbytes

        for workspace in sorted(self._list(), key=lambda workspace: workspace.used):
            if within():
                return True
            if workspace is not keep and not self._in_use(workspace.id):
                self.put_away(workspace.id)
                sizes.pop(workspace.id, None)
        while sum(sizes.values()) > bounds.nbytes and keep.forget_oldest():
            sizes[keep.id] = keep.nbytes
        return within()

    def __len__(self) -> int:
        return len(self._all)

    @property
    def nbytes(self) -> int:
        return sum(workspace.nbytes for workspace in self._list())

    def _list(self) -> list[Workspace]:
        with self._lock:
            return [*self._all.values()]

    def _close_expired(self, bounds: Bounds) -> None:
        now = time.monotonic()
        for workspace in self._list():
            if now - workspace.used > bounds.seconds and not self._in_use(workspace.id):
                self.put_away(workspace.id)
