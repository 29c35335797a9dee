"""The one way to run a use-case: admitted, seen, stopped, in its turn, in its lane."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from clickpaint.errors import Busy
from clickpaint.progress import Progress
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.queue import BACKGROUND, CLICK, WORK, Compute
from clickpaint.studio.tasks import Task, Tasks

if TYPE_CHECKING:
    from clickpaint.image.picture import Picture
    from clickpaint.segment.base import Embedding, Segmenter

T = TypeVar("T")


class Owner(Protocol):
    """What a use-case may belong to: a workspace, or an opened video."""

    @property
    def id(self) -> str:
        """By which it is asked for."""
        ...

    def turn(self, check: Callable[[], None]) -> AbstractContextManager[None]:
        """See `Workspace.turn`."""
        ...


MOST_REQUESTS = 24
"""At once: each holds a thread of the server's 40, and whoever asks for pictures, lists and models needs some too."""


class RunningRequest:
    """One use-case under way. `Requests.run` hands it out; it ends with that block.

    Attributes:
        task: how others see it, and stop it.
    """

    def __init__(self, task: Task, workspace: Owner | None, pool: ModelPool, work: Compute, clicks: Compute) -> None:
        self.task = task
        self._workspace, self._pool, self._work, self._clicks = workspace, pool, work, clicks

    def turn(self) -> AbstractContextManager[None]:
        """Be the only one who changes the workspace; an interruption ends the waiting.

        Raises:
            Busy: too many wait for it already.
            NotFound: it was closed. Interrupted.
        """
        assert self._workspace is not None, "a request without a workspace has no turn"
        return self._workspace.turn(self.task.check)

    def compute(self, work: Callable[[Progress], T]) -> T:
        """`work(progress)` in the lane of long work, which holds the host's lock; once more where memory ran out.

        Raises:
            Busy: too much waits already. Interrupted, OutOfMemory, and whatever `work` raises.
        """
        return self._in_lane(self._work, work, WORK)

    def click(self, work: Callable[[Progress], T]) -> T:
        """As `compute`, in the lane of clicks, which need not wait for long work."""
        return self._in_lane(self._clicks, work, CLICK)

    def wait(self, work: Callable[[Progress], T]) -> T:
        """`work(progress)` in this thread and in no lane: for what waits on another machine and computes nothing on this one."""
        return work(self.task.begin())

    def _in_lane(self, lane: Compute, work: Callable[[Progress], T], urgency: int) -> T:
        return lane.run(self.task, lambda progress: self._pool.retrying_with_freed_memory(lambda: work(progress)), urgency)


class Requests:
    """All use-cases run through here.

    Args:
        tasks: where each is seen and stopped.
        work: the lane of long work.
        clicks: the lane of clicks.
        pool: what is freed where memory runs out.
        limit: how many may be under way.
    """

    def __init__(self, tasks: Tasks, work: Compute, clicks: Compute, pool: ModelPool, limit: int = MOST_REQUESTS) -> None:
        self._tasks, self._work, self._clicks, self._pool, self._limit = tasks, work, clicks, pool, limit
        self._places = threading.BoundedSemaphore(limit)
        self._here = threading.local()

    @contextmanager
    def run(self, kind: str, workspace: Owner | None = None) -> Iterator[RunningRequest]:
        """Run a use-case in this block. It can be seen and interrupted from the first moment on, also while it waits.

        Args:
            kind: one of `tasks.KINDS`.
            workspace: whose it is, a picture's or a video; None for one without.

        Raises:
            Busy: too many are under way.
        """
        with self.admitted(), self._tasks.under_way(kind, None if workspace is None else workspace.id) as task:
            yield RunningRequest(task, workspace, self._pool, self._work, self._clicks)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place among the requests under way. A thread that holds one needs no other. Raises `Busy`."""
        if getattr(self._here, "admitted", False):
            yield
            return
        with self.reserve():
            yield

    def reserve(self) -> AbstractContextManager[None]:
        """A place, taken now, for a block that must follow, maybe on another thread. Raises `Busy`."""
        if not self._places.acquire(blocking=False):
            raise Busy("Too many requests are under way.", "Try again in a few seconds.", limit=self._limit)
        return self._holding()

    def in_background(self, kind: str, workspace: Owner, work: Callable[[Progress], object]) -> None:
        """Let `work(progress)` be done in the lane of clicks once nothing else waits there; not at all where too much does."""
        task = self._tasks.start(kind, workspace.id)
        self._clicks.submit(task, lambda progress: self._pool.retrying_with_freed_memory(lambda: work(progress)), BACKGROUND)

    @contextmanager
    def in_this_thread(self, progress: Progress) -> Iterator[None]:
        """See `Compute.in_this_thread`. Whom the host calls in the middle of its work is admitted already: it takes no server's
        thread, and those that wait for the host's lock would keep it out."""
        before = getattr(self._here, "admitted", False)
        self._here.admitted = True
        try:
            with self._work.in_this_thread(progress), self._clicks.in_this_thread(progress):
                yield
        finally:
            self._here.admitted = before

    def position(self, task: Task) -> int | None:
        """How many computations come before this task's; 0 while it is computed, None if it is not to be computed now."""
        among_clicks = self._clicks.position(task)
        return self._work.position(task) if among_clicks is None else among_clicks

    @contextmanager
    def _holding(self) -> Iterator[None]:
        self._here.admitted = True
        try:
            yield
        finally:
            self._here.admitted = False
            self._places.release()


def segmented(
    pool: ModelPool, name: str, picture: Picture, ask: Callable[[Segmenter, Embedding, Progress], T], progress: Progress,
    encoding: float = 0.95,
) -> T:  # fmt: skip
    """What a segmenter answers about a picture, which is encoded first unless it is known.

    Args:
        name: of the segmenter, resolved (`ModelPool.segmenter_name`).
        ask: called with the segmenter, its embedding of the picture, and the rest of the progress.
        encoding: share of the progress that encoding takes, 0 to 1.

    Raises:
        InvalidInput: an unknown name.
        ModelMissing: it cannot work here.
    """
    segmenter = pool.segmenter(name)
    embedding = pool.encoded(segmenter, picture, progress.part(0.0, encoding))
    return ask(segmenter, embedding, progress.part(encoding, 1.0))
