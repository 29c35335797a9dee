"""The use-cases on clips: follow an object through one, and remove it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clickpaint.hosts.base import Host
from clickpaint.image import picture as pictures
from clickpaint.progress import Progress
from clickpaint.segment.base import Prompts
from clickpaint.settings import MEGABYTE
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests
from clickpaint.studio.selecting import Selecting
from clickpaint.video import registry
from clickpaint.video.base import Frames, Masks
from clickpaint.video.clip_writing import write_clip, write_masks
from clickpaint.video.clips import Clip
from clickpaint.video.tracking import TrackedMasks, track
from clickpaint.video.video_eraser import VideoEraseOptions


@dataclass(frozen=True)
class Removed:
    """What removing something from a clip used.

    Attributes:
        eraser: name of the video eraser.
        painter: name of the image eraser that painted what no frame shows.
    """

    eraser: str
    painter: str


class Videos:
    """Part of the studio."""

    def __init__(self, host: Host, requests: Requests, pool: ModelPool, selecting: Selecting) -> None:
        self._host, self._requests, self._pool, self._selecting = host, requests, pool, selecting

    def select(self, clip: Frames, number: int, prompts: Prompts, segmenter: str | None = None) -> np.ndarray:
        """The mask of what was pointed at in one frame, bool [H, W]. Raises `InvalidInput`."""
        registry.check_frame(clip, number)
        return self._selecting.segment(pictures.from_pixels(clip.frame(number)), prompts, segmenter).candidates[0].mask

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
            eraser: name of the image eraser that paints what no frame shows; None for the setting's.
            grow, feather: see `VideoEraseOptions`.
            lossless: keep every value outside of the masks, also where the format usually loses some.

        Raises:
            InvalidInput: what comes in cannot be used, or the target not be written; then nothing of it is there.
        """
        with self._requests.run("erase") as request:
            painter = self._pool.eraser_name(eraser)
            budget = self._host.setting("video_budget_mb") * MEGABYTE
            options = VideoEraseOptions(grow, feather, budget=budget)

            def work(progress: Progress) -> None:
                made = registry.create_video_eraser("propagation", self._pool.eraser(painter))
                write_clip(target, made.erase(clip, masks, options, progress), clip, lossless)

            request.compute(work)
            return Removed("propagation", painter)

    def write_masks(self, masks: Iterable[np.ndarray], target: Path, clip: Clip) -> None:
        """Write masks as a folder, an animated picture or a video. Raises `InvalidInput`."""
        write_masks(target, masks, clip)
