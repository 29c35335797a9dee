"""Which trackers and video erasers there are, which of them can run here, and how one is made."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint.compat.packages import Installed, installed
from clickpaint.errors import ClickpaintError, InvalidInput, ModelMissing, Sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickpaint.erase.base import Eraser
    from clickpaint.video.base import Frames
    from clickpaint.video.tracking import Tracker
    from clickpaint.video.video_eraser import VideoEraser
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device
    from clickpaint.weights.store import Store


@dataclass(frozen=True)
class VideoEraserInfo:
    """One video eraser.

    Attributes:
        name: key.
        title: for people, with what its licence forbids.
        licence: of its weights; "" where it has none.
        needs: packages it imports.
        since: of diffusers, "" where it needs none.
        file: what the user has to put into a folder "video" among the models; None for nothing.
    """

    name: str
    title: str
    licence: str = ""
    needs: tuple[str, ...] = ("cv2",)
    since: str = ""
    file: Sentence | None = None


VIDEO_ERASERS: dict[str, VideoEraserInfo] = {
    info.name: info
    for info in (
        VideoEraserInfo("propagation", "Propagation (no download)"),
        VideoEraserInfo(
            "propainter", "ProPainter (not for commercial use)", "NTU S-Lab License 1.0: not for commercial use", ("torch", "cv2"),
            file=Sentence("needs a TorchScript of it, made by you and named propainter….pt, in the folder {folder} among the models",
                          folder="video"),
        ),
        VideoEraserInfo(
            "wan_vace", "Wan 2.1 VACE", "Apache License 2.0", ("torch", "diffusers", "transformers"), "0.34",
            Sentence("needs its folder in diffusers' layout in the folder {folder} among the models", folder="video"),
        ),
    )
}  # fmt: skip
"""Every video eraser by name. The image eraser that "propagation" paints with is chosen beside it; the others take none."""


@dataclass(frozen=True)
class TrackerInfo:
    """One tracker.

    Attributes:
        name: key.
        title: for people.
        model: the catalog's name of its weights, None if it needs none.
        needs: packages it imports.
        network: which of transformers' networks it is, None for none of them.
    """

    name: str
    title: str
    model: str | None
    needs: tuple[str, ...]
    network: str | None = None


_SAM2, _EDGETAM = (("torch", "transformers"), "sam2_video"), (("torch", "torchvision", "transformers", "timm"), "edgetam_video")
TRACKERS: dict[str, TrackerInfo] = {
    info.name: info
    for info in (
        TrackerInfo("sam2.1_hiera_large", "SAM 2.1 large", "sam2.1_hiera_large", *_SAM2),
        TrackerInfo("sam2.1_hiera_base_plus", "SAM 2.1 base plus", "sam2.1_hiera_base_plus", *_SAM2),
        TrackerInfo("sam2.1_hiera_small", "SAM 2.1 small", "sam2.1_hiera_small", *_SAM2),
        TrackerInfo("sam2.1_hiera_tiny", "SAM 2.1 tiny", "sam2.1_hiera_tiny", *_SAM2),
        TrackerInfo("edgetam", "EdgeTAM", "edgetam", *_EDGETAM),
        TrackerInfo("classic", "Classic (no model)", None, ("cv2",)),
    )
}
"""All trackers by name, the best masks first; "auto" takes the first that can run and whose file is here."""
_SINCE = {"sam2_video": "4.56", "edgetam_video": "4.57"}
"""The version of transformers that each network came with."""


def video_eraser_unavailable(name: str, folders: Sequence[Path], installed: Installed = installed) -> str | None:
    """Why the video eraser cannot run here, as one sentence; None if it can. Imports nothing.

    folders: of the kind "video".
    """
    from clickpaint.video import network_erasers

    info = VIDEO_ERASERS[name]
    lacking = [package for package in info.needs if not installed(package)]
    if lacking:
        return Sentence("needs the package {packages}", packages=", ".join(lacking))
    if info.since and not _diffusers_has("wan/pipeline_wan_vace.py"):
        return Sentence("needs diffusers {version} or later", version=info.since)
    if name == "propainter" and network_erasers.propainter_file(folders) is None:
        return info.file
    if name == "wan_vace" and network_erasers.wan_vace_folder(folders) is None:
        return info.file
    return None


def create_video_eraser(name: str, painter: Eraser | None, folders: Sequence[Path], device: Device, cache: ModelCache) -> VideoEraser:
    """The video eraser `name`.

    Args:
        painter: what "propagation" paints with.
        folders: of the kind "video".

    Raises:
        InvalidInput: one that is unknown. ModelMissing: what it needs is not here.
    """
    from clickpaint.video import network_erasers
    from clickpaint.video.propagating_eraser import PropagatingEraser

    if name not in VIDEO_ERASERS:
        raise InvalidInput("There is no eraser {name!r}.", "Choose one of {erasers}.", name=name, erasers=", ".join(VIDEO_ERASERS))
    if name == "propagation":
        assert painter is not None
        return PropagatingEraser(painter)
    reason = video_eraser_unavailable(name, folders)
    path = network_erasers.propainter_file(folders) if name == "propainter" else network_erasers.wan_vace_folder(folders)
    if reason is not None or path is None:
        raise ModelMissing(
            "The eraser {name} cannot run here: it {reason}.", "Put it there, or choose propagation.", name=name, reason=reason
        )
    kind = network_erasers.ProPainter if name == "propainter" else network_erasers.WanVace
    return kind(path, device, cache)


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
    info = tracker_info(name)
    missing = [package for package in info.needs if not installed(package)]
    if missing:
        return Sentence("needs the package {packages}", packages=", ".join(missing))
    if info.network is not None and not _transformers_has(info.network):
        return Sentence("needs transformers {version} or later", version=_SINCE[info.network])
    return None


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
    info = tracker_info(name)
    if info.network == "sam2_video":
        from clickpaint.video.tracker_sam2 import Sam2Tracker

        return Sam2Tracker(name, str(info.model), store, device, cache)
    if info.network == "edgetam_video":
        from clickpaint.video.tracker_edgetam import EdgeTamTracker

        return EdgeTamTracker(name, str(info.model), store, device, cache)
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


def _transformers_has(network: str) -> bool:
    spec = importlib.util.find_spec("transformers")
    return spec is not None and any((Path(folder) / "models" / network).is_dir() for folder in spec.submodule_search_locations or ())


def _diffusers_has(pipeline: str) -> bool:
    spec = importlib.util.find_spec("diffusers")
    return spec is not None and any((Path(folder) / "pipelines" / pipeline).is_file() for folder in spec.submodule_search_locations or ())
