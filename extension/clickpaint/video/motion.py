"""How the whole picture moves from one frame to the next, and the last fraction of a pixel at a hole's rim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.video.flow import Flow, grid, sampled

STILL = 0.2
"""Pixels; a camera that seems to move less stands still, and nothing has to be resampled."""
APART = 2.0
"""Pixels by which something must miss the camera's motion to be another layer of the scene."""
SECOND = 0.08
"""Share of the trusted flow from which on that is looked for."""
_SAMPLES = 4000
_LEAST = 0.25
_STEPS = 3
_MOST_PIXELS = 8_000
_FARTHEST = 6.0


@dataclass(frozen=True, eq=False)
class Camera:
    """The motion of most of a picture: that of one plane, or of a camera that only turns and zooms.

    Attributes:
        matrix: float64 [3, 3], a homography of (x, y, 1) in pixels of the frames.
        share: of the trusted flow that it explains, 0 to 1.
    """

    matrix: np.ndarray
    share: float


def scene_planes(flow: Flow, texture: np.ndarray, scale: tuple[float, float]) -> tuple[Camera | None, Camera | None]:
    """The homography that most of the flow follows, and that which most of the rest does (RANSAC, one after the other), as of a wall and
    of the floor before it: the layers of Wang, Adelson 1994, "Representing Moving Images with Layers". None where there is none, as at
    a cut.

    Args:
        flow: between two frames, at the size of work.
        texture: float32 [h, w], strength of the gradients: flow says nothing where there are none.
        scale: (x, y) pixels of the frames for one pixel of work.
    """
    import cv2

    strong = texture > max(float(np.median(texture)), 1.0)
    where = np.flatnonzero(flow.trusted & strong)
    if len(where) < 24:
        where = np.flatnonzero(flow.trusted)
    if len(where) < 24 or flow.trusted.mean() < 0.02:
        return None, None
    where = where[:: max(1, len(where) // _SAMPLES)]
    rows, columns = np.divmod(where, flow.trusted.shape[1])
    here = np.stack([columns, rows], axis=1).astype(np.float64)
    there = here + flow.vectors[rows, columns]
    # A pixel's centre lies at half a pixel at any size.
    here, there = ((points + 0.5) * scale - 0.5 for points in (here, there))
    moved = there - here
    still = np.linalg.norm(moved, axis=1) < STILL * max(scale)
    if still.mean() > 0.5:
        return Camera(np.eye(3), 1.0), None
    found = _homography(here, there, scale)
    if found is None:
        return None, None
    first, inliers = found
    if first.share < _LEAST:
        shift = np.median(moved, axis=0)
        return Camera(np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]]), first.share), None
    missed = np.linalg.norm(cv2.perspectiveTransform(here[None], first.matrix)[0] - there, axis=1)
    others = ~inliers & (missed > APART * max(scale))
    if others.mean() < SECOND:
        return first, None
    second = _homography(here[others], there[others], scale)
    if second is None or second[0].share < 0.5:
        return first, None
    return first, Camera(second[0].matrix, second[0].share * float(others.mean()))


def _homography(here: np.ndarray, there: np.ndarray, scale: tuple[float, float]) -> tuple[Camera, np.ndarray] | None:
    """The homography that most of the points follow, and which do, bool [n]."""
    import cv2

    if len(here) < 24:
        return None
    cv2.setRNGSeed(1)
    matrix, inliers = cv2.findHomography(here, there, cv2.RANSAC, 0.75 * max(scale), maxIters=500, confidence=0.995)
    if matrix is None or not np.isfinite(matrix).all():
        return None
    return Camera(matrix, float(inliers.mean())), inliers.ravel() > 0


def transformed(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """`places` (float32 [h, w, 2]) moved by a homography."""
    import cv2

    return cv2.perspectiveTransform(places, matrix)


def refined(target: np.ndarray, source: np.ndarray, places: np.ndarray, usable: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """`places` made exact by what is visible of both: an affine change that makes the source look as the target there.

    Gauss and Newton's method with gain and offset of the brightness, outliers weighing little (Baker, Matthews 2004, "Lucas-Kanade 20
    Years On").

    Args:
        target: float32 [h, w] grey, a part of the frame that is being filled.
        source: float32 [H, W] grey, the frame that pixels are to come from.
        places: float32 [h, w, 2], where in `source` each pixel of the part is thought to be.
        usable: bool [h, w], which pixels of the part may be compared.
        seen: float32 [H, W], 1 where the source shows background.

    Returns:
        float32 [h, w, 2]; `places` itself where nothing better was found.
    """
    import cv2

    height, width = target.shape
    where = np.flatnonzero(usable)
    if len(where) < 64:
        return places
    where = where[:: max(1, len(where) // _MOST_PIXELS)]
    rows, columns = np.divmod(where, width)
    half = max(width, height) / 2
    x, y = (columns - (width - 1) / 2) / half, (rows - (height - 1) / 2) / half
    basis = np.stack([np.ones_like(x), x, y], axis=1)
    wanted = target.ravel()[where]
    # Everything is looked up at these pixels alone, [1, n] of them; the whole map is made once, in the end.
    points = np.stack([columns, rows], axis=1).astype(np.float32)[None]
    slopes = (cv2.Sobel(source, cv2.CV_32F, *axes, scale=0.125) for axes in ((1, 0), (0, 1)))
    planes = cv2.merge([source, *slopes, seen])
    now = sampled(places, points)
    turned = np.linalg.solve(basis.T @ basis + 1e-9 * np.eye(3), basis.T @ now[0])[1:].T / half  # how `places` turn and scale
    shift = best = np.zeros((2, 3))
    best_error, first_error = np.inf, np.inf
    for step in range(_STEPS + 1):
        found, across, down, shown = sampled(planes, now)[0].T
        visible = shown > 0.99
        if visible.sum() < 48:
            return places
        gain, offset = _exposure(found[visible], wanted[visible])
        residual = wanted - (gain * found + offset)
        scale = 1.4826 * float(np.median(np.abs(residual[visible]))) + 0.5
        weight = np.where(visible, 1 / (1 + (residual / (2 * scale)) ** 2) ** 2, 0)
        error = float((weight * residual**2).sum() / weight.sum()) + 0.5 * scale**2
        if step == 0:
            first_error = error
        if error < best_error:
            best, best_error = shift, error
        elif step > 0:
            break
        if step == _STEPS:
            break
        gx = gain * (turned[0, 0] * across + turned[1, 0] * down)
        gy = gain * (turned[0, 1] * across + turned[1, 1] * down)
        jacobian = np.hstack([basis * gx[:, None], basis * gy[:, None]])
        weighted = jacobian * weight[:, None]
        normal = weighted.T @ jacobian
        # What the rim says nothing about stays as it is: a prior of about two pixels of motion.
        normal[np.diag_indices(6)] += scale**2 / 4.0 + 1e-4 * np.trace(normal)
        change = np.linalg.solve(normal, weighted.T @ residual).reshape(2, 3)
        shift = shift + change
        if np.abs(shift).sum(axis=1).max() > _FARTHEST:
            break
        now = _continued(places, points + (basis @ shift.T)[None].astype(np.float32))
        if np.abs(change).max() < 0.01:
            break
    if not best_error < 0.98 * first_error:
        return places
    linear = best[:, 1:] / half
    constant = best[:, 0] - linear @ np.array([(width - 1) / 2, (height - 1) / 2])
    return _continued(places, cv2.transform(grid(width, height), np.hstack([np.eye(2) + linear, constant[:, None]])))


def _continued(places: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The map `places` at `moved`, going on linearly beyond its border."""
    height, width = places.shape[:2]
    inside = within(moved, (width, height))
    return sampled(places, inside) + (moved - inside)


def within(places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`places` (float32 [h, w, 2]) with those outside of a plane of `size` (width, height) brought to its border."""
    return np.minimum(np.maximum(places, 0), np.tile(np.array(size, np.float32) - 1, places.shape[1]).reshape(-1, 2))


def _exposure(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Gain and offset that make `found` like `wanted`, by their medians and spreads; cautious."""
    a, b = float(np.median(found)), float(np.median(wanted))
    return 1.0, b - a if abs(b - a) < 40 else 0.0
