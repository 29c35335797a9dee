"""The use-cases that paint in a picture: paint, choose among the results, refine one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.base import Capabilities, Host
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture
from clickpaint.image.soft_edge import SoftEdge
from clickpaint.paint.acting import check_task
from clickpaint.paint.agreement import agreement_for, check_file
from clickpaint.paint.context import MULTIPLE
from clickpaint.paint.in_picture import PaintedCanvas, PaintResult, Run, paint, refining
from clickpaint.paint.paint_job import WHOLE, PaintOptions
from clickpaint.paint.removal import as_instruction, prompt_for
from clickpaint.progress import Progress
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.request import Requests, RunningRequest
from clickpaint.studio.systems import Systems
from clickpaint.weights.model_files import files

if TYPE_CHECKING:
    from PIL import Image

_REFINED = 2
"""A refined result is painted at the picture's own resolution, up to this times the model's native size."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """What a painting in a workspace gave.

    Attributes:
        results: all that there are to choose from now, which are the workspace's; of those just painted the first is shown.
        milliseconds: from the turn to the last result.
        state: of the workspace afterwards.
        edge: the pixels that acted; None where there was no mask.
    """

    results: tuple[PaintResult, ...]
    milliseconds: float
    state: State
    edge: SoftEdge | None = None


@dataclass(frozen=True, eq=False)
class PaintedPictures:
    """What a painting without a workspace gave.

    Attributes:
        pictures: with the source and the infotext that their files are to hold.
        seeds: of each of them.
        edge: the pixels that acted; None where there was no mask.
    """

    pictures: tuple[Picture, ...]
    seeds: tuple[int, ...]
    edge: SoftEdge | None = None


@dataclass(frozen=True, eq=False)
class _Sampler:
    """What paints a job.

    Attributes:
        native: side in pixels of the square that the checkpoint was trained on.
        run: paints a job.
        anew: whether it paints the whole crop anew.
        multiple: what the sides of a crop are multiples of.
    """

    native: int
    run: Run
    anew: bool
    multiple: int = MULTIPLE


class Painting:
    """Part of the studio. The host paints, or an engine of ours on its checkpoint, holding its own lock; everything around it is ours."""

    def __init__(
        self, host: Host, pool: ModelPool, own_sampler: OwnSampler, systems: Systems, requests: Requests,
        picture_changed: Callable[[Workspace], None],
    ) -> None:  # fmt: skip
        """picture_changed: called with a workspace that shows another picture now."""
        self._host, self._pool, self._own_sampler, self._systems, self._requests = host, pool, own_sampler, systems, requests
        self._picture_changed = picture_changed

    def paint(self, workspace: Workspace, options: PaintOptions, eraser: str | None = None) -> Gallery:
        """Paint what is selected, or, to expand, around the picture.

        Args:
            eraser: for the masked content "erased"; None for the setting's.

        Raises:
            HostUnsupported: the host cannot paint, or not like this.
            InvalidInput: nothing is selected.
        """
        with self._requests.run("paint", workspace) as request, request.turn():
            selection = workspace.state.selection
            if selection is None and options.task not in ("expand", *WHOLE):
                raise InvalidInput("Nothing is selected.", "Click on an object first.")
            check_file(workspace.picture(), options.task)
            return self._show(request, workspace, workspace.picture(), selection, options, eraser=eraser)

    def use(self, workspace: Workspace, index: int) -> State:
        """Show another result of the last painting. Raises `InvalidInput`."""
        with self._requests.run("use", workspace) as request, request.turn():
            result = _result(workspace, index)
            picture = _picture_with(workspace, result)
            area, selection = Box(0, 0, *workspace.size), workspace.state.selection
            state = workspace.add_result(picture.pixels, f"Result {index + 1}", area, selection, result.infotext, picture.alpha)
        self._picture_changed(workspace)
        return state

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
            picture = _picture_with(workspace, result)
            return self._show(request, workspace, picture, selection, options, refined=result.box, kept=workspace.results)

    def paint_picture(
        self, picture: Picture, mask: np.ndarray | None, options: PaintOptions, eraser: str | None = None
    ) -> PaintedPictures:  # fmt: skip
        """Paint in a picture that belongs to no workspace.

        Args:
            mask: bool [H, W], what is selected; None to expand or instruct the picture.
            eraser: for the masked content "erased"; None for the setting's.
        """
        with self._requests.run("paint") as request:
            canvas = self._paint(request, picture, mask, options, eraser=eraser)
            pictures = tuple(_pictures_of(canvas, picture, options))
            return PaintedPictures(pictures, tuple(result.seed for result in canvas.results), canvas.edge)

    def removal_prompt(self, can: Capabilities) -> str:
        """What the loaded model is told so that it removes what is selected, with its shadow; "" for one that can only fill its place."""
        if can.family is None or not can.family.anew:
            return ""
        return prompt_for(can.family.name, [file.stem for file in files(self._host.folders("Lora"))])

    def preview(self) -> Image.Image | None:
        """What is being painted, as it looks now; None where there is nothing to show."""
        return self._own_sampler.preview() or self._host.preview()

    def control_names(self, ours: bool) -> tuple[list[str], list[str]]:
        """Preprocessors and ControlNets that units can name: the host's own, or where it has none (or with `ours`) our engines'."""
        can = self._host.capabilities()
        return self._own_sampler.control_names() if ours or not (can.own_sampler and can.controlnet) else self._host.control_names()

    def _show(
        self, request: RunningRequest, workspace: Workspace, picture: Picture, selection: PackedMask | None, options: PaintOptions, *,
        eraser: str | None = None, refined: Box | None = None, kept: tuple[PaintResult, ...] = (),
    ) -> Gallery:  # fmt: skip
        """Paint in a workspace's picture and show the first result. kept: results that stay to choose from."""
        began = time.perf_counter()
        canvas = self._paint(request, picture, None if selection is None else selection.mask, options, eraser=eraser, refined=refined)
        name = f"{PurePosixPath(workspace.name).stem or 'picture'}_{options.task}"
        for made, result in zip(_pictures_of(canvas, picture, options), canvas.results, strict=True):
            self._host.keep(made, name, canvas.mask, options.prompt.positive, result.seed, result.infotext)
        first = canvas.results[0]
        shown, opacity = first.placed_in(canvas.pixels), first.opacity_in(canvas.opacity)
        if options.task == "expand":
            state = workspace.add_expanded(shown, "Expand", options.expand, first.infotext, opacity)
        else:
            state = workspace.add_result(shown, options.task.capitalize(), first.box, selection, first.infotext, opacity)
        workspace.hold_results(kept + canvas.results, selection)
        self._picture_changed(workspace)
        return Gallery(workspace.results, (time.perf_counter() - began) * 1000, state, canvas.edge)

    def _paint(
        self, request: RunningRequest, picture: Picture, mask: np.ndarray | None, options: PaintOptions, *,
        eraser: str | None = None, refined: Box | None = None,
    ) -> PaintedCanvas:  # fmt: skip
        """At least one result. refined: the box of the result that the picture shows, to be painted once more."""
        can = self._host.capabilities()
        if not can.paint and not options.system:
            raise HostUnsupported(can.reason or "This host cannot paint.", "Load a checkpoint first.")
        if options.system:
            self._systems.ready(options.system, options.task, options)  # refused before anybody waits
        prompt = ""
        if options.task == "remove" and mask is not None and not options.system and options.engine in ("auto", "instruct"):
            prompt = self.removal_prompt(can)
            if not prompt and options.engine == "instruct":
                raise InvalidInput(
                    "The checkpoint cannot be told to remove something.",
                    "Load Flux Kontext, Qwen-Image-Edit or Flux.2 Klein, or remove it with an eraser.",
                )
        if not options.system:
            again = options if refined is None else replace(options, passes=replace(options.passes, refine=None))
            check_task(again, task="instruct" if prompt else "", whole=mask is None, eraser=eraser)
        if prompt and mask is not None:
            options = as_instruction(options, mask, prompt)
        name = self._pool.eraser_name(eraser) if options.masking.content == "erased" else ""
        agreement = agreement_for(picture, options.task, options.jpeg_quality)

        def work(progress: Progress) -> PaintedCanvas:
            self._pool.make_room()
            with self._sampler(options) as sampler:
                native = sampler.native
                wanted = replace(options, passes=replace(options.passes, refine=False)) if options.system else options  # of one size
                if refined is not None:
                    # beyond the picture's own resolution there is nothing to gain: what is painted larger is only scaled down again
                    wanted = refining(options, round(min(max(math.sqrt(refined.area), native), _REFINED * native)))
                return paint(
                    picture.pixels, mask, wanted, sampler.run, native=native, erase=partial(self._pool.erased, name),
                    opacity=picture.alpha, anew=sampler.anew, multiple=sampler.multiple, agreement=agreement, progress=progress,
                )  # fmt: skip

        canvas = request.compute(work)
        if not canvas.results:
            raise InvalidInput("All results were skipped.", "Paint again.")
        return canvas

    @contextmanager
    def _sampler(self, options: PaintOptions) -> Iterator[_Sampler]:
        """What paints; the caller holds the host's lock."""
        instructed = options.task == "instruct"
        if options.system:
            system = self._systems.ready(options.system, options.task, options)
            yield _Sampler(system.native_size(), system.paint, instructed)
        elif self._own_sampler.paints(options):
            with self._own_sampler.opened(options) as checkpoint:
                anew = instructed and checkpoint.instructs
                yield _Sampler(checkpoint.native_size, checkpoint.run, anew, checkpoint.multiple)
        else:
            yield _Sampler(self._host.capabilities().native_size, self._host.paint, instructed)


def _pictures_of(canvas: PaintedCanvas, picture: Picture, options: PaintOptions) -> Iterator[Picture]:
    """What the picture became with each of the results, and the infotext of how, one at a time."""
    for pixels, result in zip(canvas.pictures(), canvas.results, strict=True):
        opacity = result.opacity_in(canvas.opacity)
        expanded = options.task == "expand"
        made = picture.on_canvas(pixels, options.expand, opacity) if expanded else picture.with_pixels(pixels, opacity)
        made = made.in_colour() if options.task == "colorize" else made.newly_compressed() if options.task == "restore" else made
        yield made.with_text(parameters=result.infotext)


def _picture_with(workspace: Workspace, result: PaintResult) -> Picture:
    """The picture shown now with this result in it."""
    if not Box(0, 0, *workspace.size).contains(result.box):
        raise InvalidInput("The result belongs to a larger picture.", "Redo the step that made it.")
    shown = workspace.picture()
    placed = shown.with_pixels(result.placed_in(shown.pixels), result.opacity_in(shown.alpha))
    return placed.with_text(parameters=result.infotext)


def _result(workspace: Workspace, index: int) -> PaintResult:
    if not 0 <= index < len(workspace.results):
        raise InvalidInput(
            "There is no result {index}.",
            "Give 0 to {last}." if workspace.results else "Paint first.",
            index=index,
            last=len(workspace.results) - 1,
        )
    return workspace.results[index]
