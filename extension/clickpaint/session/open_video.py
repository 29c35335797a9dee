"""One video that was opened: its files, and who changes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.image.picture_files import Limits
from clickpaint.session.turns import Turns
from clickpaint.session.video_record import VideoRecord, VideoVersion
from clickpaint.video.clips import Clip, open_clip
from clickpaint.video.patches import PatchedClip, Patches

RECORD = "video.db"
SOURCE, MADE = "source", "made"
"""Folders of what was opened and of what was made of it to be shown, which can be made again."""


def gone() -> NotFound:
    """What is said of a video that is not there."""
    return NotFound("There is no such video (any more).", "Open the clip again.")


class OpenVideo:
    """What a clip was opened as. Everything of it is on the disk, below one folder; several requests may use it at once.

    Args:
        folder: its own.

    Attributes:
        record: what is known of it.
        facts: those of the record.
        used: when it was used last, in seconds of `time.monotonic`.
        closed: whether it was removed meanwhile.
        plays: whether browsers play what was opened as it is; None as long as nobody asked.

    Raises:
        OSError: there is none. ValueError: it cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = VideoRecord(folder / RECORD)
        self.facts = self.record.facts()
        self.used = time.monotonic()
        self.closed = False
        self.plays: bool | None = None
        self._turns = Turns()
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        return self.facts.id

    @property
    def source(self) -> Path:
        """The file or folder that was opened."""
        return Path(self.facts.file) if self.facts.stamp is not None else self.folder / SOURCE / self.facts.file

    def turn(self, check: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """Be the only one who changes it in this block; see `Workspace.turn`. Raises `Busy`, `NotFound`."""

        def open_still() -> None:
            check()
            if self.closed:
                raise gone()

        return self._turns.take(open_still)

    def versions(self) -> list[int]:
        """The numbers of what can be shown, 0 for what was opened."""
        return [0, *(version.number for version in self.record.versions())]

    def checked(self, version: int | None) -> int:
        """The number of a version; None for the one shown now. Raises `NotFound`."""
        shown = int(self.record.value("shown"))
        if version is None or version == shown:
            return shown
        if version not in self.versions():
            raise NotFound("There is no version {version} of this video.", "Ask for one that it lists.", version=version)
        return version

    def patches(self, version: int) -> Patches:
        """What a result changed."""
        return Patches(self.folder / f"version-{version}.db")

    def original(self, limits: Limits) -> Clip:
        """What was opened, with a reader of its own.

        Raises:
            InvalidInput: it cannot be read (any more), or is another one now.
        """
        self.check_source()
        index = self.record.index()
        if index is None:
            return open_clip(self.source, limits)
        from clickpaint.video.av_clips import FrameIndex

        return open_clip(self.source, limits, FrameIndex(*index))

    def check_source(self) -> None:
        """Raises `InvalidInput` where what was opened is not there any more, or is another one now."""
        if self.facts.stamp is not None and stamp_of(self.source) != self.facts.stamp:
            raise InvalidInput("{file} was changed or moved after it was opened.", "Open it again.", file=self.source.name)
        if not self.source.exists():
            raise gone()

    def stacked(self, original: Clip, version: int) -> PatchedClip:
        """A version, by a reader of what was opened."""
        below = [number for number in self.versions() if 0 < number <= version]
        return PatchedClip(original, [self.patches(number) for number in below])

    def discard_after(self, version: int, new: int) -> None:
        """Remove the results that were made after one: there is another way forth now. new: the number of that."""
        for number in [each for each in self.record.drop_versions_after(version) if each != new]:
            self.patches(number).path.unlink(missing_ok=True)
            for file in self.made(f"*-v{number}.*", f"*-v{number}-*"):
                file.unlink(missing_ok=True)

    def made(self, *patterns: str) -> Sequence[Path]:
        """Files that were made to be shown."""
        folder = self.folder / MADE
        return [file for pattern in patterns for file in folder.glob(pattern)] if folder.is_dir() else []

    def history(self) -> tuple[list[VideoVersion], int]:
        """The results, and the number of the one shown now."""
        return self.record.versions(), int(self.record.value("shown"))

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Where a file to be shown lies; only one at a time makes it in this block, and the next one finds it."""
        with self._lock:
            lock = self._making.setdefault(name, threading.Lock())
        with lock:
            (self.folder / MADE).mkdir(exist_ok=True)
            yield self.folder / MADE / name

    def masks(self, objects: Sequence[str], first: int = 0) -> StoredMasks:
        """The masks of some objects together, frame 0 being the frame `first`."""
        return StoredMasks(self.record, self.facts.size, tuple(objects), first)


class StoredMasks:
    """Masks as the record has them; is `Masks`."""

    def __init__(self, record: VideoRecord, size: tuple[int, int], objects: tuple[str, ...], first: int) -> None:
        self._record, self._size, self._objects, self._first = record, size, objects, first

    def mask(self, number: int) -> np.ndarray:
        whole = np.zeros(self._size[::-1], bool)
        for object_id in self._objects:
            packed = self._record.mask(object_id, self._first + number, self._size)
            if packed is not None:
                whole[packed.box.slices] |= packed.inside
        return whole


def stamp_of(path: Path) -> tuple[int, int]:
    """(bytes, nanoseconds of the last change) of a file, (0, …) of a folder; (-1, 0) where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return -1, 0
    return (0 if path.is_dir() else stat.st_size), stat.st_mtime_ns
