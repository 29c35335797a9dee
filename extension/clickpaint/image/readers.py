"""What Pillow has opened → the file's own samples, and what travels with them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from clickpaint.errors import InvalidInput
from clickpaint.image.metadata import PNG_SIGNATURE, kept_chunks, upright_xmp, webp_is_lossless
from clickpaint.image.png_tiff import SUB_DIRECTORIES, TIFF_TAGS
from clickpaint.image.samples import Samples

_EXIF_AS_TEXT = (b"Raw profile type exif\0", b"Raw profile type APP1\0")


def read_samples(image: Any, format: str, data: bytes) -> Samples:
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
    if data.startswith(PNG_SIGNATURE) and data[25] in (0, 4):  # grey with alpha, which cv2 spreads over four channels
        return Samples("LA;16", array[..., [0, 3]])
    return Samples("RGBA;16", array[..., [2, 1, 0, 3]])


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF orientations 2 … 8 undone (CIPA DC-008, 4.6.4)."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(array[rows, columns])


def read_exif(image: Any, format: str) -> bytes:
    """EXIF as it stands in a JPEG, beginning with its name; b"" if there is none."""
    exif = image.info.get("exif") or b""
    if format == "TIFF":
        table = Image.Exif()
        for tag, value in _tiff_tags(image).items():
            table[tag] = value
        exif = table.tobytes() if len(table) else b""
    elif not exif and format == "PNG" and len(image.getexif()):
        exif = image.getexif().tobytes()  # as older programs put it into a PNG: hexadecimal, in a text
    return exif if not exif or exif.startswith(b"Exif\0\0") else b"Exif\0\0" + exif


def read_extras(image: Any, format: str, data: bytes, exif: bytes) -> dict[str, Any]:
    """What only the writer of this format understands. exif: upright."""
    info = image.info
    if format == "PNG":
        chunks = [chunk for chunk in kept_chunks(data) if not chunk[1].startswith(_EXIF_AS_TEXT)]
        if exif and not any(kind == b"eXIf" for kind, _ in chunks):
            chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
        return {"chunks": chunks}
    if format == "JPEG":
        segments = [(name, upright_xmp(content)) for name, content in image.applist if _is_xmp_or_iptc(name, content)]
        return {
            "qtables": list(image.quantization.values()),
            "subsampling": JpegImagePlugin.get_sampling(image),
            "progressive": bool(info.get("progressive")),
            "comment": info.get("comment", b""),
            "extra": b"".join(struct.pack(">HH", 0xFFE0 + int(name[3:]), len(content) + 2) + content for name, content in segments),
        }
    if format == "WEBP":
        return {"lossless": webp_is_lossless(data)}
    if format == "TIFF":
        return {"tags": _tiff_tags(image)}
    return {"comment": info.get("comment", b"")}


def _is_xmp_or_iptc(name: str, content: bytes) -> bool:
    return name == "APP13" or (name == "APP1" and content.startswith(b"http://ns.adobe.com/"))


def _tiff_tags(image: Any) -> dict[int, Any]:
    tags: dict[int, Any] = {tag: image.tag_v2[tag] for tag in TIFF_TAGS if tag in image.tag_v2}
    exif = image.getexif()
    return tags | {tag: dict(exif.get_ifd(tag)) for tag in SUB_DIRECTORIES if tag in image.tag_v2}
