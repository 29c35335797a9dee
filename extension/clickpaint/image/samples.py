"""A file's own samples ↔ the uint8 RGB that everything works on. Modes are Pillow's names; "LA;16", "RGB;16", "RGBA;16" are ours."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "LA;16", "RGB;16", "RGBA;16")


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples as the file holds them, upright.

    Attributes:
        mode: one of `MODES`.
        array: bool [H, W] for "1"; uint8 or uint16 (";16") [H, W] or [H, W, channels] for the others; indices for "P".
        palette: RGBA, uint8 [n, 4], for "P".
        key: the grey or the colour that means transparent, for "L", "RGB", "I;16" and "RGB;16".
        premultiplied: whether the colours are multiplied by alpha.
    """

    mode: str
    array: np.ndarray
    palette: np.ndarray | None = None
    key: tuple[int, ...] | None = None
    premultiplied: bool = False

    def __post_init__(self) -> None:
        self.array.setflags(write=False)

    @property
    def has_alpha(self) -> bool:
        return self.mode.startswith(("LA", "RGBA")) or self.key is not None or (self.palette is not None and self.palette[:, 3].min() < 255)


def to_rgb(samples: Samples, icc: bytes = b"") -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels uint8 [H, W, 3] and alpha uint8 [H, W] or None. CMYK goes through its profile to sRGB if it has one."""
    array, mode = samples.array, samples.mode
    if mode == "P":
        assert samples.palette is not None
        rgba = samples.palette[array]
        return np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3]) if samples.has_alpha else None
    if mode == "CMYK":
        return _through_profile(array, icc, "CMYK", "RGB"), None
    alpha = None
    if samples.key is not None:
        equal = array == np.array(samples.key)
        alpha = np.where(equal if array.ndim == 2 else equal.all(axis=2), np.uint8(0), np.uint8(255))
    array = unassociated(samples).array
    if mode == "1":
        array = array.astype(np.uint8) * 255
    elif array.dtype == np.uint16:
        array = _to_8_bits(array)
    if mode.startswith(("LA", "RGBA")):
        alpha = np.ascontiguousarray(array[..., -1])
        array = array[..., :-1]
    if array.ndim == 2 or array.shape[2] == 1:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(array), alpha


def from_rgb(pixels: np.ndarray, alpha: np.ndarray | None) -> Samples:
    """8-bit RGB or RGBA samples."""
    return Samples("RGB", pixels) if alpha is None else Samples("RGBA", np.dstack([pixels, alpha]))


@dataclass(frozen=True, eq=False)
class Look:
    """How a picture looks: pixels uint8 [H, W, 3], alpha uint8 [H, W] or None."""

    pixels: np.ndarray
    alpha: np.ndarray | None


def changed_to(samples: Samples, before: Look, after: Look, icc: bytes, only_palette: bool) -> Samples:
    """`samples`, which look like `before`, made to look like `after`, which has alpha where `before` has.

    Where the two are alike the samples stay as they are, to the bit. A palette takes new colours in the entries that no pixel uses
    any more; if they do not all fit, the whole becomes RGB or RGBA, or, for files that must have a palette (`only_palette`), new
    pixels take the nearest of as many new colours as fit. Wholly transparent pixels keep their entry of the palette. A single
    transparent colour becomes alpha where it cannot say what is half transparent.
    """
    changed = (after.pixels != before.pixels).any(axis=2)
    faded = np.zeros_like(changed)
    if before.alpha is not None and after.alpha is not None:
        faded = after.alpha != before.alpha
    if not (changed.any() or faded.any()):
        return samples
    mode = samples.mode
    if mode == "P":
        return _in_palette(samples, changed, faded, after, only_palette)
    if samples.key is not None and after.alpha is not None and faded.any() and ((after.alpha > 0) & (after.alpha < 255)).any():
        samples = with_alpha(samples)
        mode = samples.mode
    changed |= faded
    new = after.pixels[changed]
    array = samples.array.copy()
    if mode == "CMYK":
        array[changed] = _through_profile(new[None], icc, "RGB", "CMYK")[0]
    elif mode == "1":
        array[changed] = _grey(new) >= 128
    else:
        values = _grey(new)[:, None] if mode.startswith(("L", "I")) else new
        if array.dtype == np.uint16:
            values = values.astype(np.uint16) * 257
        channels = array.reshape(*array.shape[:2], -1)
        if mode.startswith(("LA", "RGBA")) and after.alpha is not None:
            channels[faded, -1] = after.alpha[faded].astype(array.dtype) * (257 if array.dtype == np.uint16 else 1)
            if samples.premultiplied:
                values = _scaled(values, channels[changed, -1:], np.iinfo(array.dtype).max)
        elif samples.key is not None and after.alpha is not None:
            # The colour that means "transparent" must not appear where something is, nor vanish where nothing is.
            values = values.copy()
            values[(values == samples.key).all(axis=1), -1] ^= 1
            values[after.alpha[changed] == 0] = samples.key
        channels[changed, : values.shape[1]] = values
    return replace(samples, array=array)


def with_alpha(samples: Samples) -> Samples:
    """Samples with a single transparent colour as ones with alpha, of the same depth."""
    if samples.key is None:
        return samples
    channels = samples.array.reshape(*samples.array.shape[:2], -1)
    opaque = np.iinfo(channels.dtype).max
    alpha = np.where((channels == np.array(samples.key)).all(axis=2), 0, opaque).astype(channels.dtype)
    mode = {"L": "LA", "RGB": "RGBA", "I;16": "LA;16", "RGB;16": "RGBA;16"}[samples.mode]
    return Samples(mode, np.dstack([channels, alpha]))


def unassociated(samples: Samples) -> Samples:
    """Samples whose colours are not multiplied by alpha."""
    if not samples.premultiplied:
        return samples
    most = np.iinfo(samples.array.dtype).max
    colours, alpha = samples.array[..., :-1], samples.array[..., -1:]
    array = np.concatenate([_scaled(colours, np.full_like(alpha, most), alpha), alpha], axis=2)
    return replace(samples, array=array, premultiplied=False)


def _scaled(values: np.ndarray, share: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    """round(values * share / whole), at most what the type holds; 0 where `whole` is 0."""
    most = np.iinfo(values.dtype).max
    divisor = np.maximum(np.asarray(whole, np.uint32), 1)
    product = values.astype(np.uint32) * share.astype(np.uint32) + divisor // 2  # just fits, also with 16 bits
    return np.where(np.asarray(whole) > 0, np.minimum(product // divisor, most), 0).astype(values.dtype)


def without_16_bits(samples: Samples) -> Samples:
    if samples.array.dtype != np.uint16:
        return samples
    return Samples("L" if samples.mode == "I;16" else samples.mode.removesuffix(";16"), _to_8_bits(samples.array))


def to_pil(samples: Samples) -> Image.Image:
    """As a Pillow image of the mode of the same name (8 bits only)."""
    height, width = samples.array.shape[:2]
    if samples.mode == "1":
        return Image.fromarray(samples.array)
    image = Image.frombytes(samples.mode, (width, height), np.ascontiguousarray(samples.array).tobytes())
    if samples.palette is not None:
        image.putpalette(samples.palette[:, :3].tobytes())
    return image


def _to_8_bits(array: np.ndarray) -> np.ndarray:
    """round(value / 257), without 64-bit temporaries."""
    return ((array.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)


def _grey(rgb: np.ndarray) -> np.ndarray:
    """Rec. 601 luma of [N, 3] as Pillow rounds it; exact where the three are equal."""
    return ((rgb.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32) + 0x8000) >> 16).astype(np.uint8)


def _through_profile(array: np.ndarray, icc: bytes, mode: str, into: str) -> np.ndarray:
    """CMYK ↔ RGB, [H, W, channels]: colour-managed where the file brought a CMYK profile, otherwise Pillow's plain formula."""
    image = Image.frombytes(mode, (array.shape[1], array.shape[0]), np.ascontiguousarray(array).tobytes())
    if icc[16:20] == b"CMYK":
        from PIL import ImageCms

        try:
            own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            pair = (own, srgb) if mode == "CMYK" else (srgb, own)
            image = ImageCms.profileToProfile(image, *pair, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode=into) or image
        except (ImageCms.PyCMSError, OSError):  # a damaged profile, or one for one direction only
            pass
    return np.asarray(image.convert(into))


def _in_palette(samples: Samples, changed: np.ndarray, faded: np.ndarray, after: Look, only_palette: bool) -> Samples:
    assert samples.palette is not None
    pixels, alpha = after.pixels, after.alpha
    if alpha is not None:
        if only_palette:
            alpha = np.where(alpha >= 128, np.uint8(255), np.uint8(0))  # it knows no other
        changed = (changed & (alpha > 0)) | faded  # of the others, which stay transparent, the colour is not seen
    new = pixels[changed]
    opacity = np.full(len(new), 255, np.uint8) if alpha is None else alpha[changed]
    new = np.where(opacity[:, None] > 0, new, 0).astype(np.uint8)
    colours, which = np.unique(_packed(np.column_stack([new, opacity])), return_inverse=True)
    used = np.unique(samples.array[~changed])
    free = np.setdiff1d(np.arange(256), used)
    palette = np.zeros((256, 4), np.uint8)
    palette[:, 3] = 255
    palette[: len(samples.palette)] = samples.palette
    seen = palette.copy()
    seen[palette[:, 3] == 0] = 0  # whatever its colour, what is transparent looks alike
    known = dict(zip(_packed(seen[used]).tolist(), used.tolist(), strict=True))
    missing = [colour for colour in colours.tolist() if colour not in known]

    array = samples.array.copy()
    if len(missing) <= len(free):
        palette[free[: len(missing)]] = np.array(missing, np.uint32).view(np.uint8).reshape(-1, 4)
        known |= dict(zip(missing, map(int, free), strict=False))
        array[changed] = np.array([known[colour] for colour in colours.tolist()], np.uint8)[which.reshape(-1)]
    elif not only_palette:
        return from_rgb(pixels, alpha)
    else:
        clear = opacity == 0
        if len(free) and clear.any() and not (palette[used, 3] == 0).any():
            palette[free[0]], used, free = 0, np.append(used, free[0]), free[1:]
        if len(free):
            fresh = Image.fromarray(new[~clear][None]).quantize(len(free)).getpalette() or []
            fresh = np.array(fresh[: 3 * len(free)], np.uint8).reshape(-1, 3)
            palette[free[: len(fresh)]] = np.column_stack([fresh, np.full(len(fresh), 255, np.uint8)])
            used = np.concatenate([used, free[: len(fresh)]])
        usable, hidden = used[palette[used, 3] > 0], used[palette[used, 3] == 0]
        indices = usable[_nearest(new, palette[usable, :3])]
        if len(hidden):
            indices[clear] = hidden[0]
        array[changed] = indices
    return Samples("P", array, palette[: max(int(array.max()) + 1, len(samples.palette))])


def _nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """For each of [N, 3] the index of the nearest of [M, 3]."""
    target = palette.astype(np.float32)
    half = (target**2).sum(axis=1) / 2
    parts = np.array_split(colours, len(colours) // 65536 + 1)  # N × M at once would not fit
    return np.concatenate([np.argmin(half - part.astype(np.float32) @ target.T, axis=1) for part in parts])


def _packed(rgba: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgba, np.uint8).view(np.uint32).reshape(-1)
