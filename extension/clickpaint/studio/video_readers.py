"""Readers of opened videos: kept open for those who look at one frame and then another, one of their own for long work."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clickpaint.image.picture_files import Limits
from clickpaint.session.open_video import OpenVideo
from clickpaint.video.clips import Clip

_MOST = 6


class _Reader:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clip: Clip | None = None
        self.forgotten = False


class VideoReaders:
    """Hands out readers; a few stay open.

    Args:
        limits: of frames.
    """

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._readers: OrderedDict[tuple[str, int | None], _Reader] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def shared(self, video: OpenVideo, playing: int | None = None) -> Iterator[Clip]:
        """A reader of what was opened, for one frame or a few; others who want the same one wait.

        Args:
            playing: the version that is played by it, so that the reader goes on where the last part ended; None for looking at frames.

        Raises:
            InvalidInput: it cannot be read.
        """
        key = video.id, playing
        with self._lock:
            reader = self._readers.setdefault(key, _Reader())
            self._readers.move_to_end(key)
            leaving = [self._readers.pop(next(iter(self._readers))) for _ in range(len(self._readers) - _MOST)]
        for old in leaving:
            _close(old)
        with reader.lock:
            video.check_source()
            if reader.clip is None:
                reader.clip = video.original(self._limits())
            try:
                yield reader.clip
            finally:
                if reader.forgotten or video.closed:
                    reader.clip.close()
                    reader.clip = None

    @contextmanager
    def own(self, video: OpenVideo) -> Iterator[Clip]:
        """A reader for long work, which is in nobody's way. Raises `InvalidInput`."""
        clip = video.original(self._limits())
        try:
            yield clip
        finally:
            clip.close()

    def close(self) -> None:
        """Close all that are open."""
        with self._lock:
            leaving, self._readers = [*self._readers.values()], OrderedDict()
        for reader in leaving:
            _close(reader)

    def forget(self, id: str) -> None:
        """Close what is open of a video."""
        with self._lock:
            leaving = [self._readers.pop(key) for key in [*self._readers] if key[0] == id]
        for reader in leaving:
            _close(reader)


def _close(reader: _Reader) -> None:
    """Close it now, or let whoever uses it do so."""
    reader.forgotten = True
    if reader.lock.acquire(blocking=False):
        try:
            if reader.clip is not None:
                reader.clip.close()
                reader.clip = None
        finally:
            reader.lock.release()
