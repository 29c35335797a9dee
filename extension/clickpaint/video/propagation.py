"""Fills a part of a frame with what other frames show there.

From every frame around comes a layer: its pixels where the flow's chain, or the camera's, says they belong, made exact at the hole's rim.
How well a layer agrees with what is visible around the hole says how far it is believed inside; the layers are joined in the gradient
domain (Pérez, Gangnet, Blake 2003, "Poisson Image Editing"), so that neither a seam nor a step of brightness shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.erase import seamless
from clickpaint.image import mask as masks_
from clickpaint.image.geometry import Box
from clickpaint.progress import Progress
from clickpaint.video.flow import NOTHING, completed, grid, sampled
from clickpaint.video.motion import refined, transformed
from clickpaint.video.scene import Scene

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
FINE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""The filter whose answer to white noise has the noise's standard deviation, and to edges none (Immerkær 1996, "Fast Noise Variance
Estimation")."""
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


@dataclass(frozen=True, eq=False)
class Filled:
    """A part with what was found.

    Attributes:
        pixels: float32 [h, w, 3]; outside of `found` as before.
        found: bool [h, w], what of the hole is filled.
        grain: float32 [3], standard deviation of the fine noise that the filling lacks.
    """

    pixels: np.ndarray
    found: np.ndarray
    grain: np.ndarray


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
            layer = _better(offers)
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
        self._before: list[np.ndarray] = []
        self._matrix: np.ndarray | None = np.eye(3)

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
        self._matrix = None if self._matrix is None or motion.camera is None else motion.camera.matrix @ self._matrix
        self.number = after
        return True

    def _maps(self) -> list[np.ndarray]:
        """Along the flow, and with the camera where it has not been lost."""
        return [self._along] if self._matrix is None else [self._along, transformed(self._matrix, self._here)]

    def offers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The maps, float32 [h, w, 2] each, that lead from the part into the frame; and by how many pixels of the flow's size what is
        there comes from elsewhere, float32 [h, w]: then it is not the background, but something that passes in front of it."""
        scale = max(self.scene.scale)
        result = []
        for now, before in zip(self._maps(), self._before, strict=False):
            back = self.scene.follow(now, self.number, -self.step)
            result.append((now, np.linalg.norm(back - before, axis=2) / scale))
        return result[::-1]


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
    low, high = np.floor(places.min((0, 1))) - margin, np.ceil(places.max((0, 1))) + margin + 1
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
    astray = np.zeros(valid.shape, np.float32) if astray is None else astray * _inwards(part.hole)
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


def _inwards(hole: np.ndarray) -> np.ndarray:
    """0 at the rim, where what is visible speaks for itself, to 1 deep in the hole, float32 [h, w]."""
    import cv2

    depth = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.clip((depth - THIN) / (2 * THIN), 0, 1)


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
    result = colours.copy()
    sample = np.flatnonzero(judged)
    sample = sample[:: max(1, len(sample) // _SAMPLES)]
    for channel in range(3):
        a, b = colours[..., channel].ravel()[sample], wanted[..., channel].ravel()[sample]
        weight = np.ones_like(a)
        gain, offset = 1.0, 0.0
        for _ in range(3):
            total = weight.sum()
            mean_a, mean_b = (weight * a).sum() / total, (weight * b).sum() / total
            variance = (weight * (a - mean_a) ** 2).sum() / total
            covariance = (weight * (a - mean_a) * (b - mean_b)).sum() / total
            gain = float(np.clip((covariance + 400) / (variance + 400), 0.6, 1.6))
            offset = mean_b - gain * mean_a
            rest = b - gain * a - offset
            scale = 1.4826 * np.median(np.abs(rest)) + 1
            weight = 1 / (1 + (rest / (2 * scale)) ** 2) ** 2
        result[..., channel] = gain * colours[..., channel] + offset
    return result


def _expected_error(colours: np.ndarray, wanted: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """How wrong a layer is likely to be, float32 [h, w] in levels²: as at the rim nearby."""
    import cv2

    squared = np.minimum(((colours - wanted) ** 2).mean(axis=2), 4 * WRONG**2)
    weight = cv2.GaussianBlur(judged.astype(np.float32), (0, 0), 4.0)
    local = cv2.GaussianBlur(np.where(judged, squared, 0).astype(np.float32), (0, 0), 4.0) / np.maximum(weight, 1e-6)
    return completed(local, np.minimum(weight * 4, 1) * (weight > 0.02))


def _better(offers: list[Layer]) -> Layer:
    """Of the layers of one frame the better one, pixel by pixel; the camera's where both are as good."""
    if len(offers) == 1:
        return offers[0]
    first, second = offers
    take = second.valid & (~first.valid | (second.error < 0.8 * first.error - 1))
    return Layer(
        first.number,
        np.where(take[..., None], second.colours, first.colours),
        np.where(take, second.valid, first.valid),
        np.where(take, second.error, first.error),
    )


def joined(part: Part, layers: list[Layer], progress: Progress) -> Filled:
    """The part with its hole filled from `layers`, wherever one of them is good enough."""
    if not layers:
        return Filled(part.pixels, np.zeros_like(part.hole), np.zeros(3, np.float32))
    weights = _weights(part, layers)
    total = np.sum(weights, axis=0)
    found = part.hole & (total > 0)
    if not found.any():
        return Filled(part.pixels, found, np.zeros(3, np.float32))
    safe = np.maximum(total, 1e-12)[..., None]
    colours = sum(weight[..., None] * layer.colours for weight, layer in zip(weights, layers, strict=True)) / safe
    colours = completed(colours.astype(np.float32), total > 0)  # what nobody knows must pull at nothing
    grain = missing_grain(colours, part.pixels, part.ring & (total > 0))
    belief = _belief(part, colours, part.ring & (total > 0))
    down, across = mixed_gradients(weights, [layer.colours for layer in layers], colours)
    gradients = (
        down * np.minimum(belief[1:], belief[:-1])[..., None],
        across * np.minimum(belief[:, 1:], belief[:, :-1])[..., None],
    )
    rim = steadied(part.pixels, colours, part.ring & (total > 0))
    whole = seamless.solved(np.where(part.hole[..., None], colours, rim), part.hole, gradients, TRUST, progress)
    return Filled(np.where(found[..., None], whole, part.pixels), found, grain)


def mixed_gradients(weights: Sequence[np.ndarray], planes: Sequence[np.ndarray], colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of several layers as one, float32 [h - 1, w, 3] downwards and [h, w - 1, 3] to the right.

    Args:
        weights: float32 [h, w] for each layer, 0 where it knows nothing.
        planes: float32 [h, w, 3], each layer's colours.
        colours: float32 [h, w, 3], what they come to together.
    """
    gradients = []
    for axis in (0, 1):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(2))
        behind = tuple(slice(None, -1) if a == axis else slice(None) for a in range(2))
        both = [np.minimum(weight[ahead], weight[behind]) for weight in weights]
        sums = sum(weight[..., None] * (plane[ahead] - plane[behind]) for weight, plane in zip(both, planes, strict=True))
        shared = np.sum(both, axis=0)
        # Where no layer knows both pixels, a seam: nothing is said about the step but what the colours are.
        gradients.append(np.where(shared[..., None] > 0, sums / np.maximum(shared, 1e-20)[..., None], colours[ahead] - colours[behind]))
    return gradients[0], gradients[1]


TRUST = 0.0004
"""How much the layers' colours count against their gradients; see `exemplar.TRUST`."""


def steadied(pixels: np.ndarray, colours: np.ndarray, both: np.ndarray) -> np.ndarray:
    """What the hole is joined to: `colours` shifted to the brightness of `pixels`, so that the rim's grain is not drawn into the hole."""
    import cv2

    weight = cv2.GaussianBlur(both.astype(np.float32), (0, 0), 1.5)
    difference = np.where(both[..., None], np.clip(pixels - colours, -60, 60), 0).astype(np.float32)
    smooth = cv2.GaussianBlur(difference, (0, 0), 1.5) / np.maximum(weight, 1e-6)[..., None]
    return np.where(both[..., None], colours + smooth, pixels)


def _belief(part: Part, colours: np.ndarray, both: np.ndarray) -> np.ndarray:
    """How much of the layers' gradients is taken, 0 to 1, float32 [h, w].

    At the rim as much as makes the squared error least (Wiener's gain): water that was elsewhere a moment ago says nothing about a speck in
    it, which a smooth continuation fills better. Deep inside, all of it: without, a wide hole would be flat.
    """
    import cv2

    inner = cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # What the smooth continuation lacks is curvature: theirs has to be that of what is visible.
    ours, theirs = (np.where(inner[..., None], cv2.Laplacian(pixels, cv2.CV_32F), 0) for pixels in (colours, part.pixels))
    agree, power = (ours * theirs).sum(axis=2), (ours * ours).sum(axis=2)
    gain = (cv2.GaussianBlur(agree, (0, 0), 6) + 0.5) / (cv2.GaussianBlur(power, (0, 0), 6) + 0.5)
    near = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), 6)
    gain = completed((np.clip(gain, 0, 1) ** 2).astype(np.float32), np.minimum(near * 4, 1) * (near > 0.02))
    depth = cv2.distanceTransform(np.pad(part.hole, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return (1 - (1 - gain) * np.exp(-((depth / THIN) ** 2))).astype(np.float32)


def _weights(part: Part, layers: list[Layer]) -> list[np.ndarray]:
    """How much each layer counts, float32 [h, w]: by its expected error, its distance, and how far the others agree with it."""
    smallest = np.minimum.reduce([np.where(layer.valid, layer.error, np.inf) for layer in layers])
    smallest = np.where(np.isfinite(smallest), smallest, 0)
    weights = []
    for layer in layers:
        good = layer.valid & (layer.error <= 2 * smallest + NOISE**2) & (layer.error <= 4 * WRONG**2)
        distance = abs(layer.number - part.number)
        weights.append(np.where(good, 1 / ((layer.error + NOISE**2) ** 1.5 * (1 + 0.05 * distance)), 0).astype(np.float32))
    if len(layers) < 3:
        return weights
    for _ in range(3):
        total = np.maximum(np.sum(weights, axis=0), 1e-12)
        mean = sum(weight[..., None] * layer.colours for weight, layer in zip(weights, layers, strict=True)) / total[..., None]
        squares = [((layer.colours - mean) ** 2).mean(axis=2) for layer in layers]
        spread = sum(weight * square for weight, square in zip(weights, squares, strict=True)) / total
        limit = 0.5 * spread + smallest + 4 * NOISE**2
        weights = [(weight / (1 + square / limit) ** 2).astype(np.float32) for weight, square in zip(weights, squares, strict=True)]
    return weights


def missing_grain(colours: np.ndarray, pixels: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Standard deviation of the fine noise that `colours` lack against `pixels`, a channel each, float32 [3], where both are known.

    Only as much as there is in the calmest parts: what is missing elsewhere is texture, and noise is no texture.
    """
    import cv2

    inner = cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if inner.sum() < 64:
        return np.zeros(3, np.float32)
    near = np.maximum(cv2.GaussianBlur(inner.astype(np.float32), (0, 0), 3), 1e-6)[..., None]

    def power(plane: np.ndarray) -> np.ndarray:
        high = np.where(inner[..., None], cv2.filter2D(plane, cv2.CV_32F, FINE) ** 2, 0)
        return (cv2.GaussianBlur(high.astype(np.float32), (0, 0), 3) / near)[inner]

    wanted, there = power(pixels), power(colours)
    calm = np.quantile(wanted, 0.2, axis=0)
    return np.sqrt(np.clip(np.median(wanted - there, axis=0), 0, calm)).astype(np.float32)


def _gray(pixels: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
