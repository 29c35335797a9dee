"""The use-cases of opening a video, finding it again and closing it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clickpaint.errors import ClickpaintError, InvalidInput, TooLarge
from clickpaint.hosts.base import Host
from clickpaint.image.picture_files import ENDINGS, Limits
from clickpaint.session.open_video import SOURCE, OpenVideo, gone, stamp_of
from clickpaint.session.video_storage import StoredVideo, VideoBounds, VideoStorage
from clickpaint.settings import MEGABYTE
from clickpaint.studio.request import Requests
from clickpaint.studio.several_pictures import free_name
from clickpaint.studio.tasks import Tasks
from clickpaint.studio.video_readers import VideoReaders
from clickpaint.video.clips import Clip, check_size, open_clip
from clickpaint.video.describing import described, recognised
from clickpaint.video.registry import check_frame

_PROBED = 6
"""Frames that are looked at when a video is opened, over its whole length."""
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{name}{number}" for name in ("COM", "LPT") for number in range(1, 10))}


class VideoLibrary:
    """Part of the studio.

    Args:
        limits: of frames.
    """

    def __init__(self, host: Host, requests: Requests, tasks: Tasks, limits: Callable[[], Limits]) -> None:
        self._host, self._requests, self.limits = host, requests, limits
        self.readers = VideoReaders(limits)

        def removed(id: str) -> None:
            tasks.interrupt(id)
            self.readers.forget(id)

        self.storage = VideoStorage(host.data_folder() / "videos", self._bounds, tasks.active, removed)

    @property
    def most_bytes(self) -> int:
        """Of a clip's file."""
        return int(self._host.setting("max_video_mb")) * MEGABYTE

    @contextmanager
    def incoming(self, announced: int = 0) -> Iterator[Path]:
        """A folder to receive files in; `open` takes it, otherwise it is gone after the block.

        Args:
            announced: bytes that are to come, as far as is known.

        Raises:
            TooLarge: there is no room, before or while something is received.
        """
        self._close_unused()
        try:
            self.storage.room_for(announced)
            with self.storage.incoming() as part:
                (part / SOURCE).mkdir()
                yield part
        except OSError as error:
            raise no_room(error) from error

    def open(self, part: Path, names: Sequence[str]) -> OpenVideo:
        """The video of what was received.

        Args:
            part: as `incoming` gave it; its folder "source" holds the files, named "0", "1" …
            names: of the files, as they were sent. Several are the pictures of a folder.

        Raises:
            InvalidInput: it cannot be used. TooLarge: it has too many frames, or frames that are too large. ModelMissing: PyAV is missing.
        """
        source, ending = arranged(part, names)
        name = "frames" if len(names) > 1 else names[0].replace("\\", "/").rpartition("/")[2][:200] or f"clip{ending}"
        return self._opened(part, source, name, source.name, None, ending)

    def open_path(self, path: Path) -> OpenVideo:
        """The video of a file or a folder of pictures on this machine, which stays where it is. Raises as `open`."""
        path = path.expanduser()
        if not path.is_absolute() or not path.exists():
            raise InvalidInput("There is no file {file}.", "Give the whole path of a file or a folder on this machine.", file=path)
        with self.incoming() as part:
            ending = ".folder" if path.is_dir() else recognised(path)
            return self._opened(part, path, path.name, str(path), stamp_of(path), ending)

    def get(self, id: str) -> OpenVideo:
        """Raises `NotFound`."""
        self._close_unused()
        return self.storage.get(id)

    def listed(self, ids: Iterable[str] | None = None) -> list[StoredVideo]:
        """Those there are, the one changed last first. ids: only these; None for all."""
        self._close_unused()
        return self.storage.listed(ids)

    def close(self, id: str) -> None:
        """Remove a video and all that was made of it. Raises `NotFound`."""
        if not self.storage.remove(id):
            raise gone()

    def mark(self, video: OpenVideo, first: int | None, last: int | None) -> None:
        """Set the marks between which a video is worked on, both included; None leaves one as it is. Raises `InvalidInput`."""
        first = int(video.record.value("in_mark")) if first is None else first
        last = int(video.record.value("out_mark")) if last is None else last
        check_stretch(video, first, last)
        video.record.put(in_mark=first, out_mark=last)

    def shut_down(self) -> None:
        """Close what is open; where nothing is to be kept, nothing stays."""
        self.readers.close()
        if self._bounds().days <= 0:
            self.storage.close_unused(-1.0)

    def _opened(self, part: Path, source: Path, name: str, file: str, stamp: tuple[int, int] | None, ending: str) -> OpenVideo:
        with self._requests.admitted():
            clip = open_clip(source, self.limits())
            try:
                most = int(self._host.setting("max_video_frames"))
                if len(clip) > most:
                    raise TooLarge(
                        "This clip has {frames} frames, and may have {limit}.",
                        "Raise the setting max_video_frames, or send a shorter one.",
                        frames=len(clip), limit=most,
                    )  # fmt: skip
                facts = described(clip, ending)
                _probe(clip)
            finally:
                clip.close()
            return self.storage.add(part, name, file, stamp, clip.size, facts)

    def _bounds(self) -> VideoBounds:
        return VideoBounds(self._host.setting("keep_videos_days"), self._host.setting("keep_videos_mb") * MEGABYTE)

    def _close_unused(self) -> None:
        if self._bounds().days <= 0:
            self.storage.close_unused(self._host.setting("workspace_minutes") * 60)


def arranged(part: Path, names: Sequence[str]) -> tuple[Path, str]:
    """The clip's file, or folder of pictures, made of what was received, and the ending of its kind.

    Args:
        part: as `VideoLibrary.incoming` gave it; its folder "source" holds the files, named "0", "1" …
        names: of the files as they were sent.

    Raises:
        InvalidInput: it is no clip.
    """
    folder = part / SOURCE
    if len(names) > 1:
        target = folder / "frames"
        target.mkdir()
        taken: set[str] = set()
        for number, name in enumerate(names):
            (folder / str(number)).rename(target / free_name(_file_name(name, Path(name).suffix.lower()), taken))
        return target, ".folder"
    ending = recognised(folder / "0")
    target = folder / _file_name(names[0], ending)
    (folder / "0").rename(target)
    return target, ending


def check_stretch(video: OpenVideo, first: int, last: int) -> None:
    """Raises `InvalidInput` where these are no frames from one on to another."""
    check_frame_of(video, first)
    check_frame_of(video, last)
    if first > last:
        raise InvalidInput("The frame {first} comes after the frame {last}.", "Give the earlier one first.", first=first, last=last)


def check_frame_of(video: OpenVideo, number: int) -> None:
    """Raises `InvalidInput` for the number of a frame that there is not."""
    check_frame(range(video.facts.frames), number)  # type: ignore[arg-type]  # only its length is looked at


def no_room(error: OSError) -> ClickpaintError:
    """What an error of the file system means to whoever sends a clip or waits for a result."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TooLarge("The disk is full.", "Make room, or close videos that are not needed any more.")
    return InvalidInput(
        "The folder for videos cannot be used: {reason}.", "Look at the rights of the program's data folder.",
        reason=error.strerror or type(error).__name__,
    )  # fmt: skip


def _probe(clip: Clip) -> None:
    """Raises `InvalidInput` where frames cannot be decoded, or change their size."""
    for number in sorted({(len(clip) - 1) * part // _PROBED for part in range(1, _PROBED + 1)}):
        near = getattr(clip, "near", None)
        number = number if near is None else near(number, 0)
        pixels = clip.frame(number)
        check_size((pixels.shape[1], pixels.shape[0]), clip.size, number)


def _file_name(name: str, ending: str) -> str:
    """A name for a file on this machine that looks like `name`, with that ending."""
    last = name.replace("\\", "/").rpartition("/")[2]
    stem = Path("".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*')).stem[:60].strip(". ")
    if not stem or stem.upper() in _RESERVED:
        stem = "clip"
    return stem + (ending if ending in ENDINGS or len(ending) < 6 else "")
