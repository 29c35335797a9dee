"""Lets the user stop what a library cannot stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from clickpaint.progress import Progress

T = TypeVar("T")
POLL_SECONDS = 0.05


def interruptible(work: Callable[[], T], progress: Progress) -> T:
    """Run `work()`, one long call that cannot be stopped, so that an interrupt is still answered at once.

    It runs in a thread of its own; when the user stops it, `Interrupted` is raised here and the call's result is
    dropped once it is there. For calls of seconds on the CPU, not for work that holds a device somebody else waits for. A process that
    ends waits for the call, which would come back to an interpreter that is gone, and abort.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while True:
        thread.join(POLL_SECONDS)
        if not thread.is_alive():
            break
        progress.check()
    if failure:
        raise failure[0]
    return outcome[0]
