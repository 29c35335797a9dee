"""The use-cases: everything that can be done, on one host, by whichever face asks for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.errors import Busy, ClickpaintError, DownloadFailed, InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image import picture as pictures
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Limits, Picture
from clickpaint.progress import Progress
from clickpaint.segment import everything as everything_mode
from clickpaint.segment.base import Candidate, Prompts
from clickpaint.segment.everything import EverythingOptions, Region
from clickpaint.session.selection import MODES, Adjustment, adjusted, combine
from clickpaint.session.workspace import Answer, Series, State, Workspace
from clickpaint.session.workspaces import Bounds, Workspaces
from clickpaint.settings import MEGABYTE, MEGAPIXEL
from clickpaint.studio.control_maps import Controlling
from clickpaint.studio.model_pool import Engines
from clickpaint.studio.own_sampler import Diffusion
from clickpaint.studio.painting import Painting
from clickpaint.studio.queue import CLICK, WORK, Compute, Task, Tasks
from clickpaint.studio.words import Describing
from clickpaint.weights.catalog import files_of
from clickpaint.weights.download import Network

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_DOWNLOADS = 4
_MOST_CODECS = 4  # pictures decoded or encoded at once: each may take several times its size
_MOST_REQUESTS = 24  # at once: each holds a thread of the server's 40, and those that ask for progress or interrupt need some too


@dataclass(frozen=True, eq=False)
class Clicked:
    """What came of a click. candidates: best first. packed: the same masks. chosen: which one the selection was made of.
    state: of the workspace afterwards, or for a preview what it would be."""

    segmenter: str
    milliseconds: float
    candidates: tuple[Candidate, ...]
    packed: tuple[PackedMask | None, ...]
    chosen: int
    state: State | None = None


@dataclass(frozen=True, eq=False)
class Everything:
    """All regions of a picture. labels: uint16 [H, W], 1 + index of the region at each pixel, 0 for none. overview: uint8 [H, W, 3]."""

    segmenter: str
    milliseconds: float
    regions: tuple[Region, ...]
    labels: np.ndarray
    overview: np.ndarray


@dataclass(frozen=True, eq=False)
class Erased:
    """changed: outside of this box nothing did."""

    eraser: str
    milliseconds: float
    changed: Box
    state: State


class Studio:
    """The composition root: one per program. Everything here may be called from any thread; errors are `ClickpaintError`s."""

    def __init__(self, host: Host, engines: Engines | None = None) -> None:
        self.host = host
        self.engines = engines or Engines(host)
        self.tasks = Tasks(host.interrupted)
        self.compute = Compute(host.exclusive)
        self.clicks = Compute(host.beside)
        self.workspaces = Workspaces(self._bounds, self.tasks.active, self.tasks.interrupt)
        self.diffusion = Diffusion(host, self.engines)
        self.painting = Painting(
            host, self.engines, self.diffusion, self.tasks, self.compute, self.workspaces, self._encode_ahead
        )  # fmt: skip
        self.controlling = Controlling(host, self.engines, self.tasks, self.compute, self.workspaces)
        self.describing = Describing(host, self.engines, self.tasks, self.compute)
        self._starting = threading.Lock()
        self._codecs = threading.BoundedSemaphore(_MOST_CODECS)
        self._requests = threading.BoundedSemaphore(_MOST_REQUESTS)

    # pictures

    @property
    def limits(self) -> Limits:
        return Limits(max_pixels=self.host.setting("max_megapixels") * MEGAPIXEL, max_bytes=self.host.setting("max_upload_mb") * MEGABYTE)

    def decode(self, data: bytes) -> Picture:
        """Raises `InvalidInput` for what is no picture, `TooLarge` for one over the limits."""
        with self._admitted(), self._codecs:
            return pictures.decode(data, self.limits)

    def encode(self, picture: Picture, format: str | None = None, quality: int | None = None) -> bytes:
        """The file, in the format named (None: as it came in); `quality`, 1 to 100, is for JPEG and WebP.

        Raises:
            InvalidInput: a format that cannot be written, a quality out of range.
        """
        with self._admitted(), self._codecs:
            return pictures.encode(picture, format, quality=quality)

    # one user's session

    def open(self, data: bytes, name: str = "") -> Workspace:
        """A new workspace with the picture of this file; its encoding starts in the background."""
        workspace = self.workspaces.open(self.decode(data), name)
        workspace.segmenter = self.engines.segmenter_name()
        self._encode_ahead(workspace)
        return workspace

    def workspace(self, id: str) -> Workspace:
        """Raises `NotFound`."""
        return self.workspaces.get(id)

    def close(self, id: str) -> None:
        """Close a workspace and stop what is under way for it. Raises `NotFound`."""
        self.workspaces.get(id)
        self.workspaces.close(id)

    def select(
        self, workspace: Workspace, prompts: Prompts, segmenter: str | None = None, mode: str = "replace",
        previous: int | None = None, candidate: int | None = None, preview: bool = False,
    ) -> Clicked:  # fmt: skip
        """Select what was pointed at.

        Args:
            prompts: all points (and the box) of this series of clicks. With a point of the request before among them (or, where
                that had none, with its box) they continue its series; anything else begins a new one.
            mode: how the result is combined with what was selected before the series began; one of `MODES`.
            previous: refine the candidate with this index of the last answer.
            candidate: make this candidate the selection instead of the best.
            preview: change nothing.
        """
        prompts.checked(*workspace.size)
        with self._request("select", workspace.id) as task:
            if preview:
                return self._clicked(workspace, task, prompts, segmenter, mode, previous, candidate)
            with workspace.turn(task.check):
                clicked = self._clicked(workspace, task, prompts, segmenter, mode, previous, candidate)
                assert clicked.state is not None
                workspace.segmenter = clicked.segmenter
                workspace.push(clicked.state)
                return clicked

    def choose(self, workspace: Workspace, candidate: int) -> State:
        """Make another candidate of the last answer the selection."""
        with self._admitted(), workspace.turn():
            state = workspace.state
            if state.answer is None or state.series is None:
                raise InvalidInput("There are no candidates to choose from.", "Click on something first.")
            _check_index("candidate", candidate, len(state.answer.masks))
            selection = _combined(state.series, _unpacked(state.answer.masks[candidate], workspace.size))
            workspace.push(replace(state, label=f"Candidate {candidate + 1}", selection=selection, chosen=candidate))
            return workspace.state

    def adjust(self, workspace: Workspace, adjustments: Sequence[Adjustment]) -> State:
        """Change the selection. Raises `InvalidInput`."""
        if not adjustments:
            raise InvalidInput("There are no operations.", "Give at least one.")
        with self._admitted(), workspace.turn():
            state = workspace.state
            mask, feather = adjusted(_unpacked(state.selection, workspace.size), state.feather, adjustments, workspace.regions)
            label = adjustments[-1].op.replace("_", " ").capitalize()
            workspace.push(State(label, state.version, PackedMask.of(mask), feather))
            return workspace.state

    def everything(self, workspace: Workspace, options: EverythingOptions, segmenter: str | None = None) -> Everything:
        """Every region of the picture, which "region" adjustments can then pick from."""
        with self._request("everything", workspace.id) as task, workspace.turn(task.check):
            found = self._everything(task, workspace.picture(), options, segmenter or workspace.segmenter)
            workspace.regions = tuple(found.regions)
            return found

    def erase(self, workspace: Workspace, eraser: str | None = None, grow: int | None = None, feather: int | None = None) -> Erased:
        """Remove what is selected; the next version of the picture."""
        with self._request("erase", workspace.id) as task, workspace.turn(task.check):
            state = workspace.state
            if state.selection is None:
                raise InvalidInput("Nothing is selected.", "Click on what is to be removed first.")
            options = self._erase_options(grow, state.feather or None if feather is None else feather)
            began = time.perf_counter()
            name, pixels = self._erase(task, workspace.picture(), state.selection.mask, eraser, options)
            around = options.grow + options.feather + 1
            changed = state.selection.box.padded(around).clipped(*workspace.size)
            after = workspace.add_result(pixels, "Remove", changed)
            milliseconds = (time.perf_counter() - began) * 1000
        self.workspaces.make_room(workspace)
        self._encode_ahead(workspace)
        return Erased(name, milliseconds, changed, after)

    def undo(self, workspace: Workspace) -> State:
        """One step back, over selections and results alike; returns the step undone."""
        with self._admitted(), workspace.turn():
            return workspace.undo()

    def redo(self, workspace: Workspace) -> State:
        """One step forth again; returns the step redone."""
        with self._admitted(), workspace.turn():
            return workspace.redo()

    # without a session

    def segment(self, picture: Picture, prompts: Prompts, segmenter: str | None = None) -> Clicked:
        """Candidates for what was pointed at in a picture that belongs to no workspace."""
        prompts.checked(*picture.size)
        with self._request("select") as task:
            return self._predict(task, picture, prompts, self.engines.segmenter_name(segmenter))

    def segment_everything(self, picture: Picture, options: EverythingOptions, segmenter: str | None = None) -> Everything:
        with self._request("everything") as task:
            return self._everything(task, picture, options, segmenter)

    def erase_picture(
        self, picture: Picture, mask: np.ndarray, eraser: str | None = None, grow: int | None = None, feather: int | None = None
    ) -> tuple[str, Picture]:
        """The eraser used, and the picture without what `mask`, bool [H, W], selects."""
        if mask.shape != picture.pixels.shape[:2]:
            raise InvalidInput(f"The mask is {mask.shape[1]} x {mask.shape[0]} pixels.", f"It must be {picture.width} x {picture.height}.")
        with self._request("erase") as task:
            name, pixels = self._erase(task, picture, mask, eraser, self._erase_options(grow, feather))
            return name, picture.with_pixels(pixels)

    # models, progress

    def download(self, name: str) -> Task:
        """Begin to download a model; the task that is already doing it if there is one.

        Raises:
            NotFound: the catalog has no such model. DownloadFailed: downloads are switched off, or nobody knows a trusted address.
            Busy: several are under way.
        """
        state = self.engines.store.state(name)
        if self.host.setting("offline"):
            raise DownloadFailed(
                "Downloads are switched off.", "Switch the setting offline off, or put the file there yourself.", model=name
            )
        if state.state != "present" and not all(file.urls for file in files_of(name)):
            raise DownloadFailed(f"{name} cannot be downloaded from here.", state.reason, model=name)
        network = Network(mirror=self.host.setting("download_mirror"), offline=False)
        return self._in_background("download", name, lambda progress: self.engines.store.download(name, network, progress))

    def verify(self, name: str) -> Task:
        """Begin to compare a model's files with the catalog; one that is wrong is set aside."""
        self.engines.store.state(name)
        return self._in_background("verify", name, lambda progress: self.engines.store.verify(name, progress))

    def cancel(self, name: str) -> bool:
        """Stop a model's download or check; what was downloaded is kept for the next time. Whether there was one."""
        files_of(name)
        task = self.tasks.find(("download", "verify"), name)
        if task is not None:
            task.interrupt()
        return task is not None

    def interrupt(self, workspace: str | None = None) -> int:
        """Stop what waits or runs for one workspace, or for requests without one (None); returns how many."""
        return self.tasks.interrupt(workspace)

    def shut_down(self) -> None:
        """Stop everything that is under way."""
        self.tasks.interrupt_all()

    @contextmanager
    def in_this_thread(self, progress: Progress) -> Iterator[None]:
        """See `Compute.in_this_thread`."""
        with self.compute.in_this_thread(progress), self.clicks.in_this_thread(progress):
            yield

    def position(self, task: Task) -> int | None:
        """How many come before this task; 0 while it is computed, None if it is not to be computed."""
        found = self.clicks.position(task)
        return self.compute.position(task) if found is None else found

    # how

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if not self._requests.acquire(blocking=False):
            raise Busy("Too many requests are under way.", "Try again in a few seconds.", limit=_MOST_REQUESTS)
        try:
            yield
        finally:
            self._requests.release()

    @contextmanager
    def _request(self, kind: str, workspace: str | None = None) -> Iterator[Task]:
        with self._admitted(), self.tasks.under_way(kind, workspace) as task:
            yield task

    def _clicked(
        self, workspace: Workspace, task: Task, prompts: Prompts, segmenter: str | None, mode: str,
        previous: int | None, candidate: int | None,
    ) -> Clicked:  # fmt: skip
        state = workspace.state
        name = self.engines.segmenter_name(segmenter)
        if mode not in MODES:
            raise InvalidInput(f"The mode {mode!r} is unknown.", f"Choose one of {', '.join(MODES)}.")
        if previous is not None:
            if state.answer is None:
                raise InvalidInput("There is no earlier answer to refine.", "Leave previous out for the first click.")
            _check_index("previous", previous, len(state.answer.masks))
            logits = state.answer.logits[previous] if state.answer.segmenter == name else None
            prompts = replace(prompts, previous=logits)
        clicked = self._predict(task, workspace.picture(), prompts, name)
        if candidate is not None:
            _check_index("candidate", candidate, len(clicked.candidates))
        chosen = candidate or 0
        series = state.series
        base = series.base if series is not None and series.continued_by(prompts.points, prompts.box) else state.selection
        series = Series(prompts.points, prompts.box, mode, base)
        selection = clicked.packed[chosen] if mode == "replace" else _combined(series, clicked.candidates[chosen].mask)
        answer = Answer(
            name, clicked.packed, tuple(one.score for one in clicked.candidates), tuple(one.logits for one in clicked.candidates)
        )
        after = State("Click" if prompts.points else "Box", state.version, selection, state.feather, series, answer, chosen)
        return replace(clicked, chosen=chosen, state=after)

    def _predict(self, task: Task, picture: Picture, prompts: Prompts, name: str) -> Clicked:
        began = time.perf_counter()

        def work(progress: Progress) -> list[Candidate]:
            segmenter = self.engines.segmenter(name)
            embedding = self.engines.encoded(segmenter, picture, progress.part(0.0, 0.95))
            return segmenter.predict(embedding, prompts, progress.part(0.95, 1.0))

        candidates = tuple(self._compute(task, work, CLICK, self.clicks))
        if not candidates:
            raise InvalidInput("Nothing was found there.", "Click somewhere else, or draw a box around it.")
        packed = tuple(PackedMask.of(candidate.mask) for candidate in candidates)
        return Clicked(name, (time.perf_counter() - began) * 1000, candidates, packed, 0)

    def _everything(self, task: Task, picture: Picture, options: EverythingOptions, name: str | None) -> Everything:
        name = self.engines.segmenter_name(name)
        began = time.perf_counter()

        def work(progress: Progress) -> Everything:
            segmenter = self.engines.segmenter(name)
            embedding = self.engines.encoded(segmenter, picture, progress.part(0.0, 0.3))
            regions = everything_mode.everything(segmenter, picture.pixels, options, progress.part(0.3, 1.0), embedding)
            labels = everything_mode.label_map(regions, picture.size)
            overview = everything_mode.overview(picture.pixels, regions)
            return Everything(name, (time.perf_counter() - began) * 1000, tuple(regions), labels, overview)

        return self._compute(task, work, WORK)

    def _erase(self, task: Task, picture: Picture, mask: np.ndarray, name: str | None, options: EraseOptions) -> tuple[str, np.ndarray]:
        name = self.engines.eraser_name(name)
        return name, self._compute(task, lambda progress: self.engines.eraser(name).erase(picture.pixels, mask, options, progress), WORK)

    def _erase_options(self, grow: int | None, feather: int | None) -> EraseOptions:
        setting = self.host.setting
        return EraseOptions(
            grow=setting("erase_grow") if grow is None else grow, feather=setting("erase_feather") if feather is None else feather
        )

    def _compute(self, task: Task, work: Callable[[Progress], T], urgency: int, lane: Compute | None = None) -> T:
        return (lane or self.compute).run(task, lambda progress: self.engines.careful(lambda: work(progress)), urgency)

    def _encode_ahead(self, workspace: Workspace) -> None:
        name = workspace.segmenter

        def work(progress: Progress) -> None:
            if not workspace.closed:
                self.engines.encoded(self.engines.segmenter(name), workspace.picture(), progress)

        self.clicks.submit(self.tasks.start("encode", workspace.id), lambda progress: self.engines.careful(lambda: work(progress)))

    def _in_background(self, kind: str, name: str, work: Callable[[Progress], object]) -> Task:
        with self._starting:
            known = self.tasks.find(("download", "verify"), name)
            if known is not None:
                return known
            if self.tasks.count(("download", "verify")) >= _MOST_DOWNLOADS:
                raise Busy("Several downloads are under way.", "Wait for one of them, or cancel it.", limit=_MOST_DOWNLOADS)
            task = self.tasks.start(kind, subject=name)

        def run() -> None:
            try:
                work(task.begin())
            except Exception as error:
                if not isinstance(error, ClickpaintError):
                    log.exception("A %s failed", kind)
                task.finish(error)
            task.finish()
            self.engines.changed()

        threading.Thread(target=run, name=f"clickpaint-{kind}", daemon=True).start()
        return task

    def _bounds(self) -> Bounds:
        setting = self.host.setting
        return Bounds(setting("max_workspaces"), setting("workspaces_budget_mb") * MEGABYTE, setting("workspace_minutes") * 60)


def _unpacked(selected: PackedMask | None, size: tuple[int, int]) -> np.ndarray:
    return np.zeros(size[::-1], bool) if selected is None else selected.mask


def _combined(series: Series, mask: np.ndarray) -> PackedMask | None:
    return PackedMask.of(combine(None if series.base is None else series.base.mask, mask, series.mode))


def _check_index(what: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise InvalidInput(f"There is no candidate {index}.", f"{what} goes from 0 to {count - 1}.", index=index, candidates=count)
