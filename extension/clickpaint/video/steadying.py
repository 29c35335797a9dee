"""Makes what was filled into neighbouring frames agree: a place keeps its look from frame to frame, but for what its surroundings do.

Each filled frame is compared with the ones beside it, moved to where it is. What changes although nothing around the hole does is divided
between the frames: the sum of the squares of all corrections and of all changes that are left is made least, exactly, by one pass forth and
one back along the chain of frames (as in Rauch, Tung, Striebel 1965, "Maximum Likelihood Estimates of Linear Dynamic Systems"). The aim is
that of Bonneel et al. 2015, "Blind Video Temporal Consistency"; which changes are real is read off what is visible around the hole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.image.channels import chosen, extent_of, greatest_of, mean_of, repeated
from clickpaint.image.geometry import Box
from clickpaint.progress import Progress
from clickpaint.video.flow import NOTHING, completed, grid, sampled
from clickpaint.video.joining import FINE
from clickpaint.video.motion import transformed
from clickpaint.video.propagation import THIN, depth_of, exposed
from clickpaint.video.scene import Scene
from clickpaint.video.side_by_side import in_order

KEEPS = 0.05
"""Weight of a frame's own filling against a neighbour's: changes are spread over about 1 / sqrt(KEEPS) frames on both sides."""
AROUND = 24
"""Pixels around a hole whose change is compared with the hole's."""
FADES = 5.0
"""Pixels from the rim over which a change there, beyond brightness and contrast, is believed to go on inside."""
ANOTHER = 12.0
"""Levels of difference beyond which two frames hardly show the same thing."""
UNSTEADY = 3.0
"""Levels of the surroundings' change, beyond brightness and contrast, from which on a frame's own filling is worth more than others'."""
RESTLESS = 3.0
"""Levels by which visible surroundings differ from frame to frame from which on a neighbour says little about what lies near the rim."""
INEXACT = 0.25
"""Pixels by which motion may be wrong; the gradients say how much of a change that explains."""
_VISIBLE = 100.0
"""Weight of what is visible in a neighbour."""
_GLARING = 40.0
"""Levels of change that no brightness explains: something else passes there."""
_LEAST = 64
"""Pixels that grain is measured on."""


@dataclass(eq=False)
class Filling:
    """One frame under way.

    Attributes:
        box: around its hole, with surroundings; None for no hole.
        pixels: float32 [h, w, 3] of the box, filled as far as is known.
        hole: bool [h, w] of the box, what is erased.
        left: bool [h, w] of the box, what no frame shows.
        grain: float32 [3], see `joining.Filled`.
    """

    number: int
    box: Box | None
    pixels: np.ndarray
    hole: np.ndarray
    left: np.ndarray
    grain: np.ndarray


@dataclass(frozen=True, eq=False)
class _Change:
    """What lies between a filling and its neighbour, moved to where the filling is.

    Attributes:
        places: float32 [h, w, 2], where the filling's pixels are in the neighbour.
        whole: float32 [h, w, 3], the neighbour, as bright as the filling's surroundings, less the filling.
        unexplained: float32 [h, w, 3], what of that nothing around the hole does; 0 outside of it.
        weight: float32 [h, w], how surely both show the same thing, 0 to 1; 0 outside of the hole.
        around: bool [h, w], surroundings that are visible in both.
    """

    places: np.ndarray
    whole: np.ndarray
    unexplained: np.ndarray
    weight: np.ndarray
    around: np.ndarray


@dataclass(frozen=True, eq=False)
class _Message:
    """The correction that all frames on one side ask of a filling, float16 [h, w, 3] in levels, and its weight, float16 [h, w]."""

    correction: np.ndarray
    weight: np.ndarray


def steady(scene: Scene, fillings: Sequence[Filling], before: Filling | None, progress: Progress, threads: int = 1) -> None:
    """Correct the fillings of frames in a row so that they agree, and their grain to what changes around them.

    before: the filling of the frame before the first, which stays as it is.
    """

    def changes(row: Sequence[Filling], neighbours: Sequence[Filling | None]) -> Iterator[_Change | None]:
        # Each needs two fillings as they were found, which a later one never changes.
        return in_order(lambda pair: _change(scene, *pair, progress), zip(row, neighbours, strict=True), threads)

    forth: list[_Message | None] = []
    neighbour, message = before, None
    for filling, change in zip(fillings, changes(fillings, [before, *fillings[:-1]]), strict=True):
        message = _message(filling, neighbour, change, message, neighbour is before)
        forth.append(message)
        neighbour = filling
    after: Filling | None = None
    message, correction = None, None
    back = fillings[::-1]
    for filling, ahead, change in zip(back, reversed(forth), changes(back, [None, *back[:-1]]), strict=True):
        message = _message(filling, after, change, message, False)
        following, correction = correction, _correction(filling, ahead, message)
        if change is not None and after is not None:
            _limit_grain(filling, after, change, correction, following)
        if after is not None and following is not None:
            after.pixels = after.pixels + following
        after = filling
    if after is not None and correction is not None:
        after.pixels = after.pixels + correction


def _change(scene: Scene, filling: Filling, neighbour: Filling | None, progress: Progress) -> _Change | None:
    """By the flow or by the camera, whichever fits what is visible better; None where there is nothing to compare."""
    progress.check()
    if filling.box is None or neighbour is None:
        return None
    step = neighbour.number - filling.number
    motion = scene.motion(filling.number, step)
    if motion.cut:
        return None
    box = filling.box
    here = grid(box.width, box.height, box.left, box.top)
    offers = [scene.follow(here, filling.number, step)]
    if motion.camera is not None:
        offers.insert(0, transformed(motion.camera.matrix, here))
    compared = [_compared(scene, filling, neighbour, places) for places in offers]
    better = compared[0] if len(compared) == 1 or compared[0].rest <= 1.05 * compared[1].rest else compared[1]
    return _change_of(filling, better)


@dataclass(frozen=True, eq=False)
class _Compared:
    """A filling and its neighbour along one motion; see `_Change`.

    Attributes:
        both: bool [h, w], what of the hole lies within the neighbour.
        surroundings: float32 [h, w, 3], the change of what is visible, going on smoothly into the hole.
        rest: mean difference of what is visible that is left, in levels.
    """

    places: np.ndarray
    whole: np.ndarray
    both: np.ndarray
    around: np.ndarray
    surroundings: np.ndarray
    rest: float


def _compared(scene: Scene, filling: Filling, neighbour: Filling, places: np.ndarray) -> _Compared:
    assert filling.box is not None
    hole = filling.hole
    low, high = extent_of(places)
    low, high = np.floor(low) - 3, np.ceil(high) + 4
    box = Box(*(int(value) for value in np.clip([*low, *high], -1e6, 1e6))).clipped(*scene.size)
    if box.width < 4 or box.height < 4:
        nothing, no_change = np.zeros(hole.shape, bool), np.zeros_like(filling.pixels)
        return _Compared(places, no_change, nothing, nothing, no_change, np.inf)
    local = places - np.array([box.left, box.top], np.float32)
    moved = sampled(_filled(scene, neighbour, box), local, smooth=True)
    right, bottom = scene.size[0] - 1, scene.size[1] - 1
    inside = (places[..., 0] >= 0) & (places[..., 0] <= right) & (places[..., 1] >= 0) & (places[..., 1] <= bottom)
    hidden = sampled(scene.hole(neighbour.number)[box.slices].astype(np.float32), local)
    around = inside & ~hole & (hidden < 0.01) & masks_.grow(hole, AROUND)
    if around.sum() >= 24:
        moved = exposed(moved, filling.pixels, around)
    whole = moved - filling.pixels
    surroundings = _of_surroundings(whole, around & (greatest_of(np.abs(whole)) < _GLARING))
    rest = float(np.minimum(mean_of(np.abs(whole - surroundings)), _GLARING)[around].mean()) if around.any() else np.inf
    return _Compared(places, whole, hole & inside, around, surroundings, rest)


def _change_of(filling: Filling, compared: _Compared) -> _Change:
    import cv2

    both, whole, rest = compared.both.astype(np.float32), compared.whole, compared.rest
    depth = depth_of(filling.hole)
    surface = compared.surroundings * repeated(np.exp(-depth / FADES))
    known = np.maximum(cv2.GaussianBlur(both, (0, 0), 1.0), 1e-3)
    inner = (whole - surface) * repeated(both)
    smooth = cv2.GaussianBlur(inner, (0, 0), 1.0) / repeated(known)
    size = cv2.GaussianBlur(mean_of(np.abs(inner)), (0, 0), 1.0) / known
    # Where what is around the hole changes in a way of its own, so may the hole.
    weight = both / (1 + (size / ANOTHER) ** 2) / (1 + mean_of(compared.surroundings**2) / UNSTEADY**2)
    # Near the rim a smooth continuation is better than what was here when it is restless.
    near = np.exp(-((depth / THIN) ** 2))
    weight = weight / (1 + near * (min(rest, _GLARING) / RESTLESS) ** 2)
    # Where a wrong fraction of a pixel explains the change, there is little to correct.
    across, down = (cv2.Sobel(filling.pixels, cv2.CV_32F, *axes, scale=0.125) for axes in ((1, 0), (0, 1)))
    inexact = cv2.GaussianBlur(mean_of(across**2 + down**2) * both, (0, 0), 2.0)
    power = cv2.GaussianBlur(mean_of(inner**2), (0, 0), 2.0)
    share = power / (power + INEXACT**2 * inexact + 0.01)
    return _Change(compared.places, whole, smooth * repeated(share * both), weight, compared.around)


def _filled(scene: Scene, filling: Filling, box: Box) -> np.ndarray:
    """A part of a frame with what was filled, float32 [h, w, 3]."""
    part = scene.frame(filling.number)[box.slices].astype(np.float32)
    common = None if filling.box is None else filling.box.intersection(box)
    if filling.box is None or common is None:
        return part
    there, here = common.shifted(-filling.box.left, -filling.box.top).slices, common.shifted(-box.left, -box.top).slices
    part[here] = chosen(filling.hole[there], filling.pixels[there], part[here])
    return part


def _of_surroundings(whole: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What is `known` of a change, float32 [h, w, 3], smoothed over eight pixels and going on smoothly elsewhere."""
    import cv2

    height, width = known.shape
    size = -(-width // 4), -(-height // 4)
    near = cv2.GaussianBlur(cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA), (0, 0), 2.0)
    if not (near > 0.02).any():
        return np.zeros_like(whole)
    visible = chosen(known, whole, 0)
    smooth = cv2.GaussianBlur(cv2.resize(visible, size, interpolation=cv2.INTER_AREA), (0, 0), 2.0) / repeated(np.maximum(near, 1e-6))
    smooth = completed(smooth, np.minimum(near * 4, 1) * (near > 0.02))
    return cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)


def _message(filling: Filling, neighbour: Filling | None, change: _Change | None, before: _Message | None, fixed: bool) -> _Message | None:
    """What a neighbour, which got `before` from the frame on its other side, asks of a filling.

    fixed: whether the neighbour's filling stays as it is.
    """
    import cv2

    if change is None or neighbour is None:
        return None
    correction: np.ndarray | float = 0.0
    weight: np.ndarray | float = _VISIBLE
    if neighbour.box is not None and not fixed:
        theirs = np.zeros_like(neighbour.pixels)
        sure = np.where(neighbour.hole, np.float32(KEEPS), np.float32(_VISIBLE))
        if before is not None:
            asked = before.weight.astype(np.float32)
            theirs = before.correction.astype(np.float32) * repeated(asked / (KEEPS + asked))
            sure += asked
        local = change.places - np.array([neighbour.box.left, neighbour.box.top], np.float32)
        correction = cv2.remap(theirs, local, NOTHING, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        weight = cv2.remap(sure, local, NOTHING, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_VISIBLE)
    asked = change.weight * weight / (change.weight + weight)
    return _Message((correction + change.unexplained).astype(np.float16), asked.astype(np.float16))


def _correction(filling: Filling, forth: _Message | None, back: _Message | None) -> np.ndarray | None:
    """Of a filling, float32 [h, w, 3]; 0 outside of the hole, and going there smoothly."""
    import cv2

    messages = [message for message in (forth, back) if message is not None]
    if not messages:
        return None
    weights = [message.weight.astype(np.float32) for message in messages]
    total = KEEPS + np.sum(weights, axis=0)
    asked = np.zeros_like(filling.pixels)
    for weight, message in zip(weights, messages, strict=True):
        asked += repeated(weight / total) * message.correction.astype(np.float32)
    return chosen(filling.hole, cv2.GaussianBlur(chosen(filling.hole, asked, 0), (0, 0), 1.0), 0)


def _limit_grain(filling: Filling, after: Filling, change: _Change, correction: np.ndarray | None, following: np.ndarray | None) -> None:
    """Give a filling no more new grain than it takes to change as much from frame to frame as its surroundings do."""
    import cv2

    left = change.whole if correction is None else change.whole - correction
    hidden = np.zeros(filling.hole.shape, np.float32)
    if after.box is not None:
        local = change.places - np.array([after.box.left, after.box.top], np.float32)
        constant = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": 0}
        hidden = cv2.remap(after.hole.astype(np.float32), local, NOTHING, cv2.INTER_LINEAR, **constant)
        if following is not None:
            left = left + cv2.remap(following, local, NOTHING, cv2.INTER_LINEAR, **constant)
    three = np.ones((3, 3), np.uint8)
    inner, outer = (cv2.erode(where.astype(np.uint8), three) > 0 for where in (filling.hole & (change.weight > 0), change.around))
    if min(inner.sum(), outer.sum()) < _LEAST:
        return
    power = np.minimum(cv2.filter2D(left, cv2.CV_32F, FINE) ** 2, _GLARING**2 / 4)
    # Where the neighbour is filled, too, both lack it.
    lacking = (power[outer].mean(axis=0) - power[inner].mean(axis=0)) / (1 + float((hidden[inner] > 0.5).mean()))
    filling.grain = np.minimum(filling.grain, np.sqrt(np.maximum(lacking, 0))).astype(np.float32)
