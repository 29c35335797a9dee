"""All editing sessions that are open, within bounds: who is closed when there is no room for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickpaint.errors import Busy, NotFound, TooLarge
from clickpaint.session.workspace import Workspace

if TYPE_CHECKING:
    from clickpaint.image.picture import Picture


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
    """All open workspaces.

    Args:
        bounds: asked whenever something is opened or grows.
        in_use: whether something is under way for the workspace of this id, which then is not closed for lack of room.
        closed: called with the id of every workspace that is closed.
    """

    def __init__(
        self, bounds: Callable[[], Bounds], in_use: Callable[[str], bool], closed: Callable[[str], object] = lambda _: None
    ) -> None:
        self._bounds, self._in_use, self._closed = bounds, in_use, closed
        self._all: dict[str, Workspace] = {}
        self._lock = threading.Lock()

    def open(self, original: Picture, name: str = "") -> Workspace:
        """Raises `TooLarge` where one picture is more than all may hold, `Busy` where no other can be closed for it."""
        workspace = Workspace(original, name)
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
            self.close(workspace.id)
            raise Busy("Too many pictures are being worked on.", "Try again in a minute, or close one.", limit=bounds.number)
        return workspace

    def get(self, id: str) -> Workspace:
        """The workspace, which counts as used now. Raises `NotFound`."""
        self._close_expired(self._bounds())
        with self._lock:
            workspace = self._all.get(id)
        if workspace is None:
            raise NotFound("There is no such workspace (any more).", "Open the picture again.")
        workspace.used = time.monotonic()
        return workspace

    def recent(self) -> list[Workspace]:
        """Those that are open, the one last used first."""
        return sorted(self._list(), key=lambda workspace: -workspace.used)

    def close(self, id: str) -> bool:
        """Forget a workspace; what is under way for it finds it closed. Whether there was one."""
        with self._lock:
            workspace = self._all.pop(id, None)
        if workspace is None:
            return False
        workspace.closed = True
        self._closed(id)
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
                self.close(workspace.id)
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
                self.close(workspace.id)
