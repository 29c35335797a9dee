"""The use-cases that take a part of a picture: cropping to a box, and cutting out what is selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.picture import Picture
from clickpaint.image.soft_edge import AUTO, automatic
from clickpaint.segment import matting
from clickpaint.session.workspace import State, Workspace
from clickpaint.studio import vitmatte
from clickpaint.studio.erasing import Pixels
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests, RunningRequest

_WIDEST = 128


@dataclass(frozen=True, eq=False)
class CutOut:
    """What was selected, by itself.

    Attributes:
        picture: with transparency, a PNG unless it is saved as something else.
        box: where it lies in the picture that it came from.
        method: how its edge was found.
        feather: pixels on either side of the mask's outline in which it was looked for.
    """

    picture: Picture
    box: Box
    method: matting.Method
    feather: int


class Extracting:
    """Part of the studio.

    Args:
        picture_changed: called with a workspace that shows another picture now.
    """

    def __init__(self, requests: Requests, pool: ModelPool, picture_changed: Callable[[Workspace], None]) -> None:
        self._requests, self._pool, self._picture_changed = requests, pool, picture_changed

    def crop(self, workspace: Workspace, box: tuple[int, int, int, int]) -> State:
        """Let a part of the picture take its place, at its full resolution and with its metadata.

        Args:
            box: (left, top, right, bottom) in pixels, right and bottom exclusive.

        Raises:
            InvalidInput: the box is empty, reaches over the picture, or is all of it.
        """
        with self._requests.run("crop", workspace) as request, request.turn():
            state = workspace.add_cropped(_inside(box, workspace.size))
        self._picture_changed(workspace)
        return state

    def crop_picture(self, picture: Picture, box: tuple[int, int, int, int]) -> Picture:
        """As `crop`, without a workspace."""
        with self._requests.run("crop"):
            return picture.cropped(_inside(box, picture.size))

    def cut_out(self, workspace: Workspace, feather: Pixels = "auto", whole: bool = False) -> CutOut:
        """What is selected, with transparency around it. The workspace stays as it is.

        Args:
            feather: pixels on either side of the mask's outline in which the edge is looked for, 0..128; 0 takes the mask as it is.
            whole: as large as the picture; otherwise only as large as the object.

        Raises:
            InvalidInput: nothing is selected, or feather is out of range.
        """
        with self._requests.run("cutout", workspace) as request:
            state, picture = workspace.snapshot()
            if state.selection is None:
                raise InvalidInput("Nothing is selected.", "Click on what is to be cut out first.")
            return self._cut(request, picture, state.selection.mask, feather, whole)

    def cut_out_of(self, picture: Picture, mask: np.ndarray, feather: Pixels = "auto", whole: bool = False) -> CutOut:
        """As `cut_out`, without a workspace. mask: bool [H, W]."""
        with self._requests.run("cutout") as request:
            return self._cut(request, picture, mask, feather, whole)

    def _cut(self, request: RunningRequest, picture: Picture, mask: np.ndarray, feather: Pixels, whole: bool) -> CutOut:
        band = automatic(picture.size, "cutout").feather if feather == AUTO else int(feather)
        if not 0 <= band <= _WIDEST:
            raise InvalidInput(
                "{name} cannot be {value}.", "It goes from 0 to {maximum} pixels.", name="feather", value=band, maximum=_WIDEST
            )
        folder = vitmatte.folder(self._pool.host.folders(vitmatte.KIND))
        network = None if folder is None else vitmatte.ViTMatte(folder, self._pool)
        cut = request.compute(lambda progress: matting.matte(picture.pixels, mask, band, network, progress))
        colours, alpha, box = cut.colours, cut.alpha, cut.box
        if picture.alpha is not None:
            alpha = np.rint(alpha.astype(np.float32) * picture.alpha[box.slices] / 255).astype(np.uint8)
        if whole:
            pixels, opacity = np.zeros((*mask.shape, 3), np.uint8), np.zeros(mask.shape, np.uint8)
            pixels[box.slices], opacity[box.slices] = colours, alpha
            colours, alpha = pixels, opacity
        return CutOut(picture.cut_out(colours, alpha), box, cut.method, band)


def _inside(box: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    whole, wanted = Box(0, 0, *size), Box(*box)
    if wanted.left >= wanted.right or wanted.top >= wanted.bottom:
        raise InvalidInput("The box is empty.", "Give left < right and top < bottom.", box=list(box))
    if not whole.contains(wanted):
        raise InvalidInput(
            "The box is empty or reaches over the picture.", "The picture is {width} x {height} pixels.", width=size[0], height=size[1]
        )
    if wanted == whole:
        raise InvalidInput("The box is all of the picture.", "Draw a smaller one.")
    return wanted
