"""The use-cases that need a diffusion model: paint, choose among the results, refine one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.errors import HostUnsupported, InvalidInput, Sentence
from clickpaint.hosts.base import Capabilities, Host
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.image.soft_edge import SoftEdge
from clickpaint.paint.agreement import agreement_for, check_file
from clickpaint.paint.context import MULTIPLE, scaled
from clickpaint.paint.diffusion.frame_sampling import Motion
from clickpaint.paint.in_picture import PaintedCanvas, PaintResult, Run, paint, refining
from clickpaint.paint.paint_job import WHOLE, Painted, PaintOptions
from clickpaint.paint.removal import as_instruction, prompt_for
from clickpaint.paint.systems.acting import check_acting
from clickpaint.paint.systems.kinds import KINDS
from clickpaint.paint.systems.running import RunningSystem
from clickpaint.paint.systems.system_folders import KIND as SYSTEMS
from clickpaint.paint.systems.system_folders import System, offered, systems
from clickpaint.paint.systems.system_folders import require as require_system
from clickpaint.progress import Progress
from clickpaint.segment.base import Point, Prompts
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.request import Requests, RunningRequest
from clickpaint.weights.device import free_bytes
from clickpaint.weights.model_files import files

if TYPE_CHECKING:
    from PIL import Image

_LARGEST_SIDE = 4096
"""Of a generated picture, in pixels."""

_MOST_ENLARGED = 32_000_000
"""Pixels of an enlarged picture."""

_MOST_FRAMES = 256
"""Of a generated clip."""

_ROOM = 4 << 30
"""Bytes of the device's memory that should be free before the host paints; below, what is ours makes room."""

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
class GeneratedClip:
    """A clip from a prompt.

    Attributes:
        frames: uint8 [H, W, 3] each.
        seed: that it was painted with.
    """

    frames: tuple[np.ndarray, ...]
    seed: int


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
        self, host: Host, pool: ModelPool, own_sampler: OwnSampler, requests: Requests, picture_changed: Callable[[Workspace], None]
    ) -> None:  # fmt: skip
        """picture_changed: called with a workspace that shows another picture now."""
        self._host, self._pool, self._own_sampler, self._requests = host, pool, own_sampler, requests
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

    def generate(self, options: PaintOptions, width: int | None = None, height: int | None = None) -> PaintedPictures:
        """New pictures from the prompt alone, on an engine of ours.

        Args:
            width, height: in pixels, multiples of 8; None for the checkpoint's own size.

        Raises:
            InvalidInput: a side is no multiple of 8, or too long.
            HostUnsupported: there is no checkpoint.
        """
        _check_sides(width, height)
        running = self._system(options.system, "generate", options) if options.system else None
        if running is not None and (width or height):
            _check_sides(width, height, multiple=running.multiple())

        def work(progress: Progress) -> list[Painted]:
            self.make_room()
            if running is not None:
                side = running.native_size(progress)
                return running.generate(options, (width or side, height or side), options.sampling.first_seed(), progress)
            with self._own_sampler.opened(options) as checkpoint:
                _check_sides(width, height, multiple=checkpoint.multiple)
                size = width or checkpoint.native_size, height or checkpoint.native_size
                return checkpoint.generate(options, size, options.sampling.first_seed(), progress)

        with self._requests.run("generate") as request:
            painted = request.compute(work)
        pictures = tuple(from_pixels(result.pixels).with_text(parameters=result.infotext) for result in painted)
        return PaintedPictures(pictures, tuple(result.seed for result in painted))

    def generate_clip(
        self, options: PaintOptions, count: int, motion: Motion, width: int | None = None, height: int | None = None
    ) -> GeneratedClip:
        """A clip of `count` frames, 2 to 256, from a prompt alone (Text2Video-Zero), on an engine of ours. Else as `generate`.

        What is in front, where the motion smooths the background, is what the segmenter finds in the middle of the first frame.
        """
        _check_sides(width, height)
        if not 2 <= count <= _MOST_FRAMES:
            raise InvalidInput("A clip cannot have {value} frames.", "Give 2 to {limit}.", value=count, limit=_MOST_FRAMES)
        seed = options.sampling.first_seed()

        def work(progress: Progress) -> list[np.ndarray]:
            self.make_room()
            with self._own_sampler.opened(options) as checkpoint:
                size = width or checkpoint.native_size, height or checkpoint.native_size
                return checkpoint.generate_clip(options, size, count, motion, seed, self._in_the_middle, progress)

        with self._requests.run("generate") as request:
            return GeneratedClip(tuple(request.compute(work)), seed)

    def _in_the_middle(self, pixels: np.ndarray) -> np.ndarray:
        """What one would click on in the middle of a picture, bool [h, w]."""
        segmenter = self._pool.segmenter(self._pool.segmenter_name())
        middle = Prompts((Point(pixels.shape[1] / 2, pixels.shape[0] / 2),))
        return segmenter.predict(segmenter.encode(pixels), middle)[0].mask

    def removal_prompt(self, can: Capabilities) -> str:
        """What the loaded model is told so that it removes what is selected, with its shadow; "" for one that can only fill its place."""
        if can.family is None or not can.family.anew:
            return ""
        return prompt_for(can.family.name, [file.stem for file in files(self._host.folders("Lora"))])

    def preview(self) -> Image.Image | None:
        """What is being painted, as it looks now; None where there is nothing to show."""
        return self._own_sampler.preview() or self._host.preview()

    def prepare(self) -> None:
        """Get our engines ready for the loaded checkpoint, in the background; see `OwnSampler.prepare`."""
        self._own_sampler.prepare()

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
            self._system(options.system, options.task, options)  # refused before anybody waits
        if options.task == "remove" and mask is not None and not options.system and options.engine in ("auto", "instruct"):
            prompt = self.removal_prompt(can)
            if prompt:
                options = as_instruction(options, mask, prompt)
            elif options.engine == "instruct":
                raise InvalidInput(
                    "The checkpoint cannot be told to remove something.",
                    "Load Flux Kontext, Qwen-Image-Edit or Flux.2 Klein, or remove it with an eraser.",
                )
        name = self._pool.eraser_name(eraser) if options.masking.content == "erased" else ""
        agreement = agreement_for(picture, options.task, options.jpeg_quality)

        def erase(pixels: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
            return self._pool.eraser(name).erase(pixels, hole, EraseOptions(0, 0), progress)

        def work(progress: Progress) -> PaintedCanvas:
            self.make_room()
            with self._sampler(options) as sampler:
                native = sampler.native
                wanted = replace(options, passes=replace(options.passes, refine=False)) if options.system else options  # of one size
                if refined is not None:
                    # beyond the picture's own resolution there is nothing to gain: what is painted larger is only scaled down again
                    wanted = refining(options, round(min(max(math.sqrt(refined.area), native), _REFINED * native)))
                return paint(
                    picture.pixels, mask, wanted, sampler.run, native=native, erase=erase, opacity=picture.alpha, anew=sampler.anew,
                    multiple=sampler.multiple, agreement=agreement, progress=progress,
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
            system = self._system(options.system, options.task, options)
            yield _Sampler(system.native_size(), system.paint, instructed)
        elif self._own_sampler.paints(options):
            with self._own_sampler.opened(options) as checkpoint:
                anew = instructed and checkpoint.instructs
                yield _Sampler(checkpoint.native_size, checkpoint.run, anew, checkpoint.multiple)
        else:
            yield _Sampler(self._host.capabilities().native_size, self._host.paint, instructed)

    def systems(self) -> list[System]:
        """The systems with files of their own that are here."""
        return systems(self._host.folders(SYSTEMS))

    def lacking_systems(self) -> dict[str, str]:
        """By their pipelines, why systems cannot be used here, whether their folders are here or not."""
        gone = {kind: Sentence("the installed diffusers has no {pipeline} any more.", pipeline=kind) for kind in KINDS if not offered(kind)}
        return gone | {system.kind.pipeline: system.reason for system in self.systems() if system.reason}

    def animate(
        self, picture: Picture, options: PaintOptions, system: str = "auto", frames: int = 14, fps: float = 7.0, motion: int = 127,
        workspace: Workspace | None = None,
    ) -> GeneratedClip:  # fmt: skip
        """A clip that begins with a picture.

        Args:
            workspace: whose picture it is, if it is one's.
            frames: 2 to 64.
            motion: how much moves, 1 to 255.

        Raises:
            NotFound, HostUnsupported: there is no such system, or it cannot be used.
            InvalidInput: a number out of its range.
        """
        for name, value, low, high in (("frames", frames, 2, 64), ("motion", motion, 1, 255)):
            if not low <= value <= high:
                raise InvalidInput(
                    "A clip's {name} cannot be {value}.", "Give {minimum} to {maximum}.", name=name, value=value, minimum=low, maximum=high
                )
        seed = options.sampling.first_seed()
        running = self._system(system, "animate", options)

        def work(progress: Progress) -> list[np.ndarray]:
            self.make_room()
            return running.animate(picture.pixels, options, frames, fps, motion, seed, progress)

        with self._requests.run("generate", workspace) as request:
            return GeneratedClip(tuple(request.compute(work)), seed)

    def enlarge(self, picture: Picture, options: PaintOptions, system: str = "auto") -> PaintedPictures:
        """A picture four times as large each way; of the options steps and seed act.

        Raises:
            NotFound, HostUnsupported: there is no such system, or it cannot be used.
            InvalidInput: the picture would become too large.
        """
        if 16 * picture.width * picture.height > _MOST_ENLARGED:
            raise InvalidInput(
                "The enlarged picture would have {megapixels:.0f} megapixels, more than {limit:.0f}.", "Enlarge a part of it.",
                megapixels=16 * picture.width * picture.height / 1e6, limit=_MOST_ENLARGED / 1e6,
            )  # fmt: skip
        seed, running = options.sampling.first_seed(), self._system(system, "enlarge", options)

        def work(progress: Progress) -> np.ndarray:
            self.make_room()
            return running.enlarge(picture.pixels, options, seed, progress)

        with self._requests.run("generate") as request:
            pixels = request.compute(work)
        alpha = None if picture.alpha is None else scaled(picture.alpha, (pixels.shape[1], pixels.shape[0]))
        return PaintedPictures((picture.anew(pixels, alpha),), (seed,))

    def _system(self, name: str, task: str, options: PaintOptions) -> RunningSystem:
        system = require_system(name, task, self._host.folders(SYSTEMS))
        check_acting(options, system, task)
        return RunningSystem(system, self._host.device(), self._pool.models)

    def make_room(self) -> None:
        """Let go of what is ours where the device's memory is short; the caller holds the host's lock."""
        device = self._host.device()
        if device.kind != "cpu" and free_bytes(device) < _ROOM:
            self._pool.free()


def _check_sides(*sides: int | None, multiple: int = MULTIPLE) -> None:
    """Raises `InvalidInput` for sides in pixels that no picture can have."""
    for side in sides:
        if side is not None and (side % multiple or not 64 <= side <= _LARGEST_SIDE):
            raise InvalidInput(
                "A side cannot be {value} pixels.", "Give a multiple of {multiple} from 64 to {limit}.", value=side, multiple=multiple,
                limit=_LARGEST_SIDE,
            )  # fmt: skip


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
