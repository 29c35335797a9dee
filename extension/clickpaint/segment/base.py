"""What every segmenter offers: encode a picture once, then answer clicks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.packed import DeferredMask, PackedMask
from clickpaint.progress import SILENT, Progress


class Point(NamedTuple):
    """A click at pixel (x, y) of the full picture, origin top-left. label 1 adds what lies there, 0 removes it."""

    x: float
    y: float
    label: int = 1


@dataclass(frozen=True)
class Prompts:
    """What the user pointed at: any mix of points, one box and the previous answer.

    Attributes:
        box: (left, top, right, bottom) in pixels of the full picture, right and bottom exclusive.
        previous: low-resolution logits of the candidate being refined, float32 [1, 256, 256], from `Candidate.logits`.
    """

    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    previous: np.ndarray | None = None

    def checked(self, width: int, height: int) -> Prompts:
        """These prompts, known to be usable on a picture of this size.

        Raises:
            InvalidInput: no point and no box; NaN or infinite; a point outside the picture; a label other than 0 and 1; a box that is
                empty or wholly outside (one that reaches over the border is clipped by the segmenter).
        """
        if not self.points and self.box is None:
            raise InvalidInput("Nothing was pointed at.", "Give at least one point or a box.")
        for point in self.points:
            if not (np.isfinite(point.x) and np.isfinite(point.y)):
                raise InvalidInput("A point has a coordinate that is not a number.", "Give x and y in pixels of the picture.")
            if not (0 <= point.x < width and 0 <= point.y < height):
                raise InvalidInput(
                    "The point ({x:g}, {y:g}) lies outside the picture.",
                    "x goes from 0 to {right} and y from 0 to {bottom}.",
                    x=point.x,
                    y=point.y,
                    width=width,
                    height=height,
                    right=width - 1,
                    bottom=height - 1,
                )
            if point.label not in (0, 1):
                raise InvalidInput("The label {label} is unknown.", "Use 1 for a positive and 0 for a negative point.", label=point.label)
        if self.box is not None:
            left, top, right, bottom = self.box
            if not all(np.isfinite(v) for v in self.box):
                raise InvalidInput("The box has a coordinate that is not a number.", "Give left, top, right, bottom in pixels.")
            if min(right, width) - max(left, 0) < 1 or min(bottom, height) - max(top, 0) < 1:
                raise InvalidInput(
                    "The box is empty or lies outside the picture.",
                    "Give left < right <= {width} and top < bottom <= {height}.",
                    box=list(self.box), width=width, height=height,
                )  # fmt: skip
        if self.box is None and all(point.label == 0 for point in self.points):
            raise InvalidInput("There are only negative points.", "Add at least one positive point, or a box.")
        return self


@dataclass(frozen=True, eq=False)
class Candidate:
    """One answer to the prompts.

    Attributes:
        mask: bool [H, W] of the full picture, True = selected.
        score: the segmenter's own estimate of its IoU, 0..1.
        logits: float32 [1, 256, 256] to feed back as `Prompts.previous`, or None where the segmenter has none.
    """

    mask: np.ndarray
    score: float
    logits: np.ndarray | None = None

    @cached_property
    def packed(self) -> PackedMask | None:
        """The mask in little memory; None where it selects nothing."""
        return PackedMask.of(self.mask)

    def scaled(self, size: tuple[int, int]) -> np.ndarray:
        """The mask for looking at, in a smaller (width, height), bool [h, w]."""
        packed = self.packed
        return np.zeros(size[::-1], bool) if packed is None else packed.scaled(size)


class DeferredCandidate(Candidate):
    """A candidate whose mask is made when it is first asked for, and whose smaller ones are made without it.

    Args:
        deferred: the mask.
        score, logits: as of every candidate.
    """

    def __init__(self, deferred: DeferredMask, score: float, logits: np.ndarray | None) -> None:
        # a frozen dataclass's own way to set its fields
        for name, value in (("packed", deferred), ("score", score), ("logits", logits)):
            object.__setattr__(self, name, value)

    @property
    def mask(self) -> np.ndarray:  # pyrefly: ignore[bad-override]
        packed = self.packed
        assert packed is not None
        return packed.mask


@dataclass(frozen=True, eq=False)
class Embedding:
    """What a segmenter remembers of one encoded picture.

    Attributes:
        segmenter: the key of the segmenter that made it; only that one can read `data`.
        width, height: of the picture, in pixels.
        nbytes: what it costs in the cache.
    """

    segmenter: str
    width: int
    height: int
    nbytes: int
    data: Any = field(repr=False)


class Segmenter(Protocol):
    """Slow once (`encode`), fast per click (`predict`). Neither writes into its arguments."""

    name: str

    def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
        """Encode `pixels`, uint8 [H, W, 3] RGB."""
        ...

    def predict(self, embedding: Embedding, prompts: Prompts, progress: Progress = SILENT) -> list[Candidate]:
        """Up to three candidates, the one to show first; the others by score. Raises `InvalidInput` for prompts that cannot be used."""
        ...
