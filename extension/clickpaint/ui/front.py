"""What the page needs while it is made: little, so that a web UI starts quickly and makes the rest of the studio later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clickpaint.hosts.base import Host
    from clickpaint.session.workspace import Workspace
    from clickpaint.studio.model_pool import ModelPool


class Front(Protocol):
    """A studio, or something that stands before one."""

    @property
    def host(self) -> Host: ...

    @property
    def pool(self) -> ModelPool: ...

    def workspace(self, id: str) -> Workspace:
        """Raises `NotFound`."""
        ...
