"""The systems with files of their own: which there are here, and one ready to be run."""

from __future__ import annotations

from clickpaint.errors import Sentence
from clickpaint.hosts.base import Host
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.paint.systems.kinds import KINDS
from clickpaint.paint.systems.running import RunningSystem
from clickpaint.paint.systems.system_folders import KIND, System, offered, require, systems
from clickpaint.paint.systems.system_options import check_acting
from clickpaint.studio.model_pool import ModelPool


class Systems:
    """Part of the studio."""

    def __init__(self, host: Host, pool: ModelPool) -> None:
        self._host, self._pool = host, pool

    def listed(self) -> list[System]:
        """Those that are here, also those that cannot be used."""
        return systems(self._host.folders(KIND))

    def lacking(self) -> dict[str, str]:
        """By their pipelines, why systems cannot be used here, whether their folders are here or not."""
        gone = {kind: Sentence("the installed diffusers has no {pipeline} any more.", pipeline=kind) for kind in KINDS if not offered(kind)}
        return gone | {system.kind.pipeline: system.reason for system in self.listed() if system.reason}

    def ready(self, name: str, task: str, options: PaintOptions) -> RunningSystem:
        """The system of that name (of "auto", the first that does the task) for these options; nothing is loaded yet.

        Raises:
            NotFound: there is none of that name.
            HostUnsupported: it cannot be used here.
            InvalidInput: it does something else, or an option would not act with it.
        """
        system = require(name, task, self._host.folders(KIND))
        check_acting(options, system, task)
        return RunningSystem(system, self._host.device(), self._pool.models)
