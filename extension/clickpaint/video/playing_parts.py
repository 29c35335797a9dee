"""A clip as browsers play it, in parts that are made one by one: playing begins anywhere, and what nobody looks at is never made.

Each part is a whole fragmented MP4 (ISO/IEC 14496-12) with the times of the clip, so that a browser's media source (W3C Media Source
Extensions) takes the parts in any order.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.video.av_clips import AvClip, pyav
from clickpaint.video.base import Frames
from clickpaint.video.clips import Clip
from clickpaint.video.playing import SOUND_BITS, played_size

SECONDS = 1.5
"""That a part takes about."""
FEWEST, MOST = 2, 96
"""Frames of a part."""
PICTURES, SOUND = "avc1.640028", "mp4a.40.2"
"""The codecs by RFC 6381: H.264 High 4.0, AAC-LC."""
_OPTIONS = {"crf": "21", "preset": "veryfast", "profile": "high", "level": "4.0", "bf": "0", "sc_threshold": "0"}
_TICKS = 90_000
_BLOCK = 1024
"""Samples of a packet of AAC; each one's window reaches over the next packet as well."""
_LEAD = 1.0
"""Seconds of sound that are decoded before those that are wanted: some codecs need what was before."""
_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
_GAP = 0.05
"""Seconds by which a clip's sound may be off before it is put where its time says."""


@dataclass(frozen=True)
class Parts:
    """How a clip is divided.

    Attributes:
        each: frames of every part but the last.
        count: of the parts.
        frames: of the clip.
    """

    each: int
    count: int
    frames: int

    @classmethod
    def of(cls, frames: int, fps: float) -> Parts:
        """frames: of the clip; fps: frames a second, over all."""
        each = min(max(round(fps * SECONDS), FEWEST), MOST)
        return cls(each, math.ceil(frames / each), frames)

    def numbers(self, part: int) -> range:
        """The frames of a part."""
        return range(part * self.each, min((part + 1) * self.each, self.frames))


def media_type(sound: bool) -> str:
    """Of all parts of a clip, with its codecs. sound: whether it has any."""
    return f'video/mp4; codecs="{PICTURES}, {SOUND}"' if sound else f'video/mp4; codecs="{PICTURES}"'


def write_part(path: Path, frames: Frames, numbers: range, starts: np.ndarray, source: Clip) -> None:
    """Write some frames of a clip, with square pixels and at most `playing.LONGEST` pixels on a side, and the sound beside them.

    Args:
        frames: of the whole clip.
        numbers: of those that are to be written.
        starts: float64 [frames + 1], when each frame of the clip is shown first, and when the last one ends, in seconds.
        source: the clip that they were made of, whose sound goes with them.

    Raises:
        ModelMissing: PyAV is not installed.
    """
    av = pyav()
    width, height = played_size(frames.size)
    ticks = np.round(starts * _TICKS).astype(np.int64)
    lasting = {int(ticks[number]): max(int(ticks[number + 1] - ticks[number]), 1) for number in numbers}
    # these two together write the times as they are; otherwise every part would begin at 0
    options = {"movflags": "delay_moov+frag_discont+frag_keyframe+default_base_moof"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream: Any = container.add_stream("libx264", rate=Fraction(25), options={**_OPTIONS, "g": str(len(numbers))})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        sound = iter(())
        if isinstance(source, AvClip) and source.has_sound:
            over = numbers[-1] == len(starts) - 2
            sound = _sound(av, container, source, float(starts[numbers[0]]), float(starts[numbers[-1] + 1]), over)
        waiting = [*sound]  # before the first packet is written all streams have to be there
        for number in [*numbers, None]:
            frame = None
            if number is not None:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frames.frame(number)), format="rgb24")
                frame = picture.reformat(width, height, "yuv420p")
                frame.pts, frame.time_base = int(ticks[number]), Fraction(1, _TICKS)
            for packet in stream.encode(frame):
                packet.duration = lasting.get(packet.pts, 1)
                container.mux(packet)
        container.mux(waiting)


def _sound(av: Any, container: Any, source: AvClip, start: float, end: float, over: bool) -> Iterator[Any]:
    """Packets of AAC of a part, of one grid over the whole clip, so that parts join without a gap.

    Args:
        start, end: of the part, in seconds; the packet that is heard at its start belongs to it, the one at its end to the next.
        over: whether there is no next part.
    """
    reader = source.reopened()
    try:
        heard = reader.streams.audio[0]
        rate = heard.rate if heard.rate in _RATES else 48_000
        made: Any = container.add_stream("aac", rate=rate)
        made.bit_rate, made.layout, made.format = SOUND_BITS, "stereo", "fltp"
        first, last = int(start * rate // _BLOCK), int(end * rate // _BLOCK) + over
        if first >= last:
            return
        begin = first * _BLOCK
        samples = _samples(av, reader, heard, rate, source, begin, (last + 1) * _BLOCK)  # the last packet's window reaches further
        for place in range(0, samples.shape[1], _BLOCK):
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, place : place + _BLOCK]), format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = rate, begin + place, Fraction(1, rate)
            yield from _within(made.encode(block), first * _BLOCK, last * _BLOCK)
        yield from _within(made.encode(None), first * _BLOCK, last * _BLOCK)
    finally:
        reader.close()


def _within(packets: list[Any], first: int, end: int) -> Iterator[Any]:
    for packet in packets:
        if packet.pts is not None and first <= packet.pts < end:
            yield packet


def _samples(av: Any, reader: Any, heard: Any, rate: int, source: AvClip, first: int, end: int) -> np.ndarray:
    """float32 [2, end - first]; samples are counted from the time of the clip's first frame on, silent where there are none."""
    whole = np.zeros((2, end - first), np.float32)
    zero = float(source.times[0] * source.time_base)
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=rate)
    with contextlib.suppress(av.error.FFmpegError):  # then from the start
        reader.seek(max(int((zero + first / rate - _LEAD) / heard.time_base), 0), stream=heard, backward=True)
    at = math.inf
    try:
        for frame in reader.decode(heard):
            if frame.time is None:
                continue
            due = (frame.time - zero) * rate
            if abs(at - due) > _GAP * rate:
                at = due
            if at >= end:
                break
            for block in resampler.resample(frame):
                values, place = block.to_ndarray(), round(at) - first
                begin, stop = max(place, 0), min(place + values.shape[1], whole.shape[1])
                if begin < stop:
                    whole[:, begin:stop] = values[:, begin - place : stop - place]
                at += values.shape[1]
    except (av.error.FFmpegError, ValueError):
        pass  # damaged, or of another kind from here on: what is there can be heard
    return whole
