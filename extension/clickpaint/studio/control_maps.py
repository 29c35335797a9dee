"""The use-cases of control maps: make, blend, lay over the picture, select by."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from clickpaint.control import poses, registry
from clickpaint.control.base import ControlMap, Preprocessor, Request
from clickpaint.control.compose import blended, mask_by_brightness, mask_by_color, object_only, overlay
from clickpaint.control.fit import fitted_picture
from clickpaint.control.map_options import Layer, MapOptions, check_sides
from clickpaint.control.openpose import drawn
from clickpaint.control.pose_drawing import PARTS
from clickpaint.errors import InvalidInput, NotFound, Sentence
from clickpaint.image.geometry import Box
from clickpaint.image.mask import check_size
from clickpaint.image.picture import Picture, from_pixels
from clickpaint.progress import Progress
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.session.workspaces import Workspaces
from clickpaint.studio.map_cache import MapCache
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests, RunningRequest

_MOST_KEPT = 8  # maps of one workspace that can still be asked for


@dataclass(frozen=True)
class PreprocessorListing:
    """A preprocessor as a list shows it.

    Attributes:
        info: what it is.
        available: whether it would work now.
        reason: why it would not.
        models: the catalog's names of its files with their state, as in `weights.store.ModelState`.
    """

    info: Preprocessor
    available: bool
    reason: str
    models: tuple[tuple[str, str], ...]

    @property
    def runs(self) -> bool:
        """Whether it could run here if it had its models."""
        return registry.unavailable(self.info.name) is None


@dataclass(frozen=True, eq=False)
class WorkspaceMap:
    """A map of what a workspace showed.

    Attributes:
        id: what it is asked for by, while it is one of the last few.
        map: what the preprocessors gave.
        size: (width, height) of the picture.
        milliseconds: from the request to the map.
    """

    id: str
    map: ControlMap
    size: tuple[int, int]
    milliseconds: float


class ControlMaps:
    """Part of the studio. Maps of the same picture by the same preprocessor and parameters are made once.

    Args:
        picture_changed: called with a workspace that shows another picture now.
    """

    def __init__(
        self, requests: Requests, pool: ModelPool, workspaces: Workspaces, cache: MapCache, picture_changed: Callable[[Workspace], None]
    ) -> None:
        self._requests, self._pool, self._workspaces, self._cache = requests, pool, workspaces, cache
        self._picture_changed = picture_changed
        self._maps: WeakKeyDictionary[Workspace, OrderedDict[str, WorkspaceMap]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def list(self) -> Sequence[PreprocessorListing]:
        """Every preprocessor, in the order that sd-webui-controlnet lists them in."""
        return [self._listing(preprocessor) for preprocessor in registry.ordered()]

    def detect(self, workspace: Workspace, options: MapOptions) -> WorkspaceMap:
        """The map of what the workspace shows, of the selected object only if the options say so.

        Raises:
            InvalidInput: a name, a value, or nothing is selected where it must be.
            ModelMissing: a package or a file is not here.
        """
        with self._requests.run("control", workspace) as request:
            began = time.perf_counter()
            state, picture = workspace.snapshot()
            mask = None if state.selection is None else state.selection.mask
            return self._remember(workspace, self._detect(request, picture, mask, options), picture.size, began)

    def pose(self, workspace: Workspace, document: Mapping[str, Any], parts: Sequence[str] = PARTS) -> WorkspaceMap:
        """The map of poses which were edited or are another picture's, on a canvas of this picture's shape.

        Args:
            document: OpenPose's JSON.
            parts: what is drawn of people, of "body", "hands" and "face"; a map that was made tells its own as "parts".

        Raises:
            InvalidInput: not of that form, an unknown part or none, or the canvas would be too large.
        """
        unknown = [part for part in parts if part not in PARTS]
        if unknown or not parts:
            raise InvalidInput(
                "Poses have no part {part!r}." if unknown else "No part of the poses is to be drawn.",
                "Give one or more of {known}.",
                parts=list(parts),
                part=unknown[0] if unknown else "",
                known=", ".join(PARTS),
            )
        with self._requests.run("control", workspace):
            began, size = time.perf_counter(), workspace.size
            shaped = poses.shaped(poses.from_json(document), *size)
            check_sides(shaped.width, shaped.height)
            drawing = drawn(shaped, shaped.height, shaped.width, **{part: part in parts for part in PARTS})
            return self._remember(workspace, drawing, size, began)

    def made(self, workspace: Workspace, id: str) -> WorkspaceMap:
        """A map made before. Raises `NotFound`."""
        with self._lock:
            made = self._maps.get(workspace, {}).get(id)
        if made is None:
            raise NotFound("There is no map {id!r} (any more).", "Make it again.", id=id)
        return made

    def keep(self, workspace: Workspace, id: str, opacity: float = 1.0) -> State:
        """The map, laid over what the workspace shows, as its next result; opacity: 0 to 1. Raises `InvalidInput`, `NotFound`."""
        made = self.made(workspace, id)
        with self._requests.run("keep", workspace) as request, request.turn():
            _check_picture(made, workspace)
            pixels = overlay(made.map.pixels, workspace.picture().pixels, opacity)
            state = workspace.add_result(pixels, "Control map", Box(0, 0, *workspace.size), workspace.state.selection)
        self._picture_changed(workspace)
        return state

    def select(
        self, workspace: Workspace, id: str, *, brightness: tuple[int, int] | None = None,
        color: tuple[int, int, int] | None = None, tolerance: int = 0, mode: str = "replace",
    ) -> State:  # fmt: skip
        """Select by a map: where it is that bright (of depth: that near), or of that colour (of a segmentation: one class).

        Args:
            brightness: lowest and highest, 0 to 255; None where a color is given.
            color: RGB, 0 to 255; None where a brightness is given.
            tolerance: how far each part of the colour may be off.
            mode: how that is combined with the selection; one of `selection.MODES`.

        Raises:
            InvalidInput: neither or both are given, or the picture has another size now.
            NotFound: there is no such map.
        """
        made = self.made(workspace, id)
        if (brightness is None) == (color is None):
            raise InvalidInput("It is not said what to select by.", "Give either a range of brightness, or a colour.")
        with self._requests.run("select", workspace) as request, request.turn():
            _check_picture(made, workspace)
            if brightness is not None:
                mask = mask_by_brightness(made.map.pixels, made.size, *brightness)
            else:
                assert color is not None
                mask = mask_by_color(made.map.pixels, made.size, color, tolerance)
            return workspace.select("Select by map", mask, mode)

    def detect_picture(self, picture: Picture, options: MapOptions, mask: np.ndarray | None = None) -> ControlMap:
        """The map of a picture that belongs to no workspace; mask: bool [H, W], what is selected. Raises as `detect`."""
        with self._requests.run("control") as request:
            return self._detect(request, picture, mask, options)

    def detect_object(self, pixels: np.ndarray, mask: np.ndarray | None, layer: Layer) -> ControlMap:
        """The map of one object of a picture that another program has at hand, black around it.

        Args:
            pixels: uint8 [H, W, 3].
            mask: bool [H, W]; None for what is selected in the workspace last used of those that show this very picture, or else in the
                last one of its size. The picture of a workspace counts as it is shown, and as it was opened.
            layer: the preprocessor.

        Raises:
            InvalidInput: nothing is selected. And what `detect` raises.
        """
        selected = self._selected_in(pixels) if mask is None else mask
        return self.detect_picture(from_pixels(pixels), MapOptions((layer,), background="black"), selected)

    def detect_request(self, picture: Picture, name: str, wanted: Request) -> ControlMap:
        """What one preprocessor makes of a picture for a request that is checked already. Raises as `detect`."""
        with self._requests.run("control") as request:
            return self._compute_all(request, picture, [(name, wanted)])[0]

    def _remember(self, workspace: Workspace, map: ControlMap, size: tuple[int, int], began: float) -> WorkspaceMap:
        with self._lock:
            maps = self._maps.setdefault(workspace, OrderedDict())
            id = str(1 + int(next(reversed(maps), "0")))
            made = maps[id] = WorkspaceMap(id, map, size, (time.perf_counter() - began) * 1000)
            while len(maps) > _MOST_KEPT:
                maps.popitem(last=False)
        return made

    def _selected_in(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        selections: list[np.ndarray] = []
        for workspace in self._workspaces.recent():
            state, shown = workspace.snapshot()
            if state.selection is None or state.selection.size != (width, height):
                continue
            selections.append(state.selection.mask)
            if any(np.array_equal(picture.pixels, pixels) for picture in (shown, workspace.original)):
                return selections[-1]
        if not selections:
            raise InvalidInput(
                "Nothing is selected in a picture of {width} x {height} pixels.",
                "Open this picture in Clickpaint and click on the object, or give a mask.",
                width=width,
                height=height,
            )
        return selections[0]

    def _detect(self, request: RunningRequest, picture: Picture, mask: np.ndarray | None, options: MapOptions) -> ControlMap:
        if options.background and mask is None:
            raise InvalidInput("Nothing is selected.", "Click on an object first, or ask for a map of the whole picture.")
        if mask is not None:
            check_size(mask, picture.size)
        resolution = options.perfect_resolution(picture.size) if options.pixel_perfect else None
        wanted = [
            (layer.preprocessor, registry.request(layer.preprocessor, layer.values, resolution or layer.resolution, mask, layer.seed))
            for layer in options.layers
        ]
        maps = self._compute_all(request, picture, wanted)
        pixels = maps[0].pixels
        if len(maps) > 1 or options.layers[0].weight != 1:
            pixels = blended([map.pixels for map in maps], [layer.weight for layer in options.layers], options.blend)
        if options.background:
            assert mask is not None
            pixels = object_only(pixels, mask, picture.pixels, options.background)
        if options.fit is not None:
            pixels = fitted_picture(pixels, options.fit.width, options.fit.height, options.fit.mode)
        extra = {key: value for map in reversed(maps) for key, value in map.extra.items()}
        return replace(maps[0], pixels=pixels, extra=extra)

    def _compute_all(self, request: RunningRequest, picture: Picture, wanted: Sequence[tuple[str, Request]]) -> Sequence[ControlMap]:
        flat = _on_white(picture)

        def compute(name: str, layer: Request, progress: Progress) -> ControlMap:
            return self._cache.detect(name, flat, layer, progress)

        def work(progress: Progress) -> list[ControlMap]:
            share = 1 / len(wanted)
            return [compute(name, layer, progress.part(i * share, (i + 1) * share)) for i, (name, layer) in enumerate(wanted)]

        for name, _ in wanted:
            registry.check_available(name)  # before waiting for a turn
        return request.compute(work)

    def _listing(self, preprocessor: Preprocessor) -> PreprocessorListing:
        models = tuple((name, self._state(name)) for name in preprocessor.models)
        reason = registry.unavailable(preprocessor.name) or ""
        if not reason and any(state != "present" for _, state in models):
            missing = next(name for name, state in models if state != "present")
            reason = Sentence("needs the model {model}", model=missing)
        return PreprocessorListing(preprocessor, not reason, reason, models)

    def _state(self, model: str) -> str:
        try:
            return self._pool.store.state(model).state
        except NotFound:
            return "unavailable"


def _check_picture(made: WorkspaceMap, workspace: Workspace) -> None:
    if made.size != workspace.size:
        raise InvalidInput("The picture has another size than when this map was made.", "Make the map again.")


def _on_white(picture: Picture) -> Picture:
    """The picture as it looks on a white page, which is how sd-webui-controlnet sees transparency."""
    if picture.alpha is None:
        return picture
    alpha = picture.alpha[..., None].astype(np.float32) / 255.0
    flat = picture.pixels.astype(np.float32) * alpha + 255.0 * (1.0 - alpha)
    return picture.with_pixels(flat.clip(0, 255).astype(np.uint8))
