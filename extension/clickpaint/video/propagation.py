"""Finds for a part of a frame what other frames show there; `joining` makes one filling of it.

From every frame around comes a layer: its pixels where the flow's chain, or the camera's, says they belong, made exact at the hole's rim.
How well a layer agrees with what is visible around the hole says how far it is believed inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.image.channels import chosen, extent_of, length_of, mean_of, scaled
from clickpaint.image.geometry import Box
from clickpaint.progress import Progress
from clickpaint.video.flow import NOTHING, completed, grid, sampled
from clickpaint.video.motion import refined, transformed
from clickpaint.video.scene import Motion, Scene

REACH = 40
"""Frames that are looked at in each direction."""
ENOUGH = 5
"""Good layers after which a pixel needs no more: they are farther away, and add nothing but blur."""
RING = 14
"""Pixels around a hole by which layers are judged."""
NOISE = 2.0
"""Levels of disagreement that say nothing: coding and grain."""
WRONG = 28.0
"""Levels of disagreement at the rim beyond which a layer is worth less than a smooth continuation."""
PASSING = 14.0
"""Pixels by which the way back misses, beyond which something else is seen."""
ASTRAY = 8.0
"""Levels² of error expected for each squared pixel by which the way back misses."""
THIN = 5.0
"""Pixels from the rim over which a smooth continuation is worth something."""
_DENSE = 6
_SAMPLES = 5_000


@dataclass(frozen=True, eq=False)
class Layer:
    """What one frame says about a part of another.

    Attributes:
        number: of the frame.
        colours: float32 [h, w, 3].
        valid: bool [h, w], where the frame shows background.
        error: float32 [h, w], mean squared error in levels² expected.
    """

    number: int
    colours: np.ndarray
    valid: np.ndarray
    error: np.ndarray


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a frame to be filled.

    Attributes:
        number: of the frame.
        box: the part, with its surroundings.
        pixels: float32 [h, w, 3] of it.
        hole: bool [h, w], what is to be filled.
        ring: bool [h, w], visible pixels around it.
    """

    number: int
    box: Box
    pixels: np.ndarray
    hole: np.ndarray
    ring: np.ndarray

    @cached_property
    def inwards(self) -> np.ndarray:
        """0 at the hole's rim, where what is visible speaks for itself, to 1 deep inside, float32 [h, w]."""
        return np.clip((depth_of(self.hole) - THIN) / (2 * THIN), 0, 1)


def depth_of(hole: np.ndarray) -> np.ndarray:
    """How far each pixel of a hole is from its rim, float32 [h, w] in pixels; 0 outside, and the picture's border is a rim."""
    import cv2

    return cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]


def part_of(number: int, box: Box, picture: np.ndarray, hole: np.ndarray, unknown: np.ndarray) -> Part:
    """A part of a frame: uint8 or float32 `picture` [H, W, 3], what is to be filled of it and what is not to be believed, bool [H, W]."""
    here = hole[box.slices]
    ring = masks_.grow(here, RING) & ~unknown[box.slices]
    return Part(number, box, picture[box.slices].astype(np.float32), here, ring)


def layers_of(part: Part, scene: Scene, progress: Progress, reach: int = REACH) -> list[Layer]:
    """The layers of the frames around, the nearest first, until every pixel has enough of them."""
    gray = _gray(part.pixels)
    walkers = [_Walker(scene, part, step) for step in (1, -1)]
    need = np.where(part.hole, ENOUGH, 0).astype(np.float32)
    best = np.full(part.hole.shape, np.inf, np.float32)
    layers: list[Layer] = []
    for distance in range(1, reach + 1):
        for walker in walkers:
            progress.check()
            if not walker.go():
                continue
            if distance > _DENSE and distance % 2:  # far ones differ little from their neighbours
                continue
            offers = [
                layer
                for places, astray in walker.offers()
                if (layer := layer_at(part, gray, places, walker.number, scene.frame(walker.number), scene.seen(walker.number), astray))
                is not None
            ]
            if not offers:
                continue
            layer = reduce(_better, offers)  # the camera's, the other layer's, the flow's
            useful = layer.valid & (need > 0)
            if not useful.any():
                continue
            layers.append(layer)
            best = np.where(layer.valid, np.minimum(best, layer.error), best)
            need -= layer.valid & (layer.error <= 1.5 * best + NOISE**2)
        if not (need > 0).any() or not any(walker.alive for walker in walkers):
            break
    return layers


class _Walker:
    """Goes from frame to frame in one direction, and knows where the part's pixels are there: by the flow and by the camera."""

    def __init__(self, scene: Scene, part: Part, step: int) -> None:
        self.scene, self.step, self.number, self.alive = scene, step, part.number, True
        self._here = grid(part.box.width, part.box.height, part.box.left, part.box.top)
        self._along: np.ndarray = self._here
        self._before: list[np.ndarray | None] = []
        self._matrices: list[np.ndarray | None] = [np.eye(3), np.eye(3)]
        self._steps: list[np.ndarray | None] = [None, None]

    def go(self) -> bool:
        """To the next frame; False where there is none, or where it shows something else."""
        after = self.number + self.step
        if not self.alive or not 0 <= after < len(self.scene):
            self.alive = False
            return False
        motion = self.scene.motion(self.number, self.step)
        if motion.cut:
            self.alive = False
            return False
        self._before = self._maps()
        self._along = self.scene.follow(self._along, self.number, self.step)
        steps = self._layers(motion)
        self._matrices = [None if a is None or b is None else b @ a for a, b in zip(self._matrices, steps, strict=True)]
        self._steps = steps
        self.number = after
        return True

    def _layers(self, motion: Motion) -> list[np.ndarray | None]:
        """How the layer that was the camera's where this began, and the other one, move to the next frame."""
        both = [None if layer is None else layer.matrix for layer in (motion.camera, motion.second)]
        first, second = self._steps
        if both[0] is None or both[1] is None or first is None or second is None:
            return both
        kept = _apart(both[0], first, self._here) + _apart(both[1], second, self._here)
        swapped = _apart(both[1], first, self._here) + _apart(both[0], second, self._here)
        return both if kept <= swapped else both[::-1]

    def _maps(self) -> list[np.ndarray | None]:
        """Along the flow, with the camera and with the scene's other layer; None where that has been lost."""
        return [self._along, *(None if matrix is None else transformed(matrix, self._here) for matrix in self._matrices)]

    def offers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The maps, float32 [h, w, 2] each, that lead from the part into the frame; and by how many pixels of the flow's size what is
        there comes from elsewhere, float32 [h, w]: then it is not the background, but something that passes in front of it."""
        scale = max(self.scene.scale)
        result = []
        for now, before in zip(self._maps(), self._before, strict=True):
            if now is None or before is None:
                continue
            back = self.scene.follow(now, self.number, -self.step)
            result.append((now, length_of(back - before) / scale))
        return result[1:] + result[:1]


def _apart(one: np.ndarray, other: np.ndarray, places: np.ndarray) -> float:
    """By how many pixels two homographies differ at the corners of `places` (float32 [h, w, 2])."""
    corners = places[:: max(len(places) - 1, 1), :: max(places.shape[1] - 1, 1)]
    return float(length_of(transformed(one, corners) - transformed(other, corners)).mean())


def layer_at(
    part: Part,
    gray: np.ndarray,
    places: np.ndarray,
    number: int,
    frame: np.ndarray,
    seen: np.ndarray,
    astray: np.ndarray | None = None,
) -> Layer | None:
    """The layer that `frame` (uint8 [H, W, 3]) gives at `places` (float32 [h, w, 2]); None where it shows nothing of the hole.

    gray: float32 [h, w], the part. seen: uint8 [H, W], 255 where the frame shows background. astray: see `_Walker.offers`.
    """
    height, width = seen.shape
    margin = 8
    low, high = extent_of(places)
    low, high = np.floor(low) - margin, np.ceil(high) + margin + 1
    if not np.isfinite([low, high]).all():
        return None
    box = Box(int(max(low[0], -1e6)), int(max(low[1], -1e6)), int(min(high[0], 1e6)), int(min(high[1], 1e6))).clipped(width, height)
    if box.width < 4 or box.height < 4:
        return None
    local = places - np.array([box.left, box.top], np.float32)
    source = frame[box.slices].astype(np.float32)
    visible = seen[box.slices].astype(np.float32) / 255
    if not (_visible(visible, local) & part.hole).any():
        return None
    local = refined(gray, _gray(source), local, part.ring, visible)
    valid = _visible(visible, local)
    astray = np.zeros(valid.shape, np.float32) if astray is None else astray * part.inwards
    valid &= astray < PASSING
    if not (valid & part.hole).any():
        return None
    colours = sampled(source, local, smooth=True)
    judged = part.ring & valid
    if judged.sum() < 24:
        # Nothing to judge it by: what is visible of the hole may still be right, but only if nobody knows better.
        return Layer(number, colours, valid, np.full(valid.shape, WRONG**2, np.float32))
    colours = exposed(colours, part.pixels, judged)
    error = _expected_error(colours, part.pixels, judged)
    return Layer(number, colours, valid, error + ASTRAY * np.maximum(astray - 1, 0) ** 2)


def _visible(visible: np.ndarray, places: np.ndarray) -> np.ndarray:
    import cv2

    # Beyond the border nothing is visible.
    return cv2.remap(visible, places, NOTHING, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0) > 0.99


def exposed(colours: np.ndarray, wanted: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Colours as bright and as rich in contrast as they are wanted; gains are believed only as far as there is contrast.

    Args:
        colours, wanted: float32 [h, w, 3] in levels.
        judged: bool [h, w], where they should be equal.
    """
    sample = np.flatnonzero(judged)
    sample = sample[:: max(1, len(sample) // _SAMPLES)]
    a, b = (np.ascontiguousarray(plane.reshape(-1, 3)[sample].T) for plane in (colours, wanted))
    weight = np.ones_like(a)
    gain, offset = np.ones((3, 1), np.float32), np.zeros((3, 1), np.float32)
    for _ in range(3):
        total = weight.sum(axis=1, keepdims=True)
        mean_a, mean_b = ((weight * values).sum(axis=1, keepdims=True) / total for values in (a, b))
        variance = (weight * (a - mean_a) ** 2).sum(axis=1, keepdims=True) / total
        covariance = (weight * (a - mean_a) * (b - mean_b)).sum(axis=1, keepdims=True) / total
        gain = np.clip((covariance + 400) / (variance + 400), 0.6, 1.6)
        offset = mean_b - gain * mean_a
        rest = b - gain * a - offset
        scale = 1.4826 * np.median(np.abs(rest), axis=1, keepdims=True) + 1
        weight = 1 / (1 + (rest / (2 * scale)) ** 2) ** 2
    return scaled(colours, gain[:, 0], offset[:, 0])


def _expected_error(colours: np.ndarray, wanted: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """How wrong a layer is likely to be, float32 [h, w] in levels²: as at the rim nearby."""
    import cv2

    squared = np.minimum(mean_of((colours - wanted) ** 2), 4 * WRONG**2)
    weight = cv2.GaussianBlur(judged.astype(np.float32), (0, 0), 4.0)
    local = cv2.GaussianBlur(np.where(judged, squared, 0).astype(np.float32), (0, 0), 4.0) / np.maximum(weight, 1e-6)
    return completed(local, np.minimum(weight * 4, 1) * (weight > 0.02))


def _better(first: Layer, second: Layer) -> Layer:
    """Of two layers of one frame the better one, pixel by pixel; the first where both are as good."""
    take = second.valid & (~first.valid | (second.error < 0.8 * first.error - 1))
    return Layer(
        first.number,
        chosen(take, second.colours, first.colours),
        np.where(take, second.valid, first.valid),
        np.where(take, second.error, first.error),
    )


def _gray(pixels: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
