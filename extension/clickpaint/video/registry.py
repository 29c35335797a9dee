"""Which trackers and video erasers there are, which of them can run here, and how one is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickpaint.compat.packages import Installed, installed
from clickpaint.errors import ClickpaintError, InvalidInput, ModelMissing, Sentence

if TYPE_CHECKING:
    from clickpaint.erase.base import Eraser
    from clickpaint.video.base import Frames
    from clickpaint.video.tracking import Tracker
    from clickpaint.video.video_eraser import VideoEraser
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device
    from clickpaint.weights.store import Store

VIDEO_ERASERS: dict[str, str] = {"propagation": "Propagation (no download)"}
"""Every video eraser by name, with its title for people. The image eraser that it paints with is chosen beside it."""


@dataclass(frozen=True)
class TrackerInfo:
    """One tracker.

    Attributes:
        name: key.
        title: for people.
        model: the catalog's name of its weights, None if it needs none.
        needs: packages it imports.
    """

    name: str
    title: str
    model: str | None
    needs: tuple[str, ...]


TRACKERS: dict[str, TrackerInfo] = {info.name: info for info in (TrackerInfo("classic", "Classic (no model)", None, ("cv2",)),)}
"""All trackers by name, the best masks first; "auto" takes the first that can run and whose file is here."""


def create_video_eraser(name: str, painter: Eraser) -> VideoEraser:
    """The video eraser `name`. Raises `InvalidInput` for one that is unknown."""
    from clickpaint.video.propagating_eraser import PropagatingEraser

    if name not in VIDEO_ERASERS:
        raise InvalidInput("There is no eraser {name!r}.", "Choose one of {erasers}.", name=name, erasers=", ".join(VIDEO_ERASERS))
    return PropagatingEraser(painter)


def tracker_info(name: str) -> TrackerInfo:
    """Raises `InvalidInput` for a name that is not registered."""
    try:
        return TRACKERS[name]
    except KeyError:
        raise InvalidInput(
            "There is no tracker {name!r}.", "Choose one of auto, {trackers}.", name=name, trackers=", ".join(TRACKERS)
        ) from None


def tracker_unavailable(name: str, installed: Installed = installed) -> str | None:
    """Why the tracker cannot run here, as one sentence; None if it can once its file is here. Imports nothing."""
    missing = [package for package in tracker_info(name).needs if not installed(package)]
    return Sentence("needs the package {packages}", packages=", ".join(missing)) if missing else None


def tracker_name(name: str | None, store: Store) -> str:
    """The tracker of that name; for None or "auto" the best one that would work now. Raises `InvalidInput`."""
    if name not in (None, "auto"):
        return tracker_info(name).name
    for info in TRACKERS.values():
        if tracker_unavailable(info.name) is None and (info.model is None or _is_here(info.model, store)):
            return info.name
    return "classic"


def create_tracker(name: str, store: Store, device: Device, cache: ModelCache) -> Tracker:
    """The tracker `name`; its weights are loaded by its first use.

    Raises:
        InvalidInput: no such tracker.
        ModelMissing: what it needs is not installed.
    """
    reason = tracker_unavailable(name)
    if reason is not None:
        raise ModelMissing(
            "The tracker {name} cannot run here: it {reason}.", "Install it, or choose another tracker.", name=name, reason=reason
        )
    from clickpaint.video.tracker_classic import ClassicTracker

    return ClassicTracker()


def check_frame(frames: Frames, number: int) -> None:
    """Raises `InvalidInput` for the number of a frame that there is not."""
    if not 0 <= number < len(frames):
        raise InvalidInput("There is no frame {number}.", "They go from 0 to {last}.", number=number, last=len(frames) - 1)


def _is_here(model: str, store: Store) -> bool:
    try:
        return store.state(model).state == "present"
    except ClickpaintError:
        return False
