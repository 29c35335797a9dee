"""The use-cases on clips: follow an object through one, remove it, and put something else in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clickpaint.hosts.base import Host
from clickpaint.image.picture import from_pixels
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import Progress
from clickpaint.segment.base import Prompts
from clickpaint.settings import MEGABYTE
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests
from clickpaint.studio.selecting import Selecting
from clickpaint.studio.video_painting import EVERY, ClipPainting, VideoPainting
from clickpaint.video import registry
from clickpaint.video.base import Frames, Masks
from clickpaint.video.clip_writing import check_writable, write_clip, write_masks
from clickpaint.video.clips import Clip
from clickpaint.video.filling import check_masks
from clickpaint.video.tracking import TrackedMasks, track
from clickpaint.video.video_eraser import VideoEraseOptions


@dataclass(frozen=True)
class Removed:
    """What removing something from a clip used.

    Attributes:
        eraser: name of the video eraser.
        painter: name of the image eraser that painted what no frame shows; "" where the video eraser needs none.
    """

    eraser: str
    painter: str


class Videos:
    """Part of the studio."""

    def __init__(
        self, host: Host, requests: Requests, pool: ModelPool, selecting: Selecting, video_painting: VideoPainting
    ) -> None:  # fmt: skip
        self._host, self._requests, self._pool, self._selecting = host, requests, pool, selecting
        self._video_painting = video_painting

    def select(self, clip: Frames, number: int, prompts: Prompts, segmenter: str | None = None) -> np.ndarray:
        """The mask of what was pointed at in one frame, bool [H, W]. Raises `InvalidInput`."""
        registry.check_frame(clip, number)
        return self._selecting.segment(from_pixels(clip.frame(number)), prompts, segmenter).candidates[0].mask

    def follow(self, clip: Frames, given: Mapping[int, np.ndarray], tracker: str | None = None) -> tuple[str, TrackedMasks]:
        """The tracker used, and the object's masks in all frames, from its masks in some. Raises `InvalidInput`."""
        with self._requests.run("follow") as request:
            name = registry.tracker_name(tracker, self._pool.store)
            made = registry.create_tracker(name, self._pool.store, self._host.device(), self._pool.models)
            return name, request.compute(lambda progress: track(made, clip, given, progress))

    def remove(
        self, clip: Clip, masks: Masks, target: Path, eraser: str | None = None, grow: int = 0, feather: int = 0, lossless: bool = False
    ) -> Removed:
        """Write the clip to `target` without what the masks select.

        Args:
            eraser: name of a video eraser, or of the image eraser that paints what no frame shows; None for the setting's.
            grow, feather: see `VideoEraseOptions`.
            lossless: keep every value outside of the masks, also where the format usually loses some.

        Raises:
            InvalidInput: what comes in cannot be used, or the target not be written; then nothing of it is there.
        """
        with self._requests.run("erase") as request:
            name, painter = self._pool.video_eraser_names(eraser)
            budget = self._host.setting("video_budget_mb") * MEGABYTE
            options = VideoEraseOptions(grow, feather, budget=budget)

            def work(progress: Progress) -> None:
                made = self._pool.video_eraser(name, painter)
                write_clip(target, made.erase(clip, masks, options, progress), clip, lossless)

            request.compute(work)
            return Removed(name, painter)

    def fill(
        self, clip: Clip, masks: Masks, target: Path, options: PaintOptions, *, every: int = EVERY, eraser: str | None = None,
        lossless: bool = False,
    ) -> ClipPainting:  # fmt: skip
        """Write the clip to `target` with what a prompt says in the place of what the masks select; it moves as that does.

        Painted on the host's checkpoint by an engine of ours, in key frames that look at the first one, and carried to the others.

        Args:
            every: frames from one key frame to the next.
            eraser: for the masked content "erased"; None for the setting's.
            lossless: keep every value outside of the masks, also where the format usually loses some.

        Raises:
            HostUnsupported: there is no checkpoint, or our engines cannot paint like this.
            InvalidInput: what comes in cannot be used, or the target not be written; then nothing of it is there.
        """
        with self._requests.run("fill") as request:
            check_masks(clip, masks)
            check_writable(target)
            asked = ClipPainting(options, every)

            def work(progress: Progress) -> None:
                with closing(self._video_painting.filled(clip, masks, asked, eraser, progress)) as frames:
                    write_clip(target, frames, clip, lossless)

            request.compute(work)
            return asked

    def replace(
        self, clip: Clip, masks: Masks, target: Path, options: PaintOptions, background: Clip | None = None, *, every: int = EVERY,
        eraser: str | None = None, lossless: bool = False,
    ) -> ClipPainting:  # fmt: skip
        """Write the clip to `target` with something else around what the masks select, which is matted.

        Args:
            options: what is painted where there is no background, as of `fill`; of their masking grow, by which the masks are dilated,
                and feather, pixels on both sides of the outline in which the edge is looked for, hold in any case.
            background: a picture or a clip, which begins again where it is shorter.
            every: frames after which it is looked what the camera uncovered of what was painted.
            eraser: fills what was painted where the object stood; None for the setting's.
            lossless: keep every value of the object, also where the format usually loses some.

        Raises:
            As `fill`.
        """
        with self._requests.run("replace") as request:
            check_masks(clip, masks)
            check_writable(target)
            asked = ClipPainting(options, every)

            def work(progress: Progress) -> None:
                with closing(self._video_painting.replaced(clip, masks, asked, background, eraser, progress)) as frames:
                    write_clip(target, frames, clip, lossless)

            request.compute(work)
            return asked

    def write_masks(self, masks: Iterable[np.ndarray], target: Path, clip: Clip) -> None:
        """Write masks as a folder, an animated picture or a video. Raises `InvalidInput`."""
        write_masks(target, masks, clip)
