"""The use-cases of saying what is meant in a video, in some frames, and of following it through the others."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.hosts.base import Host
from clickpaint.image import mask as masks_
from clickpaint.image.picture import from_pixels
from clickpaint.progress import Progress
from clickpaint.segment.base import Prompts
from clickpaint.session.open_video import OpenVideo
from clickpaint.session.selection import Adjustment, adjusted
from clickpaint.session.video_record import GivenFrame, TrackedMark
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests
from clickpaint.studio.selecting import Selecting
from clickpaint.studio.tasks import Task
from clickpaint.studio.video_library import VideoLibrary, arranged, check_frame_of, check_stretch, no_room
from clickpaint.studio.video_views import VideoViews
from clickpaint.studio.video_work import finished_or_kept
from clickpaint.studio.word_masks import WordMasks
from clickpaint.studio.zipping import zipped
from clickpaint.video import registry
from clickpaint.video.base import Frames
from clickpaint.video.clips import masks_for, open_clip
from clickpaint.video.tracking import Tracker, territories

MOST_OBJECTS = 32
_TOGETHER = 16
"""Frames that are stored at once."""


@dataclass(frozen=True, eq=False)
class FrameSelection:
    """What the user says about an object in one frame.

    Attributes:
        prompts: points and a box; None for none.
        phrase: names it; "" for none.
        image: a picture file, white or opaque where the object is; b"" for none.
        adjustments: operations on that, or without both on the mask that the frame has.
    """

    prompts: Prompts | None = None
    phrase: str = ""
    image: bytes = b""
    adjustments: tuple[Adjustment, ...] = ()


@dataclass(frozen=True)
class Followed:
    """What following gave.

    Attributes:
        tracker: its name.
        frames: how many were followed anew.
        doubtful: of each object, the frames that should be looked at.
    """

    tracker: str
    frames: int
    doubtful: Mapping[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Leg:
    """From a given frame in one direction.

    Attributes:
        object_id: whose.
        given: where it begins.
        stop: the first frame that is not followed any more.
    """

    object_id: str
    given: GivenFrame
    stop: int

    @property
    def frames(self) -> int:
        return abs(self.stop - self.given.frame) - 1


class VideoObjects:
    """Part of the studio."""

    def __init__(
        self, host: Host, requests: Requests, pool: ModelPool, selecting: Selecting, word_masks: WordMasks, library: VideoLibrary,
        views: VideoViews,
    ) -> None:  # fmt: skip
        self._host, self._requests, self._pool, self._selecting, self._word_masks = host, requests, pool, selecting, word_masks
        self._library, self._views = library, views

    def select(
        self, video: OpenVideo, object_id: str, frames: Mapping[int, FrameSelection | None], name: str | None = None,
        segmenter: str | None = None,
    ) -> dict[int, np.ndarray]:  # fmt: skip
        """Say what an object is in some frames; it is made where there is none of this id.

        Args:
            frames: by the frame's number; None takes back what was said about it.
            name: for people; None leaves it.
            segmenter: its name; None for the setting's.

        Returns:
            The masks of these frames, bool [H, W].

        Raises:
            InvalidInput: there is no such frame, or nothing can be selected like that.
        """
        for number in frames:
            check_frame_of(video, number)
        if object_id not in video.record.objects() and len(video.record.objects()) >= MOST_OBJECTS:
            raise InvalidInput("A video can have {limit} objects.", "Remove one that is not needed any more.", limit=MOST_OBJECTS)
        with self._requests.admitted():
            made = {
                number: self._mask(video, object_id, number, selection, segmenter)
                for number, selection in frames.items()
                if selection is not None
            }
            video.record.put_object(object_id, name)
            video.record.take_back(object_id, [number for number, selection in frames.items() if selection is None])
            video.record.give(object_id, [(number, made[number], _kept(frames[number])) for number in made])
            return made | {number: self.mask(video, object_id, number) for number in frames if number not in made}

    def mask(self, video: OpenVideo, object_id: str | None, number: int) -> np.ndarray:
        """An object's mask in a frame, bool [H, W], empty where it is not known; None: of all objects. Raises `NotFound`."""
        check_frame_of(video, number)
        objects = list(video.record.objects())
        if object_id is not None:
            check_object(video, object_id)
            objects = [object_id]
        return video.masks(objects).mask(number)

    def check(self, video: OpenVideo, object_id: str) -> None:
        """Raises `NotFound` for an object that there is not."""
        check_object(video, object_id)

    def take_masks(self, video: OpenVideo, object_id: str, part: Path, names: Sequence[str]) -> None:
        """Take an object's masks from files, one for each frame or one for all.

        Args:
            part: as `VideoLibrary.incoming` gave it, with the files in its folder "source".
            names: of the files as they were sent.

        Raises:
            InvalidInput: they are no clip and no pictures, or do not fit the video.
        """
        source, _ = arranged(part, names)
        with self._requests.run("mask", video), self._views.clip(video) as clip:
            masks = open_clip(source, self._library.limits())
            try:
                fitting = masks_for(masks, clip)
                video.record.put_object(object_id, None)
                video.record.give(object_id, ((number, fitting.mask(number), {}) for number in range(len(clip))))
            finally:
                masks.close()

    def archive(self, video: OpenVideo, object_id: str) -> IO[bytes]:
        """The masks of every frame as PNGs in a zip file, which `take_masks` takes once unpacked; the caller closes it.

        Raises:
            NotFound: there is no such object. TooLarge: there is no room for it.
        """
        check_object(video, object_id)
        masks = video.masks([object_id])

        def fill(archive: zipfile.ZipFile) -> None:
            for number in range(video.facts.frames):
                archive.writestr(f"{number:04d}.png", masks_.to_png(masks.mask(number)))

        try:
            with self._requests.admitted():
                return zipped(fill)
        except OSError as error:
            raise no_room(error) from error

    def remove(self, video: OpenVideo, object_id: str) -> None:
        """Forget an object. Raises `NotFound`."""
        if not video.record.remove_object(object_id):
            raise no_such_object(object_id)

    def follow(
        self, video: OpenVideo, objects: Sequence[str] = (), tracker: str | None = None, first: int | None = None,
        last: int | None = None, started: Callable[[Task], object] = lambda _: None,
    ) -> Followed:  # fmt: skip
        """Follow objects from the frames in which the user said what they are, in both directions, to the frames between.

        Frames that were followed already are left alone as long as nothing nearer to them was said since.

        Args:
            objects: their ids; empty for all.
            tracker: its name; None or "auto" for the best that works now.
            first, last: numbers of frames; None for the video's marks.
            started: called once it is under way.

        Raises:
            InvalidInput: nothing is selected there. NotFound: no such object. ModelMissing.
            Interrupted: what was followed until then is kept.
        """
        first = int(video.record.value("in_mark")) if first is None else first
        last = int(video.record.value("out_mark")) if last is None else last
        check_stretch(video, first, last)
        for object_id in objects:
            check_object(video, object_id)
        name = registry.tracker_name(tracker, self._pool.store)
        chosen = list(objects) or list(video.record.objects())
        if not any(first <= given.frame <= last for object_id in chosen for given in video.record.given(object_id)):
            raise nothing_selected(first, last)
        with self._requests.run("follow", video) as request:
            started(request.task)
            with request.turn():
                legs = [leg for object_id in chosen for leg in _legs(video, object_id, name, first, last)]
                if legs:
                    made = registry.create_tracker(name, self._pool.store, self._host.device(), self._pool.models)
                    version = video.checked(None)

                    def work(progress: Progress) -> None:
                        with self._library.readers.own(video) as original:
                            _follow(video, made, video.stacked(original, version), legs, progress)

                    finished_or_kept(request, work)
        return Followed(name, sum(leg.frames for leg in legs), {object_id: video.record.known(object_id)[1] for object_id in chosen})

    def _mask(self, video: OpenVideo, object_id: str, number: int, selection: FrameSelection, segmenter: str | None) -> np.ndarray:
        size = video.facts.size
        if selection.image:
            mask = masks_.from_file(selection.image, size)
        elif selection.prompts is not None or selection.phrase:
            with self._views.clip(video) as clip:
                picture = from_pixels(clip.frame(number))
            if selection.prompts is not None:
                mask = self._selecting.segment(picture, selection.prompts, segmenter, video).candidates[0].mask
            else:
                mask = self._word_masks.find_in(picture, selection.phrase, segmenter, owner=video).mask
        elif selection.adjustments:
            packed = video.record.mask(object_id, number, size)
            mask = np.zeros(size[::-1], bool) if packed is None else packed.mask
        else:
            raise InvalidInput(
                "Nothing says what the object is in frame {number}.", "Give points, a box, a phrase or a mask.", number=number
            )
        return adjusted(mask, 0, selection.adjustments, ())[0]


def check_object(video: OpenVideo, object_id: str) -> None:
    """Raises `NotFound` for an object that there is not."""
    if object_id not in video.record.objects():
        raise no_such_object(object_id)


def nothing_selected(first: int, last: int) -> InvalidInput:
    """What is said where no frame between two has a mask."""
    return InvalidInput(
        "Nothing is selected in the frames {first} to {last}.", "Click on the object in one of them.", first=first, last=last
    )


def no_such_object(object_id: str) -> NotFound:
    return NotFound("There is no object {object!r} in this video.", "Name one that it lists.", object=object_id)


def _kept(selection: FrameSelection | None) -> dict[str, object]:
    if selection is not None and selection.phrase:
        return {"phrase": selection.phrase}
    if selection is None or selection.prompts is None:
        return {}
    prompts = selection.prompts
    return {"points": [[point.x, point.y, point.label] for point in prompts.points], "box": prompts.box and list(prompts.box)}


def _legs(video: OpenVideo, object_id: str, tracker: str, first: int, last: int) -> list[_Leg]:
    """What has to be followed, and how far: in each direction from a given frame, up to the last frame that is not known from there."""
    given = {each.frame: each for each in video.record.given(object_id) if first <= each.frame <= last}
    known = {mark.frame: (mark.source, mark.revision, mark.tracker) for mark in video.record.marks(object_id)}
    legs = []
    for number, lower, upper in territories(sorted(given), first, last):
        own = number, given[number].revision, tracker
        ahead = [frame for frame in range(number + 1, upper) if known.get(frame) != own]
        behind = [frame for frame in range(lower, number) if known.get(frame) != own]
        if ahead:
            legs.append(_Leg(object_id, given[number], ahead[-1] + 1))
        if behind:
            legs.append(_Leg(object_id, given[number], behind[0] - 1))
    return legs


def _follow(video: OpenVideo, tracker: Tracker, frames: Frames, legs: Sequence[_Leg], progress: Progress) -> None:
    """Keeps what was found whatever ends it."""
    total, done = sum(leg.frames for leg in legs), 0
    for leg in legs:
        packed = video.record.mask(leg.object_id, leg.given.frame, frames.size)
        if packed is None:
            raise InvalidInput("The mask of frame {number} selects nothing.", "Give one that does.", number=leg.given.frame)
        waiting: list[tuple[TrackedMark, np.ndarray]] = []
        try:
            for tracked in tracker.follow(frames, leg.given.frame, packed.mask, leg.stop, progress):
                how = TrackedMark(tracked.number, leg.given.frame, leg.given.revision, tracker.name, tracked.confidence)
                waiting.append((how, tracked.mask))
                done += 1
                if len(waiting) >= _TOGETHER:
                    video.record.put_tracked(leg.object_id, waiting)
                    waiting = []
                progress.report(done / total, "Following the object", done=done, total=total, unit="frame")
        finally:
            if not video.closed:
                video.record.put_tracked(leg.object_id, waiting)
