"""The use-cases of removing something with an eraser."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from clickpaint.erase import registry as erasers
from clickpaint.erase.base import EraseOptions
from clickpaint.errors import InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture
from clickpaint.image.soft_edge import AUTO, SoftEdge, automatic
from clickpaint.image.transparency import without_object
from clickpaint.segment.shadow import Shadow, find_shadow
from clickpaint.session.selection import Adjustment, adjusted
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests, RunningRequest

Pixels = int | Literal["auto"]


@dataclass(frozen=True, eq=False)
class Erased:
    """What removing something in a workspace gave. To the state it adds how it came about.

    Attributes:
        eraser: its name.
        milliseconds: from the start of the eraser to the new version.
        changed: outside of this box nothing did.
        edge: the pixels that acted.
        state: of the workspace afterwards.
    """

    eraser: str
    milliseconds: float
    changed: Box
    edge: SoftEdge
    state: State


@dataclass(frozen=True, eq=False)
class ErasedPicture:
    """What removing something from a picture without a workspace gave.

    Attributes:
        eraser: its name.
        picture: without it.
        edge: the pixels that acted.
    """

    eraser: str
    picture: Picture
    edge: SoftEdge


class Erasing:
    """Part of the studio.

    Args:
        picture_changed: called with a workspace that shows another picture now.
    """

    def __init__(self, host: Host, requests: Requests, pool: ModelPool, picture_changed: Callable[[Workspace], None]) -> None:
        self._host, self._requests, self._pool, self._picture_changed = host, requests, pool, picture_changed

    def shadow(self, workspace: Workspace) -> Shadow | None:
        """The shadow and the reflection of what is selected; None where there is none to see, or nothing is selected. Raises `Busy`."""
        with self._requests.admitted():
            state, picture = workspace.snapshot()
            return None if state.selection is None else find_shadow(picture.pixels, state.selection.mask)

    def erase(
        self, workspace: Workspace, eraser: str | None = None, grow: Pixels | None = None, feather: Pixels | None = None,
        shadow: bool = False, adjustments: Sequence[Adjustment] = (), grain: float | None = None,
    ) -> Erased:  # fmt: skip
        """Remove what is selected; the next version of the picture.

        Args:
            eraser: its name; None for the setting's.
            grow: pixels by which the selection is made larger; "auto" for what fits the picture, None for the setting's.
            feather: width in pixels of the soft edge; "auto" as above; None for the selection's, or without one the setting's.
            shadow: whether its shadow and its reflection go too, where `shadow` finds them.
            adjustments: what is removed instead of the selection, which stays: what they select, beginning with nothing.
            grain: how much of the grain around it the filled place gets, 0..1; None for the setting's, or what the eraser cannot choose.

        Raises:
            InvalidInput: nothing is selected, an unknown name, or a grain for an eraser that has no such choice.
        """
        with self._requests.run("erase", workspace) as request, request.turn():
            state = workspace.state
            selection = self._of(workspace, adjustments) if adjustments else state.selection
            if selection is None:
                raise InvalidInput("Nothing is selected.", "Click on what is to be removed first.")
            eraser = self._pool.eraser_name(eraser)
            options = self._options(eraser, workspace.size, grow, state.feather or None if feather is None else feather, grain)
            began = time.perf_counter()
            picture, mask, box = workspace.picture(), selection.mask, selection.box
            if shadow:
                mask = _with_shadow(picture, mask)
                box = masks.bounds(mask) or box
            pixels = self._erase(request, picture, mask, eraser, options)
            around = options.grow + options.feather + 1
            changed = box.padded(around).clipped(*workspace.size)
            left = state.selection if adjustments else None
            after = workspace.add_result(pixels, "Remove", changed, left, opacity=_opacity(picture, mask, options))
            milliseconds = (time.perf_counter() - began) * 1000
        self._picture_changed(workspace)
        return Erased(eraser, milliseconds, changed, SoftEdge(options.grow, options.feather), after)

    def erase_picture(
        self, picture: Picture, mask: np.ndarray, eraser: str | None = None, grow: Pixels | None = None, feather: Pixels | None = None,
        shadow: bool = False, grain: float | None = None,
    ) -> ErasedPicture:  # fmt: skip
        """The picture without what `mask`, bool [H, W], selects; see `erase`. Raises `InvalidInput`."""
        masks.check_size(mask, picture.size)
        with self._requests.run("erase") as request:
            eraser = self._pool.eraser_name(eraser)
            options = self._options(eraser, picture.size, grow, feather, grain)
            if shadow:
                mask = _with_shadow(picture, mask)
            pixels = self._erase(request, picture, mask, eraser, options)
            without = picture.with_pixels(pixels, _opacity(picture, mask, options))
            return ErasedPicture(eraser, without, SoftEdge(options.grow, options.feather))

    def _erase(self, request: RunningRequest, picture: Picture, mask: np.ndarray, name: str, options: EraseOptions) -> np.ndarray:
        return request.compute(lambda progress: self._pool.eraser(name).erase(picture.pixels, mask, options, progress))

    def _of(self, workspace: Workspace, adjustments: Sequence[Adjustment]) -> PackedMask | None:
        nothing = np.zeros(workspace.size[::-1], bool)
        return PackedMask.of(adjusted(nothing, 0, adjustments, workspace.regions, workspace.picture().alpha)[0])

    def _options(
        self, eraser: str, size: tuple[int, int], grow: Pixels | None, feather: Pixels | None, grain: float | None
    ) -> EraseOptions:
        """eraser: its name. size: (width, height) of the picture."""
        fitting = automatic(size)

        def pixels(asked: Pixels | None, key: str, fits: int) -> int:
            if asked is None:
                stored: int = self._host.setting(key)
                asked = AUTO if stored < 0 else stored
            return fits if asked == AUTO else int(asked)

        stored = float(self._host.setting("erase_grain"))
        if grain is None and stored < 1 and "grain" in erasers.info(eraser).options:
            grain = stored
        return EraseOptions(pixels(grow, "erase_grow", fitting.grow), pixels(feather, "erase_feather", fitting.feather), grain)


def _with_shadow(picture: Picture, mask: np.ndarray) -> np.ndarray:
    shadow = find_shadow(picture.pixels, mask)
    return mask if shadow is None else mask | shadow.mask


def _opacity(picture: Picture, mask: np.ndarray, options: EraseOptions) -> np.ndarray | None:
    """The alpha of the picture without what `mask` selects, uint8 [H, W]; None for a picture without alpha."""
    return None if picture.alpha is None else without_object(picture.alpha, mask, options.grow)
