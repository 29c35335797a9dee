"""Being the only one who changes something, in the order of asking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clickpaint.errors import Busy

_MOST_WAITING = 8


class Turns:
    """One after the other; too many at once are turned away."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._waiting = 0

    @contextmanager
    def take(self, check: Callable[[], None]) -> Iterator[None]:
        """Have the turn in this block. check: called while waiting, and before the block; what it raises ends that. Raises `Busy`."""
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                raise Busy("Too many requests wait for this picture.", "Try again when the ones before have been answered.")
            self._waiting += 1
        try:
            while not self._turn.acquire(timeout=0.1):
                check()
        finally:
            with self._lock:
                self._waiting -= 1
        try:
            check()
            yield
        finally:
            self._turn.release()
