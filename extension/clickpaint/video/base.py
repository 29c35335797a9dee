"""What passes through this room: frames by number, masks by number, and caches that do not grow with a clip's length."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


class Frames(Protocol):
    """The frames of a clip by their number. Reading them in order is cheap, whatever the clip; far jumps may not be."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of every frame, in pixels."""
        ...

    def __len__(self) -> int: ...

    def frame(self, number: int) -> np.ndarray:
        """Frame `number`, 0 the first: uint8 [H, W, 3] RGB, not to be written to. Raises `InvalidInput` where it cannot be read."""
        ...


class TimedFrames(Frames, Protocol):
    """Frames of which it is known how long each is shown."""

    def seconds(self, number: int) -> float:
        """How long frame `number` is shown."""
        ...


class Masks(Protocol):
    """One mask a frame."""

    def mask(self, number: int) -> np.ndarray:
        """The mask of frame `number`: bool [H, W], True = selected, not to be written to."""
        ...


class Recent(Generic[T]):
    """The values of the numbers asked for last, made when they are missing. Several threads may ask: each value is made once.

    Args:
        make: number → value.
        most: how many values are kept; the one asked for longest ago goes first.
    """

    def __init__(self, make: Callable[[int], T], most: int) -> None:
        self._make, self.most = make, most
        self._kept: OrderedDict[int, T] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[int, threading.Lock] = {}

    def __call__(self, number: int) -> T:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
            making = self._making.setdefault(number, threading.Lock())
        with making:
            with self._lock:
                if number in self._kept:
                    return self._kept[number]
            try:
                value = self._make(number)
            finally:
                with self._lock:
                    self._making.pop(number, None)
            with self._lock:
                self._kept[number] = value
                while len(self._kept) > self.most:
                    self._kept.popitem(last=False)
            return value
