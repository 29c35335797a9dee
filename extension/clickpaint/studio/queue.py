"""The queue of what computes, the most urgent first, on one thread for each lane."""

from __future__ import annotations

import atexit
import bisect
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from clickpaint.errors import Busy, ClickpaintError, Interrupted
from clickpaint.progress import Progress
from clickpaint.studio.tasks import Task

log = logging.getLogger(__name__)

T = TypeVar("T")

CLICK, WORK, BACKGROUND = 0, 1, 2
"""Urgency in the queue: a click goes before a removal, and both before encoding ahead of time."""

_IDLE_SECONDS = 30.0


class _Job(Generic[T]):
    """One computation.

    Attributes:
        task: what it is a part of.
        order: its place in the queue: urgency, then number.
        alone: it is all of its task, which ends with it.
        wake: set once it ended, and when its task is interrupted.
    """

    def __init__(self, task: Task, work: Callable[[Progress], T], order: tuple[int, int], alone: bool) -> None:
        self.task, self.work, self.order, self.alone = task, work, order, alone
        self.result: T | None = None
        self.error: BaseException | None = None
        self.ended = False
        self.wake = threading.Event()

    def end(self, error: BaseException | None) -> None:
        self.error, self.ended = error, True
        self.wake.set()
        if self.alone:
            self.task.finish(error)


class Compute:
    """One thread that computes, the most urgent job first, holding the host's lock meanwhile.

    A thread of its own lets a request return as soon as it is interrupted, even while a network's forward pass that cannot be
    stopped runs on or the host holds its lock.

    Args:
        exclusive: `Host.exclusive` or `Host.beside`.
        limit: how many jobs may wait; one more is `Busy`.
    """

    def __init__(self, exclusive: Callable[[], AbstractContextManager[None]], limit: int = 16) -> None:
        self._exclusive, self._limit = exclusive, limit
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._waiting: list[_Job[Any]] = []
        self._running: _Job[Any] | None = None
        self._thread: threading.Thread | None = None
        self._computing = self._stopping = False
        self._here = threading.local()
        _LANES.add(self)

    @contextmanager
    def in_this_thread(self, progress: Progress) -> Iterator[None]:
        """Within this block `run` computes at once in the calling thread, which holds the host's lock already (the host calls us
        from the middle of its own work); `progress` takes the place of the tasks' own."""
        before = getattr(self._here, "progress", None)
        self._here.progress = progress
        try:
            yield
        finally:
            self._here.progress = before

    def run(self, task: Task, work: Callable[[Progress], T], urgency: int = WORK) -> T:
        """`work(progress)` on the computing thread, as one part of `task`; waits for its turn and its end.

        Raises:
            Busy: too many wait already.
            Interrupted: `task` was interrupted, waiting or running. And whatever `work` raises.
        """
        here = getattr(self._here, "progress", None)
        if here is not None:
            task.begin()
            return work(here)
        task.wait()
        job = self._enqueue(task, work, urgency, alone=False)
        if job is None:
            raise Busy("Too much is waiting to be computed.", "Try again in a few seconds.", limit=self._limit)
        with task.alarming(job.wake):
            job.wake.wait()
        if not job.ended:  # asked without the lock, for which this thread would wait once more
            with self._changed:
                if job in self._waiting:
                    self._waiting.remove(job)
            if not job.ended:
                raise Interrupted()
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]  # set by the thread, which woke us up

    def submit(self, task: Task, work: Callable[[Progress], Any], urgency: int = BACKGROUND) -> bool:
        """Let `work`, which is all of `task`, be done some time; its outcome is only seen there.

        Returns:
            False (and `task` is interrupted) where too much waits already.
        """
        if self._enqueue(task, work, urgency, alone=True) is None:
            task.finish(Interrupted())
            return False
        return True

    def position(self, task: Task) -> int | None:
        """How many jobs come before this one; 0 while it runs, None if it is not here."""
        with self._changed:
            if self._running is not None and self._running.task is task:
                return 0
            for index, job in enumerate(self._waiting):
                if job.task is task:
                    return index + (self._running is not None)
        return None

    def awaited(self) -> bool:
        """Whether anything waits for what runs now."""
        with self._changed:
            return bool(self._waiting)

    def stop(self, seconds: float) -> None:
        """Interrupt all that waits and runs, and wait for what computes and then for its thread, at most `seconds`. Whoever waits for
        the host's lock does not compute."""
        until = time.monotonic() + seconds
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                job.task.interrupt()
            self._changed.wait_for(lambda: not self._computing, seconds)
            thread = self._thread if self._running is None else None
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, until - time.monotonic()))  # it lets go of what it computed, which goes through the library as well
        with self._changed:
            self._stopping = False

    def _enqueue(self, task: Task, work: Callable[[Progress], T], urgency: int, alone: bool) -> _Job[T] | None:
        with self._changed:
            if len(self._waiting) >= self._limit:
                # encoding ahead of time is only a kindness: it gives way
                if urgency == BACKGROUND or self._waiting[-1].order[0] != BACKGROUND:
                    return None
                self._waiting.pop().end(Interrupted())
            job = _Job(task, work, (urgency, next(self._numbers)), alone)
            bisect.insort(self._waiting, job, key=lambda waiting: waiting.order)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="clickpaint-compute", daemon=True)
                self._thread.start()
            self._changed.notify()
            return job

    def _loop(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._changed.wait_for(lambda: bool(self._waiting) or self._stopping, _IDLE_SECONDS)
                if not self._waiting:
                    self._thread = None
                    return
                job = self._running = self._waiting.pop(0)
            failure = self._do(job)
            with self._changed:
                self._running, self._computing = None, False
                self._changed.notify_all()
                job.end(failure)  # last: whoever waits for it finds nothing left to be done
            del job, failure  # what came of it belongs to who asked for it, not to an idle thread

    def _do(self, job: _Job[Any]) -> BaseException | None:
        """Compute it; what it failed with."""
        failure: BaseException | None = None
        try:
            job.task.check()
            with self._exclusive():
                self._computing = True  # before the check: `stop` either is heard by it or waits
                job.task.check()
                job.result = job.work(job.task.begin())
        except BaseException as error:
            failure = error
            if not isinstance(error, ClickpaintError):
                log.exception("A task of kind %s failed", job.task.kind)
        del job.work  # whoever learns of the end may count on it that nothing here keeps a closed picture
        return failure


_LANES: weakref.WeakSet[Compute] = weakref.WeakSet()
_ENDING_SECONDS = 5.0


@atexit.register
def _stop_all() -> None:
    """A thread that comes back from a library (OpenCV, torch) when the interpreter has ended takes the process down with an abort."""
    for lane in list(_LANES):
        lane.stop(_ENDING_SECONDS)
