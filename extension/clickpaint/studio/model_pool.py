"""Which segmenters and erasers can work here, which one "auto" stands for, and what they keep in memory."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clickpaint.compat.packages import Installed, installed
from clickpaint.erase import registry as erasers
from clickpaint.erase.registry import EraserInfo
from clickpaint.errors import InvalidInput, NotFound
from clickpaint.hosts.base import Host
from clickpaint.progress import Progress
from clickpaint.segment import registry as segmenters
from clickpaint.segment.registry import SegmenterInfo
from clickpaint.settings import MEGABYTE
from clickpaint.weights.cache import EmbeddingCache, ModelCache
from clickpaint.weights.catalog import files_of
from clickpaint.weights.device import free_bytes, models_budget, release, retrying
from clickpaint.weights.recommended import RECOMMENDED
from clickpaint.weights.store import Store

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.erase.base import Eraser
    from clickpaint.image.picture import Picture
    from clickpaint.segment.base import Embedding, Segmenter
    from clickpaint.video.registry import TrackerInfo
    from clickpaint.video.video_eraser import VideoEraser

T = TypeVar("T")

_REMEMBERED_SECONDS = 2.0

_ROOM = 4 << 30
"""Bytes of the device's memory that should be free before the host paints; below, what is ours makes room."""

_ADVICE = "Try a smaller picture, set the precision to half, choose a smaller model, or close other programs that use the device."


@dataclass(frozen=True)
class Listing:
    """A segmenter, an eraser or a tracker as a list shows it.

    Attributes:
        available: whether it would work now.
        reason: why it would not.
        model: the catalog's name of its file, None where it needs none.
        state: of that file, as in `weights.store.ModelState`; "present" where none is needed.
        blocked: its file would not help, since a package is missing or too old; `reason` names it.
        options: names of what only some engines can be told, such as an eraser's "grain".
    """

    name: str
    title: str
    available: bool
    reason: str
    model: str | None
    state: str
    blocked: bool = False
    options: tuple[str, ...] = ()


class ModelPool:
    """Hands out segmenters and erasers, and holds the caches that make them fast.

    Attributes:
        store: the model files on this machine.
        models: loaded models.
        embeddings: encoded pictures.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.store = Store(host.folders)
        self.models = ModelCache(self.models_budget, self._release)
        self.embeddings = EmbeddingCache(lambda: host.setting("embeddings_budget_mb") * MEGABYTE)
        self._resolved: dict[str, tuple[float, str]] = {}

    def segmenters(self) -> list[Listing]:
        return self._listings(segmenters.SEGMENTERS.values(), segmenters.unavailable)

    def erasers(self) -> list[Listing]:
        return self._listings(erasers.ERASERS.values(), erasers.unavailable)

    def trackers(self) -> list[Listing]:
        from clickpaint.video import registry as trackers  # the start of a web UI asks for none

        return self._listings(trackers.TRACKERS.values(), trackers.tracker_unavailable)

    def video_erasers(self) -> list[Listing]:
        from clickpaint.video import registry
        from clickpaint.video.network_erasers import KIND

        folders, listings = self.host.folders(KIND), []
        for info in registry.VIDEO_ERASERS.values():
            reason = registry.video_eraser_unavailable(info.name, folders)
            state = "present" if reason is None else "missing"
            listings.append(
                Listing(info.name, info.title, reason is None, reason or "", None, state, reason is not None and reason != info.file)
            )
        return listings

    def video_eraser_names(self, name: str | None = None) -> tuple[str, str]:
        """(video eraser, image eraser that it paints with, "" for none) that a name of either kind means; None for the setting's image
        eraser. Raises `InvalidInput`."""
        from clickpaint.video.registry import VIDEO_ERASERS

        if name in VIDEO_ERASERS and name != "propagation":
            return name, ""
        return "propagation", self.eraser_name(None if name == "propagation" else name)

    def video_eraser(self, name: str, painter: str) -> VideoEraser:
        """By the names of `video_eraser_names`. Raises `ModelMissing` for one that cannot work here."""
        from clickpaint.video.network_erasers import KIND
        from clickpaint.video.registry import create_video_eraser

        own = self.eraser(painter) if painter else None
        return create_video_eraser(name, own, self.host.folders(KIND), self.host.device(), self.models)

    def segmenter_name(self, name: str | None = None) -> str:
        """The segmenter of that name; for None the setting's, for "auto" the best one that would work now. Raises `InvalidInput`."""
        return self._resolve("segmenter", name, segmenters.SEGMENTERS, segmenters.order, self.segmenters)

    def eraser_name(self, name: str | None = None) -> str:
        """As `segmenter_name`."""
        return self._resolve("eraser", name, erasers.ERASERS, erasers.order, self.erasers)

    def segmenter(self, name: str) -> Segmenter:
        """Raises `InvalidInput` for an unknown name, `ModelMissing` for one that cannot work here."""
        return segmenters.create(name, self.store, self.host.device(), self.models)

    def eraser(self, name: str) -> Eraser:
        """As `segmenter`."""
        return erasers.create(name, self.store, self.host.device(), self.models)

    def erased(self, name: str, pixels: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        """A picture with what is to be painted over removed first, by the eraser of that name.

        Args:
            pixels: uint8 [H, W, 3].
            hole: bool [H, W], as it is to be filled.
        """
        from clickpaint.erase.base import EraseOptions

        return self.eraser(name).erase(pixels, hole, EraseOptions(grow=0, feather=0), progress)

    def encoded(self, segmenter: Segmenter, picture: Picture, progress: Progress) -> Embedding:
        """The picture's embedding, from the cache where it is there."""
        return self.embeddings.get((segmenter.name, picture.digest), lambda: segmenter.encode(picture.pixels, progress), progress)

    def retrying_with_freed_memory(self, work: Callable[[], T]) -> T:
        """`work`'s result; where memory runs out, everything that is ours is freed and it is tried once more.

        Raises:
            OutOfMemory: it ran out again.
        """
        return retrying((work, work), self.free, _ADVICE)

    def unload(self, model: str) -> None:
        """Forget what is loaded of a model's files, so that they can be deleted. model: its name in the catalog."""
        names = {model, *(file.name for file in files_of(model))}
        for held in self.models.contents():
            if names & set(held.key if isinstance(held.key, tuple) else (held.key,)):
                self.models.unload(held.key)

    def make_room(self) -> None:
        """Let go of what is ours where the device's memory is short; the caller holds the host's lock."""
        device = self.host.device()
        if device.kind != "cpu" and free_bytes(device) < _ROOM:
            self.free()

    def free(self) -> None:
        """Forget loaded models and encoded pictures; they come back when they are needed."""
        self.embeddings.unload()
        self.models.unload()
        self._release()

    def recommended(self) -> tuple[str, ...]:
        """The catalog's names of what is worth downloading first: for each role whose work is done without a file yet, as far as the
        packages here can run it."""
        wanted = []
        for role, order, listings in (
            ("segmenter", segmenters.order, self.segmenters()),
            ("eraser", erasers.order, self.erasers()),
        ):
            served = any(listing.available and listing.model is not None and listing.name in order for listing in listings)
            able = {listing.model for listing in listings if not listing.blocked}
            if not served and RECOMMENDED[role] in able:
                wanted.append(RECOMMENDED[role])
        return tuple(wanted)

    def changed(self) -> None:
        """A model's file came or went: "auto" may mean something else now."""
        self._resolved.clear()

    def _resolve(
        self, role: str, name: str | None, known: Collection[str], order: tuple[str, ...], listings: Callable[[], list[Listing]]
    ) -> str:
        name = name or str(self.host.setting(role))
        if name != "auto":
            if name not in known:
                raise InvalidInput(
                    "There is no {role} {name!r}.", "Choose one of auto, {known}.", name=name, role=role, known=", ".join(known)
                )
            return name
        at, last = self._resolved.get(role, (0.0, ""))
        if last and time.monotonic() - at < _REMEMBERED_SECONDS:  # looking for packages and files takes longer than a click may
            return last
        available = {listing.name for listing in listings() if listing.available}
        best = next((known_name for known_name in order if known_name in available), order[-1])
        self._resolved[role] = (time.monotonic(), best)
        return best

    def _listings(
        self, infos: Iterable[SegmenterInfo | EraserInfo | TrackerInfo], unavailable: Callable[[str, Installed], str | None]
    ) -> list[Listing]:
        # everything is looked for once: the start of a web UI waits for this
        store, look = self.store.for_a_list(), functools.cache(installed)
        return [_listing(info, unavailable(info.name, look) or "", store) for info in infos]

    def models_budget(self) -> int:
        """Bytes that loaded models may take now."""
        return models_budget(self.host.device(), self.host.setting("models_budget_mb"), self.models.nbytes)

    def _release(self) -> None:
        release(self.host.device())


def _listing(info: SegmenterInfo | EraserInfo | TrackerInfo, reason: str, store: Store) -> Listing:
    state, blocked = "present", bool(reason)
    if info.model is not None:
        try:
            file = store.state(info.model)
            state, why = file.state, file.reason
        except NotFound as error:
            state, why = "unavailable", error.message
        reason = reason or ("" if state == "present" else why)
    options = getattr(info, "options", ())  # erasers alone have some
    return Listing(info.name, info.title, not reason and state == "present", reason, info.model, state, blocked, options)
