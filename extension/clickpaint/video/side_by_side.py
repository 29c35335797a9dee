"""Independent pieces of work on several threads: OpenCV and NumPy let others run while they compute."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

From = TypeVar("From")
To = TypeVar("To")

MOST = 4
"""Threads at most: with more they wait for memory and for Python's lock."""


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(bytes_each: int, budget: int) -> int:
    """How many threads may work, each on something that takes so many bytes, within `budget` bytes; 1 where there is one processor."""
    return max(1, min(processors(), MOST, budget // max(bytes_each, 1)))


def in_order(work: Callable[[From], To], things: Iterable[From], threads: int) -> Iterator[To]:
    """The result of `work` for each of `things`, in their order; a few are made ahead, and all threads have ended when it ends.

    threads: how many work at once; with 1 nothing but the caller's own does.

    Raises:
        What `work` raises, once the results before it were taken; what was not begun by then is not.
    """
    if threads < 2:
        yield from map(work, things)
        return
    waiting: deque[Future[To]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="clickpaint-video") as pool:
        try:
            for thing in things:
                if len(waiting) > threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, thing))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
