"""What a painted picture has to agree in with the one that it was painted from, exactly: Palette's colorization and JPEG restoration
(Saharia et al., 2022) on a checkpoint that was not trained for them."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.picture import Picture

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue: ITU-R BT.601's, which is JPEG's and Pillow's."""

_WEIGHTS = np.array(LUMA, np.float32)

_GREY = ("L", "I", "1")
"""How modes of grey samples begin."""

_AT_ONCE = 1 << 17
"""Pixels whose roundings are compared at once."""

_MARGIN = 2.0
"""How far from the ends of a coefficient's interval it is put, in units of the coefficients: what rounding to 8 bits can shift it."""

_ROUNDS = 3
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Of what was painted, tried in this order for a block that would not be compressed to the same."""


class Agreement(Protocol):
    """A property of the picture as it was that is kept."""

    def made(self, before: np.ndarray, after: np.ndarray, box: Box) -> np.ndarray:
        """`after` changed as little as it takes, where it differs from `before`.

        Args:
            before: uint8 [H, W, 3], the whole picture as it was.
            after: uint8 [box.height, box.width, 3], what was painted.
            box: where that lies.

        Returns:
            uint8 [box.height, box.width, 3].
        """
        ...


class SameLuma:
    """Colours on the picture's own luminance. The luma 0.299 R + 0.587 G + 0.114 B of each pixel stays within a tenth of a level, so that
    a grey picture's rounded luma is what it was, everywhere."""

    def made(self, before: np.ndarray, after: np.ndarray, box: Box) -> np.ndarray:
        before = before[box.slices].reshape(-1, 3)
        result = after.reshape(-1, 3).copy()
        changed = np.flatnonzero((result != before).any(axis=1))
        for first in range(0, len(changed), _AT_ONCE):
            part = changed[first : first + _AT_ONCE]
            result[part] = _with_luma(result[part].astype(np.float32), before[part].astype(np.float32) @ _WEIGHTS)
        return result.reshape(after.shape)


def _with_luma(colours: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Colours, float32 [n, 3], brought to a luma, float32 [n]: paler where the colour itself cannot have it. uint8 [n, 3]."""
    away = colours - (colours @ _WEIGHTS)[:, None]
    room = np.where(away > 0, 255 - luma[:, None], luma[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(np.abs(away) > 1e-6, room / np.abs(away), np.inf).min(axis=1).clip(0, 1)
    exact = (luma[:, None] + share[:, None] * away).clip(0, 255)
    result = _rounded(exact, luma, (0, 1))
    off = np.abs(result @ np.array(LUMA) - luma) > 0.1  # at the ends of the range not every neighbour is there
    result[off] = _rounded(exact[off], luma[off], (-1, 0, 1))
    return result.astype(np.uint8)


def _rounded(exact: np.ndarray, luma: np.ndarray, steps: tuple[int, ...]) -> np.ndarray:
    """Of the whole numbers that lie these steps from those below `exact` [n, 3], the ones whose luma is the nearest."""
    low = np.floor(exact)
    ways = np.stack([(low + np.array(way)).clip(0, 255) for way in itertools.product(steps, repeat=3)])  # [ways, n, 3]
    best = np.abs(ways @ np.array(LUMA) - luma).argmin(axis=0)
    return np.take_along_axis(ways, best[None, :, None], axis=0)[0]


@dataclass(frozen=True)
class SameCompressed:
    """Whatever a JPEG with these tables could have come from. Each coefficient of the cosine transform stays within the interval that is
    rounded to what it was, so that the picture, compressed again, gives the same coefficients. Where blocks would not, less of what was
    painted is taken, down to nothing.

    Attributes:
        tables: of the luma, and for colours of the chroma, 64 steps each, row by row.
        across, down: pixels that share a sample of the chroma; 1 or 2.
    """

    tables: tuple[tuple[int, ...], ...]
    across: int = 1
    down: int = 1

    def made(self, before: np.ndarray, after: np.ndarray, box: Box) -> np.ndarray:
        cell = 8 * self.across, 8 * self.down
        left, top = (edge // size * size for edge, size in zip((box.left, box.top), cell, strict=True))
        right, bottom = (math.ceil(edge / size) * size for edge, size in zip((box.right, box.bottom), cell, strict=True))
        region = before[top:bottom, left:right]
        around = ((0, bottom - top - region.shape[0]), (0, right - left - region.shape[1]), (0, 0))
        known = np.pad(region, around, mode="edge")
        painted = known.copy()
        inner = box.top - top, box.left - left
        place = slice(inner[0], inner[0] + box.height), slice(inner[1], inner[1] + box.width)
        painted[place] = after
        return self._agreeing(known, painted, region.shape[:2])[place]

    def _agreeing(self, known: np.ndarray, painted: np.ndarray, shown: tuple[int, int]) -> np.ndarray:
        """Both uint8 [h, w, 3], of whole blocks; shown: (height, width) of what of them is not just their border carried on."""
        painted = _edged(painted, shown)
        changed = (painted != known).any(axis=2, keepdims=True)
        wished = np.where(changed, self._projected(known, painted), known)
        wanted = self._compressed(known)
        step = np.zeros((known.shape[0] // (8 * self.down), known.shape[1] // (8 * self.across)), int)
        while True:
            share = np.kron(np.array(_SHARES, np.float32)[step], np.ones((8 * self.down, 8 * self.across), np.float32))[..., None]
            mixed = (known + share * (wished - known)).round().clip(0, 255).astype(np.uint8)
            result = _edged(np.where(changed, mixed, known), shown)
            wrong = self._differing(self._compressed(result), wanted) & (step < len(_SHARES) - 1)
            if not wrong.any():
                return result
            step = step + wrong

    def _projected(self, known: np.ndarray, painted: np.ndarray) -> np.ndarray:
        """What is painted, float32 [h, w, 3], with its coefficients in their intervals and its colours within 0..255, as far as a few
        rounds in turn between the two get."""
        limits = [self._limits(plane, table) for plane, table in self._planes(_to_ycc(known.astype(np.float32)))]
        pixels = painted.astype(np.float32)
        for _ in range(_ROUNDS):
            ycc = _to_ycc(pixels)
            if len(self.tables) == 1:
                ycc[..., 1:] = 0
            for channel, ((plane, _), (low, high)) in enumerate(zip(self._planes(ycc), limits, strict=True)):
                coefficients = _transformed(plane)
                change = _back(coefficients.clip(low, high) - coefficients, plane.shape)
                size = (1, 1) if channel == 0 else (self.down, self.across)
                ycc[..., channel] += np.kron(change, np.ones(size, np.float32))
            pixels = _to_rgb(ycc).clip(0, 255)
        return pixels

    def _planes(self, ycc: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """(samples, table) of luma, and for colours of both chromas in their own size."""
        height, width = ycc.shape[:2]
        tables = [np.array(table, np.float32).reshape(8, 8) for table in self.tables]
        planes = [(ycc[..., 0], tables[0])]
        if len(tables) > 1:
            cells = ycc[..., 1:].reshape(height // self.down, self.down, width // self.across, self.across, 2).mean((1, 3))
            planes += [(cells[..., channel], tables[1]) for channel in (0, 1)]
        return planes

    @staticmethod
    def _limits(plane: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle = np.round(_transformed(plane) / table) * table
        reach = np.maximum(table / 2 - _MARGIN, table * 0.05)
        return middle - reach, middle + reach

    def _compressed(self, pixels: np.ndarray) -> np.ndarray:
        """The picture after a round trip through a JPEG with these tables."""
        return _round_trip(pixels, self.tables, self.across, self.down)

    def _differing(self, pixels: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Which blocks differ, bool [h / 8 / down, w / 8 / across]."""
        height, width = pixels.shape[0] // (8 * self.down), pixels.shape[1] // (8 * self.across)
        return (pixels != other).any(axis=-1).reshape(height, 8 * self.down, width, 8 * self.across).any((1, 3))


def agreement_for(picture: Picture, task: str, quality: int | None) -> Agreement | None:
    """What a task keeps of a picture; None where that is nothing.

    Args:
        quality: 1..100, how strongly the picture was compressed, by libjpeg's measure; None for what its file says.

    Raises:
        InvalidInput: the picture came from no JPEG, or from one of inks.
    """
    if task == "colorize":
        return SameLuma()
    if task != "restore":
        return None
    source = picture.source
    if quality is not None:
        return _of_quality(quality, grey=source.mode.startswith(_GREY))
    if source.format != "JPEG" or source.mode not in ("L", "RGB"):
        raise InvalidInput("The picture's file does not say how it was compressed.", "Give the quality of the JPEG that it was, 1 to 100.")
    across, down = {0: (1, 1), 1: (2, 1), 2: (2, 2)}.get(source.extras["subsampling"], (1, 1))
    tables = tuple(tuple(table) for table in source.extras["qtables"])
    if source.mode == "L":
        return SameCompressed(tables[:1])
    return SameCompressed((tables[0], tables[min(1, len(tables) - 1)]), across, down)


def check_file(picture: Picture, task: str) -> None:
    """Raises `InvalidInput` where a task's result would be lost in a file with the samples that the picture came with."""
    source = picture.source
    if task == "colorize" and source.mode.startswith(_GREY):
        raise InvalidInput(
            "The picture's file is grey, and what is saved here stays as it was.",
            "Colorize it with clickpaint palette, or open it saved as a picture in colour.",
        )
    if task == "restore" and source.format == "JPEG":
        raise InvalidInput(
            "What is saved here is compressed as the picture's file was, which would undo it.",
            "Restore it with clickpaint palette, or open it saved as PNG.",
        )


def _edged(pixels: np.ndarray, shown: tuple[int, int]) -> np.ndarray:
    """A copy whose border, beyond what is shown, is carried on as JPEG does."""
    around = ((0, pixels.shape[0] - shown[0]), (0, pixels.shape[1] - shown[1]), (0, 0))
    return np.pad(pixels[: shown[0], : shown[1]], around, mode="edge")


def _of_quality(quality: int, grey: bool) -> SameCompressed:
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", quality=quality)
    image: Any = Image.open(stream)
    tables = tuple(tuple(table) for table in image.quantization.values())
    return SameCompressed(tables[:1]) if grey else SameCompressed(tables, 2, 2)


def _round_trip(pixels: np.ndarray, tables: Sequence[Sequence[int]], across: int, down: int) -> np.ndarray:
    from PIL import Image

    image, stream = Image.fromarray(pixels), io.BytesIO()
    if len(tables) == 1:
        image.convert("L").save(stream, "JPEG", qtables=[list(tables[0])])
    else:
        image.save(stream, "JPEG", qtables=[list(table) for table in tables], subsampling={(1, 1): 0, (2, 1): 1, (2, 2): 2}[across, down])
    return np.asarray(Image.open(stream).convert("RGB"))


def _to_ycc(pixels: np.ndarray) -> np.ndarray:
    """float32 [h, w, 3]: luma less 128, and both chromas around 0."""
    luma = pixels @ _WEIGHTS
    return np.stack([luma - 128, (pixels[..., 2] - luma) / 1.772, (pixels[..., 0] - luma) / 1.402], axis=-1)


def _to_rgb(ycc: np.ndarray) -> np.ndarray:
    luma = ycc[..., 0] + 128
    red, blue = luma + 1.402 * ycc[..., 2], luma + 1.772 * ycc[..., 1]
    return np.stack([red, (luma - LUMA[0] * red - LUMA[2] * blue) / LUMA[1], blue], axis=-1)


def _transformed(plane: np.ndarray) -> np.ndarray:
    """The coefficients of its blocks of 8 × 8, float32 [n, 8, 8]."""
    height, width = plane.shape
    blocks = plane.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    return _COSINES @ blocks @ _COSINES.T


def _back(coefficients: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    blocks = _COSINES.T @ coefficients @ _COSINES
    return blocks.reshape(shape[0] // 8, shape[1] // 8, 8, 8).swapaxes(1, 2).reshape(shape)


def _cosines() -> np.ndarray:
    """The orthonormal cosine transform of 8 samples."""
    rows = np.cos(np.pi * (np.arange(8)[None] + 0.5) * np.arange(8)[:, None] / 8) / 2
    rows[0] /= math.sqrt(2)
    return rows.astype(np.float32)


_COSINES = _cosines()
