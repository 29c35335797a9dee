"""Samples and metadata → a file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.errors import InvalidInput
from clickpaint.image import exif, png, tiff
from clickpaint.image.picture import Source
from clickpaint.image.readers import comment_text, is_infotext
from clickpaint.image.samples import Samples, from_rgb, to_pil, unassociated, with_alpha, without_16_bits

_WRITABLE = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "LA;16", "RGB;16", "RGBA;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "LA;16", "RGB;16", "RGBA;16"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
    "AVIF": ("RGB", "RGBA"),
    "HEIF": ("RGB", "RGBA"),
}
_SEGMENT = 65_533
"""Bytes that a segment of a JPEG holds at most."""


def writable(samples: Samples, pixels: np.ndarray, alpha: np.ndarray | None, came_as: str, target: str) -> Samples:
    """`samples`, or the nearest to them that the format `target` can hold; they look like `pixels` and `alpha`."""
    if target == "JPEG" and alpha is not None:
        share = alpha[..., None].astype(np.uint16)
        return Samples("RGB", ((pixels * share + 255 * (255 - share) + 127) // 255).astype(np.uint8))
    if target != "TIFF":
        samples = unassociated(samples)
    # How a palette or a single colour is made transparent differs from format to format.
    if target != came_as and samples.array.dtype == np.uint16:
        samples = with_alpha(samples)
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
        return tiff.write(samples, _with_infotext_tag(source.extras["tags"], source) if same else _as_tags(source), icc)
    if target == "PNG":
        return _png(samples, source, same, icc)
    kept = {"icc_profile": icc, "exif": _exif_with_infotext(source), "dpi": source.dpi}
    options: dict[str, Any] = {name: value for name, value in kept.items() if value}
    if target == "JPEG":
        options |= _jpeg_options(samples, source, same, quality)
    elif target == "WEBP":
        lossless = quality is None and (source.extras["lossless"] if same else source.format not in ("JPEG", "AVIF", "HEIF"))
        options |= {"lossless": lossless, "exact": True, "xmp": source.xmp}
        options |= {"quality": 20, "method": 2} if lossless else {"quality": quality or 95}  # more effort gains 1 %
    elif target == "GIF":
        options |= {"optimize": False, "comment": _gif_comment(source, same)}
    elif target in ("AVIF", "HEIF"):
        return _heif(samples, target, options, source.xmp, quality or 90)
    return _saved(samples, target, options)


def _saved(samples: Samples, target: str, options: dict[str, Any]) -> bytes:
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
    return out.getvalue()


def _png(samples: Samples, source: Source, same: bool, icc: bytes) -> bytes:
    infotext = source.text.get("parameters", "")
    options: dict[str, Any] = {"compress_level": 4}  # 4 times as fast as the default 6, no larger
    chunks: list[png.Chunk]
    if same:
        chunks = [chunk for chunk in source.extras.get("chunks", ()) if chunk[0] != b"eXIf"]
    else:
        chunks = [png.text_chunk(*pair) for pair in source.text.items()]
        if source.xmp:
            chunks.append((b"iTXt", png.XMP.encode() + b"\0\0\0\0\0" + source.xmp))
        options |= {name: value for name, value in (("icc_profile", icc), ("dpi", source.dpi)) if value}
    comment = exif.user_comment(source.exif)
    kept = exif.with_user_comment(source.exif, "") if is_infotext(comment) and comment != infotext else source.exif
    if kept:
        chunks.append((b"eXIf", kept.removeprefix(exif.HEADER)))
    if samples.array.dtype == np.uint16:
        data = png.write_16_bits(samples)
        if not same:
            profile = _saved(Samples("L", np.zeros((1, 1), np.uint8)), "PNG", options)
            chunks = [*chunks, *png.PngFile(profile).kept]
        return png.with_chunks(data, chunks)
    return png.with_chunks(_saved(samples, "PNG", options), chunks)


def _jpeg_options(samples: Samples, source: Source, same: bool, quality: int | None) -> dict[str, Any]:
    options: dict[str, Any] = {}
    kept = _exif_with_infotext(source)
    if len(kept) > _SEGMENT:
        bare = exif.with_user_comment(source.exif, "")
        options["exif"] = bare if len(bare) <= _SEGMENT else b""
    if same:
        options |= {name: source.extras[name] for name in ("progressive", "extra") if source.extras[name]}
        comment = source.extras["comment"]
        options |= {"comment": comment} if comment and not is_infotext(comment_text(comment)) else {}  # it is in the EXIF now
    elif source.xmp and len(source.xmp) < _SEGMENT - 29:
        content = b"http://ns.adobe.com/xap/1.0/\0" + source.xmp
        options["extra"] = b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    if not same or quality is not None or samples.mode != source.mode or not source.extras["qtables"]:
        return options | {"quality": quality or 95, "subsampling": 0 if (quality or 95) >= 90 else 2}
    if source.extras["subsampling"] >= 0:
        options["subsampling"] = source.extras["subsampling"]
    return options | {"qtables": source.extras["qtables"]}


def _heif(samples: Samples, target: str, options: dict[str, Any], xmp: bytes, quality: int) -> bytes:
    """An AVIF or a HEIC in colours that are not subsampled."""
    options.pop("dpi", None)
    options |= {"quality": quality} | ({"xmp": xmp} if xmp else {})
    image, out = to_pil(samples), io.BytesIO()
    if target == "AVIF":
        try:
            from PIL import AvifImagePlugin
        except ImportError:
            AvifImagePlugin = None
        if AvifImagePlugin is not None and AvifImagePlugin.SUPPORTED:
            image.save(out, "AVIF", subsampling="4:4:4", **options)
            return out.getvalue()
    try:
        import pillow_heif
    except ImportError:
        pillow_heif = None
    plugin = getattr(pillow_heif, "as_plugin", None)
    save = getattr(plugin, "_save_avif" if target == "AVIF" else "_save_heif", None)
    if save is None:
        package = "Pillow 11.3 or newer" if target == "AVIF" else "the package pillow-heif"
        raise InvalidInput(
            "{format} pictures cannot be saved here.",
            "Install {package}, or choose PNG.",
            format="AVIF" if target == "AVIF" else "HEIC",
            package=package,
        )
    # What its opener would register for the whole process.
    image.encoderinfo = {**options, "chroma": 444}
    image.info = {"icc_profile": options.pop("icc_profile")} if "icc_profile" in options else {}
    save(image, out, "")
    return out.getvalue()


def _exif_with_infotext(source: Source) -> bytes:
    """EXIF whose user comment is the picture's infotext, where it has one; an old one is not in it."""
    infotext, comment = source.text.get("parameters", ""), exif.user_comment(source.exif)
    if comment == infotext or not (infotext or is_infotext(comment)):
        return source.exif
    return exif.with_user_comment(source.exif, infotext)


def _with_infotext_tag(tags: dict[int, Any], source: Source) -> dict[int, Any]:
    infotext, directory = source.text.get("parameters", ""), dict(tags.get(tiff.EXIF, {}))
    raw = directory.get(exif.USER_COMMENT, b"")
    comment = exif.comment_text(raw) if isinstance(raw, bytes) else ""
    if comment == infotext or not (infotext or is_infotext(comment)):
        return tags
    directory.pop(exif.USER_COMMENT, None)
    if infotext:
        directory[exif.USER_COMMENT] = exif.comment_bytes(infotext)
    rest = {tag: value for tag, value in tags.items() if tag != tiff.EXIF}
    return {**rest, tiff.EXIF: directory} if directory else rest


def _gif_comment(source: Source, same: bool) -> bytes:
    """What it was, or for an infotext the one that holds now."""
    comment = source.extras.get("comment", b"") if same else b""
    infotext = source.text.get("parameters", "")
    if is_infotext(comment_text(comment)) or (infotext and not comment):
        return infotext.encode("utf-8", "replace")
    return comment


def _as_tags(source: Source) -> dict[int, Any]:
    """EXIF, XMP and resolution as a TIFF's tags."""
    container = Image.Exif()
    data = _exif_with_infotext(source)
    if data:
        container.load(data)
    tags: dict[int, Any] = {tag: container[tag] for tag in tiff.TIFF_TAGS if tag in container}
    tags |= {tag: dict(container.get_ifd(tag)) for tag in tiff.SUB_DIRECTORIES if container.get_ifd(tag)}
    if source.xmp:
        tags[700] = source.xmp
    if source.dpi:
        tags |= {282: source.dpi[0], 283: source.dpi[1], 296: 2}
    return tags
