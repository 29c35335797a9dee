"""Work that takes a while: what is under way, how far it is, who waits for whom, and how it is stopped."""

from __future__ import annotations

import atexit
import bisect
import itertools
import logging
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from clickpaint.errors import Busy, ClickpaintError, Interrupted
from clickpaint.progress import Progress, Step

log = logging.getLogger(__name__)

T = TypeVar("T")

CLICK, WORK, BACKGROUND = 0, 1, 2
"""Urgency in the queue: a click goes before a removal, and both before encoding ahead of time."""

KINDS = {
    "encode": "a picture is encoded ahead of the clicks in it",
    "select": "what was clicked on, or is of a control map's colour, is selected",
    "choose": "another candidate of the last click becomes the selection",
    "mask": "the selection is adjusted",
    "trace": "what strokes go around or over is selected",
    "text": "text is found and selected",
    "everything": "all regions are found, or found and described",
    "erase": "what is selected is removed",
    "crop": "a part of the picture takes its place",
    "cutout": "what is selected is cut out, with its edge",
    "follow": "an object is followed through a clip",
    "preview": "a video is made ready to be played",
    "export": "a video is written as a file",
    "fill": "something is painted over an object in every frame of a clip",
    "replace": "what is around an object becomes something else in every frame of a clip",
    "undo": "one step back",
    "redo": "one step forth",
    "paint": "something is painted, or a result once more",
    "use": "another result of the last painting is shown",
    "generate": "a picture is painted from a prompt alone",
    "control": "a control map is made, of a picture or of poses",
    "keep": "a control map is laid over the picture",
    "caption": "a caption is made, and refined by a text model where one is asked",
    "chat": "a question is answered, or the conversation forgotten",
    "find": "what a phrase names is looked for",
    "rank": "the results of the last painting are compared with a prompt",
    "dataset": "something is kept for training, or a data set is worked through",
    "train": "a network learns from a data set",
    "download": "a model's files are downloaded",
    "verify": "a model's files are compared with the catalog",
}
"""Every kind of task. The page shows some by these names ("busy.erase" of its texts)."""

OF_EVERYBODY = ("train", "download", "verify")
"""Kinds that belong to no request: everybody sees them, and interrupting requests leaves them alone."""

_UNEXPECTED = "Something went wrong; the log of the program says more."
_KEPT_SECONDS = 5.0
_IDLE_SECONDS = 30.0


class Task:
    """One use-case, or one piece of work in the background, as its owner sees it.

    Attributes:
        kind: one of `KINDS`.
        workspace: its id, None for work without one.
        subject: what is worked on where the kind alone does not say it (a model's name).
        state: "waiting", "running", and then one of "done", "failed", "interrupted".
        step: where the work is.
        error: the sentences for the user where it failed, "" otherwise.
        ended: when it ended, in seconds of `time.monotonic`, None before.
        wake: set as soon as there is no point in waiting for it any longer: it ended, or is to stop.
    """

    def __init__(
        self, kind: str, workspace: str | None = None, subject: str = "", host_interrupted: Callable[[], bool] | None = None
    ) -> None:
        assert kind in KINDS, f"give {kind!r} its place in KINDS"
        self.id = secrets.token_urlsafe(8)
        self.kind, self.workspace, self.subject = kind, workspace, subject
        self.state = "waiting"
        self.step = Step(None, "")
        self.error = ""
        self.ended: float | None = None
        self.wake = threading.Event()
        self._stop = threading.Event()
        self._alarms: set[threading.Event] = set()
        self._lock = threading.Lock()
        self._host_interrupted = host_interrupted

    @property
    def active(self) -> bool:
        return self.ended is None

    @property
    def stopped(self) -> bool:
        """Whether someone asked this task to stop."""
        return self._stop.is_set()

    def interrupt(self) -> None:
        """Ask it to stop, and wake whoever waits for a part of it."""
        with self._lock:
            self._stop.set()
            for alarm in self._alarms:
                alarm.set()
        self.wake.set()

    @contextmanager
    def alarming(self, alarm: threading.Event) -> Iterator[None]:
        """Within this block an interruption also sets `alarm`; at once where it came before."""
        with self._lock:
            self._alarms.add(alarm)
            if self.stopped:
                alarm.set()
        try:
            yield
        finally:
            with self._lock:
                self._alarms.discard(alarm)

    def check(self) -> None:
        """Raise `Interrupted` if someone asked this task to stop."""
        if self.stopped:
            raise Interrupted()

    def wait(self) -> None:
        """The work, or its next part, waits for its turn."""
        with self._lock:
            self.state = "waiting" if self.active else self.state

    def begin(self) -> Progress:
        """The work, or its next part, starts now; the progress to hand down."""
        with self._lock:
            self.state = "running" if self.active else self.state
        return Progress(self._listen, self._interrupted)

    def finish(self, error: BaseException | None = None) -> None:
        """The work is over; only the first call counts."""
        with self._lock:
            if self.ended is not None:
                return
            if error is None:
                self.state = "done"
            elif isinstance(error, Interrupted):
                self.state = "interrupted"
            else:
                self.state = "failed"
                self.error = error.sentence if isinstance(error, ClickpaintError) else _UNEXPECTED
            self.ended = time.monotonic()
        self.wake.set()

    def describe(self, queue_position: int | None = None) -> dict[str, Any]:
        """This task as JSON-compatible data."""
        step = self.step
        return {
            "id": self.id, "kind": self.kind, "workspace": self.workspace, "subject": self.subject, "state": self.state,
            "text": self.error or step.text, "fraction": step.fraction, "done": step.done, "total": step.total, "unit": step.unit,
            "seconds_left": None if step.seconds_left is None else round(step.seconds_left, 1), "queue_position": queue_position,
        }  # fmt: skip

    def _listen(self, step: Step) -> None:
        self.step = step

    def _interrupted(self) -> bool:
        return self.stopped or (self._host_interrupted is not None and self._host_interrupted())


class Tasks:
    """All tasks under way, and for a few seconds those that ended."""

    def __init__(self, host_interrupted: Callable[[], bool] | None = None) -> None:
        self._host_interrupted = host_interrupted
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def start(self, kind: str, workspace: str | None = None, subject: str = "") -> Task:
        task = Task(kind, workspace, subject, self._host_interrupted)
        with self._lock:
            self._forget()
            self._tasks[task.id] = task
        return task

    @contextmanager
    def under_way(self, kind: str, workspace: str | None = None) -> Iterator[Task]:
        """A task that ends with the block, well or badly."""
        task = self.start(kind, workspace)
        try:
            yield task
        except BaseException as error:
            task.finish(error)
            raise
        task.finish()

    def visible(self, workspace: str | None = None) -> list[Task]:
        """The tasks of one workspace (None: of none) and those of everybody: nobody learns of other people's workspaces."""
        with self._lock:
            self._forget()
            return [task for task in self._tasks.values() if task.workspace == workspace or task.kind in OF_EVERYBODY]

    def active(self, workspace: str) -> bool:
        """Whether anything but encoding ahead of time is under way for this workspace."""
        return any(task.active and task.workspace == workspace and task.kind != "encode" for task in self._snapshot())

    def find(self, kinds: tuple[str, ...], subject: str) -> Task | None:
        """The active task of one of these kinds on this subject, if there is one."""
        return next((task for task in self._snapshot() if task.active and task.kind in kinds and task.subject == subject), None)

    def count(self, kinds: tuple[str, ...]) -> int:
        """How many active tasks of these kinds there are."""
        return sum(task.active and task.kind in kinds for task in self._snapshot())

    def interrupt(self, workspace: str | None = None) -> int:
        """Stop what is under way for one workspace (None: for requests that belong to none), except downloads; returns how many."""
        tasks = [task for task in self._snapshot() if task.active and task.workspace == workspace and task.kind not in OF_EVERYBODY]
        for task in tasks:
            task.interrupt()
        return len(tasks)

    def interrupt_all(self) -> None:
        for task in self._snapshot():
            task.interrupt()

    def _snapshot(self) -> list[Task]:
        with self._lock:
            return [*self._tasks.values()]

    def _forget(self) -> None:
        now = time.monotonic()
        for task in [*self._tasks.values()]:
            if task.ended is not None and now - task.ended > _KEPT_SECONDS:
                del self._tasks[task.id]


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
        with self._changed:
            if not job.ended:
                if job in self._waiting:
                    self._waiting.remove(job)
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
            self._do(job)
            with self._changed:
                self._running, self._computing = None, False
                self._changed.notify_all()
            del job  # its result belongs to who asked for it, not to an idle thread

    def _do(self, job: _Job[Any]) -> None:
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
        with self._changed:
            job.end(failure)


_LANES: weakref.WeakSet[Compute] = weakref.WeakSet()
_ENDING_SECONDS = 5.0


@atexit.register
def _stop_all() -> None:
    """A thread that comes back from a library (OpenCV, torch) when the interpreter has ended takes the process down with an abort."""
    for lane in list(_LANES):
        lane.stop(_ENDING_SECONDS)
