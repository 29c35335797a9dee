"""The use-cases that need a diffusion model: paint, choose among the results, refine one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from clickpaint.engines import Engines
from clickpaint.erase.base import EraseOptions
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image.geometry import Box
from clickpaint.image.picture import Picture
from clickpaint.paint.job import Painted, PaintJob, PaintOptions
from clickpaint.paint.painter import PaintResult, paint, refining
from clickpaint.progress import Progress
from clickpaint.selection import Packed
from clickpaint.tasks import WORK, Compute, Task, Tasks
from clickpaint.weights.device import free_bytes
from clickpaint.workspace import Result, State, Workspace, Workspaces

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


class Painting:
    """Part of the studio. The host paints, holding its own lock; everything around it is ours."""

    def __init__(self, host: Host, engines: Engines, tasks: Tasks, compute: Compute, workspaces: Workspaces) -> None:
        self._host, self._engines, self._tasks, self._compute, self._workspaces = host, engines, tasks, compute, workspaces

    def paint(self, workspace: Workspace, options: PaintOptions, eraser: str | None = None) -> Gallery:
        """Paint what is selected (or, to expand, around the picture). eraser: for the masked content "erased".

        Raises:
            HostUnsupported: the host cannot paint, or not like this. InvalidInput: nothing is selected.
        """
        with self._tasks.under_way("paint", workspace.id) as task, workspace.turn(task.check):
            state = workspace.state
            if state.selection is None and options.task != "expand":
                raise InvalidInput("Nothing is selected.", "Click on an object first.")
            return self._paint(workspace, task, workspace.picture(), state.selection, options, eraser)

    def use(self, workspace: Workspace, index: int) -> State:
        """Show another result of the last painting. Raises `InvalidInput`."""
        with workspace.turn():
            result = _result(workspace, index)
            state = workspace.state
            pixels = self._with(workspace, result).pixels
            area = Box(0, 0, *workspace.size)
            return workspace.add_result(pixels, f"Result {index + 1}", area, state.selection)

    def refine(self, workspace: Workspace, index: int, options: PaintOptions) -> Gallery:
        """Paint a result once more, at a higher resolution and from what it shows; it joins the results.

        Raises:
            InvalidInput: no such result, or what was selected for it is not any more.
        """
        with self._tasks.under_way("paint", workspace.id) as task, workspace.turn(task.check):
            result = _result(workspace, index)
            selection = workspace.results_of
            if selection is None or selection.size != workspace.size:
                raise InvalidInput("This result cannot be refined any more.", "Paint again, then refine one of the results.")
            native = self._host.capabilities().native_size
            picture = self._with(workspace, result)
            # beyond the picture's own resolution there is nothing to gain: what is painted larger is only scaled down again
            again = refining(options, round(min(max(math.sqrt(result.box.area), native), _REFINED * native)))
            return self._paint(workspace, task, picture, selection, again, None, kept=workspace.results)

    def run(self, job: PaintJob, progress: Progress) -> list[Painted]:
        """One job on the host, with room made for it; the caller holds the host's lock."""
        device = self._host.device()
        if device.kind != "cpu" and free_bytes(device) < _ROOM:
            self._engines.free()
        return self._host.paint(job, progress)

    def _paint(
        self, workspace: Workspace, task: Task, picture: Picture, selection: Packed | None, options: PaintOptions,
        eraser: str | None, kept: tuple[Result, ...] = (),
    ) -> Gallery:  # fmt: skip
        began = time.perf_counter()
        can = self._host.capabilities()
        if not can.paint:
            raise HostUnsupported(can.reason or "This host cannot paint.", "Use Clickpaint inside a Stable Diffusion web UI to paint.")
        mask = selection.mask() if selection is not None else None
        name = self._engines.eraser_name(eraser) if options.masked_content == "erased" else ""

        def erase(pixels: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
            return self._engines.eraser(name).erase(pixels, hole, EraseOptions(0, 0), progress)

        def work(progress: Progress) -> list[PaintResult]:
            return paint(picture.pixels, mask, options, self.run, native=can.native_size, erase=erase, progress=progress)

        painted = self._compute.run(task, lambda progress: self._engines.careful(lambda: work(progress)), WORK)
        if not painted:
            raise InvalidInput("All results were skipped.", "Paint again.")
        for one in painted:
            self._host.keep(one.pixels, one.mask, options.prompt, one.seed, one.infotext)
        found = tuple(Result(one.box, one.pixels[one.box.slices].copy(), one.seed, one.infotext) for one in painted)
        if options.task == "expand":
            state = workspace.add_expanded(painted[0].pixels, "Expand", options.expand)
        else:
            state = workspace.add_result(painted[0].pixels, options.task.capitalize(), painted[0].box, selection)
        workspace.hold_results(kept + found, selection)
        self._workspaces.make_room(workspace)
        return Gallery(workspace.results, (time.perf_counter() - began) * 1000, state)

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
