"""Makes one filling of what several frames show of a part: the layers are weighed against each other and joined in the gradient domain
(Pérez, Gangnet, Blake 2003, "Poisson Image Editing"), so that neither a seam nor a step of brightness shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.erase import seamless
from clickpaint.image.channels import chosen, mean_of, repeated
from clickpaint.progress import Progress
from clickpaint.video.flow import completed
from clickpaint.video.propagation import NOISE, THIN, WRONG, Layer, Part, depth_of

FINE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""The filter whose answer to white noise has the noise's standard deviation, and to edges none (Immerkær 1996, "Fast Noise Variance
Estimation")."""
TRUST = 0.0004
"""How much the layers' colours count against their gradients; see `exemplar.TRUST`."""


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


def joined(part: Part, layers: Sequence[Layer], progress: Progress) -> Filled:
    """The part with its hole filled from `layers`, wherever one of them is good enough."""
    if not layers:
        return Filled(part.pixels, np.zeros_like(part.hole), np.zeros(3, np.float32))
    weights = _weights(part, layers)
    total = np.sum(weights, axis=0)
    found = part.hole & (total > 0)
    if not found.any():
        return Filled(part.pixels, found, np.zeros(3, np.float32))
    colours = completed(mean_by_weight(weights, [layer.colours for layer in layers]), total > 0)  # what nobody knows must pull at nothing
    grain = missing_grain(colours, part.pixels, part.ring & (total > 0))
    belief = _belief(part, colours, part.ring & (total > 0))
    down, across = mixed_gradients(weights, [layer.colours for layer in layers], colours)
    gradients = down * repeated(np.minimum(belief[1:], belief[:-1])), across * repeated(np.minimum(belief[:, 1:], belief[:, :-1]))
    rim = steadied(part.pixels, colours, part.ring & (total > 0))
    whole = seamless.solved(chosen(part.hole, colours, rim), part.hole, gradients, TRUST, progress)
    return Filled(chosen(found, whole, part.pixels), found, grain)


def mean_by_weight(weights: Sequence[np.ndarray], planes: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of `planes` (float32 [h, w, 3] each), weighed by `weights` (float32 [h, w] each); 0 where all of these are 0."""
    safe = np.maximum(np.sum(weights, axis=0), 1e-12)
    mean = np.zeros_like(planes[0])
    for weight, plane in zip(weights, planes, strict=True):
        mean += repeated(weight / safe) * plane
    return mean


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
        shared = np.sum(both, axis=0)
        safe = np.maximum(shared, 1e-20)
        mean = sum(repeated(weight / safe) * (plane[ahead] - plane[behind]) for weight, plane in zip(both, planes, strict=True))
        # Where no layer knows both pixels, a seam: nothing is said about the step but what the colours are.
        gradients.append(chosen(shared > 0, np.asarray(mean, np.float32), colours[ahead] - colours[behind]))
    return gradients[0], gradients[1]


def steadied(pixels: np.ndarray, colours: np.ndarray, both: np.ndarray) -> np.ndarray:
    """What the hole is joined to: `colours` shifted to the brightness of `pixels`, so that the rim's grain is not drawn into the hole."""
    import cv2

    weight = cv2.GaussianBlur(both.astype(np.float32), (0, 0), 1.5)
    difference = chosen(both, np.clip(pixels - colours, -60, 60), 0)
    smooth = cv2.GaussianBlur(difference, (0, 0), 1.5) / repeated(np.maximum(weight, 1e-6))
    return chosen(both, colours + smooth, pixels)


def _belief(part: Part, colours: np.ndarray, both: np.ndarray) -> np.ndarray:
    """How much of the layers' gradients is taken, 0 to 1, float32 [h, w].

    At the rim as much as makes the squared error least (Wiener's gain): water that was elsewhere a moment ago says nothing about a speck in
    it, which a smooth continuation fills better. Deep inside, all of it: without, a wide hole would be flat.
    """
    import cv2

    inner = cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    # What the smooth continuation lacks is curvature: theirs has to be that of what is visible.
    ours, theirs = (chosen(inner, cv2.Laplacian(pixels, cv2.CV_32F), 0) for pixels in (colours, part.pixels))
    agree, power = 3 * mean_of(ours * theirs), 3 * mean_of(ours * ours)
    gain = (cv2.GaussianBlur(agree, (0, 0), 6) + 0.5) / (cv2.GaussianBlur(power, (0, 0), 6) + 0.5)
    near = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), 6)
    gain = completed((np.clip(gain, 0, 1) ** 2).astype(np.float32), np.minimum(near * 4, 1) * (near > 0.02))
    return (1 - (1 - gain) * np.exp(-((depth_of(part.hole) / THIN) ** 2))).astype(np.float32)


def _weights(part: Part, layers: Sequence[Layer]) -> list[np.ndarray]:
    """How much each layer counts, float32 [h, w]: by its expected error, its distance, and how far the others agree with it."""
    smallest = np.minimum.reduce([np.where(layer.valid, layer.error, np.inf) for layer in layers])
    smallest = np.where(np.isfinite(smallest), smallest, 0)
    weights = []
    for layer in layers:
        good = layer.valid & (layer.error <= 2 * smallest + NOISE**2) & (layer.error <= 4 * WRONG**2)
        distance = abs(layer.number - part.number)
        doubt = layer.error + np.float32(NOISE**2)
        weights.append(np.where(good, 1 / (doubt * np.sqrt(doubt) * np.float32(1 + 0.05 * distance)), np.float32(0)))
    if len(layers) < 3:
        return weights
    for _ in range(3):
        total = np.maximum(np.sum(weights, axis=0), 1e-12)
        mean = mean_by_weight(weights, [layer.colours for layer in layers])
        squares = [mean_of((layer.colours - mean) ** 2) for layer in layers]
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
    near = np.maximum(cv2.GaussianBlur(inner.astype(np.float32), (0, 0), 3), 1e-6)[inner][:, None]

    def power(plane: np.ndarray) -> np.ndarray:
        high = chosen(inner, cv2.filter2D(plane, cv2.CV_32F, FINE) ** 2, 0)
        return cv2.GaussianBlur(high, (0, 0), 3)[inner] / near

    wanted, there = power(pixels), power(colours)
    calm = np.quantile(wanted, 0.2, axis=0)
    return np.sqrt(np.clip(np.median(wanted - there, axis=0), 0, calm)).astype(np.float32)
