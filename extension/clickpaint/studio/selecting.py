"""The use-cases of selecting: by clicks, by other operations, and everything at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.packed import DeferredMask, PackedMask
from clickpaint.image.picture import Picture
from clickpaint.progress import Progress
from clickpaint.segment import everything as everything_mode
from clickpaint.segment.base import Candidate, Embedding, Point, Prompts, Segmenter
from clickpaint.segment.everything import EverythingOptions, Region
from clickpaint.session.selection import Adjustment, adjusted, check_mode, combine
from clickpaint.session.steps import Answer, Series, State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Owner, Requests, RunningRequest, segmented

_AROUND = 0.4
"""A stroke that encloses this share of its box goes around something: a circle encloses 0.79 of it, a triangle half, a line nothing."""
_ALONG = 5
"""Points that a stroke over something becomes."""


@dataclass(frozen=True, eq=False)
class Segmented:
    """What a segmenter answered to prompts: a list of candidates, and whose they are.

    Attributes:
        segmenter: its name.
        milliseconds: from the request to the answer.
        candidates: best first, at least one.
        shown: where only that is asked for, the one that is the answer in the size asked for, bool [h, w].
    """

    segmenter: str
    milliseconds: float
    candidates: tuple[Candidate, ...]
    shown: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Clicked(Segmented):
    """What came of a click in a workspace.

    Attributes:
        chosen: which candidate the selection was made of.
        state: of the workspace afterwards, or for a preview what it would be.
    """

    chosen: int
    state: State


@dataclass(frozen=True, eq=False)
class Everything:
    """All regions of a picture, and the two pictures that show them.

    Attributes:
        segmenter: its name.
        milliseconds: from the request to the answer.
        regions: best score first.
        labels: uint16 [H, W], 1 + index of the region at each pixel, 0 for none.
        overview: uint8 [H, W, 3], the picture with every region in a colour of its own.
    """

    segmenter: str
    milliseconds: float
    regions: tuple[Region, ...]
    labels: np.ndarray
    overview: np.ndarray


class Selecting:
    """Part of the studio."""

    def __init__(self, requests: Requests, pool: ModelPool) -> None:
        self._requests, self._pool = requests, pool

    def select(
        self, workspace: Workspace, prompts: Prompts, segmenter: str | None = None, mode: str = "replace",
        previous: int | None = None, candidate: int | None = None, preview: bool = False, shown: tuple[int, int] | None = None,
    ) -> Clicked:  # fmt: skip
        """Select what was pointed at.

        Args:
            prompts: all points (and the box) of this series of clicks. With a point of the request before among them (or, where that
                had none, with its box) they continue its series; anything else begins a new one.
            segmenter: its name; None for the setting's.
            mode: how the result is combined with what was selected before the series began; one of `selection.MODES`.
            previous: refine the candidate with this index of the last answer.
            candidate: make this candidate the selection instead of the best.
            preview: change nothing.
            shown: (width, height) in which the answer is looked at; its whole mask is made when it is needed.

        Raises:
            InvalidInput: prompts outside the picture, an unknown name, or nothing is there.
        """
        prompts.checked(*workspace.size)
        with self._requests.run("select", workspace) as request:
            if preview:
                return self._clicked(workspace, request, prompts, segmenter, mode, previous, candidate, shown)
            with request.turn():
                clicked = self._clicked(workspace, request, prompts, segmenter, mode, previous, candidate, shown)
                workspace.segmenter = clicked.segmenter
                workspace.push(clicked.state)
                return clicked

    def choose(self, workspace: Workspace, candidate: int) -> State:
        """Make another candidate of the last answer the selection. Raises `InvalidInput`."""
        with self._requests.run("choose", workspace) as request, request.turn():
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
        with self._requests.run("mask", workspace) as request, request.turn():
            state = workspace.state
            base, alpha = _unpacked(state.selection, workspace.size), workspace.picture().alpha
            mask, feather = adjusted(base, state.feather, adjustments, workspace.regions, alpha)
            label = adjustments[-1].op.replace("_", " ").capitalize()
            workspace.push(State(label, state.version, PackedMask.of(mask), feather))
            return workspace.state

    def trace(
        self, workspace: Workspace, strokes: Sequence[Sequence[tuple[float, float]]], segmenter: str | None = None, mode: str = "replace"
    ) -> State:
        """Select what strokes of the mouse go around or over.

        Args:
            strokes: points (x, y) in pixels of each, which becomes a box or points (see `stroke_prompts`); what they select together is
                combined with the selection.
            segmenter: its name; None for the setting's.
            mode: one of `selection.MODES`.

        Raises:
            InvalidInput: no points, an unknown name, or nothing is there.
        """
        with self._requests.run("trace", workspace) as request, request.turn():
            return self.trace_within(request, workspace, strokes, segmenter, mode)

    def trace_within(
        self, request: RunningRequest, workspace: Workspace, strokes: Sequence[Sequence[tuple[float, float]]],
        segmenter: str | None = None, mode: str = "replace",
    ) -> State:  # fmt: skip
        """As `trace`, as a part of a request that has its turn already."""
        check_mode(mode)
        picture = workspace.picture()
        prompts = [stroke_prompts(stroke, picture.size).checked(*picture.size) for stroke in strokes if stroke]
        if not prompts:
            raise InvalidInput("The trajectory has no points.", "Draw over what is to be described.")
        name = self._pool.segmenter_name(segmenter)

        def predict(made: Segmenter, embedding: Embedding, progress: Progress) -> np.ndarray:
            answers = [made.predict(embedding, prompt, progress) for prompt in prompts]
            if not all(answers):
                raise InvalidInput("Nothing was found there.", "Draw around it, or click on it.")
            return np.logical_or.reduce([candidates[0].mask for candidates in answers])

        mask = request.compute(lambda progress: segmented(self._pool, name, picture, predict, progress, encoding=0.8))
        return workspace.select("Trajectory", mask, mode)

    def everything(self, workspace: Workspace, options: EverythingOptions, segmenter: str | None = None) -> Everything:
        """Every region of the picture, which "region" adjustments can then pick from. segmenter: None for the one used last."""
        with self._requests.run("everything", workspace) as request, request.turn():
            answer = self._everything(request, workspace.picture(), options, segmenter or workspace.segmenter)
            workspace.hold_regions(answer.regions)
            return answer

    def segment(self, picture: Picture, prompts: Prompts, segmenter: str | None = None, owner: Owner | None = None) -> Segmented:
        """Candidates for what was pointed at in a picture that belongs to no workspace; owner: the video that it is a frame of. Raises as
        `select`."""
        prompts.checked(*picture.size)
        with self._requests.run("select", owner) as request:
            return self._predicted(request, picture, prompts, self._pool.segmenter_name(segmenter))

    def segment_everything(self, picture: Picture, options: EverythingOptions, segmenter: str | None = None) -> Everything:
        """Every region of a picture that belongs to no workspace."""
        with self._requests.run("everything") as request:
            return self._everything(request, picture, options, segmenter)

    def encode_ahead(self, workspace: Workspace) -> None:
        """Begin to encode what a workspace shows now, for the clicks that follow."""
        name = workspace.segmenter

        def work(progress: Progress) -> None:
            if not workspace.closed:
                segmented(self._pool, name, workspace.picture(), lambda segmenter, embedding, rest: None, progress, encoding=1.0)

        self._requests.in_background("encode", workspace, work)

    def _clicked(
        self, workspace: Workspace, request: RunningRequest, prompts: Prompts, segmenter: str | None, mode: str,
        previous: int | None, candidate: int | None, shown: tuple[int, int] | None,
    ) -> Clicked:  # fmt: skip
        state, picture = workspace.snapshot()
        name = self._pool.segmenter_name(segmenter)
        check_mode(mode)
        if previous is not None:
            if state.series is None:
                raise InvalidInput("There is no earlier answer to refine.", "Leave previous out for the first click.")
            if state.answer is not None:  # it is not kept for ever, nor on the disk: the points say nearly as much
                _check_index("previous", previous, len(state.answer.masks))
                logits = state.answer.logits[previous] if state.answer.segmenter == name else None
                prompts = replace(prompts, previous=logits)
        answer = self._predicted(request, picture, prompts, name, candidate or 0, shown)
        if candidate is not None:
            _check_index("candidate", candidate, len(answer.candidates))
        chosen = candidate or 0
        series = state.series
        base = series.base if series is not None and series.continued_by(prompts.points, prompts.box) else state.selection
        series = Series(prompts.points, prompts.box, mode, base)
        best = answer.candidates[chosen]
        selection = best.packed if mode == "replace" else _added(series, best) or _combined(series, best.mask)
        candidates = answer.candidates
        remembered = Answer(
            name, tuple(each.packed for each in candidates), tuple(each.score for each in candidates),
            tuple(each.logits for each in candidates),
        )  # fmt: skip
        after = State("Click" if prompts.points else "Box", state.version, selection, state.feather, series, remembered, chosen)
        return Clicked(name, answer.milliseconds, answer.candidates, answer.shown, chosen, after)

    def _predicted(
        self, request: RunningRequest, picture: Picture, prompts: Prompts, name: str, chosen: int = 0, shown: tuple[int, int] | None = None
    ) -> Segmented:
        began = time.perf_counter()

        def work(progress: Progress) -> tuple[Sequence[Candidate], np.ndarray | None]:
            candidates = segmented(
                self._pool, name, picture, lambda made, embedding, rest: made.predict(embedding, prompts, rest), progress
            )
            # here, as torch keeps a pool of workers for every thread that it is called in
            small = candidates[chosen].scaled(shown) if shown is not None and chosen < len(candidates) else None
            return candidates, small

        candidates, small = request.click(work)
        if not candidates:
            raise InvalidInput("Nothing was found there.", "Click somewhere else, or draw a box around it.")
        return Segmented(name, (time.perf_counter() - began) * 1000, tuple(candidates), small)

    def _everything(self, request: RunningRequest, picture: Picture, options: EverythingOptions, name: str | None) -> Everything:
        name = self._pool.segmenter_name(name)
        began = time.perf_counter()

        def work(progress: Progress) -> Everything:
            regions = regions_of(self._pool, name, picture, options, progress)
            labels = everything_mode.label_map(regions, picture.size)
            overview = everything_mode.overview(picture.pixels, regions)
            return Everything(name, (time.perf_counter() - began) * 1000, tuple(regions), labels, overview)

        return request.compute(work)


def stroke_prompts(stroke: Sequence[tuple[float, float]], size: tuple[int, int]) -> Prompts:
    """What a stroke of the mouse points at.

    One that goes around something is the box around itself, at least 2 pixels wide and high. One that goes over something is points
    along it: its own box would only hold the part of the object that was painted over.

    Args:
        stroke: points (x, y) in pixels; those outside of the picture are moved to its border.
        size: (width, height) of the picture.

    Raises:
        InvalidInput: a coordinate is no number.
    """
    points = np.asarray(stroke, np.float64).reshape(-1, 2)
    if not np.isfinite(points).all():
        raise InvalidInput("A point has a coordinate that is not a number.", "Give x and y in pixels of the picture.")
    points = points.clip(0, np.subtract(size, 1))
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0) + 1
    x, y = points.T
    enclosed = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    if enclosed >= _AROUND * (right - left) * (bottom - top) and min(right - left, bottom - top) >= 2:
        return Prompts(box=(float(left), float(top), float(right), float(bottom)))
    along = np.append(0.0, np.hypot(*np.diff(points, axis=0).T).cumsum())
    places = along[-1] * (np.arange(_ALONG) + 0.5) / _ALONG if along[-1] >= _ALONG else along[-1:] / 2
    return Prompts(tuple(Point(float(np.interp(at, along, x)), float(np.interp(at, along, y))) for at in places))


def regions_of(pool: ModelPool, name: str, picture: Picture, options: EverythingOptions, progress: Progress) -> list[Region]:
    """All regions of a picture, best score first; name: of the segmenter, resolved."""
    return segmented(
        pool, name, picture,
        lambda segmenter, embedding, rest: everything_mode.everything(segmenter, picture.pixels, options, rest, embedding),
        progress, encoding=0.3,
    )  # fmt: skip


def _unpacked(selection: PackedMask | None, size: tuple[int, int]) -> np.ndarray:
    return np.zeros(size[::-1], bool) if selection is None else selection.mask


def _added(series: Series, candidate: Candidate) -> PackedMask | None:
    """The candidate added to what was selected before, made when it is needed; None where that cannot wait."""
    base, new = series.base, candidate.packed
    if series.mode != "add" or base is None or not isinstance(new, DeferredMask):
        return None
    return DeferredMask(
        new.size, lambda: combine(base.mask, new.mask, "add"), lambda size: combine(base.scaled(size), new.scaled(size), "add"), new.nbytes
    )


def _combined(series: Series, mask: np.ndarray) -> PackedMask | None:
    return PackedMask.of(combine(None if series.base is None else series.base.mask, mask, series.mode))


def _check_index(what: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise InvalidInput(
            "There is no candidate {index}.",
            "{field} goes from 0 to {last}.",
            index=index,
            candidates=count,
            field=what,
            last=count - 1,
        )
