"""What is odd in a data set: the same thing twice, blurred or tiny objects, and what there is much and little of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image

from clickpaint.progress import SILENT, Progress
from clickpaint.train.dataset.buckets import bucket_of, bucket_sizes
from clickpaint.train.dataset.examples import DataSet, TrainingExample
from clickpaint.train.dataset.picture_reading import file_checksum, mask_of, measures, read_picture

_HASH_SIDE, _HASHED = 32, 8
_ALIKE = 8
"""Bits of 64 in which two pictures of the same thing may differ; unrelated ones differ in about 32."""
_SHARPNESS_SIDE = 256
_BLURRED = 12.0
"""Below this variance of the Laplacian (grey levels², at `_SHARPNESS_SIDE` pixels) an object is blurred: photographs have 250 and more, and
less than 13 when blurred with a standard deviation of two of these pixels."""
_TINY = 0.25
"""Of the resolution's side: an object whose square root of the area is smaller is tiny."""
_WORDS = 30
_WORD = re.compile(r"\b(?!(?:the|and|with|on|in|of|at|an)\b)\w[\w'-]+")


@dataclass(frozen=True)
class Marks:
    """What an example is marked with.

    Attributes:
        width, height: of its picture in pixels.
        object_side: square root of the object's pixels.
        sharpness: variance of the Laplacian within the object's box, in grey levels².
        same_as: index of the earlier example that shows the same; None for none.
        blurred, tiny: whether it is.
        wordless: whether it has no caption.
    """

    width: int
    height: int
    object_side: float
    sharpness: float
    same_as: int | None
    blurred: bool
    tiny: bool
    wordless: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Of the marks that it has: "duplicate", "blurred", "tiny", "no caption"."""
        marks = {"duplicate": self.same_as is not None, "blurred": self.blurred, "tiny": self.tiny, "no caption": self.wordless}
        return tuple(name for name, there in marks.items() if there)


@dataclass(frozen=True)
class Balance:
    """How a data set's turns in an epoch are distributed.

    Attributes:
        turns: examples by their repeats.
        masked: turns with a mask.
        buckets: turns by (width, height).
        sources: turns by what they were taken from, most first.
        largest_source: share of the turns that one picture gave, 0..1; 0 where sources are not known.
        words: turns whose caption has a word, most first; the commonest words only.
    """

    turns: int
    masked: int
    buckets: Mapping[tuple[int, int], int]
    sources: Mapping[str, int]
    largest_source: float
    words: Mapping[str, int]


@dataclass(frozen=True)
class Inspection:
    """What was seen in a data set.

    Attributes:
        marks: of each example, in their order.
        balance: of all.
    """

    marks: tuple[Marks, ...]
    balance: Balance = field(repr=False)


def inspect(data_set: DataSet, resolution: int = 512, progress: Progress = SILENT) -> Inspection:
    """Look through a data set.

    Args:
        resolution: that it is to be trained at, side of a square in pixels.
        progress: told of every example.

    Raises:
        InvalidInput: a file cannot be read. Interrupted.
    """
    marks: list[Marks] = []
    hashes: list[int] = []
    for number, example in enumerate(data_set.examples):
        progress.report(number / len(data_set.examples), "Looking through the data set")
        known = measures(example)
        files = example.picture, example.mask
        looks, sharpness = _seen(example, tuple(None if file is None else file_checksum(file) for file in files))
        same = next((index for index, other in enumerate(hashes) if (looks ^ other).bit_count() <= _ALIKE), None)
        hashes.append(looks)
        side = known.object_area**0.5
        marks.append(
            Marks(
                known.width, known.height, side, sharpness, same, sharpness < _BLURRED, side < resolution * _TINY, not example.caption,
            )
        )  # fmt: skip
    return Inspection(tuple(marks), _balance(data_set, resolution))


def perceptual_hash(pixels: np.ndarray) -> int:
    """64 bits that stay mostly the same when a picture is scaled, compressed or brightened (pHash, Zauner 2010): the signs of its lowest
    frequencies against their median.

    Args:
        pixels: uint8 [H, W, 3] RGB.
    """
    grey = np.asarray(Image.fromarray(pixels).convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS), np.float64)
    angle = np.pi / _HASH_SIDE * np.outer(np.arange(_HASHED + 1), np.arange(_HASH_SIDE) + 0.5)
    waves = np.cos(angle)
    low = (waves @ grey @ waves.T)[1:, 1:].ravel()
    return int("".join("1" if value > np.median(low) else "0" for value in low), 2)


@lru_cache(65536)
def _seen(example: TrainingExample, checksums: tuple[str | None, ...]) -> tuple[int, float]:
    """The perceptual hash and the sharpness of an example's object; checksums: of its files, until one of which changes it is known."""
    known, pixels, mask = measures(example), read_picture(example.picture).pixels, mask_of(example)
    if known.object_box is None or mask is None:
        return perceptual_hash(pixels), _sharpness(pixels)
    return perceptual_hash(_alone(pixels, mask)[known.object_box.slices]), _sharpness(pixels[known.object_box.slices])


def _alone(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The object on grey, so that two objects side by side in one photograph are not the same picture."""
    if mask.shape != pixels.shape[:2]:
        mask = np.asarray(Image.fromarray(mask).resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BILINEAR))
    return np.where((mask > 127)[..., None], pixels, np.uint8(128))


def _sharpness(pixels: np.ndarray) -> float:
    image = Image.fromarray(pixels).convert("L")
    scale = _SHARPNESS_SIDE / max(image.size)
    if scale < 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.BOX)
    grey = np.asarray(image, np.float64)
    if min(grey.shape) < 3:
        return 0.0
    laplacian = grey[1:-1, :-2] + grey[1:-1, 2:] + grey[:-2, 1:-1] + grey[2:, 1:-1] - 4 * grey[1:-1, 1:-1]
    return float(laplacian.var())


def _balance(data_set: DataSet, resolution: int) -> Balance:
    sizes = bucket_sizes(resolution)
    buckets, sources, words = Counter[tuple[int, int]](), Counter[str](), Counter[str]()
    turns = masked = 0
    for example in data_set.examples:
        known, times = measures(example), example.repeats
        turns += times
        masked += times if example.mask is not None else 0
        buckets[bucket_of(known.width, known.height, sizes)] += times
        if example.source:
            sources[example.source] += times
        for word in set(_WORD.findall(example.caption.lower())):
            words[word] += times
    largest = max(sources.values(), default=0) / turns if turns else 0.0
    return Balance(turns, masked, dict(buckets.most_common()), dict(sources.most_common()), largest, dict(words.most_common(_WORDS)))
