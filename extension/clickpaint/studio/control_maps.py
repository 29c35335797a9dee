"""The use-cases of control maps: make, blend, lay over the picture, select by."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from clickpaint.control import poses, registry
from clickpaint.control.base import RESOLUTION, ControlMap, Preprocessor, Request, Tools
from clickpaint.control.compose import BACKGROUNDS, BLENDS, blended, mask_by_brightness, mask_by_color, object_only, overlay
from clickpaint.control.fit import check_mode, fitted_picture, pixel_perfect
from clickpaint.control.openpose import drawn
from clickpaint.control.pose_drawing import PARTS
from clickpaint.errors import InvalidInput, NotFound
from clickpaint.hosts.base import Host
from clickpaint.image import picture as pictures
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture
from clickpaint.progress import Progress
from clickpaint.session.selection import combine
from clickpaint.session.workspace import State, Workspace
from clickpaint.session.workspaces import Workspaces
from clickpaint.settings import MEGABYTE
from clickpaint.studio.model_pool import Engines
from clickpaint.studio.queue import WORK, Compute, Task, Tasks
from clickpaint.weights.cache import EmbeddingCache

_CACHE_BYTES = 256 * MEGABYTE
_MOST_KEPT = 8  # maps of one workspace that can still be asked for
_MOST_LAYERS = 8
_MOST_SIDE = 8192  # of a map that is fitted


@dataclass(frozen=True)
class Layer:
    """One of the maps that are asked for. resolution: None for the preprocessor's default. weight: 0 to 1, where they are blended."""

    preprocessor: str
    values: Mapping[str, float] = field(default_factory=dict)
    resolution: int | None = None
    seed: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Fit:
    """To which size a map is brought, and how (`control.fit.FIT_MODES`)."""

    width: int
    height: int
    mode: str = "Crop and Resize"

    def __post_init__(self) -> None:
        check_mode(self.mode)
        _check_sides(self.width, self.height)


@dataclass(frozen=True)
class MapOptions:
    """What map is asked for.

    layers: at least one; several are blended by `blend`. background: "black" or "kept" for a map of what is selected only, "" for one
    of the whole picture. fit: None leaves the size that the first preprocessor gives. pixel_perfect: the resolution follows from
    `fit`, or from the picture's own size, instead of the layers' own.
    """

    layers: tuple[Layer, ...]
    blend: str = "lighten"
    background: str = ""
    fit: Fit | None = None
    pixel_perfect: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.layers) <= _MOST_LAYERS:
            raise InvalidInput(f"There are {len(self.layers)} preprocessors.", f"Give 1 to {_MOST_LAYERS}.")
        if self.blend not in BLENDS:
            raise InvalidInput(f"Maps cannot be blended by {self.blend!r}.", f"Choose one of {', '.join(BLENDS)}.")
        if self.background and self.background not in BACKGROUNDS:
            raise InvalidInput(f"There is no background {self.background!r}.", f"Choose one of {', '.join(BACKGROUNDS)}.")
        if any(not 0 <= layer.weight <= 1 for layer in self.layers) or not any(layer.weight for layer in self.layers):
            raise InvalidInput("The weights cannot be used.", "Each goes from 0 to 1, and one at least is over 0.")


@dataclass(frozen=True)
class Offered:
    """A preprocessor as a list shows it. available: it would work now; reason: why it would not.
    models: the catalog's names of its files with their state, as in `weights.store.ModelState`."""

    info: Preprocessor
    available: bool
    reason: str
    models: tuple[tuple[str, str], ...]

    @property
    def runs(self) -> bool:
        """Whether it could run here if it had its models."""
        return registry.unavailable(self.info.name) is None


@dataclass(frozen=True, eq=False)
class Made:
    """A map of what a workspace showed. id: what it is asked for by, while it is one of the last few. size: of the picture."""

    id: str
    map: ControlMap
    size: tuple[int, int]
    milliseconds: float


class Controlling:
    """Part of the studio. Maps of the same picture by the same preprocessor and parameters are made once."""

    def __init__(self, host: Host, engines: Engines, tasks: Tasks, compute: Compute, workspaces: Workspaces) -> None:
        self._host, self._engines, self._tasks, self._compute, self._workspaces = host, engines, tasks, compute, workspaces
        self._cache = EmbeddingCache(lambda: _CACHE_BYTES)
        self._made: WeakKeyDictionary[Workspace, OrderedDict[str, Made]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def list(self) -> list[Offered]:
        """Every preprocessor, in the order that sd-webui-controlnet lists them in."""
        return [self._offered(one) for one in registry.ordered()]

    def detect(self, workspace: Workspace, options: MapOptions) -> Made:
        """The map of what the workspace shows, of the selected object only if the options say so.

        Raises:
            InvalidInput: a name, a value, or nothing is selected where it must be. ModelMissing: a package or a file is not here.
        """
        with self._tasks.under_way("control", workspace.id) as task:
            began = time.perf_counter()
            state = workspace.state
            picture = workspace.picture(state.version)  # not what another request may be showing by now
            mask = None if state.selection is None else state.selection.mask
            return self._remember(workspace, self._run(task, picture, mask, options), picture.size, began)

    def pose(self, workspace: Workspace, document: Mapping[str, Any], parts: Sequence[str] = PARTS) -> Made:
        """The map of poses in OpenPose's JSON, which were edited or are another picture's, on a canvas of this picture's shape.

        parts: what is drawn of people, of "body", "hands" and "face"; a map that was made tells its own as "parts".

        Raises:
            InvalidInput: not of that form, an unknown part or none, or the canvas would be too large.
        """
        began = time.perf_counter()
        unknown = [part for part in parts if part not in PARTS]
        if unknown or not parts:
            wrong = f"Poses have no part {unknown[0]!r}." if unknown else "No part of the poses is to be drawn."
            raise InvalidInput(wrong, f"Give one or more of {', '.join(PARTS)}.", parts=list(parts))
        found = poses.shaped(poses.from_json(document), *workspace.size)
        _check_sides(found.width, found.height)
        return self._remember(
            workspace, drawn(found, found.height, found.width, **{part: part in parts for part in PARTS}), workspace.size, began
        )

    def _remember(self, workspace: Workspace, found: ControlMap, size: tuple[int, int], began: float) -> Made:
        with self._lock:
            kept = self._made.setdefault(workspace, OrderedDict())
            id = str(1 + int(next(reversed(kept), "0")))
            made = kept[id] = Made(id, found, size, (time.perf_counter() - began) * 1000)
            while len(kept) > _MOST_KEPT:
                kept.popitem(last=False)
        return made

    def made(self, workspace: Workspace, id: str) -> Made:
        """A map made before. Raises `NotFound`."""
        with self._lock:
            found = self._made.get(workspace, {}).get(id)
        if found is None:
            raise NotFound(f"There is no map {id!r} (any more).", "Make it again.", id=id)
        return found

    def keep(self, workspace: Workspace, id: str, opacity: float = 1.0) -> State:
        """The map, laid over what the workspace shows, as its next result. Raises `InvalidInput`, `NotFound`."""
        made = self.made(workspace, id)
        with workspace.turn():
            self._check_size(made, workspace)
            pixels = overlay(made.map.pixels, workspace.picture().pixels, opacity)
            state = workspace.add_result(pixels, "Control map", Box(0, 0, *workspace.size), workspace.state.selection)
        self._workspaces.make_room(workspace)
        return state

    def select(
        self, workspace: Workspace, id: str, *, brightness: tuple[int, int] | None = None,
        color: tuple[int, int, int] | None = None, tolerance: int = 0, mode: str = "replace",
    ) -> State:  # fmt: skip
        """Select by a map: where it is that bright (of depth: that near), or of that colour (of a segmentation: one class).

        mode: how that is combined with the selection; one of `selection.MODES`.
        """
        made = self.made(workspace, id)
        if (brightness is None) == (color is None):
            raise InvalidInput("It is not said what to select by.", "Give either a range of brightness, or a colour.")
        with workspace.turn():
            self._check_size(made, workspace)
            if brightness is not None:
                found = mask_by_brightness(made.map.pixels, made.size, *brightness)
            else:
                assert color is not None
                found = mask_by_color(made.map.pixels, made.size, color, tolerance)
            state = workspace.state
            base = None if state.selection is None else state.selection.mask
            workspace.push(State("Select by map", state.version, PackedMask.of(combine(base, found, mode)), state.feather))
            return workspace.state

    def detect_picture(self, picture: Picture, options: MapOptions, mask: np.ndarray | None = None) -> ControlMap:
        """The map of a picture that belongs to no workspace; mask: bool [H, W], what is selected. Raises as `detect`."""
        with self._tasks.under_way("control") as task:
            return self._run(task, picture, mask, options)

    def detect_object(self, pixels: np.ndarray, mask: np.ndarray | None, layer: Layer) -> ControlMap:
        """The map of one object of a picture that another program has at hand, black around it.

        Args:
            pixels: uint8 [H, W, 3]. mask: bool [H, W]; None for what is selected in the workspace last used of those that show this very
                picture, or else in the last one of its size. The picture of a workspace counts as it is shown, and as it was opened.

        Raises:
            InvalidInput: nothing is. And what `detect` raises.
        """
        found = self._selected_in(pixels) if mask is None else mask
        return self.detect_picture(pictures.from_pixels(pixels), MapOptions((layer,), background="black"), found)

    def _selected_in(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        selections: list[np.ndarray] = []
        for workspace in self._workspaces.recent():
            state = workspace.state
            if state.selection is None or state.selection.size != (width, height):
                continue
            selections.append(state.selection.mask)
            if any(np.array_equal(one.pixels, pixels) for one in (workspace.picture(state.version), workspace.original)):
                return selections[-1]
        if not selections:
            raise InvalidInput(
                f"Nothing is selected in a picture of {width} x {height} pixels.",
                "Open this picture in Clickpaint and click on the object, or give a mask.",
            )
        return selections[0]

    def detect_request(self, picture: Picture, name: str, request: Request) -> ControlMap:
        """What one preprocessor makes of a picture for a request that is checked already. Raises as `detect`."""
        with self._tasks.under_way("control") as task:
            return self._compute_all(task, picture, [(name, request)])[0]

    def _run(self, task: Task, picture: Picture, mask: np.ndarray | None, options: MapOptions) -> ControlMap:
        if options.background and mask is None:
            raise InvalidInput("Nothing is selected.", "Click on an object first, or ask for a map of the whole picture.")
        if mask is not None and mask.shape != picture.pixels.shape[:2]:
            raise InvalidInput(f"The mask is {mask.shape[1]} x {mask.shape[0]} pixels.", f"It must be {picture.width} x {picture.height}.")
        resolution = _perfect(picture, options) if options.pixel_perfect else None
        asked = [
            (layer.preprocessor, registry.request(layer.preprocessor, layer.values, resolution or layer.resolution, mask, layer.seed))
            for layer in options.layers
        ]
        found = self._compute_all(task, picture, asked)
        made = found[0].pixels
        if len(found) > 1 or options.layers[0].weight != 1:
            made = blended([one.pixels for one in found], [layer.weight for layer in options.layers], options.blend)
        if options.background:
            assert mask is not None
            made = object_only(made, mask, picture.pixels, options.background)
        if options.fit is not None:
            made = fitted_picture(made, options.fit.width, options.fit.height, options.fit.mode)
        extra = {key: value for one in reversed(found) for key, value in one.extra.items()}
        return replace(found[0], pixels=made, extra=extra)

    def _compute_all(self, task: Task, picture: Picture, asked: Sequence[tuple[str, Request]]) -> list[ControlMap]:
        flat = _on_white(picture)

        def one(name: str, request: Request, progress: Progress) -> ControlMap:
            tools = Tools(self._engines.store, self._host.device(), self._engines.models, progress)
            name = registry.info(name).name
            return self._cache.get((name, _key(flat, request)), lambda: registry.detect(name, flat.pixels, request, tools), progress)

        def work(progress: Progress) -> list[ControlMap]:
            share = 1 / len(asked)
            return [one(name, request, progress.part(i * share, (i + 1) * share)) for i, (name, request) in enumerate(asked)]

        for name, _ in asked:
            registry.check_available(name)  # before waiting for a turn
        return self._compute.run(task, lambda progress: self._engines.careful(lambda: work(progress)), WORK)

    def _offered(self, one: Preprocessor) -> Offered:
        models = tuple((name, self._state(name)) for name in one.models)
        reason = registry.unavailable(one.name) or ""
        if not reason and any(state != "present" for _, state in models):
            missing = next(name for name, state in models if state != "present")
            reason = f"needs the model {missing}"
        return Offered(one, not reason, reason, models)

    def _state(self, model: str) -> str:
        try:
            return self._engines.store.state(model).state
        except NotFound:
            return "unavailable"

    def _check_size(self, made: Made, workspace: Workspace) -> None:
        if made.size != workspace.size:
            raise InvalidInput("The picture has another size than when this map was made.", "Make the map again.")


def _check_sides(width: int, height: int) -> None:
    if not (1 <= width <= _MOST_SIDE and 1 <= height <= _MOST_SIDE):
        raise InvalidInput(f"A map cannot be {width} x {height}.", f"Sides go from 1 to {_MOST_SIDE} pixels.")


def _perfect(picture: Picture, options: MapOptions) -> int:
    """The resolution for one pixel of map to one of the target, as near as preprocessors go."""
    fit = options.fit or Fit(*picture.size)
    wanted = pixel_perfect(picture.size, (fit.width, fit.height), fit.mode)
    return int(min(max(wanted, RESOLUTION.minimum), RESOLUTION.maximum))


def _on_white(picture: Picture) -> Picture:
    """The picture as it looks on a white page, which is how sd-webui-controlnet sees transparency."""
    if picture.alpha is None:
        return picture
    alpha = picture.alpha[..., None].astype(np.float32) / 255.0
    flat = picture.pixels.astype(np.float32) * alpha + 255.0 * (1.0 - alpha)
    return picture.with_pixels(flat.clip(0, 255).astype(np.uint8))


def _key(picture: Picture, request: Request) -> str:
    """What a map depends on beside its preprocessor."""
    values = sorted(request.values.items())
    mask = b"" if request.mask is None else np.packbits(request.mask).tobytes()
    told = f"{picture.digest} {request.resolution} {values} {request.seed}".encode()
    return hashlib.sha256(told + mask).hexdigest()
