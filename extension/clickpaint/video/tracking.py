"""What every tracker offers: the masks of some frames in, the mask of every frame out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.mask import check_size
from clickpaint.progress import SILENT, Progress
from clickpaint.video.base import Frames
from clickpaint.video.mask_bits import compressed, uncompressed

DOUBTFUL = 0.5
"""Confidence below which a frame should be looked at."""


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """Where the object is in one frame.

    Attributes:
        number: of the frame.
        mask: bool [H, W]; empty where the object is not to be seen.
        confidence: 0 to 1, the tracker's own estimate; 1 for a mask that was given.
    """

    number: int
    mask: np.ndarray
    confidence: float


class Tracker(Protocol):
    """Follows an object through a clip.

    Attributes:
        name: the key in the registry.
    """

    name: str

    def follow(self, frames: Frames, start: int, mask: np.ndarray, stop: int, progress: Progress = SILENT) -> Iterator[TrackedFrame]:
        """The frames after `start` up to but without `stop`, in order; backwards where `stop` lies before `start`.

        Args:
            start: number of the frame that `mask` belongs to.
            mask: bool [H, W]; not written to.
        """
        ...


class TrackedMasks:
    """The masks of a clip as a tracker found them; is `Masks`. Held as compressed bits, about a kilobyte each.

    Args:
        size: (width, height) of the frames.
        count: of frames; those that were never found have an empty mask and no confidence.
    """

    def __init__(self, size: tuple[int, int], count: int) -> None:
        self.size = size
        self._bits: list[tuple[str, bytes]] = [("", b"")] * count
        self.confidence: list[float] = [0.0] * count

    def __len__(self) -> int:
        return len(self._bits)

    def mask(self, number: int) -> np.ndarray:
        packed = uncompressed(*self._bits[number], self.size)
        return np.zeros(self.size[::-1], bool) if packed is None else packed.mask

    def put(self, tracked: TrackedFrame) -> None:
        self._bits[tracked.number] = compressed(tracked.mask)
        self.confidence[tracked.number] = tracked.confidence

    def doubtful(self) -> list[int]:
        """The numbers of the frames that should be looked at."""
        return [number for number, confidence in enumerate(self.confidence) if confidence < DOUBTFUL]


def track(
    tracker: Tracker, frames: Frames, given: Mapping[int, np.ndarray], progress: Progress = SILENT, first: int = 0, last: int | None = None
) -> TrackedMasks:
    """The object in every frame between `first` and `last` (both included), from its masks in some: followed from each of these in both
    directions, up to halfway to the next.

    Args:
        given: number of a frame → bool [H, W]; corrections on further frames change only what is nearer to them than to others.

    Raises:
        InvalidInput: no mask, an empty one, one of another size, or of a frame that there is not.
        Interrupted, and whatever the tracker raises.
    """
    last = len(frames) - 1 if last is None else last
    _check(frames, given)
    numbers = sorted(number for number in given if first <= number <= last)
    result = TrackedMasks(frames.size, len(frames))
    total, done = max(last - first + 1, 1), 0
    for number, lower, upper in territories(numbers, first, last):
        result.put(TrackedFrame(number, given[number], 1.0))
        for stop in (upper, lower - 1):
            for tracked in tracker.follow(frames, number, given[number], stop, progress):
                result.put(tracked)
                done += 1
                progress.report(done / total, "Following the object", done=done, total=total, unit="frame")
    return result


def territories(numbers: Sequence[int], first: int, last: int) -> list[tuple[int, int, int]]:
    """Which frames are followed from which: (given frame, the first of its frames, the one after the last of them) each.

    Args:
        numbers: of the given frames, sorted, between `first` and `last` (both included).
    """
    parts = []
    for place, number in enumerate(numbers):
        lower = first if place == 0 else (numbers[place - 1] + number) // 2 + 1
        upper = last + 1 if place + 1 == len(numbers) else (number + numbers[place + 1]) // 2 + 1
        parts.append((number, lower, upper))
    return parts


def _check(frames: Frames, given: Mapping[int, np.ndarray]) -> None:
    if not given:
        raise InvalidInput("Nothing is selected.", "Give the mask of one frame at least.")
    for number, mask in given.items():
        if not 0 <= number < len(frames):
            raise InvalidInput("There is no frame {number}.", "They go from 0 to {last}.", number=number, last=len(frames) - 1)
        check_size(mask, frames.size)
        if not mask.any():
            raise InvalidInput("The mask of frame {number} selects nothing.", "Give one that does.", number=number)
