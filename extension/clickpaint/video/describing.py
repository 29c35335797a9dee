"""What there is to say about a clip before anything is done with it, and what a file is by its first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.video.clips import AnimationClip, Clip, FolderClip

HEAD = 4096
"""First bytes of a file that say what it is."""
_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_STARTS = {
    b"\x1aE\xdf\xa3": ".mkv", b"OggS": ".ogv", b"FLV\x01": ".flv", b"0&\xb2u\x8ef\xcf\x11": ".wmv", b"\x00\x00\x01\xba": ".mpg",
    b"\x00\x00\x01\xb3": ".mpg", b"YUV4MPEG2 ": ".y4m", b"DKIF\x00\x00": ".ivf", b"\x06\x0e+4\x02\x05\x01\x01": ".mxf",
    b"\x00\x00\x00\x01\x67": ".264", b"GIF87a": ".gif", b"GIF89a": ".gif", b"\x89PNG\r\n\x1a\n": ".png",
}  # fmt: skip
_LATEST = 1e-4
"""Seconds by which the times of frames at a steady rate may be off."""


def ending_of(head: bytes) -> str | None:
    """The ending of the name that a clip with these first bytes should have; None for what is none.

    Strangers' files are opened by what is known to be a video only: FFmpeg would follow a playlist to other files and addresses.
    """
    if head[4:8] in _BOXES:
        return ".mov" if head[4:8] != b"ftyp" or head[8:12] == b"qt  " else ".mp4"
    if head[:4] == b"RIFF":
        return {b"WEBP": ".webp", b"AVI ": ".avi"}.get(head[8:12])
    for start, ending in _STARTS.items():
        if head.startswith(start):
            return ".webm" if ending == ".mkv" and b"webm" in head[:64] else ending
    for length in (188, 192):  # MPEG transport streams
        at = length - 188
        if len(head) > at + 4 * length and all(head[at + number * length] == 0x47 for number in range(4)):
            return ".ts"
    return None


@dataclass(frozen=True, eq=False)
class ClipFacts:
    """What there is to say about a clip.

    Attributes:
        container: the ending of its kind of file without the dot, "folder" for pictures in one.
        codec: name of the pictures' coding.
        starts: when each frame is shown first, in seconds after the first, float64 [frames].
        duration: in seconds.
        fps: frames a second, over all.
        variable: whether some are shown for longer than others.
        sound: whether there is any.
        pixel_aspect: width of a pixel for a height of 1.
        times, keys: as those of `AvClip`, int64 [frames] and [key frames]; None for what is no video.
    """

    container: str
    codec: str
    starts: np.ndarray
    duration: float
    fps: float
    variable: bool
    sound: bool
    pixel_aspect: float
    times: np.ndarray | None = None
    keys: np.ndarray | None = None


def described(clip: Clip, ending: str) -> ClipFacts:
    """The facts of a clip. ending: of its kind of file, with the dot."""
    times, keys, codec, sound, aspect = None, None, ending.removeprefix("."), False, 1.0
    if isinstance(clip, (AnimationClip, FolderClip)):
        lengths = np.array([clip.seconds(number) for number in range(len(clip))])
        starts = np.concatenate([[0.0], np.cumsum(lengths)])
        if isinstance(clip, FolderClip):
            codec = clip.files[0].suffix.lower().removeprefix(".")
    else:
        from clickpaint.video.av_clips import AvClip

        assert isinstance(clip, AvClip)
        times, keys = np.array(clip.times, np.int64), np.array(clip.keys, np.int64)
        last = clip.seconds(len(clip) - 1)
        starts = (times - times[0]) * float(clip.time_base)
        starts = np.append(starts, starts[-1] + last)
        codec, sound, aspect = clip.codec, clip.has_sound, float(clip.pixel_aspect)
        lengths = np.diff(starts)
    duration = float(starts[-1])
    # Containers count in thousandths or coarser, so that steady frames alternate between two lengths.
    unit = max(_LATEST, 0.0 if times is None else 1.01 * float(clip.time_base))  # type: ignore[attr-defined]
    variable = bool(len(lengths) > 1 and lengths.max() - lengths.min() > unit)
    return ClipFacts(
        ending.removeprefix("."),
        codec,
        starts[:-1],
        duration,
        len(clip) / duration if duration > 0 else 25.0,
        variable,
        sound,
        aspect,
        times,
        keys,
    )


def head_of(path: Path) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(HEAD)


def recognised(path: Path) -> str:
    """The ending that fits a file. Raises `InvalidInput` for what is no clip."""
    head = head_of(path)
    ending = ending_of(head)
    if not head:
        raise InvalidInput("The file is empty.", "Send the clip's whole file.")
    if ending is None:
        raise InvalidInput(
            "This file is no video and no animated picture.", "Send MP4, MOV, MKV, WebM, AVI, GIF, WebP, APNG or another video."
        )
    return ending
