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
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image import metadata, readers, writers
from clickpaint.image.samples import Samples, changed_to, from_rgb, to_rgb

_READERS: dict[str, Any] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,  # reads the first picture of an MPO too, which phones call .jpg
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_EXTENSIONS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"}
_KINDS = "PNG, JPEG, WebP, TIFF, BMP or GIF"


@dataclass(frozen=True)
class Limits:
    """What `decode` takes at most: pixels = width × height, bytes of the file."""

    max_pixels: int = 64_000_000
    max_bytes: int = 256 << 20


@dataclass(frozen=True, eq=False)
class Source:
    """What a picture came as, and all that is needed to write it like that again.

    mode: the mode of its samples (`clickpaint.image.samples`). samples: None where they are the RGB pixels themselves. rgb: the
    pixels that belong to them. text: a PNG's text, e.g. "parameters". extras: what only this format's writer understands.
    """

    format: str
    mode: str
    rgb: np.ndarray = field(repr=False)
    samples: Samples | None = field(default=None, repr=False)
    icc: bytes = field(default=b"", repr=False)
    exif: bytes = field(default=b"", repr=False)
    xmp: bytes = field(default=b"", repr=False)
    text: Mapping[str, str] = field(default_factory=dict, repr=False)
    dpi: tuple[float, float] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class Picture:
    """pixels: uint8 [H, W, 3] RGB, upright whatever the file's orientation tag said, read-only. alpha: uint8 [H, W], 0 =
    transparent, or None; it stays as it came, also where something is painted over transparent pixels."""

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

    def with_pixels(self, pixels: np.ndarray) -> Picture:
        """The same picture with other pixels, uint8 [H, W, 3] of the same size; alpha and metadata stay.

        Raises:
            InvalidInput: another size or dtype.
        """
        if pixels.shape != self.pixels.shape or pixels.dtype != np.uint8:
            raise InvalidInput(
                f"The new pixels are {pixels.dtype} {pixels.shape}, the picture uint8 {self.pixels.shape}.",
                "Give pixels of the picture's size.",
            )
        return replace(self, pixels=_frozen(pixels))

    def expanded(self, pixels: np.ndarray, margins: tuple[int, int, int, int]) -> Picture:
        """The same picture on a larger canvas: `pixels`, uint8, with `margins` (left, top, right, bottom) more than there were.

        Metadata and the depth of the samples stay; what is new is as opaque as the border that it continues.
        """
        left, top, right, bottom = margins
        around = ((top, bottom), (left, right))
        if pixels.shape != (self.height + top + bottom, self.width + left + right, 3) or pixels.dtype != np.uint8:
            raise InvalidInput(f"The new pixels are {pixels.dtype} {pixels.shape}.", "Give the picture with the margins added.")
        source, pixels = self.source, _frozen(pixels)
        if source.samples is None:
            return Picture(pixels, None, replace(source, rgb=pixels))
        array = source.samples.array
        samples = replace(source.samples, array=np.pad(array, around + ((0, 0),) * (array.ndim - 2), mode="edge"))
        rgb, _ = to_rgb(samples, source.icc)
        alpha = None if self.alpha is None else _frozen(np.pad(self.alpha, around, mode="edge"))
        return Picture(pixels, alpha, replace(source, rgb=_frozen(rgb), samples=samples))

    def with_text(self, **text: str) -> Picture:
        """The same picture with more PNG text ("parameters" is where Stable Diffusion programs look)."""
        source = self.source
        kept = metadata.chunks_without_text(source.extras.get("chunks", ()), text)
        added = tuple(metadata.text_chunk(keyword, said) for keyword, said in text.items())
        extras = {**source.extras, "chunks": (*kept, *added)}
        return replace(self, source=replace(source, text={**source.text, **text}, extras=extras))


def extension(format: str) -> str:
    """ ".png" for "PNG" and so on."""
    return _EXTENSIONS[format]


def media_type(format: str) -> str:
    return f"image/{format.lower()}"


def from_pixels(pixels: np.ndarray, alpha: np.ndarray | None = None) -> Picture:
    """A picture that came from no file, as if from a PNG. pixels: uint8 [H, W, 3]; alpha: uint8 [H, W]."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise InvalidInput(f"Pixels of the type {pixels.dtype} {pixels.shape} are no picture.", "Give uint8 [H, W, 3].")
    pixels = _frozen(pixels)
    samples = None if alpha is None else from_rgb(pixels, alpha)
    return Picture(pixels, None if alpha is None else _frozen(alpha), Source("PNG", "RGB" if alpha is None else "RGBA", pixels, samples))


def decode(data: bytes, limits: Limits = Limits()) -> Picture:
    """The picture in a file; the first one where there are several.

    It is turned upright, and what it is written back as says so (the orientation tag becomes 1). Thumbnails inside EXIF
    are dropped. CMYK of 16 bits becomes 8.

    Raises:
        TooLarge: more bytes or pixels than `limits`; the pixels are counted before they are unpacked.
        InvalidInput: empty, not a picture of a kind that is known, cut off or damaged.
    """
    if not data:
        raise InvalidInput("The picture file is empty.", "Choose another file.")
    if len(data) > limits.max_bytes:
        raise TooLarge(
            f"The file has {len(data) / (1 << 20):.1f} MB, more than the {limits.max_bytes / (1 << 20):g} MB allowed.",
            "Save it smaller, or raise the limit in the settings.",
            bytes=len(data), limit=limits.max_bytes,
        )  # fmt: skip
    data = bytes(data)
    format = _format(data)
    if format is None:
        raise InvalidInput("This is not a picture of a kind that can be opened.", f"Give a {_KINDS} file.")
    try:
        # The reader itself instead of Image.open: that one has a limit of its own, kept in a global of the whole process.
        image = _READERS[format](io.BytesIO(data))
        size = image.size
    except Exception as error:  # Pillow's readers fail in every way on hostile files
        raise _damaged(error) from error
    if size[0] * size[1] > limits.max_pixels:
        raise TooLarge(
            f"The picture has {size[0]} × {size[1]} pixels ({size[0] * size[1] / 1e6:.1f} megapixels), more than the "
            f"{limits.max_pixels / 1e6:g} allowed.",
            "Scale it down, or raise the limit in the settings.",
            width=size[0], height=size[1], limit=limits.max_pixels,
        )  # fmt: skip
    if format == "JPEG" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        # Checked here because some programs tell Pillow to take such files, for everyone in the process.
        raise InvalidInput("The picture file is cut off.", "Copy or download it again.")
    try:
        image.load()
        return _picture(image, format, data)
    except InvalidInput:
        raise
    except Exception as error:
        raise _damaged(error) from error


def encode(picture: Picture, format: str | None = None, *, quality: int | None = None) -> bytes:
    """The picture as a file.

    format: "PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", or None for what it came as, in the same mode and with the same ICC
    profile, EXIF, XMP and text. In lossless formats the samples of every pixel that was not changed are those that came in, also
    with 16 bits, CMYK and palettes; if a palette cannot take the new colours, PNG, TIFF and BMP become RGB or RGBA, while a GIF
    takes the nearest colours. A JPEG keeps its quantisation tables and subsampling. JPEG shows transparent pixels on white.
    quality: 1..100 for JPEG and WebP; None: as it came, otherwise 95 (and lossless for WebP made from a lossless picture).

    Raises:
        InvalidInput: unknown format, a quality out of range, or a picture that the format cannot hold (too wide).
    """
    source = picture.source
    target = (format or source.format).upper()
    if target not in _READERS:
        raise InvalidInput(f"Pictures cannot be saved as {format}.", f"Choose {_KINDS}.")
    if quality is not None and not 1 <= quality <= 100:
        raise InvalidInput(f"The quality cannot be {quality}.", "It goes from 1 to 100.")
    samples = Samples("RGB", picture.pixels)
    if source.samples is not None:
        samples = changed_to(source.samples, source.rgb, picture.pixels, picture.alpha, source.icc, only_palette=target == "GIF")
    samples = writers.writable(samples, picture.pixels, picture.alpha, source.format, target)
    try:
        return writers.write(samples, source, target, quality)
    except (OSError, ValueError, struct.error) as error:
        raise InvalidInput(f"The picture cannot be saved as {target}: {error}.", "Choose PNG.") from error


def _format(data: bytes) -> str | None:
    starts = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP"}
    starts |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((format for start, format in starts.items() if data.startswith(start)), None)


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


def _picture(image: Any, format: str, data: bytes) -> Picture:
    samples = readers.read_samples(image, format, data)
    exif = image.getexif()
    samples = replace(samples, array=readers.upright(samples.array, exif.get(0x0112, 1)))
    info = image.info
    icc = info.get("icc_profile") or b""
    pixels, alpha = to_rgb(samples, icc)
    pixels = samples.array if samples.mode == "RGB" else _frozen(pixels)
    upright_exif = metadata.upright_exif(readers.read_exif(image, format))
    source = Source(
        format,
        samples.mode,
        pixels,
        None if samples.mode == "RGB" and samples.key is None else samples,
        icc,
        upright_exif,
        metadata.upright_xmp(info.get("xmp") or b""),
        {str(name): str(text) for name, text in getattr(image, "text", {}).items()},
        info.get("dpi") if format != "TIFF" or 282 in image.tag_v2 else None,  # Pillow makes one up for a TIFF
        readers.read_extras(image, format, data, upright_exif),
    )
    return Picture(pixels, None if alpha is None else _frozen(alpha), source)
