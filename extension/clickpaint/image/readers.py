"""What Pillow has opened → the file's own samples, and what travels with them."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from clickpaint.errors import InvalidInput
from clickpaint.image import containers, exif, tiff
from clickpaint.image.picture import Loss
from clickpaint.image.png import XMP, PngFile, read_16_bits
from clickpaint.image.samples import Samples

_READERS: dict[str, Callable[[Any], Any]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,  # reads the first picture of an MPO too, which phones call .jpg
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": tiff.TiffFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_STARTS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP"} | dict.fromkeys(
    (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "TIFF"
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)([1-8])""")
_INFOTEXT = re.compile(r"\bSteps: \d")
_FILLERS = (b"", b"\xaa" * 4096)
_END_OF_IMAGE = b"\xff\xd9"


def format_of(data: bytes) -> str | None:
    """ "PNG", "JPEG", … by a file's first bytes (32 are enough); None for what cannot be opened."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4], "big"), len(data)), 4))]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIF" if any(brand in _HEIF_BRANDS for brand in brands) else None
    return next((format for start, format in _STARTS.items() if data.startswith(start)), None)


def opened(format: str, data: bytes) -> Any:
    """The file as Pillow opens it, nothing unpacked yet.

    The reader itself is called instead of Image.open: that one has a limit of its own, kept in a global of the whole process.

    Raises:
        InvalidInput: the package that reads this format is not there. And whatever Pillow raises for a damaged file.
    """
    return (_READERS.get(format) or _further_reader(format))(io.BytesIO(data))


def _further_reader(format: str) -> Callable[[Any], Any]:
    if format == "AVIF":
        try:
            from PIL import AvifImagePlugin

            if AvifImagePlugin.SUPPORTED:
                return AvifImagePlugin.AvifImageFile
        except ImportError:  # Pillow before 11.3
            pass
    try:
        import pillow_heif
    except ImportError:
        pillow_heif = None
    opener = getattr(pillow_heif, {"AVIF": "AvifImageFile", "HEIF": "HeifImageFile"}[format], None)
    if opener is None:
        package = "Pillow 11.3 or newer" if format == "AVIF" else "the package pillow-heif"
        raise InvalidInput(
            "{format} pictures cannot be opened here.",
            "Install {package}, or save it as PNG or JPEG.",
            format="AVIF" if format == "AVIF" else "HEIC",
            package=package,
        )
    return opener


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that was opened and unpacked.

    Attributes:
        samples: upright.
        exif: upright, see `exif.usable`.
        xmp: upright.
        text: of a PNG; "parameters", from wherever the format has it.
        extras: what only this format's writer understands.
        losses: what of the file is not in all this.
    """

    samples: Samples
    icc: bytes
    exif: bytes
    xmp: bytes
    text: dict[str, str]
    dpi: tuple[float, float] | None
    extras: dict[str, Any]
    losses: tuple[Loss, ...]


def read(image: Any, format: str, data: bytes, png: PngFile | None) -> Opened:
    """All of a file.

    Args:
        image: see `opened`.
        png: the file taken apart, for a PNG.
    """
    tags = _tiff_tags(image) if format == "TIFF" else {}  # older versions of Pillow close the file when they unpack it
    stored = tiff.read(image, data) if format == "TIFF" else None
    if stored is None:
        image.load()
    samples = stored.samples if stored is not None else _png_samples(image, png) if png is not None else _samples(image, image.info)
    info = image.info
    raw_exif = png.exif if png is not None else _tiff_exif(tags) if format == "TIFF" else exif.usable(info.get("exif") or b"")
    xmp = _xmp(image, format, png)
    if format == "TIFF":
        orientation = image.tag_v2.get(274, 1) if stored is not None else image.getexif().get(274, 1)  # what Pillow left to be done
    elif format in ("HEIF", "AVIF") and not hasattr(image, "tile"):
        orientation = 1
    else:
        tagged = _XMP_ORIENTATION.search(xmp)
        orientation = exif.orientation(raw_exif) if raw_exif else int(tagged[1]) if tagged is not None and format != "HEIF" else 1
    samples = Samples(samples.mode, upright(samples.array, orientation), samples.palette, samples.key, samples.premultiplied)
    upright_exif = exif.upright(raw_exif)
    extras: dict[str, Any] = {"tags": tags} if format == "TIFF" else _extras(image, format, data, upright_exif, png)
    text = dict(png.text) if png is not None else {}
    infotext = _infotext(upright_exif, extras.get("comment", b""))
    if infotext and "parameters" not in text:
        text["parameters"] = infotext
    dpi = png.dpi if png is not None else info.get("dpi") if format != "TIFF" or 282 in image.tag_v2 else None  # Pillow makes one up
    icc = png.icc if png is not None else info.get("icc_profile") or b""
    dropped = 0 if stored is None else stored.dropped
    losses = _losses(image, format, data, samples, png, dropped)
    if any(loss.code == "trailer" for loss in losses) and extras.get("extra"):
        extras["extra"] = exif.without_film(extras["extra"])
    return Opened(samples, icc, upright_exif, exif.upright_xmp(xmp), text, dpi, extras, losses)


def is_infotext(text: str) -> bool:
    """Whether a comment is what a Stable Diffusion program wrote about how the picture was made."""
    return _INFOTEXT.search(text) is not None


def comment_text(comment: bytes | str) -> str:
    """The text of a GIF's or a JPEG's comment."""
    return comment if isinstance(comment, str) else comment.decode("utf-8", "replace").rstrip("\0")


def completed_jpeg(data: bytes) -> bytes | None:
    """A JPEG that lacks its end marker, with it; None if more than that is missing.

    libjpeg makes up what is missing. So two readings with different bytes behind what is there agree only where nothing is.
    """
    data = data[:-1] if data.endswith(b"\xff") else data
    if not containers.jpeg_is_whole(data):
        return None
    readings = []
    for filler in _FILLERS:
        image = opened("JPEG", data + filler + _END_OF_IMAGE)
        image.load()
        readings.append(np.asarray(image))
    return data + _END_OF_IMAGE if np.array_equal(readings[0], readings[1]) else None


def _png_samples(image: Any, png: PngFile) -> Samples:
    if png.samples[24] == 16:
        array = read_16_bits(png.samples)
        mode = "I;16" if array.ndim == 2 else {2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[array.shape[2]]
        return Samples(mode, array, key=png.key if mode in ("I;16", "RGB;16") else None)
    info, depth = {name: value for name, value in image.info.items() if name == "transparency"}, png.samples[24]
    if png.key is not None and image.mode in ("1", "L", "RGB"):
        scale = 255 // ((1 << depth) - 1) if image.mode != "1" else 1  # Pillow stretches grey of fewer bits, but not this
        key = [(number & ((1 << depth) - 1)) * scale for number in png.key]
        info["transparency"] = tuple(key) if len(key) > 1 else key[0]
    return _samples(image, info)


def _samples(image: Any, info: dict[Any, Any]) -> Samples:
    """The samples of a loaded Pillow image as the file has them, not yet upright."""
    mode: str = image.mode
    if mode == "I" and image.getextrema()[0] >= 0 and image.getextrema()[1] <= 65535:
        mode = "I;16"
    elif mode in ("I", "F"):
        raise InvalidInput("The picture has samples of 32 bits, or below zero.", "Save it with 16 or 8 bits.")
    if mode.startswith("I;16"):
        return Samples("I;16", np.array(image).astype(np.uint16))
    if mode == "P":
        table = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
        palette = np.zeros((max(len(table), int(np.asarray(image).max()) + 1), 4), np.uint8)
        palette[: len(table), :3], palette[:, 3] = table, 255
        transparency = info.get("transparency", b"")
        if isinstance(transparency, int):
            palette[transparency : transparency + 1, 3] = 0
        else:
            known = np.frombuffer(transparency, np.uint8)[: len(palette)]
            palette[: len(known), 3] = known
        return Samples("P", np.array(image), palette)
    key = info.get("transparency")
    if key is not None and mode == "1":
        image, mode = image.convert("L"), "L"
        key = 255 if key else 0
    if mode not in ("1", "L", "LA", "RGB", "RGBA", "CMYK"):
        mode = {"La": "LA", "RGBa": "RGBA", "PA": "RGBA"}.get(mode, "RGB")
        image, key = image.convert(mode), None
    if mode not in ("L", "RGB"):
        key = None
    return Samples(mode, np.asarray(image), key=(key,) if isinstance(key, int) else key)


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF orientations 2 … 8 undone (CIPA DC-008, 4.6.4)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(array[rows, columns])


def _tiff_exif(tags: dict[int, Any]) -> bytes:
    table = Image.Exif()
    for tag, value in tags.items():
        table[tag] = value
    try:
        return exif.usable(table.tobytes()) if len(table) else b""
    except Exception:  # values of a kind that Pillow cannot write again
        return b""


def _xmp(image: Any, format: str, png: PngFile | None) -> bytes:
    if png is not None:
        return png.text.get(XMP, "").encode("utf-8", "replace")
    if format == "JPEG":
        return next((content[len(_JPEG_XMP) :] for _, content in image.applist if content.startswith(_JPEG_XMP)), b"")
    xmp = image.tag_v2.get(700, b"") if format == "TIFF" else image.info.get("xmp") or b""
    return xmp if isinstance(xmp, bytes) else b""


def _extras(image: Any, format: str, data: bytes, upright_exif: bytes, png: PngFile | None) -> dict[str, Any]:
    info = image.info
    if png is not None:
        return {"chunks": [*png.kept, *([(b"eXIf", upright_exif.removeprefix(exif.HEADER))] if upright_exif else [])]}
    if format == "JPEG":
        segments = [(name, exif.upright_xmp(content)) for name, content in image.applist if _is_xmp_or_iptc(name, content)]
        return {
            "qtables": list(image.quantization.values()),
            "subsampling": JpegImagePlugin.get_sampling(image),
            "progressive": bool(info.get("progressive")),
            "comment": info.get("comment", b""),
            "extra": b"".join(struct.pack(">HH", 0xFFE0 + int(name[3:]), len(content) + 2) + content for name, content in segments),
        }
    if format == "WEBP":
        return {"lossless": containers.webp_is_lossless(data)}
    return {"comment": info.get("comment", b"")}


def _is_xmp_or_iptc(name: str, content: bytes) -> bool:
    return name == "APP13" or (name == "APP1" and content.startswith(b"http://ns.adobe.com/"))


def _tiff_tags(image: Any) -> dict[int, Any]:
    image.getexif()  # kept by Pillow, also for the time after the file is closed
    tags: dict[int, Any] = {tag: image.tag_v2[tag] for tag in tiff.TIFF_TAGS if tag in image.tag_v2}
    for tag in tiff.SUB_DIRECTORIES:
        try:
            directory = image.getexif().get_ifd(tag) if tag in image.tag_v2 else {}
        except Exception:  # one that cannot be read
            directory = {}
        if directory:
            tags[tag] = dict(directory)
    return tags


def _infotext(upright_exif: bytes, comment: bytes | str) -> str:
    return next((text for text in (exif.user_comment(upright_exif), comment_text(comment)) if is_infotext(text)), "")


def _losses(image: Any, format: str, data: bytes, samples: Samples, png: PngFile | None, dropped: int) -> tuple[Loss, ...]:
    frames, end = 1, len(data)
    if png is not None:
        frames, end = png.frames, png.end
    elif format == "GIF":
        frames, end = containers.gif_frames(data)
    elif format == "WEBP":
        frames, end = containers.webp_frames(data)
    elif format == "TIFF":
        frames = containers.tiff_pages(data)
    elif format == "JPEG":
        end = containers.jpeg_end(data) or len(data)
    elif format in ("HEIF", "AVIF"):
        frames = getattr(image, "n_frames", 1)
    behind = len(data) - end if data[end:].strip(b"\0\r\n ") else 0
    if format == "HEIF":
        behind = sum(length for kind, length in containers.boxes(data) if kind in (b"mpvd", b"moov"))
    losses = []
    if frames > 1:
        name = "pages" if format == "TIFF" else "pictures" if format == "HEIF" else "frames"
        losses.append(Loss("frames", f"Of its {frames} {name} only the first is edited and kept.", {"frames": frames}))
    if behind:
        what = f"{behind / 1e6:.1f} MB" if behind >= 100_000 else f"{behind} bytes"
        losses.append(
            Loss(
                "trailer", f"What lies behind the picture in its file ({what}, a film or further pictures) is not kept.", {"bytes": behind}
            )
        )
    if dropped:
        losses.append(Loss("channels", f"Channels that are neither colour nor alpha ({dropped}) are not kept.", {"channels": dropped}))
    depth = _depth(image, format, data)
    if depth > 8 and samples.array.dtype == np.uint8:
        losses.append(Loss("depth", f"Its {depth} bits per sample become 8.", {"bits": depth}))
    return tuple(losses)


def _depth(image: Any, format: str, data: bytes) -> int:
    """Bits of a sample in the file, 8 where it is not known."""
    if format == "TIFF":
        return max(image.tag_v2.get(258, (8,)))
    if format in ("HEIF", "AVIF"):
        at = data.find(b"pixi", 0, 1 << 16)
        return data[at + 9] if 0 <= at < len(data) - 9 else 8
    return 8
