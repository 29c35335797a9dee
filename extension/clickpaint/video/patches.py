"""What a result changes in each frame, kept without loss: the parts that changed, and nothing of the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.video.clips import Clip
from clickpaint.video.database import connected

if TYPE_CHECKING:
    import sqlite3

_SCHEMA = "CREATE TABLE IF NOT EXISTS patch (frame INTEGER PRIMARY KEY, left INTEGER, top INTEGER, png BLOB NOT NULL)"
_TOGETHER = 16
"""Frames that are written at once; an interruption loses none of them."""


class Patches:
    """The parts of frames that one result changed, in a file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def apply(self, number: int, pixels: np.ndarray) -> np.ndarray:
        """Frame `number`, uint8 [H, W, 3], as the result has it; `pixels` itself where nothing was changed."""
        import cv2

        with connected(self.path) as database:
            row = database.execute("SELECT left, top, png FROM patch WHERE frame = ?", (number,)).fetchone()
        if row is None:
            return pixels
        patch = cv2.imdecode(np.frombuffer(row[2], np.uint8), cv2.IMREAD_UNCHANGED)
        if patch is None or patch.ndim != 3 or patch.shape[2] != 4:
            raise ValueError(f"the change of frame {number} is damaged")
        left, top = row[0], row[1]
        result = pixels.copy()
        part = result[top : top + patch.shape[0], left : left + patch.shape[1]]
        part[:] = np.where(patch[..., 3:] > 0, patch[..., 2::-1], part)
        result.setflags(write=False)
        return result

    def frames(self) -> list[int]:
        """The numbers of the frames that were changed."""
        with connected(self.path) as database:
            return [number for (number,) in database.execute("SELECT frame FROM patch ORDER BY frame")]

    @contextmanager
    def writing(self) -> Iterator[PatchWriter]:
        """A writer. What was put is there after the block also where the block raises."""
        with connected(self.path, _SCHEMA):
            pass
        writer = PatchWriter(self.path)
        try:
            yield writer
        finally:
            writer.flush()


class PatchWriter:
    """Takes what changed, frame by frame."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: list[tuple[int, int, int, bytes]] = []

    def put(self, number: int, before: np.ndarray, after: np.ndarray) -> None:
        """Keep what differs between two frames, uint8 [H, W, 3] each."""
        import cv2

        changed = (before != after).any(axis=2)
        box = masks_.bounds(changed)
        if box is None:
            return
        part = np.dstack([after[box.slices][..., ::-1], changed[box.slices].astype(np.uint8) * 255])
        part[part[..., 3] == 0] = 0  # what did not change packs into nothing
        _, data = cv2.imencode(".png", part, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        self._waiting.append((number, box.left, box.top, data.tobytes()))
        if len(self._waiting) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            with connected(self._path) as database:
                _insert(database, waiting)


def _insert(database: sqlite3.Connection, rows: list[tuple[int, int, int, bytes]]) -> None:
    database.executemany("INSERT OR REPLACE INTO patch VALUES (?, ?, ?, ?)", rows)


class PatchedClip:
    """A clip as results on top of each other have it; is a `Clip`.

    Args:
        clip: as it came.
        patches: of the results, the first made first.
    """

    def __init__(self, clip: Clip, patches: Sequence[Patches]) -> None:
        self.original, self._patches = clip, tuple(patches)
        self.path, self.size = clip.path, clip.size

    def __len__(self) -> int:
        return len(self.original)

    def frame(self, number: int) -> np.ndarray:
        pixels = self.original.frame(number)
        for patches in self._patches:
            pixels = patches.apply(number, pixels)
        return pixels

    def near(self, number: int, most: int) -> int:
        """The frame nearest before frame `number` (or that itself) for which at most so many others have to be decoded first."""
        near: Callable[[int, int], int] | None = getattr(self.original, "near", None)
        return number if near is None else near(number, most)

    def seconds(self, number: int) -> float:
        return self.original.seconds(number)

    def close(self) -> None:
        self.original.close()


class Stretch:
    """A part of a clip, as `Frames` of its own.

    Args:
        first, last: numbers in the clip, both included.
    """

    def __init__(self, clip: Clip, first: int, last: int) -> None:
        self._clip, self.first, self._count = clip, first, last - first + 1
        self.size = clip.size

    def __len__(self) -> int:
        return self._count

    def frame(self, number: int) -> np.ndarray:
        return self._clip.frame(self.first + number)

    def seconds(self, number: int) -> float:
        return self._clip.seconds(self.first + number)
