"""The use-cases that change a video: each gives a version more, of which only what it changed is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import Progress
from clickpaint.session.open_video import OpenVideo, gone
from clickpaint.session.video_record import VideoVersion
from clickpaint.settings import MEGABYTE
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests
from clickpaint.studio.tasks import Task
from clickpaint.studio.video_library import VideoLibrary, check_stretch, no_room
from clickpaint.studio.video_objects import check_object, nothing_selected
from clickpaint.studio.video_painting import EVERY, ClipPainting, VideoPainting
from clickpaint.studio.video_work import finished_or_kept, in_frames
from clickpaint.video.base import Frames, Masks, TimedFrames
from clickpaint.video.new_clip import NewClip
from clickpaint.video.patches import Stretch
from clickpaint.video.video_eraser import VideoEraseOptions

_LOOKS = 32
"""Frames after which it is looked how much room the disk has left."""

Make = Callable[[TimedFrames, Masks, Progress], Iterator[np.ndarray]]
"""frames, masks, progress → every one of these frames in order, changed; uint8 [H, W, 3]."""


@dataclass(frozen=True)
class Changed:
    """What a use-case did.

    Attributes:
        version: the new one.
        details: what made it, by name.
    """

    version: VideoVersion
    details: dict[str, Any]


class VideoResults:
    """Part of the studio."""

    def __init__(self, host: Host, requests: Requests, pool: ModelPool, library: VideoLibrary, video_painting: VideoPainting) -> None:
        self._host, self._requests, self._pool, self._library = host, requests, pool, library
        self._video_painting = video_painting

    def remove(
        self, video: OpenVideo, objects: Sequence[str] = (), eraser: str | None = None, grow: int | None = None, feather: int = 0,
        shadow: bool = False, started: Callable[[Task], object] = lambda _: None,
    ) -> Changed:  # fmt: skip
        """Remove objects between the marks; the next version of the video.

        Args:
            objects: their ids; empty for all.
            eraser: name of a video eraser, or of the image eraser that paints what no frame shows; None for the setting's.
            grow, feather: see `VideoEraseOptions`; grow None: what is right for masks that were followed.
            shadow: whether the shadows and reflections that are found frame by frame go too.
            started: called once it is under way.

        Raises:
            InvalidInput: nothing is selected between the marks. NotFound: no such object.
            Interrupted: what was done until then is a version.
        """
        name, painter = self._pool.video_eraser_names(eraser)
        budget = self._host.setting("video_budget_mb") * MEGABYTE
        options = VideoEraseOptions(4 if grow is None else grow, feather, budget=budget)

        def make(frames: TimedFrames, masks: Masks, progress: Progress) -> Iterator[np.ndarray]:
            return self._pool.video_eraser(name, painter).erase(frames, masks, options, progress)

        details = {"eraser": name, "painter": painter, "grow": options.grow, "feather": feather, "shadow": shadow}
        return self.change(video, "erase", "Remove", make, objects, details, shadow=shadow, started=started)

    def fill(
        self, video: OpenVideo, options: PaintOptions, objects: Sequence[str] = (), every: int = EVERY, eraser: str | None = None,
        started: Callable[[Task], object] = lambda _: None,
    ) -> Changed:  # fmt: skip
        """Put what a prompt says in the place of objects between the marks; it moves as they do. Else as `Videos.fill` and `remove`."""
        asked = ClipPainting(options, every)

        def make(frames: TimedFrames, masks: Masks, progress: Progress) -> Iterator[np.ndarray]:
            return self._video_painting.filled(frames, masks, asked, eraser, progress)

        return self.change(video, "fill", "Fill", make, objects, _of_prompt(options, every), started=started, painting=asked)

    def replace(
        self, video: OpenVideo, options: PaintOptions, background: np.ndarray | OpenVideo | None = None, objects: Sequence[str] = (),
        every: int = EVERY, eraser: str | None = None, started: Callable[[Task], object] = lambda _: None,
    ) -> Changed:  # fmt: skip
        """Put something else around objects between the marks. Else as `Videos.replace` and `remove`.

        background: a picture, uint8 [H, W, 3], or another video as it is shown now; None for what the options' prompt says.
        """
        asked = ClipPainting(options, every)

        def make(frames: TimedFrames, masks: Masks, progress: Progress) -> Iterator[np.ndarray]:
            if background is None or isinstance(background, np.ndarray):
                still = None if background is None else NewClip([background], 1.0)
                yield from self._video_painting.replaced(frames, masks, asked, still, eraser, progress)
                return
            with self._library.readers.own(background) as reader:
                other = background.stacked(reader, background.checked(None))
                yield from self._video_painting.replaced(frames, masks, asked, other, eraser, progress)

        details: dict[str, Any] = {"background": "picture"}
        if background is None:
            details = _of_prompt(options, every)
        elif not isinstance(background, np.ndarray):
            details = {"background": background.id}
        return self.change(video, "replace", "Replace", make, objects, details, started=started, painting=asked)

    def change(
        self, video: OpenVideo, kind: str, label: str, make: Make, objects: Sequence[str] = (), details: dict[str, Any] | None = None,
        shadow: bool = False, started: Callable[[Task], object] = lambda _: None, painting: ClipPainting | None = None,
    ) -> Changed:  # fmt: skip
        """Let `make` change what is between the marks; the next version of the video.

        Args:
            kind: one of `tasks.KINDS`.
            label: the step, for people.
            make: is given the frames between the marks, and the masks of the objects in them, each by its number there.
            objects: their ids; empty for all.
            details: what is told of the version afterwards.
            shadow: whether the masks hold the shadows and reflections that are found, too.
            started: called once it is under way.
            painting: what adds to the details how it was done.

        Raises:
            As `remove`.
        """
        for object_id in objects:
            check_object(video, object_id)
        record = video.record
        first, last = int(record.value("in_mark")), int(record.value("out_mark"))
        check_stretch(video, first, last)
        chosen = list(objects) or list(record.objects())
        if not any(first <= number <= last for object_id in chosen for number in record.known(object_id)[0]):
            raise nothing_selected(first, last)
        with self._requests.run(kind, video) as request:
            started(request.task)
            with request.turn():
                self._library.storage.check_room(video)
                shown = video.checked(None)
                number = record.next_number()
                stored = {"objects": chosen, **(details or {})}

                def work(progress: Progress) -> None:
                    done = 0
                    try:
                        with self._library.readers.own(video) as ahead, self._library.readers.own(video) as beside:
                            frames = Stretch(video.stacked(ahead, shown), first, last)
                            before = Stretch(video.stacked(beside, shown), first, last)
                            masks: Masks = video.masks(chosen, first)
                            if shadow:
                                masks = _WithShadows(masks, frames)
                            with video.patches(number).writing() as writer:
                                for place, pixels in enumerate(make(frames, masks, in_frames(progress, len(frames)))):
                                    writer.put(first + place, before.frame(place), pixels)
                                    done = place + 1
                                    if done % _LOOKS == 0:
                                        self._library.storage.check_room(video)
                    finally:
                        if done and not video.closed:
                            stored.update({} if painting is None else painting.details())
                            self._keep(video, shown, VideoVersion(
                                number, label, kind, first, first + done - 1, done == last - first + 1, time.time(), stored
                            ))  # fmt: skip
                        else:
                            video.patches(number).path.unlink(missing_ok=True)

                try:
                    finished_or_kept(request, work)
                except OSError as error:
                    raise gone() if video.closed else no_room(error) from error
                version = record.versions()[-1]
        self._library.storage.prune()
        return Changed(version, stored)

    def undo(self, video: OpenVideo) -> int:
        """Show the version before; its number. Raises `InvalidInput`."""
        return self._travel(video, "undo", -1, "There is nothing to undo.")

    def redo(self, video: OpenVideo) -> int:
        """Show the version after; its number. Raises `InvalidInput`."""
        return self._travel(video, "redo", 1, "There is nothing to redo.")

    def _travel(self, video: OpenVideo, kind: str, step: int, nothing: str) -> int:
        with self._requests.run(kind, video) as request, request.turn():
            versions = video.versions()
            place = versions.index(video.checked(None)) + step
            if not 0 <= place < len(versions):
                raise InvalidInput(nothing)
            video.record.put(shown=versions[place])
            return versions[place]

    def _keep(self, video: OpenVideo, shown: int, version: VideoVersion) -> None:
        """Add a result after the version `shown`; whatever else came after that goes."""
        video.discard_after(shown, version.number)
        video.record.add_version(version)


def _of_prompt(options: PaintOptions, every: int) -> dict[str, Any]:
    return {"prompt": options.prompt.positive, "negative_prompt": options.prompt.negative, "key_frames": every}


class _WithShadows:
    """Masks with the shadows and reflections that belong to what they select, each looked for in its frame."""

    def __init__(self, masks: Masks, frames: Frames) -> None:
        self._masks, self._frames = masks, frames

    def mask(self, number: int) -> np.ndarray:
        from clickpaint.segment.shadow import find_shadow

        mask = self._masks.mask(number)
        shadow = find_shadow(self._frames.frame(number), mask) if mask.any() else None
        return mask if shadow is None else mask | shadow.mask
