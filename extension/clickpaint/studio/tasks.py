"""Tasks: what is under way and for whom, how far it is, and how it is asked to stop."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clickpaint.errors import ClickpaintError, Interrupted
from clickpaint.progress import Progress, Step

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
_KEPT_SECONDS_OF_EVERYBODY = 150.0
"""For what nobody waits for with a request: a browser lets a page that lies behind another ask once a minute only, and it shall learn how
its download ended."""


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
    """All tasks under way, and for a while those that ended."""

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
            kept = _KEPT_SECONDS_OF_EVERYBODY if task.kind in OF_EVERYBODY else _KEPT_SECONDS
            if task.ended is not None and now - task.ended > kept:
                del self._tasks[task.id]
