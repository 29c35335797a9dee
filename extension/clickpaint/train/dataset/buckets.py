"""Which example comes when, in which size and cut how: all of an epoch, planned from its seed and its number alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from clickpaint.errors import InvalidInput
from clickpaint.train.dataset.examples import DataSet, TrainingExample
from clickpaint.train.dataset.picture_reading import Measures, measures

_LONGEST_SIDE = 2.0
"""Of a bucket, in sides of its square; NovelAI's."""
_OBJECT_SHARE = 0.8
"""Of the closest crop's shorter side, what the object takes."""


@dataclass(frozen=True)
class Item:
    """One example's turn in an epoch.

    Attributes:
        example: which.
        caption: what the text encoder gets for it.
        size: (width, height) of its bucket in pixels.
        crop: (left, top, right, bottom) in pixels of the picture's file, fractions of them too; has the bucket's proportions.
        picture_size: (width, height) of the picture's file.
        flipped: whether it is mirrored, left to right.
    """

    example: TrainingExample
    caption: str
    size: tuple[int, int]
    crop: tuple[float, float, float, float]
    picture_size: tuple[int, int]
    flipped: bool = False

    @property
    def crop_top_left(self) -> tuple[int, int]:
        """(top, left) of the crop in the picture scaled as it is for the bucket: what SDXL is conditioned on."""
        scale = self.size[0] / (self.crop[2] - self.crop[0])
        left = self.picture_size[0] - self.crop[2] if self.flipped else self.crop[0]
        return round(self.crop[1] * scale), round(left * scale)


@dataclass(frozen=True)
class Batch:
    """What is computed at once.

    Attributes:
        items: at least one; all of the same size.
        size: (width, height) in pixels.
    """

    items: tuple[Item, ...]
    size: tuple[int, int]


@lru_cache(64)
def bucket_sizes(resolution: int, step: int = 64) -> tuple[tuple[int, int], ...]:
    """The (width, height) that pictures are brought to: multiples of `step` with at most the area of a square of `resolution`, sides of
    half to twice of it (NovelAI 2022, "Aspect ratio bucketing").

    Raises:
        InvalidInput: the square is smaller than one step.
    """
    square = resolution // step * step
    if square < step:
        raise InvalidInput("The resolution cannot be {resolution}.", "Give at least {step} pixels.", resolution=resolution, step=step)
    shortest, longest = max(step, square // 2 // step * step), int(square * _LONGEST_SIDE)
    sizes = {(square, square)}
    for width in range(shortest, longest + 1, step):
        height = min(square * square // width // step * step, longest)
        if height >= shortest:
            sizes |= {(width, height), (height, width)}
    return tuple(sorted(sizes))


def bucket_of(width: int, height: int, sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The bucket from which least of a picture has to be cut off; of several the largest."""

    def kept(size: tuple[int, int]) -> float:
        ratio = (size[0] * height) / (size[1] * width)
        return min(ratio, 1 / ratio)

    return max(sizes, key=lambda size: (round(kept(size), 6), size[0] * size[1]))


def plan_epoch(
    data_set: DataSet, resolution: int, batch_size: int, seed: int, epoch: int, flip: bool = False, *, step: int = 64,
    zoom: float = 0.0, shuffle_tags: bool = False, caption_dropout: float = 0.0,
) -> tuple[Batch, ...]:  # fmt: skip
    """All batches of an epoch in their order; the same for the same arguments on every machine, whatever came before.

    Every example comes `repeats` times, in its bucket. Where something must be cut off, what stays is around the object's mask; without
    one, around a place by lot. What does not fill a batch makes a smaller one.

    Args:
        data_set: what is trained with.
        resolution: side in pixels of the square that has a bucket's area.
        batch_size: examples that are computed at once, at least 1.
        seed: of the training.
        epoch: its number.
        flip: mirror half of them, by lot.
        step: sides of buckets are multiples of it.
        zoom: 0 shows as much of the picture as the bucket's proportions allow; up to 1, by lot, down to where the object fills most of
            the crop, but never less than the bucket's own pixels.
        shuffle_tags: put the parts of a caption between its commas in an order by lot, the trigger word stays first.
        caption_dropout: share of turns that come without any words, 0 to 1.

    Raises:
        InvalidInput: a value out of its range, no examples, or one that cannot be read.
    """
    if batch_size < 1 or not 0 <= zoom <= 1 or not 0 <= caption_dropout <= 1:
        raise InvalidInput("The batches cannot be planned.", "Batches have at least one example; zoom and dropout go from 0 to 1.")
    if not data_set.examples:
        raise InvalidInput("There are no examples in this data set.", "Keep something for training first.")
    sizes = bucket_sizes(resolution, step)
    # only `random()` is promised to give the same numbers in every version of Python
    lot = random.Random(f"{seed}/{epoch}").random
    buckets: dict[tuple[int, int], list[Item]] = {}
    for example in data_set.examples:
        known = measures(example)
        size = bucket_of(known.width, known.height, sizes)
        for _ in range(example.repeats):
            caption = data_set.prompt(example)
            if shuffle_tags:
                caption = _shuffled(caption, data_set.trigger, lot)
            if caption_dropout and lot() < caption_dropout:
                caption = ""
            crop = _crop(known, size, zoom, lot)
            item = Item(example, caption, size, crop, (known.width, known.height), flip and lot() < 0.5)
            buckets.setdefault(size, []).append(item)
    batches = []
    for size in sorted(buckets):
        items = sorted(buckets[size], key=lambda _: lot())
        batches += [Batch(tuple(items[at : at + batch_size]), size) for at in range(0, len(items), batch_size)]
    return tuple(sorted(batches, key=lambda _: lot()))


def _crop(known: Measures, size: tuple[int, int], zoom: float, lot: Callable[[], float]) -> tuple[float, float, float, float]:
    """Where to cut a picture for its bucket."""
    scale = min(known.width / size[0], known.height / size[1])
    box = known.object_box
    chance = lot(), lot(), lot()
    if zoom and box is not None:
        closest = max(box.width / size[0], box.height / size[1]) / _OBJECT_SHARE
        closest = min(max(closest, 1.0), scale)
        scale -= (scale - closest) * zoom * chance[2]
    width, height = size[0] * scale, size[1] * scale
    left = _start(width, known.width, None if box is None else (box.left, box.right), chance[0])
    top = _start(height, known.height, None if box is None else (box.top, box.bottom), chance[1])
    return left, top, min(left + width, float(known.width)), min(top + height, float(known.height))


def _start(side: float, whole: int, object_sides: tuple[int, int] | None, chance: float) -> float:
    """Where a crop begins along one axis: anywhere that shows all of the object, or as much of its middle as fits."""
    low, high = 0.0, max(whole - side, 0.0)
    if object_sides is not None:
        first, last = object_sides
        if last - first <= side:
            low, high = max(low, last - side), min(high, float(first))
        else:
            low = high = min(max((first + last - side) / 2, low), high)
    return low + (high - low) * chance


def _shuffled(caption: str, trigger: str, lot: Callable[[], float]) -> str:
    parts = [part.strip() for part in caption.split(",") if part.strip()]
    first = [part for part in parts if trigger and part == trigger]
    rest = [part for part in parts if not (trigger and part == trigger)]
    return ", ".join(first + sorted(rest, key=lambda _: lot()))
