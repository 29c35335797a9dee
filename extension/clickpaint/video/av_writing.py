"""Videos as PyAV (FFmpeg) writes them: only what was changed is converted, and everything beside the pictures is copied."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.video.av_clips import AvClip, pyav, rgb, turns
from clickpaint.video.clips import Clip
from clickpaint.video.container_headers import TURNED, set_shape

log = logging.getLogger(__name__)

_ENCODERS = {
    "h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "vp8": "libvpx", "av1": "libsvtav1", "mpeg4": "mpeg4",
    "ffv1": "ffv1", "prores": "prores_ks", "mjpeg": "mjpeg",
}  # fmt: skip
_BY_ENDING = {".mp4": "libx264", ".m4v": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".avi": "mpeg4"}
"""Which containers are written, and with which encoder where the source's does not fit."""
_TAKEN = {
    ".mp4": {"libx264", "libx265", "libvpx-vp9", "libsvtav1", "mpeg4", "mjpeg"},
    ".mov": {"libx264", "libx265", "mpeg4", "prores_ks", "mjpeg"}, ".m4v": {"libx264", "libx265", "mpeg4"},
    ".webm": {"libvpx-vp9", "libvpx", "libsvtav1"}, ".avi": {"libx264", "mpeg4", "mjpeg", "ffv1"},
    ".mkv": set(_ENCODERS.values()),
}  # fmt: skip
"""Which encoders' pictures the containers take."""
_QUALITY = {
    "libx264": {"crf": "16", "preset": "medium"}, "libx265": {"crf": "18", "x265-params": "log-level=none"},
    "libvpx-vp9": {"crf": "18", "b": "0", "cpu-used": "4", "row-mt": "1"}, "libvpx": {"crf": "8", "b": "8M"},
    "libsvtav1": {"crf": "22", "preset": "7"}, "mpeg4": {"qscale": "2"}, "mjpeg": {"qscale": "2"},
}  # fmt: skip
_LOSSLESS = {
    ".mkv": ("ffv1", {}), ".avi": ("ffv1", {}), ".webm": ("libvpx-vp9", {"lossless": "1", "cpu-used": "4"}),
    ".mp4": ("libx264", {"qp": "0", "preset": "medium"}), ".m4v": ("libx264", {"qp": "0", "preset": "medium"}),
    ".mov": ("libx264", {"qp": "0", "preset": "medium"}),
}  # fmt: skip


def write_video(path: Path, ending: str, frames: Iterable[np.ndarray], source: Clip, lossless: bool) -> None:
    """Write `frames` (uint8 [H, W, 3], as many as `source` has) to `path`.

    Samples of the source that the frames do not change go to the encoder as they were decoded. Times, pixel aspect, how it is turned
    (upright where the container cannot say that), colour description, title and timecode are the source's; sound, subtitles and data are
    copied as they are.

    Args:
        ending: of the name, with its dot: the container.
        lossless: with an encoder that loses nothing.

    Raises:
        InvalidInput: there is no such container, or it cannot be written. ModelMissing: PyAV is not installed.
    """
    check_ending(ending)
    av = pyav()
    original = source if isinstance(source, AvClip) else None
    encoder, options = _LOSSLESS[ending] if lossless else _encoder(ending, original)
    try:
        with av.open(str(path), "w", options={"movflags": "use_metadata_tags"} if ending in (".mp4", ".mov", ".m4v") else {}) as container:
            if original is None:
                _write_drawn(av, container, encoder, options, frames, source, lossless)
            else:
                _write_edited(av, container, encoder, options, frames, original, ending in TURNED)
        if original is not None:
            set_shape(path, ending, original.turns if ending in TURNED else 0, _aspect(original, ending in TURNED))
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) and error.errno in (28, 13, 122):
            raise
        raise InvalidInput(
            "The video could not be written with {encoder}.", "Name a file that ends in .mp4 or .mkv, or a folder.", encoder=encoder
        ) from error


def check_ending(ending: str) -> None:
    """Raises `InvalidInput` where there is no such container, `ModelMissing` where PyAV is not installed."""
    if ending not in _BY_ENDING:
        raise InvalidInput(
            "A clip cannot be written to {ending} files.", "Name a folder, or a file that ends in {endings}.",
            ending=ending or "such", endings=", ".join((".gif", ".webp", ".apng", *_BY_ENDING)),
        )  # fmt: skip
    pyav()


def _encoder(ending: str, source: AvClip | None) -> tuple[str, dict[str, str]]:
    own = _ENCODERS.get(source.stream.codec_context.name.removeprefix("lib"), "") if source is not None else ""
    own = own or (_ENCODERS.get(str(source.stream.codec_context.codec.canonical_name), "") if source is not None else "")
    encoder = own if own in _TAKEN[ending] else _BY_ENDING[ending]
    return encoder, _QUALITY.get(encoder, {})


def _write_drawn(
    av: Any, container: Any, encoder: str, options: dict[str, str], frames: Iterable[np.ndarray], source: Clip, lossless: bool
) -> None:
    """A video of frames that came from no video."""
    width, height = source.size
    stream = container.add_stream(encoder, rate=Fraction(25), options=dict(options))
    stream.width, stream.height = width, height
    even = width % 2 == 0 and height % 2 == 0
    stream.pix_fmt = ("bgr0" if encoder == "ffv1" else "yuv444p") if lossless or not even else "yuv420p"
    stream.codec_context.time_base = Fraction(1, 1000)
    at = 0.0
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = round(at * 1000), Fraction(1, 1000)
        at += source.seconds(number)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_edited(
    av: Any, container: Any, encoder: str, options: dict[str, str], frames: Iterable[np.ndarray], source: AvClip, turned: bool
) -> None:
    """A video of the frames of another, with all that goes with them. turned: they stay turned as they are, and the container says how."""
    reader = source.reopened()
    others = source.reopened()
    try:
        video = reader.streams[source.index]
        video.thread_type = "AUTO"
        stream = container.add_stream(encoder, rate=video.average_rate or Fraction(25), options=dict(options))
        container.metadata.update(reader.metadata)
        stream.metadata.update({key: value for key, value in video.metadata.items() if key != "rotate"})
        copies = _Copies(container, others, source.index)
        stream.codec_context.time_base = source.time_base
        # In the order in which they are shown, as the frames are numbered.
        natives = (frame for frame in reader.decode(video) if frame.pts is not None and frame.pts >= source.times[0])
        for number, (pixels, native) in enumerate(zip(frames, _at_times(natives, source.times), strict=False)):
            if number == 0:
                size = source.size[::-1] if turned and source.turns % 2 else source.size
                _describe(stream, video, native, size, _aspect(source, turned))
            edited = _edited(av, native, pixels, stream.pix_fmt, turned)
            edited.pts, edited.time_base = source.times[number], source.time_base
            copies.up_to(float(source.times[number] * source.time_base))
            container.mux(stream.encode(edited))
        container.mux(stream.encode(None))
        copies.up_to(float("inf"))
    finally:
        reader.close()
        others.close()


def _at_times(natives: Iterator[Any], times: list[int]) -> Iterator[Any]:
    """The decoded frame of each time: the first that is not before it, as `AvClip` reads them."""
    frame = None
    for time in times:
        while frame is None or frame.pts < time:
            frame = next(natives, None)
            if frame is None:
                return
        yield frame


def _aspect(source: AvClip, turned: bool) -> Fraction:
    """Width of a pixel for a height of 1, turned as it is or upright."""
    return 1 / source.pixel_aspect if turned and source.turns % 2 else source.pixel_aspect


def _describe(stream: Any, video: Any, native: Any, size: tuple[int, int], aspect: Fraction) -> None:
    """Size, samples and colours as of the source."""
    stream.width, stream.height = size
    names = [format.name for format in (stream.codec_context.codec.video_formats or ())]
    own = native.format.name
    subsampled = not own.startswith(("yuv444", "gbr", "rgb", "bgr")) and (size[0] % 2 or size[1] % 2)
    if own in names and not subsampled:
        stream.pix_fmt = own
    else:
        stream.pix_fmt = next(name for name in ("yuv420p", "yuv444p", "yuvj420p", *names) if name in names)
    context, original = stream.codec_context, video.codec_context
    for name in ("color_range", "color_primaries", "color_trc", "colorspace"):
        with suppress(AttributeError, ValueError):
            setattr(context, name, getattr(original, name))
    if aspect != 1 or original.sample_aspect_ratio:
        context.sample_aspect_ratio = aspect


def _edited(av: Any, native: Any, pixels: np.ndarray, format: str, as_turned: bool) -> Any:
    """The frame for the encoder: the source's own samples wherever `pixels` are what they show."""
    turned = turns(native)
    if as_turned and turned:
        pixels, turned = np.rot90(pixels, -turned), 0
        before = native.to_ndarray(format="rgb24")
    else:
        before = rgb(native)
    changed = (pixels != before).any(axis=2)
    made = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    made = made.reformat(format=format, dst_colorspace=native.colorspace, dst_color_range=native.color_range)
    if turned or native.format.name != format or not _is_planar(native.format):
        return made if changed.any() or turned or native.format.name != format else native
    if not changed.any():
        return native
    for old, new in zip(native.planes, made.planes, strict=True):
        kept, wanted = _samples(old, native.format), _samples(new, native.format)
        rows, columns = -(-changed.shape[0] // kept.shape[0]), -(-changed.shape[1] // kept.shape[1])
        padded = np.pad(changed, ((0, rows * kept.shape[0] - changed.shape[0]), (0, columns * kept.shape[1] - changed.shape[1])))
        # A colour sample that an unchanged pixel shares stays: what is outside of the hole is not to change.
        shares = padded.reshape(kept.shape[0], rows, kept.shape[1], columns)
        here = np.where(shares.mean(axis=(1, 3)) >= 0.999 if rows * columns > 1 else padded, True, False)
        _store(new, np.where(here, wanted, kept), native.format)
    return made


def _is_planar(format: Any) -> bool:
    """Whether each component is a plane of its own, of 8 or up to 16 bits."""
    return len(format.components) == len({component.plane for component in format.components}) and format.name[-2:] != "be"


def _samples(plane: Any, format: Any) -> np.ndarray:
    kind = np.uint8 if format.components[0].bits <= 8 else np.uint16
    return np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // np.dtype(kind).itemsize)[:, : plane.width]


def _store(plane: Any, samples: np.ndarray, format: Any) -> None:
    kind = np.uint8 if format.components[0].bits <= 8 else np.uint16
    whole = np.frombuffer(plane, kind).reshape(plane.height, -1).copy()
    whole[:, : plane.width] = samples
    plane.update(whole.tobytes())


class _Copies:
    """Packets of sound, subtitles and data, copied between the pictures."""

    def __init__(self, container: Any, reader: Any, video: int) -> None:
        self._container, self._streams, self._waiting = container, {}, None
        for stream in reader.streams:
            if stream.index == video or stream.type not in ("audio", "subtitle", "data", "attachment"):
                continue
            if stream.type == "data" and "timecode" in stream.metadata:  # FFmpeg writes it anew from the pictures' own note of it
                continue
            try:
                made = container.add_stream_from_template(stream)
                made.metadata.update(stream.metadata)
                self._streams[stream.index] = made
            except Exception as error:  # whatever FFmpeg says about a stream that this container cannot hold
                log.warning("Stream %d (%s) does not fit into this container and is left out: %s", stream.index, stream.type, error)
        wanted = [stream for stream in reader.streams if stream.index in self._streams]
        self._packets = reader.demux(wanted) if wanted else iter(())

    def up_to(self, seconds: float) -> None:
        """Copy what belongs before that time."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                return
            if packet.dts is None:
                continue
            if float(packet.dts * packet.time_base) > seconds:
                self._waiting = packet
                return
            packet.stream = self._streams[packet.stream.index]
            self._container.mux(packet)
