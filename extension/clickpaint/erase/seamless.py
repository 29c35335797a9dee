"""Copies pixels from elsewhere in a picture into a hole so that no seam shows.

The gradients are copied instead of the colours (Pérez, Gangnet, Blake 2003, "Poisson Image Editing"), mixed as there, for a whole field of
displacements at once (Pritch, Kav-Venaki, Peleg 2009, "Shift-Map Image Editing"), with some weight for the colours themselves (Bhat et
al. 2008, "Fourier Analysis of the 2D Screened Poisson Equation for Gradient Domain Problems"). The equation is solved by conjugate
gradients, preconditioned by one V-cycle of multigrid (Tatebe 1993, "The Multigrid Preconditioned Conjugate Gradient Method").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.progress import Progress

TOLERANCE = 0.05
"""Largest mean error in levels at which the solver stops."""
_MOST_ITERATIONS = 30
_DAMPING = 0.8
_SWEEPS = 2


def merged(picture: np.ndarray, hole: np.ndarray, rows: np.ndarray, columns: np.ndarray, trust: float, progress: Progress) -> np.ndarray:
    """`picture` with the gradients of the pixels at `rows`, `columns` continued into the hole.

    Args:
        picture: float32 [h, w, C].
        hole: bool [h, w].
        rows: int [h, w], the row each pixel of the hole is copied from; outside the hole ignored. `columns`: the same.
        trust: how much the copied colours count against their gradients. What comes from beyond the rim or a seam fades over about
            1 / sqrt(trust) pixels; 0 lets it go on for ever.

    Returns:
        float32 [h, w, C], equal to `picture` outside the hole.
    """
    touched = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    height, width = hole.shape
    spans = [(max(lines[0] - 1, 0), min(lines[-1] + 2, side)) for lines, side in zip(touched, hole.shape, strict=True)]
    part = tuple(slice(*span) for span in spans)
    hole, here = hole[part], picture[part]
    here_rows, here_columns = np.mgrid[part]
    rows, columns = np.where(hole, rows[part], here_rows), np.where(hole, columns[part], here_columns)
    copied = picture[rows, columns]
    right = np.zeros_like(here)  # minus the divergence that the result is to have
    for axis, limit in ((0, height), (1, width)):
        first = tuple(slice(None, -1) if a == axis else slice(None) for a in range(2))
        second = tuple(slice(1, None) if a == axis else slice(None) for a in range(2))
        down, across = (1, 0) if axis == 0 else (0, 1)
        along = rows if axis == 0 else columns
        # The gradient as the first pixel's copy has it, and as the second's. Where they differ, at a seam, the stronger: a mean of the
        # two would be a line without grain.
        ahead = picture[np.minimum(rows[first] + down, height - 1), np.minimum(columns[first] + across, width - 1)] - copied[first]
        behind = copied[second] - picture[np.maximum(rows[second] - down, 0), np.maximum(columns[second] - across, 0)]
        by_first, by_second = (hole[first] & (along[first] + 1 < limit))[..., None], (hole[second] & (along[second] > 0))[..., None]
        stronger = np.abs(ahead).sum(axis=2, keepdims=True) >= np.abs(behind).sum(axis=2, keepdims=True)
        gradient = np.where(by_first & (stronger | ~by_second), ahead, np.where(by_second, behind, 0))
        right[second] += gradient
        right[first] -= gradient
    solver = _Multigrid(hole, trust, here.shape[2])
    # What is copied is right outside the hole, so that the change to be found is zero there.
    residual = (right + trust * copied - solver.levels[0].applied(copied)) * solver.levels[0].unknown
    result = picture.copy()
    result[part] = copied + solver.solved(residual, progress)
    return result


def solved(content: np.ndarray, hole: np.ndarray, gradients: tuple[np.ndarray, np.ndarray], trust: float, progress: Progress) -> np.ndarray:
    """`content` changed inside the hole so that it has the given gradients and meets what is around the hole.

    Args:
        content: float32 [h, w, C]; outside the hole what is to be met, inside what counts by `trust`.
        hole: bool [h, w].
        gradients: float32 [h - 1, w, C] downwards and [h, w - 1, C] to the right: each pixel minus the one before it.
        trust: as of `merged`.

    Returns:
        float32 [h, w, C], equal to `content` outside the hole.
    """
    solver = _Multigrid(hole, trust, content.shape[2])
    right = np.zeros_like(content)
    right[1:] += gradients[0]
    right[:-1] -= gradients[0]
    right[:, 1:] += gradients[1]
    right[:, :-1] -= gradients[1]
    level = solver.levels[0]
    residual = (right + trust * content - level.applied(content)) * level.unknown
    return content + solver.solved(residual.astype(np.float32), progress)


def membrane(picture: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
    """`picture` (float32 [h, w, C]) with the smoothest surface over `hole` that meets its rim."""
    start = np.where(hole[..., None], picture[~hole].mean(axis=0), picture)
    solver = _Multigrid(hole, 0, start.shape[2])
    residual = -solver.levels[0].applied(start) * solver.levels[0].unknown
    return start + solver.solved(residual, progress)


@dataclass(eq=False)
class _Grid:
    """One scale of the equation (trust · u - Δu) = f on the unknown pixels; around them u = 0, beyond the picture u goes on flat.

    All planes have as many channels as u: NumPy is ten times as slow where it has to repeat a plane for three channels.

    Attributes:
        unknown: float32 [h, w, C], 1 where u is unknown.
        diagonal: float32 [h, w, C].
    """

    unknown: np.ndarray
    diagonal: np.ndarray

    def __post_init__(self) -> None:
        self._damped = _DAMPING * self.unknown / self.diagonal

    def applied(self, u: np.ndarray) -> np.ndarray:
        result = self.diagonal * u
        result[1:] -= u[:-1]
        result[:-1] -= u[1:]
        result[:, 1:] -= u[:, :-1]
        result[:, :-1] -= u[:, 1:]
        return result

    def begun(self, right: np.ndarray) -> np.ndarray:
        """What `smoothed` makes of nothing."""
        return self._damped * right

    def smoothed(self, u: np.ndarray, right: np.ndarray) -> np.ndarray:
        return u + self._damped * (right - self.applied(u))


class _Multigrid:
    """Solves the equation of `_Grid` for all channels at once."""

    def __init__(self, hole: np.ndarray, trust: float, channels: int) -> None:
        self.levels: list[_Grid] = []
        unknown = hole.astype(np.float32)[..., None]
        while True:
            neighbours = np.full_like(unknown, 4)
            neighbours[0] -= 1
            neighbours[-1] -= 1
            neighbours[:, 0] -= 1
            neighbours[:, -1] -= 1
            diagonal = np.maximum(neighbours, 1) + trust
            self.levels.append(_Grid(unknown.repeat(channels, axis=2), diagonal.repeat(channels, axis=2)))
            if min(unknown.shape[:2]) < 4 or unknown.sum() < 16:
                return
            unknown = (_pooled(unknown) > 2).astype(np.float32)  # most of the four
            trust *= 4

    def solved(self, right: np.ndarray, progress: Progress) -> np.ndarray:
        grid = self.levels[0]
        u, residual = np.zeros_like(right), right
        step = improved = self._cycle(residual, 0)
        product = _totals(residual * improved)
        enough = TOLERANCE * np.sqrt(grid.unknown[..., 0].sum())
        for _ in range(_MOST_ITERATIONS):
            progress.check()
            moved = grid.applied(step) * grid.unknown
            length = product / np.maximum(_totals(step * moved), 1e-12)
            u = u + _each(length, step)
            residual = residual - _each(length, moved)
            if float(np.sqrt(_totals(residual**2).max())) < enough:
                break
            improved = self._cycle(residual, 0)
            following = _totals(residual * improved)
            step = improved + _each(following / np.maximum(product, 1e-12), step)
            product = following
        return u

    def _cycle(self, right: np.ndarray, number: int) -> np.ndarray:
        """Nearly the solution for `right`; linear and symmetric in it, as conjugate gradients want."""
        grid = self.levels[number]
        last = number + 1 == len(self.levels)
        u = grid.begun(right)
        for _ in range(20 if last else _SWEEPS - 1):
            u = grid.smoothed(u, right)
        if last:
            return u
        below = self.levels[number + 1]
        rest = (right - grid.applied(u)) * grid.unknown
        # Summing four and repeating four are transposes of each other. That makes steps, which cost convergence: over-correct.
        coarse = self._cycle(_pooled(rest) * below.unknown, number + 1)
        u = u + _repeated(coarse, right.shape) * grid.unknown
        for _ in range(_SWEEPS):
            u = grid.smoothed(u, right)
        return u


def _totals(planes: np.ndarray) -> np.ndarray:
    """The sum over all pixels, a channel each."""
    return planes.sum(axis=0).sum(axis=0)  # over both axes in one call it is fifty times as slow


def _each(factors: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Every channel times its factor."""
    return np.tile(factors.astype(planes.dtype), planes.shape[1]).reshape(planes.shape[1:]) * planes


def _pooled(plane: np.ndarray) -> np.ndarray:
    """The sums of two by two pixels."""
    import cv2

    padded = np.pad(plane, ((0, plane.shape[0] % 2), (0, plane.shape[1] % 2), (0, 0)))
    shape = padded.shape[0] // 2, padded.shape[1] // 2, plane.shape[2]
    return 4 * cv2.resize(padded, shape[1::-1], interpolation=cv2.INTER_AREA).reshape(shape)


def _repeated(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    import cv2

    size = 2 * plane.shape[1], 2 * plane.shape[0]
    return cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST).reshape(size[1], size[0], -1)[: shape[0], : shape[1]]
