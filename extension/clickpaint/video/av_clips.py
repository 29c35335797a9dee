"""Videos as PyAV (FFmpeg) reads them: any frame by its number, in its native samples or in RGB."""

from __future__ import annotations

import bisect
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from clickpaint.compat.packages import installed
from clickpaint.errors import InvalidInput, ModelMissing
from clickpaint.image.picture_files import Limits
from clickpaint.video.base import Recent
from clickpaint.video.clips import check_dimensions, check_size

_KEPT = 4
_FAR = 48
"""Frames ahead up to which going on decoding is quicker than looking for a key frame."""


def pyav() -> Any:
    """The package, with FFmpeg's own messages kept from people. Raises `ModelMissing`."""
    if not installed("av"):
        raise ModelMissing(
            "The package av, which reads and writes videos, is not installed.",
            "Install it (pip install av), or use a folder of pictures or an animated GIF, WebP or PNG.",
        )
    import av
    import av.logging

    # The package's own listener waits for the interpreter, which may wait for the thread of FFmpeg's that has something to tell.
    av.logging.set_level(None)
    av.logging.set_libav_level(av.logging.PANIC)
    os.environ.setdefault("SVT_LOG", "1")  # its AV1 encoder tells everything to the terminal otherwise
    return av


class FrameIndex(NamedTuple):
    """What is to be known of a video's frames to get at each of them.

    Attributes:
        times, keys: see `AvClip`.
    """

    times: list[int]
    keys: list[int]


class AvClip:
    """A video's first stream of pictures, upright.

    Args:
        index: where it is known already; to make it, the whole file is read.

    Attributes:
        times: pts of every frame in units of `time_base`, in the order in which they are shown.
        keys: numbers of the frames at which decoding can begin, sorted.
        turns: by how many quarters the frames were turned counterclockwise to be upright.

    Raises:
        InvalidInput: it cannot be read, or holds no pictures.
        ModelMissing: PyAV is not installed.
    """

    def __init__(self, path: Path, limits: Limits = Limits(), index: FrameIndex | None = None) -> None:  # noqa: B008 (frozen)
        self.path = path
        self._av = pyav()
        self.container = self._opened()
        try:
            streams = [stream for stream in self.container.streams.video if not _is_cover(stream)]
            if not streams:
                raise InvalidInput("{file} holds no moving pictures.", "Give a video, not sound alone.", file=path.name)
            self.stream: Any = streams[0]
            self.index = int(self.stream.index)
            self.time_base = self.stream.time_base
            check_dimensions((self.stream.codec_context.width, self.stream.codec_context.height), limits)
            self.times, self.keys = index or self._listed()
            self._held: Any = None
            self._from(0)
            self._next = 0
            self._recent: Recent[np.ndarray] = Recent(self._read, _KEPT)
            first = self._recent(0)
        except BaseException:
            self.container.close()
            raise
        self.size = first.shape[1], first.shape[0]

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, number: int) -> np.ndarray:
        return self._recent(number)

    def seconds(self, number: int) -> float:
        if number + 1 < len(self.times):
            return float((self.times[number + 1] - self.times[number]) * self.time_base)
        return self.seconds(number - 1) if number > 0 else 1 / 25

    def close(self) -> None:
        self.container.close()

    @property
    def codec(self) -> str:
        """Name of the coding of its pictures."""
        return str(self.stream.codec_context.name)

    @property
    def has_sound(self) -> bool:
        return len(self.container.streams.audio) > 0

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel, upright, for a height of 1."""
        aspect = Fraction(self.stream.sample_aspect_ratio or self.stream.codec_context.sample_aspect_ratio or 1)
        return 1 / aspect if self.turns % 2 else aspect

    def near(self, number: int, most: int) -> int:
        """The frame nearest before frame `number` (or that itself) for which at most so many others have to be decoded first."""
        return min(number, self._begun(number) + most)

    def _begun(self, number: int) -> int:
        """Where decoding begins to get at frame `number`: where it is now, or at a key frame."""
        key = self._key(number)
        return self._next if key <= self._next <= number else key

    def _key(self, number: int) -> int:
        place = bisect.bisect_right(self.keys, number)
        return self.keys[place - 1] if place else 0

    def reopened(self) -> Any:
        """The file once more, for a second reader beside this one."""
        return self._opened()

    def _opened(self) -> Any:
        try:
            return self._av.open(str(self.path), metadata_errors="replace")
        except (self._av.error.FFmpegError, OSError, ValueError) as error:
            raise InvalidInput("{file} cannot be read.", "It is damaged, cut off, protected, or no video.", file=self.path.name) from error

    def _listed(self) -> FrameIndex:
        """Of all frames, from the packets alone; they decode nothing and take milliseconds."""
        times, keys = [], set()
        try:
            for packet in self.container.demux(self.stream):
                if packet.pts is not None and packet.size > 0 and not packet.is_discard:
                    times.append(int(packet.pts))
                    if packet.is_keyframe:
                        keys.add(int(packet.pts))
        except self._av.error.FFmpegError:
            pass  # cut off: what is there can be shown
        times = sorted(set(times))
        if not times:
            raise InvalidInput("{file} holds no moving pictures.", "Give a video, not sound alone.", file=self.path.name)
        return FrameIndex(times, [number for number, time in enumerate(times) if time in keys])

    def _from(self, number: int) -> None:
        """Let decoding begin at a key frame at or before frame `number`; at the first one where FFmpeg cannot look for it."""
        self._held = None
        try:
            self.container.seek(self.times[number], stream=self.stream, backward=True)
            self.stream.codec_context.flush_buffers()
        except self._av.error.FFmpegError:
            self._from_start()
            return
        self._decoder = self.container.decode(self.stream)

    def _from_start(self) -> None:
        self._held = None
        self.container.close()
        self.container = self._opened()
        self.stream = self.container.streams[self.index]
        self._decoder = self.container.decode(self.stream)

    def _read(self, number: int) -> np.ndarray:
        native = self._native(number)
        self.turns = turns(native)
        pixels = rgb(native)
        if hasattr(self, "size"):
            check_size((pixels.shape[1], pixels.shape[0]), self.size, number)
        pixels.setflags(write=False)
        return pixels

    def _native(self, number: int) -> Any:
        wanted, key = self.times[number], self._key(number)
        cause: Exception | None = None
        try:
            if 0 <= number - self._next <= _FAR or self._begun(number) == self._next:
                frame = self._first_at(wanted)
            else:
                # Without an index FFmpeg may come out too late: then from the key frame before, and then from the first frame.
                for begin in (lambda: self._from(number), lambda: self._from(self._key(max(key - 1, 0))), self._from_start):
                    begin()
                    frame = self._first_at(wanted)
                    if frame is not None and frame.pts == wanted:
                        break
        except self._av.error.FFmpegError as error:
            frame, cause = None, error
        if frame is None:
            self._next = len(self.times) + 1  # what comes after that is looked for anew
            raise InvalidInput(
                "Frame {number} of {file} cannot be read.", "The file is damaged or cut off.", number=number, file=self.path.name
            ) from cause
        self._next = number + 1
        return frame

    def _first_at(self, wanted: int) -> Any:
        """The next decoded frame that is not before this time; None at the end."""
        frame = self._held
        if frame is None or frame.pts < wanted:
            frame = next((each for each in self._decoder if each.pts is not None and each.pts >= wanted), None)
        self._held = frame if frame is not None and frame.pts > wanted else None
        return frame


def rgb(frame: Any) -> np.ndarray:
    """A decoded frame upright, uint8 [H, W, 3], by its own colour matrix and range."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns(frame)))


def turns(frame: Any) -> int:
    """By how many quarters a frame has to be turned counterclockwise to be upright."""
    return round((getattr(frame, "rotation", 0) or 0) / 90) % 4


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).attached_pic)
