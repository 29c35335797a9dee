"""What the routes of videos answer, from what the studio knows; and work that goes on after the answer."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from clickpaint.api import translate
from clickpaint.api.encode import data_url, mask_png
from clickpaint.api.schemas import MaskBody
from clickpaint.api.video_schemas import FrameBody
from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.image.packed import PackedMask
from clickpaint.segment.base import Point, Prompts
from clickpaint.session.open_video import OpenVideo
from clickpaint.session.video_storage import StoredVideo
from clickpaint.studio.studio import Studio
from clickpaint.studio.tasks import Task
from clickpaint.studio.video_objects import FrameSelection

log = logging.getLogger(__name__)

MOST_SHOWN = 200
"""Frames of an object whose clicks are told."""


def stored(entry: StoredVideo) -> dict[str, Any]:
    facts = entry.facts
    return {
        "id": facts.id, "name": facts.name, "width": facts.size[0], "height": facts.size[1], "frames": facts.frames,
        "duration_s": round(facts.duration, 6), "fps": round(facts.fps, 4), "variable_frame_rate": facts.variable,
        "has_audio": facts.sound, "pixel_aspect": round(facts.pixel_aspect, 6), "container": facts.container, "codec": facts.codec,
        "opened": facts.opened, "changed": entry.changed, "bytes": entry.nbytes,
    }  # fmt: skip


def video(studio: Studio, opened: OpenVideo) -> dict[str, Any]:
    record = opened.record
    versions, shown = opened.history()
    numbers = [0, *(version.number for version in versions)]
    changed, nbytes = studio.video_library.storage.size_of(opened.id)
    described = [
        {
            "number": version.number, "label": version.label, "kind": version.kind, "first": version.first, "last": version.last,
            "whole": version.whole, "made": version.made, "details": version.details,
        }
        for version in versions
    ]  # fmt: skip
    return {
        **stored(StoredVideo(opened.facts, changed, nbytes)),
        "timestamps": np.round(record.starts(), 6).tolist() if opened.facts.variable else None,
        "version": shown, "versions": described, "can_undo": numbers.index(shown) > 0, "can_redo": shown != numbers[-1],
        "objects": [tracked_object(opened, object_id) for object_id in record.objects()],
        "in_mark": record.value("in_mark"), "out_mark": record.value("out_mark"),
        "tasks": translate.tasks(studio.tasks.visible(opened.id), studio),
    }  # fmt: skip


def tracked_object(opened: OpenVideo, object_id: str) -> dict[str, Any]:
    record = opened.record
    given = record.given(object_id, MOST_SHOWN)
    known, doubtful = record.known(object_id)
    prompts = {
        each.frame: {
            "points": each.prompts.get("points", []), "box": each.prompts.get("box"), "phrase": each.prompts.get("phrase", "")
        }
        for each in given
    }  # fmt: skip
    return {
        "id": object_id, "name": record.objects()[object_id], "frames": prompts, "given": record.count_given(object_id),
        "known": stretches(known), "doubtful": stretches(doubtful),
    }  # fmt: skip


def confidence(opened: OpenVideo, object_id: str) -> list[float | None]:
    """Of every frame; 1 where the user said it himself."""
    values: list[float | None] = [None] * opened.facts.frames
    for mark in opened.record.marks(object_id):
        values[mark.frame] = round(mark.confidence, 3)
    for each in opened.record.given(object_id):
        values[each.frame] = 1.0
    return values


def stretches(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted numbers as (first, last) of those that follow each other."""
    pairs: list[tuple[int, int]] = []
    for number in numbers:
        if pairs and number == pairs[-1][1] + 1:
            pairs[-1] = pairs[-1][0], number
        else:
            pairs.append((number, number))
    return pairs


def frame_mask(number: int, mask: np.ndarray) -> dict[str, Any]:
    packed = PackedMask.of(mask)
    return {
        "frame": number, "area": 0 if packed is None else packed.area, "box": None if packed is None else list(packed.box),
        "mask": data_url(mask_png(mask)),
    }  # fmt: skip


def selections(frames: Mapping[str, FrameBody | None]) -> dict[int, FrameSelection | None]:
    """What a request says about frames. Raises `InvalidInput`."""
    by_frame: dict[int, FrameSelection | None] = {}
    for key, body in frames.items():
        if not (key.isdecimal() and key.isascii() and len(key) < 9):
            raise InvalidInput("{text!r} is no number of a frame.", "They go from 0 on.", text=key[:80])
        by_frame[int(key)] = None if body is None else _selection(body)
    return by_frame


def _selection(body: FrameBody) -> FrameSelection:
    pointed = bool(body.points) or body.box is not None
    if pointed + (body.mask is not None) + bool(body.phrase) > 1:
        raise InvalidInput("There are several selections.", "Give points and a box, a phrase, or a mask.")
    prompts = Prompts(tuple(Point(point.x, point.y, point.label) for point in body.points), body.box) if pointed else None
    image = translate.picture_bytes(body.mask) if body.mask is not None else b""
    return FrameSelection(prompts, body.phrase or "", image, tuple(translate.adjustments(MaskBody(operations=body.operations))))


def goes_on(work: Callable[[Callable[[Task], object]], object]) -> Task:
    """Let `work` be done on a thread of its own; its task, once it is under way.

    Args:
        work: called with what it has to call with its task.

    Raises:
        What `work` raises before it is under way; later faults are seen in the task.
    """
    news: queue.SimpleQueue[Task | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            work(news.put)
        except ClickpaintError as error:
            news.put(error)
        except BaseException as error:
            log.exception("Work on a video failed")
            news.put(error)

    threading.Thread(target=run, name="clickpaint-video", daemon=True).start()
    first = news.get()
    if isinstance(first, BaseException):
        raise first
    return first
