"""Clips as they are written: whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput, cannot_write
from clickpaint.image import mask as masks_
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import encode
from clickpaint.video.clips import ANIMATIONS, Clip, FolderClip


def is_folder(target: Path | str) -> bool:
    """Whether a clip goes to a folder of pictures: one that is there, or a name without the ending of a file."""
    path = Path(target)
    return path.is_dir() or str(target).endswith(("/", os.sep)) or not path.suffix


def write_clip(target: Path, frames: Iterable[np.ndarray], source: Clip, lossless: bool = False) -> None:
    """Write `frames` (uint8 [H, W, 3]) as a folder of PNGs, an animated picture or a video, as the name of `target` says.

    Args:
        source: the clip that they were made of: names, times, sound and whatever else is kept.
        lossless: keep every value, also where the format usually loses some.

    Raises:
        InvalidInput: it cannot be written; then nothing of it is there.
    """
    if is_folder(target):
        with _new_folder(target) as folder:
            for name, data in frame_files(frames, source):
                (folder / name).write_bytes(data)
    elif target.suffix.lower() in ANIMATIONS:
        with new_file(target) as part:
            _write_animation(part, ANIMATIONS[target.suffix.lower()], frames, source)
    else:
        from clickpaint.video.av_writing import write_video

        with new_file(target) as part:
            write_video(part, target.suffix.lower(), frames, source, lossless)


def frame_files(frames: Iterable[np.ndarray], source: Clip) -> Iterator[tuple[str, bytes]]:
    """The name and the PNG of each frame, with the names, the depth and whatever travels with the pictures of a folder."""
    for number, pixels in enumerate(frames):
        if isinstance(source, FolderClip):
            yield source.files[number].with_suffix(".png").name, encode(source.picture(number).with_pixels(pixels), "PNG")
        else:
            yield f"{number:04d}.png", encode(from_pixels(pixels), "PNG")


def write_masks(target: Path, masks: Iterable[np.ndarray], source: Clip) -> None:
    """Write masks (bool [H, W]) as `write_clip` does: PNGs of one channel in a folder, white on black otherwise."""
    if not is_folder(target):
        write_clip(target, (np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255 for mask in masks), source, lossless=True)
        return
    with _new_folder(target) as folder:
        for number, mask in enumerate(masks):
            name = source.files[number].with_suffix(".png").name if isinstance(source, FolderClip) else f"{number:04d}.png"
            (folder / name).write_bytes(masks_.to_png(mask))


def check_target(target: Path, inputs: Iterable[Path]) -> None:
    """Raises `InvalidInput` where writing to `target` would overwrite what comes in, or a device."""
    for path in inputs:
        if target.exists() and path.exists() and target.resolve() == path.resolve():
            raise InvalidInput("{path} would be overwritten.", "Name another file with -o.", path=target)
    if target.exists() and not target.is_file() and not target.is_dir():
        raise InvalidInput("{target} is no file.", "Name a file or a folder with -o.", target=target)


def check_writable(target: Path) -> None:
    """Raises `InvalidInput` where `write_clip` writes no such format, before anything is computed; `ModelMissing` without its package."""
    if not is_folder(target) and target.suffix.lower() not in ANIMATIONS:
        from clickpaint.video.av_writing import check_ending

        check_ending(target.suffix.lower())


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of `target`, or whose files take their places in it, once all are written."""
    part = target.absolute().parent / f".{uuid.uuid4().hex[:12]}.part"
    with _writing(target):
        try:
            part.mkdir(parents=True)
            yield part
            if target.is_dir():
                for file in sorted(part.iterdir()):
                    file.replace(target / file.name)
                part.rmdir()
            else:
                part.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A file to write that takes the place of `target` once it is whole."""
    target = target.resolve() if target.is_symlink() else target
    part = target.absolute().with_name(f".{uuid.uuid4().hex[:12]}.part{target.suffix}")
    with _writing(target):
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            yield part
            part.replace(target)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(target, error) from error


def _write_animation(path: Path, format: str, frames: Iterable[np.ndarray], source: Clip) -> None:
    from PIL import Image

    if format == "PNG":  # Pillow goes through these twice
        with _Spool(path.parent) as spool:
            for pixels in frames:
                spool.add(pixels)
            _save_animation(path, format, spool, source)
        return
    _save_animation(path, format, (Image.fromarray(pixels) for pixels in frames), source)


class _Spool:
    """Frames on the disk, to be gone through more than once."""

    def __init__(self, beside: Path) -> None:
        self._folder = beside / f".{uuid.uuid4().hex[:12]}.part"
        self._count = 0

    def __enter__(self) -> _Spool:
        self._folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, pixels: np.ndarray) -> None:
        np.save(self._folder / f"{self._count}.npy", pixels)
        self._count += 1

    def __iter__(self) -> Iterator[Any]:
        from PIL import Image

        return (Image.fromarray(np.load(self._folder / f"{number}.npy")) for number in range(self._count))


class _Rest:
    """All but the first of something that can be gone through again."""

    def __init__(self, whole: Iterable[Any]) -> None:
        self._whole = whole

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self._whole), 1, None)


def _save_animation(path: Path, format: str, images: Iterable[Any], source: Clip) -> None:
    again = not isinstance(images, Iterator)
    first = next(iter(images))
    durations = [max(round(source.seconds(number) * 1000), 10) for number in range(len(source))]
    # A loop of 0 is for ever; a GIF without that word plays once.
    loop = getattr(source, "loop", 0)
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": _Rest(images) if again else images,
        "duration": durations,
        "format": format,
    }
    if format != "GIF" or loop != 1:
        options["loop"] = loop
    if format == "WEBP":
        options |= {"lossless": True, "quality": 60, "exact": True}
    elif format == "GIF":
        options |= {"disposal": 1, "optimize": False}
    first.save(path, **options)
