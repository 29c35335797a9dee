"""Loaded models and encoded pictures: made once, shared by all who ask, dropped least recently used first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from clickpaint.progress import SILENT, Progress

T = TypeVar("T")


class Sized(Protocol):
    """Something that knows what it costs, such as `segment.base.Embedding`."""

    @property
    def nbytes(self) -> int: ...


@dataclass(frozen=True)
class Held:
    """One thing in a cache.

    Attributes:
        key: that it is kept under.
        nbytes: of memory that it takes.
    """

    key: Any
    nbytes: int


class _Making(Generic[T]):
    """One value being made: its maker sets `finished`, whatever came of it."""

    def __init__(self) -> None:
        self.finished = threading.Event()
        self.value: T | None = None
        self.succeeded = False


class _Cache(Generic[T]):
    """Thread-safe, least recently used out first, at most one maker per key at a time.

    Args:
        budget_bytes: asked after every addition; the newest value stays even if it alone is over the budget.
        dropped: called, without any lock held, after values were dropped: the place to give memory back to the device.
    """

    def __init__(self, budget_bytes: Callable[[], int], dropped: Callable[[], None] | None = None) -> None:
        self._budget = budget_bytes
        self._dropped = dropped
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._making: dict[Hashable, _Making[T]] = {}

    def contents(self) -> list[Held]:
        """What is held, the least recently used first."""
        with self._lock:
            return [Held(key, nbytes) for key, (_, nbytes) in self._held.items()]

    @property
    def nbytes(self) -> int:
        """What everything held costs together."""
        with self._lock:
            return sum(nbytes for _, nbytes in self._held.values())

    def unload(self, key: Hashable | None = None) -> int:
        """Drop one value, or all (None); returns the bytes that they cost. Whoever still works with one keeps it until done."""
        with self._lock:
            gone = list(self._held) if key is None else [key]
            freed = sum(self._held.pop(dropped)[1] for dropped in gone if dropped in self._held)
        if freed and self._dropped is not None:
            self._dropped()
        return freed

    def make_room(self, nbytes: int) -> None:
        """Drop what was unused longest until `nbytes` more fit into the budget, so that a load does not exceed it meanwhile."""
        self._shrink(nbytes, keep=None)

    def _get(self, key: Hashable, make: Callable[[], tuple[T, int]], progress: Progress, waiting: str) -> T:
        while True:
            with self._lock:
                if key in self._held:
                    self._held.move_to_end(key)
                    return self._held[key][0]
                others = self._making.get(key)
                if others is None:
                    mine = self._making[key] = _Making[T]()
                    break
            while not others.finished.wait(0.1):
                progress.report(None, waiting)
            if others.succeeded:
                return others.value  # type: ignore[return-value]
            # Its maker failed or was interrupted, which says nothing about this caller: try again.
        try:
            value, nbytes = make()
            with self._lock:
                self._held[key] = (value, nbytes)
                mine.value, mine.succeeded = value, True
        finally:
            with self._lock:
                del self._making[key]
            mine.finished.set()
        self._shrink(0, keep=key)
        return value

    def _shrink(self, room: int, keep: Hashable | None) -> None:
        budget = self._budget() - room
        with self._lock:
            total = sum(nbytes for _, nbytes in self._held.values())
            dropped = False
            for key in list(self._held):
                if total <= budget:
                    break
                if key != keep:
                    total -= self._held.pop(key)[1]
                    dropped = True
        if dropped and self._dropped is not None:
            self._dropped()


class ModelCache(_Cache[Any]):
    """Loaded models within a budget of bytes."""

    def get(self, key: Hashable, load: Callable[[], tuple[T, int]], progress: Progress = SILENT) -> T:
        """The model of `key`; `load` returns it with its size in bytes. One load at a time per key; others wait for it.

        A load that fails or is interrupted leaves nothing behind; its error goes to the caller whose `load` it was, and a
        caller that waited runs its own.
        """
        return self._get(key, load, progress, "Waiting for the model to be loaded")


Value = TypeVar("Value", bound=Sized)


class EmbeddingCache(_Cache[Any]):
    """Encoded pictures within a budget of bytes, by (segmenter, digest of the picture)."""

    def get(self, key: tuple[str, str], make: Callable[[], Value], progress: Progress = SILENT) -> Value:
        """The embedding of `key`, made by `make` unless it is here or being made, in which case this waits for it."""

        def sized() -> tuple[Value, int]:
            value = make()
            return value, value.nbytes

        return self._get(key, sized, progress, "Waiting for the picture to be encoded")
