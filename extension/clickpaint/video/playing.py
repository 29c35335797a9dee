"""A clip as browsers play it: H.264 in MP4, its index in front, key frames close together for scrubbing."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.video.av_clips import AvClip, pyav
from clickpaint.video.base import Frames
from clickpaint.video.clips import Clip

LONGEST = 1280
"""Pixels of the longer side at most."""
_OPTIONS = {"crf": "21", "preset": "veryfast", "g": "24"}
_PLAYED = {".mp4": {"h264", "av1"}, ".webm": {"vp8", "vp9", "av1"}}
SOUND_BITS = 160_000
"""A second of the sound."""


def plays(path: Path) -> bool:
    """Whether browsers play a video's file as it is."""
    codecs = _PLAYED.get(path.suffix.lower())
    if codecs is None:
        return False
    av = pyav()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        aspect = stream.codec_context.sample_aspect_ratio
        sound = {each.codec_context.name for each in container.streams.audio}
        upright = not aspect or aspect == 1
        return (
            stream.codec_context.name.removeprefix("lib").replace("dav1d", "av1").replace("vpx-", "") in codecs
            and stream.codec_context.pix_fmt in ("yuv420p", "yuvj420p")
            and sound <= {"aac", "mp3", "mp3float", "opus", "vorbis"}
            and upright
        )


def write_playable(path: Path, frames: Frames, starts: np.ndarray, source: Clip, progress: Progress = SILENT) -> None:
    """Write a clip for browsers, with square pixels and at most `LONGEST` pixels on a side.

    Args:
        frames: all of them.
        starts: float64 [frames], when each is shown first, in seconds.
        source: the clip that they were made of, whose sound goes with them.

    Raises:
        ModelMissing: PyAV is not installed. Interrupted.
    """
    av = pyav()
    width, height = played_size(frames.size)
    sound = _Sound(av, source) if isinstance(source, AvClip) and source.has_sound else None
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(25), options=dict(_OPTIONS))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 90_000)
            if sound is not None:
                sound.into(container)
            for number in range(len(frames)):
                progress.report(number / len(frames), "Making a preview", done=number, total=len(frames), unit="frame")
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frames.frame(number)), format="rgb24")
                frame = frame.reformat(width, height, "yuv420p")
                frame.pts, frame.time_base = round(starts[number] * 90_000), Fraction(1, 90_000)
                if sound is not None:
                    sound.up_to(float(starts[number]))
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if sound is not None:
                sound.finish()
    finally:
        if sound is not None:
            sound.close()


def played_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST / max(size))
    width, height = (max(round(side * scale / 2) * 2, 2) for side in size)
    return width, height


class _Sound:
    """The sound of a video as AAC, from the time of its first frame on."""

    def __init__(self, av: Any, source: AvClip) -> None:
        self._av = av
        self._container = source.reopened()
        self._first = float(source.times[0] * source.time_base)
        self._waiting: tuple[float, Any] | None = None

    def into(self, container: Any) -> None:
        stream = self._container.streams.audio[0]
        self._target, self._made = container, container.add_stream("aac", rate=stream.rate or 44_100)
        self._made.bit_rate = SOUND_BITS
        self._frames = self._decoded(stream)

    def _decoded(self, stream: Any) -> Iterator[tuple[float, Any]]:
        """(seconds, frame) each."""
        rate = self._made.rate
        resampler = self._av.AudioResampler(format="fltp", layout="stereo", rate=rate)
        try:
            for frame in self._container.decode(stream):
                if frame.time is None or frame.time < self._first - 1e-6:
                    continue
                at = frame.time - self._first
                for made in resampler.resample(frame):
                    made.pts, made.time_base = round(at * rate), Fraction(1, rate)
                    yield at, made
                    at += made.samples / rate
        except self._av.error.FFmpegError:
            return  # damaged: what is there can be heard

    def up_to(self, seconds: float) -> None:
        """Write what belongs before that time."""
        while True:
            waiting = self._waiting or next(self._frames, None)
            self._waiting = None
            if waiting is None:
                return
            if waiting[0] > seconds:
                self._waiting = waiting
                return
            self._target.mux(self._made.encode(waiting[1]))

    def finish(self) -> None:
        self.up_to(float("inf"))
        self._target.mux(self._made.encode(None))

    def close(self) -> None:
        self._container.close()
