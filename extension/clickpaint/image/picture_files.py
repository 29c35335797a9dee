"""A picture from a file, and back into one with everything that came with it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image import containers, png, readers, writers
from clickpaint.image.picture import Picture, Source, frozen
from clickpaint.image.readers import format_of
from clickpaint.image.samples import Look, Samples, changed_to, to_rgb

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
    """What `decode` takes.

    Attributes:
        max_pixels: width × height at most.
        max_bytes: of the file at most.
    """

    max_pixels: int = 64_000_000
    max_bytes: int = 256 << 20


def extension(format: str) -> str:
    """ ".png" for "PNG" and so on."""
    return _EXTENSIONS[format]


def media_type(format: str) -> str:
    """ "image/png" for "PNG" and so on."""
    return f"image/{format.lower()}"


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


def _picture(opened: readers.Opened, format: str) -> Picture:
    samples = opened.samples
    pixels, alpha = to_rgb(samples, opened.icc)
    pixels = samples.array if samples.mode == "RGB" else frozen(pixels)
    alpha = None if alpha is None else frozen(alpha)
    source = Source(
        format, samples.mode, pixels, alpha, None if samples.mode == "RGB" and samples.key is None else samples, opened.icc,
        opened.exif, opened.xmp, opened.text, opened.dpi, opened.extras, opened.losses,
    )  # fmt: skip
    return Picture(pixels, alpha, source)
