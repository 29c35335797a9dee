"""The use-cases of model files: download them, compare them with the catalog. Nobody waits for these; their tasks tell how far they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from clickpaint.errors import Busy, ClickpaintError, DownloadFailed
from clickpaint.hosts.base import Host
from clickpaint.progress import Progress
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.tasks import OF_EVERYBODY, Task, Tasks
from clickpaint.weights.catalog import files_of
from clickpaint.weights.transfer import Network

log = logging.getLogger(__name__)

_MOST_DOWNLOADS = 4


class Downloads:
    """Part of the studio."""

    def __init__(self, host: Host, pool: ModelPool, tasks: Tasks) -> None:
        self._host, self._pool, self._tasks = host, pool, tasks
        self._starting = threading.Lock()

    def download(self, name: str) -> Task:
        """Begin to download a model; the task that is already doing it if there is one.

        Raises:
            NotFound: the catalog has no such model.
            DownloadFailed: downloads are switched off, or nobody knows a trusted address.
            Busy: several are under way.
        """
        store = self._pool.store
        state = store.state(name)
        if self._host.setting("offline"):
            raise DownloadFailed(
                "Downloads are switched off.", "Switch the setting offline off, or put the file there yourself.", model=name
            )
        if state.state != "present" and not all(file.urls for file in files_of(name)):
            raise DownloadFailed("{model} cannot be downloaded from here.", state.reason, model=name)
        network = Network(mirror=self._host.setting("download_mirror"), offline=False)
        return self._in_background("download", name, lambda progress: store.download(name, network, progress))

    def verify(self, name: str) -> Task:
        """Begin to compare a model's files with the catalog; one that is wrong is set aside. Raises `NotFound`, `Busy`."""
        self._pool.store.state(name)
        return self._in_background("verify", name, lambda progress: self._pool.store.verify(name, progress))

    def remove(self, name: str) -> int:
        """Delete a model's files, and what of it is in memory. Returns the bytes freed on the disk.

        Raises:
            Busy: it is being downloaded or checked. NotFound, InvalidInput: see `Store.remove`.
        """
        files_of(name)
        with self._starting:
            if self.under_way(name) is not None:
                raise Busy("{model} is being downloaded or checked.", "Wait for that, or cancel it.", model=name)
            self._pool.unload(name)  # Windows deletes no file that is mapped into memory
            freed = self._pool.store.remove(name)
        self._pool.changed()
        return freed

    def under_way(self, name: str) -> Task | None:
        """The model's download or check, if there is one."""
        return self._tasks.find(OF_EVERYBODY, name)

    def cancel(self, name: str) -> bool:
        """Stop a model's download or check; what was downloaded is kept for the next time. Whether there was one. Raises `NotFound`."""
        files_of(name)
        task = self.under_way(name)
        if task is not None:
            task.interrupt()
        return task is not None

    def _in_background(self, kind: str, name: str, work: Callable[[Progress], object]) -> Task:
        with self._starting:
            known = self.under_way(name)
            if known is not None:
                return known
            if self._tasks.count(OF_EVERYBODY) >= _MOST_DOWNLOADS:
                raise Busy("Several downloads are under way.", "Wait for one of them, or cancel it.", limit=_MOST_DOWNLOADS)
            task = self._tasks.start(kind, subject=name)

        def run() -> None:
            try:
                work(task.begin())
            except Exception as error:
                if not isinstance(error, ClickpaintError):
                    log.exception("A %s failed", kind)
                task.finish(error)
            task.finish()
            self._pool.changed()

        threading.Thread(target=run, name=f"clickpaint-{kind}", daemon=True).start()
        return task
