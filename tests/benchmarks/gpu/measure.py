"""Timing on a card, and a row of the table."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from clickpaint.weights.device import Device, release


@dataclass(frozen=True)
class Row:
    """One line.

    Attributes:
        name: what was measured.
        ours: the figure, in `unit`; None where there is none but the note.
        reference: the same of the reference implementation, if there is one.
        unit: of both.
        note: what else is to be said.
        wrong: whether a promise does not hold (the exit status is then 1).
    """

    name: str
    ours: float | None = None
    reference: float | None = None
    unit: str = "ms"
    note: str = ""
    wrong: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.reference if self.ours is not None and self.reference else None

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "ratio": self.ratio}

    def text(self) -> str:
        figures = [f"{value:9.1f} {self.unit}" if value is not None else "" for value in (self.ours, self.reference)]
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else ""
        return f"{self.name:54}{figures[0]:>12}{figures[1]:>12}{ratio:>8}  {'WRONG ' if self.wrong else ''}{self.note}"


@dataclass(frozen=True)
class Bench:
    """Where is measured.

    Attributes:
        device: with the precision that "auto" gives there.
        small: toys instead of networks of the real sizes.
    """

    device: Device
    small: bool

    @property
    def rounds(self) -> int:
        return 1 if self.small else 7

    def turns(self, *works: Callable[[], object], rounds: int | None = None) -> list[float]:
        """The median milliseconds of each, called in turns after a first round that does not count, which toys do without."""

        def timed(work: Callable[[], object]) -> float:
            self.wait()
            began = time.perf_counter()
            work()
            self.wait()
            return (time.perf_counter() - began) * 1000

        for work in () if self.small else works:
            work()
        rows = [[timed(work) for work in works] for _ in range(rounds or self.rounds)]
        return [statistics.median(column) for column in zip(*rows, strict=True)]

    def wait(self) -> None:
        """Until the card has done all that it was given."""
        import torch

        if self.device.kind == "cuda":
            torch.cuda.synchronize(self.device.torch)

    def peak(self, work: Callable[[], object]) -> float:
        """The most MB of the card's memory that `work` held beyond what was held before; 0 on a processor, where it is not called."""
        import torch

        if self.device.kind != "cuda":
            return 0.0
        self.clean()
        before = torch.cuda.memory_allocated(self.device.torch)
        torch.cuda.reset_peak_memory_stats(self.device.torch)
        work()
        self.wait()
        return (torch.cuda.max_memory_allocated(self.device.torch) - before) / 1e6

    def clean(self) -> None:
        gc.collect()
        release(self.device)
