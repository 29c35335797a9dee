"""What a picture is: pixels, and all that came with them in its file."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import png
from clickpaint.image.geometry import Box
from clickpaint.image.samples import Samples, from_rgb, to_rgb


@dataclass(frozen=True)
class Loss:
    """Something that is in a file and will not be in the files made of it.

    Attributes:
        code: "frames", "trailer", "channels" or "depth".
        text: a sentence for people, which follows one about the picture.
        data: the numbers in it.
    """

    code: str
    text: str
    data: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Source:
    """What a picture came as, and all that is needed to write it like that again.

    Attributes:
        format: "PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF" or "HEIF".
        mode: the mode of its samples (`clickpaint.image.samples`).
        rgb: uint8 [H, W, 3], the pixels that belong to the samples.
        alpha: uint8 [H, W], the alpha that belongs to them, or None.
        samples: None where they are the RGB pixels themselves.
        icc: its colour profile, empty for none; exif and xmp: its metadata, as they stand in files, empty for none.
        text: a PNG's text; of all formats the infotext, as "parameters".
        dpi: (across, down) in pixels an inch, None where it was not said.
        extras: what only this format's writer understands.
        losses: what of the file will be missing.
    """

    format: str
    mode: str
    rgb: np.ndarray = field(repr=False)
    alpha: np.ndarray | None = field(default=None, repr=False)
    samples: Samples | None = field(default=None, repr=False)
    icc: bytes = field(default=b"", repr=False)
    exif: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    text: Mapping[str, str] = field(default_factory=dict, repr=False)
    dpi: tuple[float, float] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict, repr=False)
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and where it came from.

    Attributes:
        pixels: uint8 [H, W, 3] RGB, upright whatever the file's orientation tag said, read-only.
        alpha: uint8 [H, W], 0 = transparent, or None.
    """

    pixels: np.ndarray = field(repr=False)
    alpha: np.ndarray | None = field(repr=False)
    source: Source

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.width, self.height

    @cached_property
    def digest(self) -> str:
        """sha256 of the size and the pixels, hexadecimal."""
        return hashlib.sha256(struct.pack("<II", *self.size) + self.pixels.data).hexdigest()

    def with_pixels(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
        """The same picture with other pixels; metadata stays.

        Args:
            pixels: uint8 [H, W, 3], of the same size.
            alpha: uint8 [H, W]; None: as it was. Without meaning for a picture that has none.

        Raises:
            InvalidInput: another size or dtype.
        """
        if pixels.shape != self.pixels.shape or pixels.dtype != np.uint8:
            raise InvalidInput(
                "The new pixels are {dtype} {shape}, the picture uint8 {picture_shape}.",
                "Give pixels of the picture's size.",
                dtype=pixels.dtype,
                shape=pixels.shape,
                picture_shape=self.pixels.shape,
            )
        return replace(self, pixels=frozen(pixels), alpha=self._alpha(alpha, self.alpha))

    def on_canvas(self, pixels: np.ndarray, margins: tuple[int, int, int, int], alpha: np.ndarray | None = None) -> Picture:
        """The same picture on another canvas; metadata and the depth of the samples stay.

        Args:
            pixels: uint8 [top + H + bottom, left + W + right, 3].
            margins: (left, top, right, bottom), how much more there is than there was; below 0 for less.
            alpha: uint8, of the size of `pixels`; None: what is new is as opaque as the border that it continues.
        """
        left, top, right, bottom = margins
        kept = Box(max(-left, 0), max(-top, 0), self.width - max(-right, 0), self.height - max(-bottom, 0))
        around = ((max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)))
        if pixels.shape != (self.height + top + bottom, self.width + left + right, 3) or pixels.dtype != np.uint8:
            raise InvalidInput(
                "The new pixels are {dtype} {shape}.", "Give the picture with the margins added.", dtype=pixels.dtype, shape=pixels.shape
            )
        source, pixels = self.source, frozen(pixels)
        if source.samples is None:
            return Picture(pixels, None, replace(source, rgb=pixels))
        array = source.samples.array[kept.slices]
        samples = replace(source.samples, array=np.pad(array, around + ((0, 0),) * (array.ndim - 2), mode="edge"))
        rgb, before = to_rgb(samples, source.icc)
        padded = None if self.alpha is None else frozen(np.pad(self.alpha[kept.slices], around, mode="edge"))
        before = None if before is None else frozen(before)
        return Picture(pixels, self._alpha(alpha, padded), replace(source, rgb=frozen(rgb), alpha=before, samples=samples))

    def cropped(self, box: Box) -> Picture:
        """The part in a box inside of it; metadata and the depth of the samples stay."""
        margins = -box.left, -box.top, box.right - self.width, box.bottom - self.height
        alpha = None if self.alpha is None else self.alpha[box.slices]
        return self.on_canvas(self.pixels[box.slices], margins, alpha)

    def cut_out(self, pixels: np.ndarray, alpha: np.ndarray) -> Picture:
        """Something out of this picture, with this picture's metadata, for a file of a format that has transparency.

        Args:
            pixels: uint8 [h, w, 3], of whatever size.
            alpha: uint8 [h, w].
        """
        return self.anew(pixels, alpha)

    def in_colour(self) -> Picture:
        """The same picture for files in colour, of 8 bits a sample, where it came in greys."""
        return self.anew(self.pixels, self.alpha) if self.source.mode.startswith(("L", "I", "1")) else self

    def anew(self, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
        """Other pixels with this picture's metadata, for files of 8 bits a sample.

        Args:
            pixels: uint8 [h, w, 3], of whatever size.
            alpha: uint8 [h, w].
        """
        made, source = from_pixels(pixels, alpha), self.source
        profile = source.icc if source.mode.startswith("RGB") or source.mode == "P" else b""  # of greys or inks it means nothing here
        extras = dict(source.extras)
        if source.format == "PNG" and not profile:
            extras["chunks"] = [chunk for chunk in extras.get("chunks", ()) if chunk[0] != b"iCCP"]
        kept = replace(
            source, mode=made.source.mode, rgb=made.source.rgb, alpha=made.source.alpha, samples=made.source.samples, icc=profile,
            extras=extras,
        )  # fmt: skip
        return Picture(made.pixels, made.alpha, kept).newly_compressed()

    def newly_compressed(self) -> Picture:
        """The same picture, which as a JPEG gets tables of its own and not those that it came with."""
        if "qtables" not in self.source.extras:
            return self
        return replace(self, source=replace(self.source, extras={**self.source.extras, "qtables": []}))

    def _alpha(self, wanted: np.ndarray | None, otherwise: np.ndarray | None) -> np.ndarray | None:
        if wanted is None or otherwise is None:
            return otherwise
        if wanted.shape != otherwise.shape or wanted.dtype != np.uint8:
            raise InvalidInput(
                "The new alpha is {dtype} {shape}.", "Give uint8 of the picture's size.", dtype=wanted.dtype, shape=wanted.shape
            )
        return frozen(wanted)

    def with_text(self, **text: str) -> Picture:
        """The same picture with more PNG text; "" takes one away. "parameters", the infotext, goes into files of all formats that
        have a place for it, and replaces the one that was there."""
        source = self.source
        kept = png.chunks_without_text(source.extras.get("chunks", ()), text)
        added = [png.text_chunk(keyword, words) for keyword, words in text.items() if words]
        extras = {**source.extras, "chunks": (*kept, *added)}
        words = {keyword: words for keyword, words in {**source.text, **text}.items() if words}
        return replace(self, source=replace(source, text=words, extras=extras))


def from_pixels(pixels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    """A picture that came from no file, as if from a PNG.

    Args:
        pixels: uint8 [H, W, 3].
        alpha: uint8 [H, W].
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise InvalidInput(
            "Pixels of the type {dtype} {shape} are no picture.", "Give uint8 [H, W, 3].", dtype=pixels.dtype, shape=pixels.shape
        )
    pixels = frozen(pixels)
    if alpha is None:
        return Picture(pixels, None, Source("PNG", "RGB", pixels))
    samples, alpha = from_rgb(pixels, alpha), frozen(alpha)
    return Picture(pixels, alpha, Source("PNG", "RGBA", pixels, alpha, samples))


def frozen(array: np.ndarray) -> np.ndarray:
    """The array, or a copy, that nobody can write to and that lies in memory row by row."""
    if array.flags.writeable or not array.flags.c_contiguous:
        array = array.copy()
        array.setflags(write=False)
    return array
