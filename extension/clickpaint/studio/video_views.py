"""The use-cases of looking at a video: its frames, a film strip, a preview to play, and its file."""

from __future__ import annotations

import io
import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.progress import Progress
from clickpaint.session.open_video import MADE, OpenVideo
from clickpaint.studio.request import Requests
from clickpaint.studio.video_library import VideoLibrary, check_frame_of, no_room
from clickpaint.video.av_clips import pyav
from clickpaint.video.clip_writing import frame_files, new_file, write_clip
from clickpaint.video.clips import Clip
from clickpaint.video.patches import PatchedClip
from clickpaint.video.playing import plays, write_playable
from clickpaint.video.playing_parts import Parts, media_type, write_part

WIDEST, MOST_IN_STRIP, TALLEST = 4096, 200, 480
"""Pixels of a frame that is asked for, thumbnails in one strip, and their height in pixels."""
FORMATS = ("jpeg", "webp", "png")
_DECODED = 600
"""Frames that are decoded at most for a strip."""
_KEPT = 48 << 20
"""Bytes of frames that were asked for, all videos together."""
_LOOKS = 32
"""Frames after which it is looked how much room there is."""
_MOST_MADE = 24
"""Strips of one video that stay on the disk."""
_MOST_PARTS = 600
"""Parts to be played of one video that stay on the disk."""
_WRITTEN = {"mp4": ".mp4", "mov": ".mov", "mkv": ".mkv", "webm": ".webm", "avi": ".avi", "gif": ".gif", "webp": ".webp", "apng": ".png"}
"""Containers that a result can be asked for in, and those of what was opened that it comes in by itself."""
_TYPES = {
    ".mp4": "video/mp4", ".mov": "video/quicktime", ".mkv": "video/x-matroska", ".webm": "video/webm", ".avi": "video/x-msvideo",
    ".gif": "image/gif", ".webp": "image/webp", ".png": "image/png", ".zip": "application/zip",
}  # fmt: skip


@dataclass(frozen=True)
class FilmStrip:
    """Thumbnails beside each other.

    Attributes:
        picture: a JPEG.
        frames: whose they are, from left to right.
        size: (width, height) of each in pixels.
    """

    picture: bytes
    frames: tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True)
class VideoFile:
    """A file to be sent.

    Attributes:
        path: where it is.
        media_type: of its content.
        name: for whoever saves it.
    """

    path: Path
    media_type: str
    name: str


class VideoViews:
    """Part of the studio."""

    def __init__(self, requests: Requests, library: VideoLibrary) -> None:
        self._requests, self._library = requests, library
        self._frames: OrderedDict[tuple[str, int, int, int | None, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def clip(self, video: OpenVideo, version: int | None = None) -> Iterator[PatchedClip]:
        """A version to look at a frame or a few of; None for the one shown now. Raises `NotFound`, `InvalidInput`."""
        number = video.checked(version)
        try:
            with self._library.readers.shared(video) as original:
                yield video.stacked(original, number)
        except FileNotFoundError:
            video.checked(number)  # it was taken away meanwhile
            raise

    def frame(self, video: OpenVideo, number: int, version: int | None = None, width: int | None = None, format: str = "jpeg") -> bytes:
        """One frame as a file.

        Args:
            number: of the frame, 0 the first.
            version: None for the one shown now.
            width: in pixels, at most `WIDEST`; None, or more than it has, for its own.
            format: one of `FORMATS`.

        Raises:
            InvalidInput: there is no such frame, or it cannot be asked for like that. NotFound: there is no such version.
        """
        check_frame_of(video, number)
        if format not in FORMATS:
            raise InvalidInput("The format {text!r} is unknown.", "Choose one of {formats}.", text=format, formats=", ".join(FORMATS))
        if width is not None and not 1 <= width <= WIDEST:
            raise InvalidInput("The width {width} cannot be used.", "It goes from 1 to {limit} pixels.", width=width, limit=WIDEST)
        key = video.id, video.checked(version), number, width, format
        with self._lock:
            known = self._frames.get(key)
            if known is not None:
                self._frames.move_to_end(key)
                return known
        with self._requests.admitted():
            with self.clip(video, key[1]) as clip:
                pixels = clip.frame(number)
            data = _encoded(pixels, _scaled(video.facts.size, width), format)
        with self._lock:
            self._frames[key] = data
            total = sum(map(len, self._frames.values()))
            while total > _KEPT and len(self._frames) > 1:
                total -= len(self._frames.popitem(last=False)[1])
        return data

    def strip(self, video: OpenVideo, count: int, height: int, version: int | None = None) -> FilmStrip:
        """Thumbnails over the whole length, of frames a little earlier where that is quicker. Raises `InvalidInput`, `NotFound`."""
        if not 1 <= count <= MOST_IN_STRIP or not 8 <= height <= TALLEST:
            raise InvalidInput(
                "A film strip of {count} pictures, {height} pixels high, cannot be made.",
                "It has 1 to {most} pictures and is 8 to {tallest} pixels high.",
                count=count, height=height, most=MOST_IN_STRIP, tallest=TALLEST,
            )  # fmt: skip
        number = video.checked(version)
        count = min(count, video.facts.frames)
        width = max(round(video.facts.size[0] * height / video.facts.size[1]), 1)
        with _disk(), video.making(f"strip-{count}x{height}-v{number}.jpg") as picture:
            frames = picture.with_suffix(".json")
            if not (picture.is_file() and frames.is_file()):
                with self._requests.admitted(), self.clip(video, number) as clip:
                    pixels, numbers = _strip(clip, count, (width, height))
                with new_file(picture) as part:
                    part.write_bytes(_encoded(pixels, None, "jpeg"))
                with new_file(frames) as part:
                    part.write_text(json.dumps(numbers))
                _drop_oldest(picture.parent, "strip-*.jpg", _MOST_MADE)
            return FilmStrip(picture.read_bytes(), tuple(json.loads(frames.read_text())), (width, height))

    def playable(self, video: OpenVideo, version: int | None = None) -> VideoFile:
        """A file that browsers play, made when it is asked for first.

        Raises:
            NotFound: there is no such version. ModelMissing: PyAV is not installed. TooLarge: the disk is full. Interrupted.
        """
        number = video.checked(version)
        name = f"{Path(video.facts.name).stem}.mp4"
        if video.plays is None:  # asked for with every part that a player wants
            video.plays = video.source.is_file() and plays(video.source)
        if number == 0 and video.plays:
            video.check_source()
            return VideoFile(video.source, _TYPES[video.source.suffix.lower()], video.source.name)
        target = video.folder / MADE / f"preview-v{number}.mp4"
        if not target.is_file():
            with self._requests.run("preview", video) as request, _disk(), video.making(target.name):
                if not target.is_file():
                    progress = request.task.begin()
                    with self._library.readers.own(video) as original, new_file(target) as part:
                        write_playable(part, video.stacked(original, number), video.record.starts(), original, progress)
            self._library.storage.prune()
        return VideoFile(target, "video/mp4", name)

    def parts(self, video: OpenVideo) -> tuple[Parts, str]:
        """How a video is divided to be played, and the media type of its parts. Raises `ModelMissing` where PyAV is not installed."""
        pyav()
        return Parts.of(video.facts.frames, video.facts.fps), media_type(video.facts.sound)

    def part(self, video: OpenVideo, number: int, version: int | None = None) -> VideoFile:
        """One of `parts` as a file, made when it is asked for first: playing begins anywhere, however long the video is.

        Raises:
            NotFound: there is no such version. InvalidInput: there is no such part. ModelMissing: PyAV is not installed. TooLarge.
        """
        shown, (parts, type) = video.checked(version), self.parts(video)
        if number >= parts.count:
            raise InvalidInput("There is no part {number}.", "The last one is {last}.", number=number, last=parts.count - 1)
        with _disk(), video.making(f"part-v{shown}-{number}.mp4") as target:
            if not target.is_file():
                self._library.storage.check_room(video)
                starts = np.append(video.record.starts(), video.facts.duration)
                starts[-1] = max(starts[-1], starts[-2])
                readers = self._library.readers.shared(video, shown)
                with self._requests.admitted(), readers as original, new_file(target) as part:
                    write_part(part, video.stacked(original, shown), parts.numbers(number), starts, original)
                _drop_oldest(target.parent, "part-*.mp4", _MOST_PARTS)
        return VideoFile(target, type, target.name)

    def result(self, video: OpenVideo, version: int | None = None, container: str = "source", lossless: bool = False) -> VideoFile:
        """The whole file of a version, with everything that the source's has beside its pictures; written when it is asked for first.

        Args:
            version: None for the one shown now.
            container: "source", or "mp4", "mov", "mkv", "webm", "avi", "gif", "webp", "apng" or "frames" for PNGs in a zip file.
            lossless: with an encoder that loses nothing.

        Raises:
            InvalidInput: a container that there is not. And as `playable`.
        """
        number = video.checked(version)
        facts = video.facts
        stem = Path(facts.name).stem or "clip"
        if number == 0 and container == "source" and video.source.is_file():
            return VideoFile(video.source, _TYPES.get(video.source.suffix.lower(), "application/octet-stream"), video.source.name)
        if container not in ("source", "frames", *_WRITTEN):
            raise InvalidInput(
                "The format {text!r} is unknown.", "Choose one of {formats}.", text=container,
                formats=", ".join(("source", *_WRITTEN, "frames")),
            )  # fmt: skip
        if container == "source":
            container = {"folder": "frames", "png": "apng"}.get(facts.container, facts.container)
            container = container if container in ("frames", *_WRITTEN) else "mkv"
        ending = ".zip" if container == "frames" else _WRITTEN[container]
        target = video.folder / MADE / f"result-v{number}{'-lossless' if lossless else ''}-{container}{ending}"
        if not target.is_file():
            with self._requests.run("export", video) as request, _disk(), video.making(target.name):
                if not target.is_file():
                    progress = request.task.begin()
                    with self._library.readers.own(video) as original:
                        clip = video.stacked(original, number)
                        frames = self._reporting(video, clip, progress)
                        if container == "frames":
                            _write_zip(target, frames, original)
                        else:
                            write_clip(target, frames, original, lossless)
            self._library.storage.prune()
        suffix = "" if number == 0 else f"-{number}"
        return VideoFile(target, _TYPES[ending], f"{stem}{suffix}{ending}")

    def _reporting(self, video: OpenVideo, clip: PatchedClip, progress: Progress) -> Iterator[np.ndarray]:
        for number in range(len(clip)):
            if number % _LOOKS == 0:
                self._library.storage.check_room(video)
            progress.report(number / len(clip), "Writing the video", done=number, total=len(clip), unit="frame")
            yield clip.frame(number)

    def forget(self, id: str) -> None:
        """Let go of what is remembered of a video."""
        with self._lock:
            for key in [key for key in self._frames if key[0] == id]:
                del self._frames[key]


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise no_room(error) from error


def _write_zip(target: Path, frames: Iterator[np.ndarray], source: Clip) -> None:
    """Each frame as a PNG, named and sampled as `write_clip` does it for folders."""
    import zipfile

    with new_file(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, data in frame_files(frames, source):
            archive.writestr(name, data)


def _scaled(size: tuple[int, int], width: int | None) -> tuple[int, int] | None:
    if width is None or width >= size[0]:
        return None
    return width, max(round(size[1] * width / size[0]), 1)


def _encoded(pixels: np.ndarray, size: tuple[int, int] | None, format: str) -> bytes:
    from PIL import Image

    image = Image.fromarray(pixels)
    if size is not None:
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    stream = io.BytesIO()
    options = {"jpeg": {"quality": 90}, "webp": {"quality": 85, "method": 2}, "png": {"compress_level": 1}}[format]
    image.save(stream, format.upper(), **options)
    return stream.getvalue()


def _strip(clip: PatchedClip, count: int, size: tuple[int, int]) -> tuple[np.ndarray, list[int]]:
    from PIL import Image

    width, height = size
    whole, numbers = np.zeros((height, width * count, 3), np.uint8), []
    spacing = len(clip) / count
    for place in range(count):
        wanted = min(int((place + 0.5) * spacing), len(clip) - 1)
        number = clip.near(wanted, _DECODED // count)
        image = Image.fromarray(clip.frame(number)).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        whole[:, place * width : (place + 1) * width] = np.asarray(image)
        numbers.append(number)
    return whole, numbers


def _drop_oldest(folder: Path, pattern: str, most: int) -> None:
    """Of what was made, as long as `most` are left; what lies beside a file as JSON goes with it."""
    made = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)
    for file in made[:-most]:
        file.unlink(missing_ok=True)
        file.with_suffix(".json").unlink(missing_ok=True)
