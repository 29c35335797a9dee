"""The use-cases that need a diffusion model: paint, choose among the results, refine one."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.paint.in_picture import PaintResult, paint, refining
from clickpaint.paint.paint_job import Painted, PaintJob, PaintOptions
from clickpaint.progress import Progress
from clickpaint.session.workspace import Result, State, Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import Diffusion
from clickpaint.studio.request import Requests, RunningRequest
from clickpaint.weights.device import free_bytes

if TYPE_CHECKING:
    from PIL import Image

_LARGEST_SIDE = 4096
"""Of a generated picture, in pixels."""

_ROOM = 4 << 30
"""Bytes of the device's memory that should be free before the host paints; below, what is ours makes room."""

_REFINED = 2
"""A refined result is painted at the picture's own resolution, up to this times the model's native size."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """What a painting gave: the results to choose from are the workspace's; the first is shown. milliseconds: all of it."""

    results: tuple[Result, ...]
    milliseconds: float
    state: State


@dataclass(frozen=True, eq=False)
class PaintedPictures:
    """What a painting without a workspace gave, as files of the format that came in would hold it."""

    pictures: tuple[Picture, ...]
    seeds: tuple[int, ...]


class Painting:
    """Part of the studio. The host paints, or an engine of ours on its checkpoint, holding its own lock; everything around it is ours."""

    def __init__(
        self, host: Host, pool: ModelPool, diffusion: Diffusion, requests: Requests, picture_changed: Callable[[Workspace], None]
    ) -> None:  # fmt: skip
        """picture_changed: called with a workspace that shows another picture now."""
        self._host, self._pool, self._diffusion, self._requests, self._picture_changed = host, pool, diffusion, requests, picture_changed

    def paint(self, workspace: Workspace, options: PaintOptions, eraser: str | None = None) -> Gallery:
        """Paint what is selected (or, to expand, around the picture). eraser: for the masked content "erased".

        Raises:
            HostUnsupported: the host cannot paint, or not like this. InvalidInput: nothing is selected.
        """
        with self._requests.run("paint", workspace) as request, request.turn():
            state = workspace.state
            if state.selection is None and options.task not in ("expand", "instruct"):
                raise InvalidInput("Nothing is selected.", "Click on an object first.")
            return self._paint(workspace, request, workspace.picture(), state.selection, options, eraser)

    def use(self, workspace: Workspace, index: int) -> State:
        """Show another result of the last painting. Raises `InvalidInput`."""
        with self._requests.run("use", workspace) as request, request.turn():
            result = _result(workspace, index)
            state = workspace.state
            pixels = self._with(workspace, result).pixels
            area = Box(0, 0, *workspace.size)
            shown = workspace.add_result(pixels, f"Result {index + 1}", area, state.selection, result.infotext)
        self._picture_changed(workspace)
        return shown

    def refine(self, workspace: Workspace, index: int, options: PaintOptions) -> Gallery:
        """Paint a result once more, at a higher resolution and from what it shows; it joins the results.

        Raises:
            InvalidInput: no such result, or what was selected for it is not any more.
        """
        with self._requests.run("paint", workspace) as request, request.turn():
            result = _result(workspace, index)
            selection = workspace.results_of
            if selection is None or selection.size != workspace.size:
                raise InvalidInput("This result cannot be refined any more.", "Paint again, then refine one of the results.")
            native = self._host.capabilities().native_size
            picture = self._with(workspace, result)
            # beyond the picture's own resolution there is nothing to gain: what is painted larger is only scaled down again
            again = refining(options, round(min(max(math.sqrt(result.box.area), native), _REFINED * native)))
            return self._paint(workspace, request, picture, selection, again, None, kept=workspace.results)

    def paint_picture(
        self, picture: Picture, mask: np.ndarray | None, options: PaintOptions, eraser: str | None = None
    ) -> PaintedPictures:  # fmt: skip
        """Paint in a picture that belongs to no workspace; mask: bool [H, W], or None to expand or instruct it."""
        with self._requests.run("paint") as request:
            painted = self._painted(request, picture, mask, options, eraser)

            def put(pixels: np.ndarray) -> Picture:
                return picture.expanded(pixels, options.expand) if options.task == "expand" else picture.with_pixels(pixels)

            pictures = tuple(put(one.pixels).with_text(parameters=one.infotext) for one in painted)
            return PaintedPictures(pictures, tuple(one.seed for one in painted))

    def generate(self, options: PaintOptions, width: int | None = None, height: int | None = None) -> PaintedPictures:
        """New pictures from the prompt alone, on an engine of ours; the checkpoint's own size where none is given.

        Raises:
            InvalidInput: a side is no multiple of 8, or too long. HostUnsupported: there is no checkpoint.
        """
        with self._requests.run("generate") as request:
            seed = options.seed if options.seed >= 0 else random.SystemRandom().randrange(2**32 - options.batch_count)

            def work(progress: Progress) -> list[Painted]:
                native = self._diffusion.native_size() if width is None or height is None else 0
                size = _sides(width or native, height or native)
                self._make_room()
                return self._diffusion.generate(options, size, seed, progress)

            painted = request.compute(work)
            pictures = tuple(from_pixels(one.pixels).with_text(parameters=one.infotext) for one in painted)
            return PaintedPictures(pictures, tuple(one.seed for one in painted))

    def run(self, job: PaintJob, progress: Progress) -> list[Painted]:
        """One job on the host or on an engine of ours, with room made for it; the caller holds the host's lock."""
        self._make_room()
        return self._diffusion.run(job, progress) if self._diffusion.meant(job.options) else self._host.paint(job, progress)

    def preview(self) -> Image.Image | None:
        """What is being painted, as it looks now; None where there is nothing to show."""
        return self._diffusion.preview() or self._host.preview()

    def prepare(self) -> None:
        """Get our engines ready for the loaded checkpoint, in the background; see `Diffusion.prepare`."""
        self._diffusion.prepare()

    def control_names(self, ours: bool) -> tuple[list[str], list[str]]:
        """Preprocessors and ControlNets that units can name: the host's own, or where it has none (or with `ours`) our engines'."""
        can = self._host.capabilities()
        return self._diffusion.control_names() if ours or not (can.own_sampler and can.controlnet) else self._host.control_names()

    def _make_room(self) -> None:
        device = self._host.device()
        if device.kind != "cpu" and free_bytes(device) < _ROOM:
            self._pool.free()

    def _paint(
        self, workspace: Workspace, request: RunningRequest, picture: Picture, selection: PackedMask | None, options: PaintOptions,
        eraser: str | None, kept: tuple[Result, ...] = (),
    ) -> Gallery:  # fmt: skip
        began = time.perf_counter()
        mask = selection.mask if selection is not None else None
        painted = self._painted(request, picture, mask, options, eraser)
        for one in painted:
            self._host.keep(one.pixels, one.mask, options.prompt, one.seed, one.infotext)
        found = tuple(Result(one.box, one.pixels[one.box.slices].copy(), one.seed, one.infotext) for one in painted)
        if options.task == "expand":
            state = workspace.add_expanded(painted[0].pixels, "Expand", options.expand, painted[0].infotext)
        else:
            first = painted[0]
            state = workspace.add_result(first.pixels, options.task.capitalize(), first.box, selection, first.infotext)
        workspace.hold_results(kept + found, selection)
        self._picture_changed(workspace)
        return Gallery(workspace.results, (time.perf_counter() - began) * 1000, state)

    def _painted(
        self, request: RunningRequest, picture: Picture, mask: np.ndarray | None, options: PaintOptions, eraser: str | None
    ) -> list[PaintResult]:  # fmt: skip
        can, ours = self._host.capabilities(), self._diffusion.meant(options)
        if not can.paint:
            raise HostUnsupported(can.reason or "This host cannot paint.", "Load a checkpoint first.")
        name = self._pool.eraser_name(eraser) if options.masked_content == "erased" else ""

        def erase(pixels: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
            return self._pool.eraser(name).erase(pixels, hole, EraseOptions(0, 0), progress)

        def work(progress: Progress) -> list[PaintResult]:
            native = self._diffusion.native_size() if ours else can.native_size
            return paint(picture.pixels, mask, options, self.run, native=native, erase=erase, progress=progress)

        painted = request.compute(work)
        if not painted:
            raise InvalidInput("All results were skipped.", "Paint again.")
        return painted

    def _with(self, workspace: Workspace, result: Result) -> Picture:
        """The picture shown now with this result in it."""
        if not Box(0, 0, *workspace.size).contains(result.box):
            raise InvalidInput("The result belongs to a larger picture.", "Redo the step that made it.")
        shown = workspace.picture()
        pixels = shown.pixels.copy()
        pixels[result.box.slices] = result.pixels
        return shown.with_pixels(pixels).with_text(parameters=result.infotext)


def _result(workspace: Workspace, index: int) -> Result:
    if not 0 <= index < len(workspace.results):
        raise InvalidInput(
            f"There is no result {index}.", "Paint first." if not workspace.results else f"Give 0 to {len(workspace.results) - 1}."
        )
    return workspace.results[index]


def _sides(width: int, height: int) -> tuple[int, int]:
    for side in (width, height):
        if side % 8 or not 64 <= side <= _LARGEST_SIDE:
            raise InvalidInput(f"A side cannot be {side} pixels.", f"Give a multiple of 8 from 64 to {_LARGEST_SIDE}.", value=side)
    return width, height
