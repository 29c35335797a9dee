"""Samples and metadata → a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clickpaint.image import metadata, png_tiff
from clickpaint.image.png_tiff import SUB_DIRECTORIES, TIFF_TAGS
from clickpaint.image.samples import Samples, from_rgb, to_pil, without_16_bits

if TYPE_CHECKING:
    from clickpaint.image.picture import Source

_WRITABLE = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "RGB;16", "RGBA;16"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
}


def writable(samples: Samples, pixels: np.ndarray, alpha: np.ndarray | None, came_as: str, target: str) -> Samples:
    """`samples`, or the nearest to them that the format `target` can hold; they look like `pixels` and `alpha`."""
    if target == "JPEG" and alpha is not None:
        share = alpha[..., None].astype(np.uint16)
        return Samples("RGB", ((pixels * share + 255 * (255 - share) + 127) // 255).astype(np.uint8))
    # How a palette or a single colour is made transparent differs from format to format.
    if target == came_as or not (samples.palette is not None or samples.key is not None) or not samples.has_alpha:
        for candidate in (samples, without_16_bits(samples)):
            if candidate.mode in _WRITABLE[target]:
                return candidate
    if samples.mode == "1":
        return Samples("L", pixels[..., 0]) if target == "JPEG" else from_rgb(pixels, None)
    samples = from_rgb(pixels, alpha)
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


def write(samples: Samples, source: Source, target: str, quality: int | None) -> bytes:
    """The file. Raises OSError, ValueError or struct.error for what the format cannot hold."""
    same = target == source.format
    spaces = {"CMYK": b"CMYK"} | dict.fromkeys(("1", "L", "LA", "I;16", "LA;16"), b"GRAY")
    icc = source.icc if source.icc[16:20] == spaces.get(samples.mode, b"RGB ") else b""
    if target == "TIFF":
        return png_tiff.tiff(samples, source.extras["tags"] if same else _as_tags(source), icc)
    options: dict[str, Any] = {"compress_level": 4} if target == "PNG" else {}  # 4 times as fast as the default 6, no larger
    if target == "PNG" and same:
        chunks = source.extras.get("chunks", ())
    else:
        chunks = tuple(metadata.text_chunk(*one) for one in source.text.items()) if target == "PNG" else ()
        kept = {"icc_profile": icc, "exif": source.exif, "dpi": source.dpi}
        options |= {name: value for name, value in kept.items() if value}
    if samples.array.dtype == np.uint16:
        return metadata.png_with(png_tiff.png_16(samples), chunks)
    if target == "JPEG":
        options |= _jpeg_options(samples, source, same, quality)
    elif target == "WEBP":
        lossless = quality is None and (source.extras["lossless"] if same else source.format != "JPEG")
        options |= {"lossless": lossless, "exact": True, "xmp": source.xmp}
        options |= {"quality": 20, "method": 2} if lossless else {"quality": quality or 95}  # more effort gains 1 %
    elif target == "GIF":
        options |= {"optimize": False, "comment": source.extras.get("comment", b"") if same else b""}
    if samples.palette is not None and samples.has_alpha:
        options["transparency"] = samples.palette[:, 3].tobytes() if target == "PNG" else int(np.argmin(samples.palette[:, 3]))
    elif samples.key is not None:
        options["transparency"] = samples.key[0] if samples.mode == "L" else samples.key
    out = io.BytesIO()
    image = to_pil(samples)
    try:
        image.save(out, target, **options)
    except OSError:
        if not options.pop("progressive", False):
            raise
        # Pillow's buffer holds only one byte per pixel of a progressive JPEG; the best qualities need more.
        out = io.BytesIO()
        image.save(out, target, **options)
    return metadata.png_with(out.getvalue(), chunks)


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
    tags = {tag: exif[tag] for tag in TIFF_TAGS if tag in exif}
    tags |= {tag: dict(exif.get_ifd(tag)) for tag in SUB_DIRECTORIES if exif.get_ifd(tag)}
    if source.dpi:
        tags |= {282: source.dpi[0], 283: source.dpi[1], 296: 2}
    return tags
