"""A data set as batches of turns, planned epoch by epoch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from clickpaint.errors import InvalidInput
from clickpaint.train.dataset.buckets import Item, plan_epoch
from clickpaint.train.dataset.examples import DataSet
from clickpaint.train.dataset.loading import cache_key, load
from clickpaint.train.dataset.picture_reading import file_checksum
from clickpaint.train.prepared import Turn
from clickpaint.train.run_types import Batches, TrainingTurns
from clickpaint.train.training_settings import Kind, TrainingSettings

_STEP, _SMALLEST = 64, 8
"""Sides of buckets are multiples of this; of the latents' cells where the resolution is smaller."""


def turns_of(data_set: DataSet, kind: Kind, settings: TrainingSettings, resolution: int, class_set: DataSet | None = None) -> TrainingTurns:
    """What is trained with.

    Args:
        data_set: of the object.
        kind: what is trained.
        settings: how.
        resolution: side in pixels of the square that has a bucket's area.
        class_set: of the object's class, for prior preservation; None for none.

    Raises:
        InvalidInput: there are no examples, or they lack what the kind needs.
    """
    _check_fitting(data_set, kind)
    digest = hashlib.sha256()
    for example in (*data_set.examples, *(class_set.examples if class_set else ())):
        files = (example.picture, example.mask, example.control_map, example.before)
        digest.update(repr([*(file and file_checksum(file) for file in files), example.caption, example.repeats]).encode())
    digest.update(repr((data_set.trigger, resolution)).encode())
    return TrainingTurns(
        batches=_batches(data_set, settings, resolution),
        identity=digest.hexdigest(),
        class_batches=None if class_set is None else _batches(class_set, settings, resolution),
        images=len(data_set.examples),
        tags=Counter(data_set.prompt(example) for example in data_set.examples),
        trigger=data_set.trigger,
    )


_COMPARED = {"controlnet": (("control map", "control_map"),), "instruct": (("picture before the edit", "before"),)}


def _batches(data_set: DataSet, settings: TrainingSettings, resolution: int) -> Batches:
    step = _STEP if resolution >= 2 * _STEP else _SMALLEST

    def plan(epoch: int) -> Sequence[Sequence[Turn]]:
        batches = plan_epoch(
            data_set, resolution, settings.batch_size, settings.seed, epoch, settings.flip, step=step, zoom=settings.zoom,
            shuffle_tags=settings.shuffle_tags, caption_dropout=settings.caption_dropout,
        )  # fmt: skip
        return [[_turn(item) for item in batch.items] for batch in batches]

    return plan


def _turn(item: Item) -> Turn:
    width, height = item.size
    scale = width / (item.crop[2] - item.crop[0])
    original = round(item.picture_size[1] * scale), round(item.picture_size[0] * scale)
    return Turn(
        cache_key(item), item.caption, lambda: load(item), {"original": original, "crop": item.crop_top_left, "target": (height, width)}
    )


def _check_fitting(data_set: DataSet, kind: Kind) -> None:
    """Raises `InvalidInput`: some examples lack what the kind compares with."""
    for what, attribute in _COMPARED.get(kind, ()):
        lacking = [example for example in data_set.examples if getattr(example, attribute) is None]
        if lacking:
            raise InvalidInput(
                "{count} of {total} examples have no control map, {file} for one."
                if what == "control map"
                else "{count} of {total} examples have no picture before the edit, {file} for one.",
                "Complete the data set, or take them out.",
                count=len(lacking), total=len(data_set.examples), file=lacking[0].picture.name,
            )  # fmt: skip
