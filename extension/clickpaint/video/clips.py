"""Clips as they are read: folders of pictures, animated pictures, videos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.image import mask as masks_
from clickpaint.image.picture import Picture
from clickpaint.image.picture_files import ENDINGS, Limits, decode
from clickpaint.video.base import Frames, Recent

if TYPE_CHECKING:
    from clickpaint.video.av_clips import FrameIndex

ANIMATIONS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
"""The formats of animated pictures by the endings of their names."""
_KEPT = 4
_MOST_SIDE = 16_384


class Clip(Frames, Protocol):
    """What is opened: its frames, and when each is shown.

    Attributes:
        path: of the file or folder.
    """

    path: Path

    def seconds(self, number: int) -> float:
        """How long frame `number` is shown."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def open_clip(path: Path, limits: Limits = Limits(), index: FrameIndex | None = None) -> Clip:  # noqa: B008 (frozen)
    """The clip of a folder of pictures, an animated picture, or a video.

    Args:
        index: of a video's frames where it is known already.

    Raises:
        InvalidInput: there is nothing, it cannot be read, or its frames differ in size.
        ModelMissing: a video, and the package that reads it is not installed.
    """
    if path.is_dir():
        return FolderClip(path, limits)
    if not path.is_file():
        raise InvalidInput("There is no file {file}.", file=path)
    if path.suffix.lower() in ENDINGS or path.suffix.lower() in ANIMATIONS:
        return AnimationClip(path, limits)
    from clickpaint.video.av_clips import AvClip

    return AvClip(path, limits, index)


class FolderClip:
    """The pictures of a folder in the order of the numbers in their names; read one by one, in their native samples.

    Raises:
        InvalidInput: there is none, or one has another size than the first.
    """

    def __init__(self, path: Path, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self.path, self._limits = path, limits
        self.files: Sequence[Path] = sorted(
            (file for file in path.iterdir() if file.suffix.lower() in ENDINGS and file.is_file() and not file.name.startswith(".")),
            key=_in_order,
        )
        if not self.files:
            raise InvalidInput("There are no pictures in {source}.", source=path)
        self.picture: Recent[Picture] = Recent(self._decoded, _KEPT)
        self.size = self.picture(0).size

    def __len__(self) -> int:
        return len(self.files)

    def frame(self, number: int) -> np.ndarray:
        return self.picture(number).pixels

    def seconds(self, number: int) -> float:
        return 1 / 25

    def close(self) -> None:
        pass

    def _decoded(self, number: int) -> Picture:
        file = self.files[number]
        try:
            picture = decode(file.read_bytes(), self._limits)
        except ClickpaintError as error:
            raise InvalidInput("{file}: {reason}", file=file.name, reason=error.message) from error
        if number > 0:
            check_size(picture.size, self.size, number)
        return picture


def _in_order(file: Path) -> tuple[list[Any], str]:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", file.stem.casefold())], file.name


def check_size(size: tuple[int, int], expected: tuple[int, int], number: int) -> None:
    """Raises `InvalidInput` where a frame has another size than the first."""
    if size != expected:
        raise InvalidInput(
            "Frame {number} is {width} × {height}, the first one {first_width} × {first_height}.",
            "All frames of a clip must have one size.",
            number=number, width=size[0], height=size[1], first_width=expected[0], first_height=expected[1],
        )  # fmt: skip


class AnimationClip:
    """An animated GIF, WebP or PNG; a picture that does not move is a clip of one frame."""

    def __init__(self, path: Path, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        from PIL import Image, UnidentifiedImageError

        self.path = path
        try:
            self._image = Image.open(path)
            self.count = int(getattr(self._image, "n_frames", 1))
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise InvalidInput("{file} cannot be read.", "It is damaged, or no animated picture.", file=path.name) from error
        self.size: tuple[int, int] = self._image.size
        check_dimensions(self.size, limits)
        self.loop = int(self._image.info.get("loop", 0)) if "loop" in self._image.info else 1
        self._durations: dict[int, float] = {}
        self._recent: Recent[np.ndarray] = Recent(self._read, _KEPT)

    def __len__(self) -> int:
        return self.count

    def frame(self, number: int) -> np.ndarray:
        return self._recent(number)

    def seconds(self, number: int) -> float:
        if number not in self._durations:
            self._recent(number)
        return self._durations.get(number, 0.1)

    def close(self) -> None:
        self._image.close()

    def _read(self, number: int) -> np.ndarray:
        from PIL import Image

        try:
            self._image.seek(number)
            pixels = np.array(self._image.convert("RGB"))
            # After that: of a WebP it is known only once the frame is decoded, and before it is that of the one before.
            self._durations[number] = float(self._image.info.get("duration", 100) or 100) / 1000
        except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
            raise InvalidInput(
                "Frame {number} of {file} cannot be read.", "The file is damaged or cut off.", number=number, file=self.path.name
            ) from error
        pixels.setflags(write=False)
        return pixels


def check_dimensions(size: tuple[int, int], limits: Limits) -> None:
    """Raises `InvalidInput` for frames that are too small or too large to be worked on."""
    width, height = size
    if min(size) < 1 or width * height > limits.max_pixels or max(size) > _MOST_SIDE:
        raise InvalidInput(
            "The frames are {width} × {height}.",
            "They may have up to {maximum} pixels, and {side} on a side.",
            width=width, height=height, maximum=limits.max_pixels, side=_MOST_SIDE,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class MaskClip:
    """A clip of masks, white (or opaque) where something is selected, as the masks of another clip.

    Attributes:
        clip: as many frames as that one has, or one for all.
        size: (width, height) of that clip's frames; masks of the same proportions are scaled.
    """

    clip: Clip
    size: tuple[int, int]

    def mask(self, number: int) -> np.ndarray:
        number = number if len(self.clip) > 1 else 0
        if isinstance(self.clip, FolderClip):
            return masks_.from_file(self.clip.files[number].read_bytes(), self.size)
        pixels = self.clip.frame(number)
        picked = pixels.max(axis=2) > 127
        if self.clip.size == self.size:
            return picked
        rows = (np.arange(self.size[1]) * 2 + 1) * picked.shape[0] // (2 * self.size[1])
        columns = (np.arange(self.size[0]) * 2 + 1) * picked.shape[1] // (2 * self.size[0])
        return picked[np.ix_(rows, columns)]


def masks_for(masks: Clip, clip: Clip) -> MaskClip:
    """The masks of `clip`, checked. Raises `InvalidInput` where their number or their proportions are others."""
    if len(masks) not in (1, len(clip)):
        raise InvalidInput(
            "There are {masks} masks and {frames} frames.", "Give one mask for each frame.", masks=len(masks), frames=len(clip)
        )
    (width, height), (mask_width, mask_height) = clip.size, masks.size
    if abs(mask_width * height / mask_height - width) > 1 and abs(mask_height * width / mask_width - height) > 1:
        raise InvalidInput(
            "The masks are {mask_width} × {mask_height}, the frames {width} × {height}.",
            "Give masks of the frames' size, or at least of their proportions.",
            mask_width=mask_width, mask_height=mask_height, width=width, height=height,
        )  # fmt: skip
    return MaskClip(masks, clip.size)
