"""All videos that were opened, on the disk, within bounds: each in a folder of its own, which is there as a whole or not at all."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clickpaint.errors import TooLarge
from clickpaint.session.entries import DAY, is_id
from clickpaint.session.open_video import MADE, RECORD, SOURCE, OpenVideo, gone
from clickpaint.session.video_record import VideoFacts
from clickpaint.video.describing import ClipFacts

log = logging.getLogger(__name__)

_ABANDONED = DAY
"""Seconds after which a half received file belongs to a program that died."""


SPARE = 64 << 20
"""Bytes that a disk must have left, for something to be made or gone on with."""


@dataclass(frozen=True)
class VideoBounds:
    """What may be kept.

    Attributes:
        days: longer than that after its last change, a video is removed.
        nbytes: what all videos together may take; the oldest go first.
    """

    days: float
    nbytes: int


@dataclass(frozen=True)
class StoredVideo:
    """An entry of the list.

    Attributes:
        facts: of the video.
        changed: in seconds since 1970.
        nbytes: on the disk.
    """

    facts: VideoFacts
    changed: float
    nbytes: int


class VideoStorage:
    """The videos below one folder. Everything may be called from any thread.

    Args:
        folder: whose entries are ours; made when the first is written, for this user alone.
        bounds: asked whenever something is written or listed.
        in_use: whether something is under way for the video of this id, which then is not removed for lack of room.
        removed: called with the id of every video that is removed.
    """

    def __init__(
        self, folder: Path, bounds: Callable[[], VideoBounds], in_use: Callable[[str], bool], removed: Callable[[str], object]
    ) -> None:
        self.folder, self._bounds, self._in_use, self._removed = folder, bounds, in_use, removed
        self._open: dict[str, OpenVideo] = {}
        self._sources: dict[str, int] = {}  # bytes of what was opened, which may be many pictures
        self._lock = threading.RLock()

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder for what is being received, which is gone after the block unless `add` took it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f".{secrets.token_hex(12)}.part"
        part.mkdir(mode=0o700)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def room_for(self, nbytes: int) -> None:
        """Make room for what comes. Raises `TooLarge` where that is more than all videos may take, or than the disk has."""
        limit = self._bounds().nbytes
        if nbytes > limit:
            raise TooLarge(
                "This clip has {megabytes} MB, and all clips together may take {limit} MB.",
                "Raise the setting keep_videos_mb, or send a shorter one.",
                megabytes=nbytes >> 20, limit=limit >> 20,
            )  # fmt: skip
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.prune(nbytes)
        if shutil.disk_usage(self.folder).free < nbytes:
            raise TooLarge("There is no room for {megabytes} MB on the disk.", "Make room, then try again.", megabytes=nbytes >> 20)

    def check_room(self, video: OpenVideo) -> None:
        """Raises `TooLarge` where a video with all that was made of it takes more than all videos may, or the disk is nearly full."""
        limit, nbytes = self._bounds().nbytes, self._measured(video.id)[1]
        if nbytes > limit:
            raise TooLarge(
                "This video has {megabytes} MB with all that was made of it, and all clips together may take {limit} MB.",
                "Raise the setting keep_videos_mb, or work on a shorter part.",
                megabytes=nbytes >> 20, limit=limit >> 20,
            )  # fmt: skip
        if shutil.disk_usage(video.folder).free < SPARE:
            raise TooLarge("The disk is full.", "Make room, or close videos that are not needed any more.")

    def add(self, part: Path, name: str, file: str, stamp: tuple[int, int] | None, size: tuple[int, int], facts: ClipFacts) -> OpenVideo:
        """Keep what was received.

        Args:
            part: as `incoming` gave it, with the clip in its folder "source" where it is not kept elsewhere.
            name: of the file, for people.
            file, stamp: as in `VideoFacts`.
            size: (width, height) of the frames.
            facts: of the clip.
        """
        id = secrets.token_urlsafe(18)
        video = VideoFacts(
            id, name, file, stamp, facts.container, facts.codec, size, len(facts.starts), facts.fps, facts.duration, facts.variable,
            facts.sound, facts.pixel_aspect, time.time(),
        )  # fmt: skip
        from clickpaint.session.video_record import VideoRecord

        VideoRecord(part / RECORD).create(video, facts.starts, facts.times, facts.keys)
        with self._lock:
            part.rename(self.folder / id)
            self._open[id] = OpenVideo(self.folder / id)
        self.prune()
        return self.get(id)

    def get(self, id: str) -> OpenVideo:
        """The video, which counts as used now. Raises `NotFound`."""
        with self._lock:
            video = self._open.get(id)
            if video is None and is_id(id) and self._fresh(id):
                try:
                    video = self._open[id] = OpenVideo(self.folder / id)
                except OSError:
                    video = None
                except ValueError as error:
                    log.warning("The stored video %s… is damaged (%s) and is removed.", id[:6], error)
                    self.remove(id)
        if video is None or video.closed:
            raise gone()
        video.used = time.monotonic()
        return video

    def has(self, id: str) -> bool:
        """Whether there is such a video."""
        return id in self._open or (is_id(id) and (self.folder / id / RECORD).is_file())

    def listed(self, ids: Iterable[str] | None = None) -> list[StoredVideo]:
        """Those there are, the one changed last first. ids: only these, as far as there are any; None for all."""
        names = self._names() if ids is None else [id for id in dict.fromkeys(ids) if is_id(id)]
        entries = []
        for id in names:
            if not self._fresh(id):
                continue
            try:
                video = self._open.get(id) or OpenVideo(self.folder / id)
                entries.append(StoredVideo(video.facts, *self._measured(id)))
            except (OSError, ValueError) as error:
                log.warning("The stored video %s… cannot be read: %s", id[:6], error)
        return sorted(entries, key=lambda entry: -entry.changed)

    def size_of(self, id: str) -> tuple[float, int]:
        """When a video was changed last, in seconds since 1970, and its bytes on the disk."""
        return self._measured(id)

    def remove(self, id: str) -> bool:
        """Remove a video; what is under way for it finds it closed. Whether there was one."""
        if not is_id(id):
            return False
        with self._lock:
            video = self._open.pop(id, None)
            self._sources.pop(id, None)
            there = (self.folder / id).is_dir()
        if video is not None:
            video.closed = True
        if not there:
            return False
        self._removed(id)
        try:
            with self._lock:
                going = self.folder / f".{secrets.token_hex(12)}.part"  # by one step, so that half a video is none
                (self.folder / id).rename(going)
            shutil.rmtree(going, ignore_errors=True)
        except OSError:  # Windows keeps what somebody reads
            (self.folder / id / RECORD).unlink(missing_ok=True)
            shutil.rmtree(self.folder / id, ignore_errors=True)
        return True

    def prune(self, coming: int = 0) -> None:
        """Remove what is too old, and of the rest the oldest until there is room for `coming` bytes more."""
        bounds, now = self._bounds(), time.time()
        entries = {}
        for id in self._names():
            changed, nbytes = self._measured(id)
            if bounds.days > 0 and now - changed > bounds.days * DAY and not self._in_use(id):
                self.remove(id)
            else:
                entries[id] = changed, nbytes
        for part in self.folder.glob(".*.part") if self.folder.is_dir() else ():
            try:
                if now - part.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(part, ignore_errors=True)
            except OSError:
                pass
        total = sum(nbytes for _, nbytes in entries.values()) + coming
        for id in sorted(entries, key=lambda id: entries[id][0]):
            if total <= bounds.nbytes:
                break
            if not self._in_use(id) and (coming or len(entries) > 1):
                log.info("The stored video %s… is removed: stored videos may take %d MB.", id[:6], bounds.nbytes >> 20)
                self.remove(id)
                total -= entries.pop(id)[1]

    def close_unused(self, seconds: float) -> None:
        """Remove what was unused for longer than that, for a server that keeps nothing."""
        now = time.monotonic()
        for id in self._names():
            video = self._open.get(id)
            if (video is None or now - video.used > seconds) and not self._in_use(id):
                self.remove(id)

    def _fresh(self, id: str) -> bool:
        days = self._bounds().days
        return days <= 0 or time.time() - self._measured(id)[0] <= days * DAY

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in self.folder.iterdir() if is_id(entry.name) and (entry / RECORD).is_file()]
        except OSError:
            return []

    def _measured(self, id: str) -> tuple[float, int]:
        folder = self.folder / id
        try:
            changed = (folder / RECORD).stat().st_mtime
            if id not in self._sources:
                self._sources[id] = sum(_sizes(folder / SOURCE))
            made = sum(_sizes(part)[0] for part in folder.iterdir() if part.is_file()) + sum(_sizes(folder / MADE))
            return changed, self._sources[id] + made
        except OSError:
            return time.time(), 0


def _sizes(path: Path) -> list[int]:
    """The bytes of a file, or of each file below a folder."""
    if path.is_file():
        return [path.stat().st_size]
    return [file.stat().st_size for file in path.rglob("*") if file.is_file()]
