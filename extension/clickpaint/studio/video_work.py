"""Long work on a video of which an interruption keeps what is done."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clickpaint.errors import Interrupted
from clickpaint.progress import Progress, Step
from clickpaint.studio.request import RunningRequest


def in_frames(progress: Progress, total: int) -> Progress:
    """A progress that tells in frames how far it is, also while a part of the work (one key frame, say) tells of something else.

    Args:
        total: how many frames there are.
    """

    def listen(step: Step) -> None:
        share = None if step.fraction is None else int(step.fraction * total)
        done = step.done if step.unit == "frame" and step.done is not None else share
        progress.report(step.fraction, step.text, done=done, total=total, unit="frame")

    def interrupted() -> bool:
        try:
            progress.check()
        except Interrupted:
            return True
        return False

    return Progress(listen, interrupted)


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
