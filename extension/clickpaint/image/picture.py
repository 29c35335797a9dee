"""A picture from a file, and back into one with everything that came with it."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image import containers, png, readers, writers
from clickpaint.image.geometry import Box
from clickpaint.image.readers import format_of
from clickpaint.image.samples import Look, Samples, changed_to, from_rgb, to_rgb

_EXTENSIONS = {
    "PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "AVIF": ".avif", "HEIF": ".heic",
}  # fmt: skip
_KINDS = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or HEIC"

ENDINGS = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".jif": "JPEG", ".mpo": "JPEG",
    ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".dib": "BMP", ".gif": "GIF", ".avif": "AVIF", ".avifs": "AVIF",
    ".heic": "HEIF", ".heif": "HEIF", ".hif": "HEIF",
}  # fmt: skip
"""Endings of files' names, in lower case, and the formats that they mean."""


@dataclass(frozen=True)
class Limits:
    """What `decode` takes at most: pixels = width × height, bytes of the file."""

    max_pixels: int = 64_000_000
    max_bytes: int = 256 << 20


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
        text: a PNG's text; of all formats the infotext, as "parameters".
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
        return replace(self, pixels=_frozen(pixels), alpha=self._alpha(alpha, self.alpha))

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
        source, pixels = self.source, _frozen(pixels)
        if source.samples is None:
            return Picture(pixels, None, replace(source, rgb=pixels))
        array = source.samples.array[kept.slices]
        samples = replace(source.samples, array=np.pad(array, around + ((0, 0),) * (array.ndim - 2), mode="edge"))
        rgb, before = to_rgb(samples, source.icc)
        padded = None if self.alpha is None else _frozen(np.pad(self.alpha[kept.slices], around, mode="edge"))
        before = None if before is None else _frozen(before)
        return Picture(pixels, self._alpha(alpha, padded), replace(source, rgb=_frozen(rgb), alpha=before, samples=samples))

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
        return _frozen(wanted)

    def with_text(self, **text: str) -> Picture:
        """The same picture with more PNG text; "" takes one away. "parameters", the infotext, goes into files of all formats that
        have a place for it, and replaces the one that was there."""
        source = self.source
        kept = png.chunks_without_text(source.extras.get("chunks", ()), text)
        added = [png.text_chunk(keyword, words) for keyword, words in text.items() if words]
        extras = {**source.extras, "chunks": (*kept, *added)}
        words = {keyword: words for keyword, words in {**source.text, **text}.items() if words}
        return replace(self, source=replace(source, text=words, extras=extras))


def extension(format: str) -> str:
    """ ".png" for "PNG" and so on."""
    return _EXTENSIONS[format]


def media_type(format: str) -> str:
    """ "image/png" for "PNG" and so on."""
    return f"image/{format.lower()}"


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
    pixels = _frozen(pixels)
    if alpha is None:
        return Picture(pixels, None, Source("PNG", "RGB", pixels))
    samples, alpha = from_rgb(pixels, alpha), _frozen(alpha)
    return Picture(pixels, alpha, Source("PNG", "RGBA", pixels, alpha, samples))


def decode(data: bytes, limits: Limits = Limits()) -> Picture:
    """The picture in a file; the first one where there are several. What of the file is not kept stands in `Source.losses`.

    It is turned upright, and what it is written back as says so (the orientation tag becomes 1). What would show the picture as it
    was before an edit is dropped: thumbnails inside EXIF, films behind a photo.

    Raises:
        TooLarge: more bytes or pixels than `limits`; the pixels are counted before they are unpacked.
        InvalidInput: empty, not a picture of a kind that is known, cut off or damaged.
    """
    if not data:
        raise InvalidInput("The picture file is empty.", "Choose another file.")
    if len(data) > limits.max_bytes:
        raise TooLarge(
            "The file has {megabytes:.1f} MB, more than the {limit_megabytes:g} MB allowed.",
            "Save it smaller, or raise the limit in the settings.",
            bytes=len(data),
            limit=limits.max_bytes,
            megabytes=len(data) / (1 << 20),
            limit_megabytes=limits.max_bytes / (1 << 20),
        )
    data = bytes(data)
    format = format_of(data)
    if format is None:
        raise InvalidInput("This is not a picture of a kind that can be opened.", "Give a {formats} file.", formats=_KINDS)
    image = parts = None
    try:
        if format == "PNG":
            size = struct.unpack_from(">II", data, 16)
        else:
            image = readers.opened(format, data)
            size = image.size
    except InvalidInput:
        raise
    except Exception as error:  # Pillow's readers fail in every way on hostile files
        raise _damaged(error) from error
    if size[0] * size[1] > limits.max_pixels:
        raise TooLarge(
            "The picture has {width} × {height} pixels ({megapixels:.1f} megapixels), more than the {limit_megapixels:g} allowed.",
            "Scale it down, or raise the limit in the settings.",
            width=size[0],
            height=size[1],
            limit=limits.max_pixels,
            megapixels=size[0] * size[1] / 1e6,
            limit_megapixels=limits.max_pixels / 1e6,
        )
    try:
        if format == "PNG":
            parts = png.PngFile(data)
            image = readers.opened(format, parts.samples)
        if format == "JPEG" and containers.jpeg_end(data) is None:
            # Checked here because some programs tell Pillow to take files that are cut off, for everyone in the process.
            completed = readers.completed_jpeg(data)
            if completed is None:
                raise InvalidInput("The picture file is cut off.", "Copy or download it again.")
            image = readers.opened(format, completed)
        return _picture(readers.read(image, format, data, parts), format)
    except InvalidInput:
        raise
    except Exception as error:
        raise _damaged(error) from error


def encode(picture: Picture, format: str | None = None, *, quality: int | None = None) -> bytes:
    """The picture as a file.

    In lossless formats the samples of every pixel that was not changed are those that came in, also with 16 bits, CMYK and palettes;
    if a palette cannot take the new colours, PNG, TIFF and BMP become RGB or RGBA, while a GIF takes the nearest colours. A JPEG keeps
    its quantisation tables and subsampling. JPEG shows transparent pixels on white.

    Args:
        format: "PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF", or None for what it came as, in the same mode and with the
            same ICC profile, EXIF, XMP and text.
        quality: 1..100 for JPEG, WebP, AVIF and HEIF; None: as it came, otherwise 95 (and lossless for WebP made from a lossless
            picture), 90 for AVIF and HEIF.

    Raises:
        InvalidInput: unknown format, a quality out of range, or a picture that the format cannot hold (too wide).
    """
    source = picture.source
    target = (format or source.format).upper()
    if target not in _EXTENSIONS:
        raise InvalidInput("Pictures cannot be saved as {format}.", "Choose {formats}.", format=format, formats=_KINDS)
    if quality is not None and not 1 <= quality <= 100:
        raise InvalidInput("The quality cannot be {quality}.", "It goes from 1 to 100.", quality=quality)
    samples = Samples("RGB", picture.pixels)
    if source.samples is not None:
        before, after = Look(source.rgb, source.alpha), Look(picture.pixels, picture.alpha)
        samples = changed_to(source.samples, before, after, source.icc, only_palette=target == "GIF")
    samples = writers.writable(samples, picture.pixels, picture.alpha, source.format, target)
    try:
        return writers.write(samples, source, target, quality)
    except (OSError, ValueError, RuntimeError, OverflowError, struct.error) as error:  # AVIF's encoder raises RuntimeError
        raise InvalidInput(
            "The picture of {width} × {height} pixels cannot be saved as {target}.",
            "Choose {other}, or make it smaller.",
            width=picture.width,
            height=picture.height,
            target=target,
            other="PNG" if target != "PNG" else "TIFF",
            cause=str(error)[:200],
        ) from error


def small_jpeg(pixels: np.ndarray, size: tuple[int, int]) -> bytes:
    """A JPEG for looking at, on white where the picture is transparent.

    Args:
        pixels: uint8 [H, W, 3], or with alpha [H, W, 4].
        size: (width, height) of the JPEG.
    """
    image = Image.fromarray(pixels)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BOX)
    if image.mode == "RGBA":
        image = Image.composite(image, Image.new("RGBA", size, "white"), image.getchannel("A")).convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()


def _damaged(error: Exception) -> InvalidInput:
    return InvalidInput(
        "The picture file cannot be read: it is damaged, cut off, or of an uncommon kind.",
        "Copy or download it again, or save it anew as PNG.",
        cause=str(error)[:200],
    )


def _frozen(array: np.ndarray) -> np.ndarray:
    if array.flags.writeable or not array.flags.c_contiguous:
        array = array.copy()
        array.setflags(write=False)
    return array


def _picture(opened: readers.Opened, format: str) -> Picture:
    samples = opened.samples
    pixels, alpha = to_rgb(samples, opened.icc)
    pixels = samples.array if samples.mode == "RGB" else _frozen(pixels)
    alpha = None if alpha is None else _frozen(alpha)
    source = Source(
        format, samples.mode, pixels, alpha, None if samples.mode == "RGB" and samples.key is None else samples, opened.icc,
        opened.exif, opened.xmp, opened.text, opened.dpi, opened.extras, opened.losses,
    )  # fmt: skip
    return Picture(pixels, alpha, source)
