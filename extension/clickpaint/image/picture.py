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
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from clickpaint.errors import InvalidInput, TooLarge
from clickpaint.image import metadata, writers
from clickpaint.image.samples import Samples, changed_to, from_rgb, to_pil, to_rgb, without_16_bits

_READERS: dict[str, Any] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,  # reads the first picture of an MPO too, which phones call .jpg
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_EXTENSIONS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"}
_WRITABLE = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "LA;16", "RGB;16", "RGBA;16"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
}
_KINDS = "PNG, JPEG, WebP, TIFF, BMP or GIF"
_TIFF_TAGS = (270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 700, 33432, 33723, 34377)
_SUB_DIRECTORIES = (34665, 34853)  # EXIF, GPS


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
    chunks = metadata.png_chunks(data) if format == "PNG" else []
    try:
        image.load()
        samples = _samples(image, format, data)
        return _picture(image, format, samples, data, chunks)
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
    samples = source.samples or Samples("RGB", source.rgb)
    samples = changed_to(samples, source.rgb, picture.pixels, picture.alpha, source.icc, only_palette=target == "GIF")
    samples = _writable(samples, picture, target)
    try:
        return _written(samples, source, target, quality)
    except (OSError, ValueError, struct.error) as error:
        raise InvalidInput(f"The picture cannot be saved as {target}: {error}.", "Choose PNG.") from error


def _format(data: bytes) -> str | None:
    starts = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP"}
    starts |= dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((format for start, format in starts.items() if data.startswith(start)), None)


def _damaged(error: Exception) -> InvalidInput:
    return InvalidInput("The picture file is damaged or cut off.", "Copy or download it again, or save it anew.", cause=str(error)[:200])


def _frozen(array: np.ndarray) -> np.ndarray:
    if array.flags.writeable or not array.flags.c_contiguous:
        array = array.copy()
        array.setflags(write=False)
    return array


def _samples(image: Any, format: str, data: bytes) -> Samples:
    """The samples of a loaded Pillow image as the file has them, not yet upright."""
    if format == "PNG" and data[24] == 16:
        return _deep(data)
    if format == "TIFF" and image.tag_v2.get(258, (1,))[0] == 16 and image.tag_v2.get(262) == 2:
        return _deep(data)
    mode: str = image.mode
    if mode == "I" and image.getextrema()[0] >= 0 and image.getextrema()[1] <= 65535:
        mode = "I;16"
    elif mode in ("I", "F"):
        raise InvalidInput("The picture has 32 bits per sample.", "Save it with 16 or 8 bits.")
    if mode.startswith("I;16"):
        return Samples("I;16", np.array(image).astype(np.uint16))
    if mode == "P":
        table = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
        palette = np.zeros((max(len(table), int(np.asarray(image).max()) + 1), 4), np.uint8)
        palette[: len(table), :3], palette[:, 3] = table, 255
        transparency = image.info.get("transparency", b"")
        if isinstance(transparency, int):
            palette[transparency : transparency + 1, 3] = 0
        else:
            known = np.frombuffer(transparency, np.uint8)[: len(palette)]
            palette[: len(known), 3] = known
        return Samples("P", np.array(image), palette)
    key = image.info.get("transparency")
    if key is not None and mode == "1":
        image, mode = image.convert("L"), "L"
        key = 255 if key else 0
    if mode not in ("1", "L", "LA", "RGB", "RGBA", "CMYK"):
        mode = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(mode, "RGB")
        image, key = image.convert(mode), None
    if mode not in ("L", "RGB"):
        key = None
    return Samples(mode, np.array(image), key=(key,) if isinstance(key, int) else key)


def _deep(data: bytes) -> Samples:
    """16-bit grey or colour, which Pillow would cut to 8 bits."""
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16:
        raise InvalidInput("The picture's 16-bit samples cannot be read.", "Save it as a 16-bit PNG or with 8 bits.")
    if array.ndim == 2:
        return Samples("I;16", array)
    if array.shape[2] == 3:
        return Samples("RGB;16", array[..., ::-1])
    if data.startswith(metadata.PNG_SIGNATURE) and data[25] in (0, 4):  # grey with alpha, which cv2 spreads over four channels
        return Samples("LA;16", array[..., [0, 3]])
    return Samples("RGBA;16", array[..., [2, 1, 0, 3]])


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF orientations 2 … 8 undone (CIPA DC-008, 4.6.4)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(array[rows, columns])


def _picture(image: Any, format: str, samples: Samples, data: bytes, chunks: list[metadata.Chunk]) -> Picture:
    exif = image.getexif()
    samples = replace(samples, array=_upright(samples.array, exif.get(0x0112, 1)))
    info = image.info
    icc = info.get("icc_profile") or b""
    pixels, alpha = to_rgb(samples, icc)
    pixels = samples.array if samples.mode == "RGB" else _frozen(pixels)
    raw_exif, xmp, extras = info.get("exif") or b"", info.get("xmp") or b"", {}
    if format == "PNG":
        extras = {"chunks": metadata.kept_chunks(chunks)}
    elif format == "JPEG":
        kept = [
            (name, metadata.upright_xmp(content))
            for name, content in image.applist
            if name == "APP13" or (name == "APP1" and content.startswith(b"http://ns.adobe.com/"))
        ]
        extras = {
            "qtables": list(image.quantization.values()),
            "subsampling": JpegImagePlugin.get_sampling(image),
            "progressive": bool(info.get("progressive")),
            "comment": info.get("comment", b""),
            "extra": b"".join(struct.pack(">BBH", 0xFF, 0xE0 + int(name[3:]), len(content) + 2) + content for name, content in kept),
        }
    elif format == "WEBP":
        extras = {"lossless": b"VP8L" in data[12:4096] and b"VP8 " not in data[12:4096]}
    elif format == "TIFF":
        tags = {tag: image.tag_v2[tag] for tag in _TIFF_TAGS if tag in image.tag_v2}
        tags |= {tag: dict(exif.get_ifd(tag)) for tag in _SUB_DIRECTORIES if tag in image.tag_v2}
        extras = {"tags": tags}
    elif format == "GIF":
        extras = {"comment": info.get("comment", b"")}
    source = Source(
        format, samples.mode, pixels, None if samples.mode == "RGB" and samples.key is None else samples, icc,
        metadata.upright_exif(raw_exif), metadata.upright_xmp(xmp), {str(k): str(v) for k, v in getattr(image, "text", {}).items()},
        info.get("dpi"), extras,
    )  # fmt: skip
    return Picture(pixels, None if alpha is None else _frozen(alpha), source)


def _writable(samples: Samples, picture: Picture, target: str) -> Samples:
    """`samples`, or the nearest to them that the format can hold."""
    writable = _WRITABLE[target]
    if target == "JPEG" and picture.alpha is not None:
        share = picture.alpha[..., None].astype(np.uint16)
        flat = (picture.pixels * share + 255 * (255 - share) + 127) // 255
        return Samples("RGB", flat.astype(np.uint8))
    if samples.key is not None and target not in ("PNG", "GIF"):
        samples = from_rgb(picture.pixels, picture.alpha)
    if samples.mode == "P" and samples.has_alpha and target in ("BMP", "TIFF"):
        samples = from_rgb(picture.pixels, picture.alpha)
    if samples.mode in writable:
        return samples
    shallow = without_16_bits(samples)
    if shallow.mode in writable:
        return shallow
    if shallow.mode == "1" and "L" in writable:
        return Samples("L", picture.pixels[..., 0])
    samples = from_rgb(picture.pixels, picture.alpha)
    return _palettised(samples) if target == "GIF" else samples


def _palettised(samples: Samples) -> Samples:
    """At most 256 colours, one of them transparent if alpha needs it."""
    image = to_pil(samples)
    if samples.mode == "RGB":
        image = image.quantize(256)
        return Samples("P", np.array(image), _opaque(image.getpalette() or []))
    image = Image.fromarray(np.ascontiguousarray(samples.array[..., :3])).quantize(255)
    palette = np.vstack([_opaque(image.getpalette() or [])[:255], [[0, 0, 0, 0]]]).astype(np.uint8)
    return Samples("P", np.where(samples.array[..., 3] < 128, np.uint8(len(palette) - 1), np.asarray(image)), palette)


def _opaque(flat: list[int]) -> np.ndarray:
    rgb = np.array(flat, np.uint8).reshape(-1, 3)
    return np.column_stack([rgb, np.full(len(rgb), 255, np.uint8)])


def _written(samples: Samples, source: Source, target: str, quality: int | None) -> bytes:
    same = target == source.format
    spaces = {"CMYK": b"CMYK"} | dict.fromkeys(("1", "L", "LA", "I;16", "LA;16"), b"GRAY")
    icc = source.icc if source.icc[16:20] == spaces.get(samples.mode, b"RGB ") else b""
    if target == "TIFF":
        return writers.tiff(samples, source.extras["tags"] if same else _as_tags(source), icc)
    options: dict[str, Any] = {}
    if target == "PNG" and same:
        chunks = source.extras.get("chunks", ())
    else:
        chunks = ()
        options |= {"icc_profile": icc or None, "exif": source.exif or b"", "dpi": source.dpi}
        options = {name: value for name, value in options.items() if value}
    if samples.array.dtype == np.uint16:
        return metadata.png_with(writers.png_16(samples), chunks)
    if target == "JPEG":
        options |= _jpeg_options(samples, source, same, quality)
    elif target == "WEBP":
        lossless = quality is None and (source.extras["lossless"] if same else source.format != "JPEG")
        options |= {"lossless": lossless, "exact": True, "quality": 80 if lossless else quality or 95, "xmp": source.xmp}
    elif target == "GIF":
        options |= {"optimize": False, "comment": source.extras.get("comment", b"") if same else b""}
    if samples.palette is not None and samples.has_alpha:
        options["transparency"] = samples.palette[:, 3].tobytes() if target == "PNG" else int(np.argmin(samples.palette[:, 3]))
    elif samples.key is not None:
        options["transparency"] = samples.key if len(samples.key) > 1 else samples.key[0]
    out = io.BytesIO()
    to_pil(samples).save(out, target, **options)
    return metadata.png_with(out.getvalue(), chunks) if chunks else out.getvalue()


def _jpeg_options(samples: Samples, source: Source, same: bool, quality: int | None) -> dict[str, Any]:
    options = {name: source.extras[name] for name in ("progressive", "comment", "extra") if same and source.extras[name]}
    if not same or quality is not None or samples.mode != source.mode:
        return options | {"quality": quality or 95, "subsampling": 0 if (quality or 95) >= 90 else 2}
    if source.extras["subsampling"] >= 0:
        options["subsampling"] = source.extras["subsampling"]
    return options | {"qtables": source.extras["qtables"]}


def _as_tags(source: Source) -> dict[int, Any]:
    """EXIF and resolution as a TIFF's tags."""
    exif = Image.Exif()
    if source.exif:
        exif.load(source.exif)
    tags = {tag: exif[tag] for tag in _TIFF_TAGS if tag in exif}
    tags |= {tag: dict(exif.get_ifd(tag)) for tag in _SUB_DIRECTORIES if exif.get_ifd(tag)}
    if source.dpi:
        tags |= {282: source.dpi[0], 283: source.dpi[1], 296: 2}
    return tags
