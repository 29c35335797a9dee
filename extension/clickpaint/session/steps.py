"""What a workspace's timeline is made of: where the user was after each step, and what led there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.image.packed import PackedMask
from clickpaint.segment.base import Point


@dataclass(frozen=True, eq=False)
class Answer:
    """What a segmenter answered to a click.

    Attributes:
        segmenter: its name.
        masks: of the candidates, best first; None for one that selects nothing.
        scores: the segmenter's estimate of each, 0 to 1.
        logits: float32 [1, 256, 256] to refine a candidate with, None where the segmenter has none.
    """

    segmenter: str
    masks: tuple[PackedMask | None, ...]
    scores: tuple[float, ...]
    logits: tuple[np.ndarray | None, ...]

    @property
    def nbytes(self) -> int:
        return sum(mask.nbytes for mask in self.masks if mask is not None) + sum(part.nbytes for part in self.logits if part is not None)


@dataclass(frozen=True, eq=False)
class Series:
    """Clicks that belong together, because each request repeats points of the one before, adding some or leaving some out.

    Attributes:
        points: of the last request, (x, y) in pixels.
        box: of the last request, (left, top, right, bottom) in pixels, None without one.
        mode: how their result is combined with `base`, one of `selection.MODES`.
        base: what was selected before the first of them, None for nothing.
    """

    points: tuple[Point, ...]
    box: tuple[float, float, float, float] | None
    mode: str
    base: PackedMask | None

    def continued_by(self, points: tuple[Point, ...], box: tuple[float, float, float, float] | None) -> bool:
        """Whether a request with these points and this box belongs to the series."""
        if self.points:
            return not set(self.points).isdisjoint(points)
        return box == self.box


@dataclass(frozen=True, eq=False)
class State:
    """Where the user was after a step.

    Attributes:
        label: the step, for people.
        version: which result is shown, 0 is the original.
        selection: None for nothing.
        feather: width in pixels of the selection's soft edge.
        series: the clicks that led here, if clicks did.
        answer: what the segmenter answered to the last of them.
        chosen: index of the candidate that the selection was made of.
    """

    label: str
    version: int = 0
    selection: PackedMask | None = None
    feather: int = 0
    series: Series | None = None
    answer: Answer | None = None
    chosen: int | None = None

    def bare(self) -> State:
        """This state without the answer, which is most of what it holds."""
        return State(self.label, self.version, self.selection, self.feather, self.series, None, None)
