"""Long work on a video of which an interruption keeps what is done."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clickpaint.errors import Interrupted
from clickpaint.progress import Progress
from clickpaint.studio.request import RunningRequest


def finished_or_kept(request: RunningRequest, work: Callable[[Progress], object]) -> None:
    """As `RunningRequest.compute`, but where it is interrupted, `work` has put away what it did once this raises.

    Raises:
        Interrupted, and whatever `work` raises.
    """
    began, ended = threading.Event(), threading.Event()

    def guarded(progress: Progress) -> None:
        began.set()
        try:
            work(progress)
        finally:
            ended.set()

    try:
        request.compute(guarded)
    except Interrupted as error:
        if began.is_set():
            ended.wait()
        raise Interrupted("Interrupted.", "What was done until then is kept.") from error
