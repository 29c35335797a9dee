"""How long work tells where it is and learns that it should stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from clickpaint.errors import Interrupted


@dataclass(frozen=True)
class Step:
    """Where a piece of long work is.

    Attributes:
        fraction: 0..1, or None while it cannot be known.
        text: what is being done, for people ("Encoding the picture").
        done, total: counts in `unit` ("B" for bytes, "step", "tile", "") where there are any.
        seconds_left: estimated from the time spent so far, or None.
    """

    fraction: float | None
    text: str
    done: int | None = None
    total: int | None = None
    unit: str = ""
    seconds_left: float | None = None


class Progress:
    """Handed down through long work. `report` and `check` raise `Interrupted` once the listener's owner asked to stop.

    Args:
        listener: called with a `Step` on every report, from whichever thread works; None to listen to nothing.
        interrupted: polled by `report` and `check`; None means "never".
    """

    def __init__(self, listener: Callable[[Step], None] | None = None, interrupted: Callable[[], bool] | None = None) -> None:
        self._listener = listener
        self._interrupted = interrupted
        self._start, self._end = 0.0, 1.0
        self._began = time.monotonic()

    def report(
        self,
        fraction: float | None,
        text: str,
        *,
        done: int | None = None,
        total: int | None = None,
        unit: str = "",
        seconds_left: float | None = None,
    ) -> None:
        """Tell where the work is; `fraction` is of *this* part. Raises `Interrupted` if the user asked to stop.

        seconds_left: where the caller knows better than "as fast as since the start" (a resumed download does).
        """
        self.check()
        if self._listener is None:
            return
        left = seconds_left
        if fraction is not None:
            fraction = min(max(fraction, 0.0), 1.0)
            spent = time.monotonic() - self._began
            if left is None and fraction > 0.02 and spent > 0.3:
                left = spent * (1.0 - fraction) / fraction
            fraction = self._start + (self._end - self._start) * fraction
        self._listener(Step(fraction, text, done, total, unit, left))

    def check(self) -> None:
        """Raise `Interrupted` if the user asked to stop; cheap enough for inner loops."""
        if self._interrupted is not None and self._interrupted():
            raise Interrupted()

    def part(self, start: float, end: float) -> Progress:
        """A progress whose 0..1 is start..end of this one, for handing to a callee."""
        child = Progress(self._listener, self._interrupted)
        span = self._end - self._start
        child._start, child._end = self._start + span * start, self._start + span * end
        return child


SILENT = Progress()
"""Tells nobody, is never interrupted."""
