"""How a selected object moves: the flow inside of its masks, and where its pixels were some frames ago."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.image.channels import length_of
from clickpaint.image.geometry import Box
from clickpaint.video.base import Frames, Masks, Recent
from clickpaint.video.flow import NOTHING, completed, consistent, grid, optical_flow, sampled, work_size
from clickpaint.video.motion import STILL, refined

AROUND = 16
"""Pixels at the size of work around an object that are looked at together with it."""
_LEAST_SIDE = 40
LOST = 0.2
"""Share of an object's pixels whose flow must be consistent; below, it is not followed any further."""
NOISE = 1.0
"""Levels that a flow must explain better than one motion of the whole to be believed."""
_FEW = 12
"""Trusted pixels that a turn and a zoom can be told from."""
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class ObjectMotion:
    """From one frame to a neighbour, at the size of work.

    Attributes:
        matrix: float64 [2, 3], the turn, zoom and shift of most of the object, which goes on beyond it.
        box: where the flow is known better than that.
        beyond: float32 [h, w, 2] of the box, what the flow has beyond `matrix`, completed where it is not trusted.
        astray: float32 [h, w] of the box, pixels by which the way back misses; large where the object is hidden or turns away.
        lost: the object is not to be found in the neighbour.
    """

    matrix: np.ndarray
    box: Box
    beyond: np.ndarray
    astray: np.ndarray
    lost: bool


class ObjectScene:
    """Frames, masks and an object's motions by number, each made once as long as it is near what was asked for last.

    Args:
        most: how many frames are kept.

    Attributes:
        size: (width, height) of the frames.
        scale: (x, y) pixels of a frame for one pixel at the size of work.
    """

    def __init__(self, frames: Frames, masks: Masks, most: int) -> None:
        self.size = frames.size
        self._count = len(frames)
        self._work = work_size(self.size)
        self.scale = np.array([self.size[0] / self._work[0], self.size[1] / self._work[1]], np.float32)
        self.frame: Recent[np.ndarray] = Recent(frames.frame, most)
        self.mask: Recent[np.ndarray] = Recent(masks.mask, most)
        self._small: Recent[tuple[np.ndarray, np.ndarray]] = Recent(self._shrunk, 3)
        self._motions: Recent[tuple[ObjectMotion, ObjectMotion]] = Recent(self._moved, most)

    def __len__(self) -> int:
        return self._count

    def motion(self, number: int, step: int) -> ObjectMotion:
        """From frame `number` to its neighbour `number + step`, step 1 or -1."""
        return self._motions(number)[0] if step > 0 else self._motions(number - 1)[1]

    def follow(self, places: np.ndarray, number: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Where `places` (float32 [h, w, 2], in pixels of frame `number`) are in the neighbour, as far as they move with the object; and
        by how many pixels of the size of work the way back misses there, float32 [h, w]."""
        motion = self.motion(number, step)
        here = (places + 0.5) / self.scale - 0.5
        local = here - np.array([motion.box.left, motion.box.top], np.float32)
        there = _along(motion.matrix, here) + sampled(motion.beyond, local)
        return ((there + 0.5) * self.scale - 0.5).astype(np.float32), sampled(motion.astray, local)

    def _shrunk(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        import cv2

        gray, mask = cv2.cvtColor(self.frame(number), cv2.COLOR_RGB2GRAY), self.mask(number)
        if self._work != self.size:
            gray = cv2.resize(gray, self._work, interpolation=cv2.INTER_AREA)
            mask = cv2.resize(mask.astype(np.float32), self._work, interpolation=cv2.INTER_AREA) > 0.5
        return gray, mask

    def _moved(self, number: int) -> tuple[ObjectMotion, ObjectMotion]:
        (first, first_mask), (second, second_mask) = self._small(number), self._small(number + 1)
        boxes = masks_.bounds(first_mask), masks_.bounds(second_mask)
        if boxes[0] is None or boxes[1] is None:
            nothing = ObjectMotion(np.eye(2, 3), Box(0, 0, 1, 1), np.zeros((1, 1, 2), np.float32), np.full((1, 1), 1e3, np.float32), True)
            return nothing, nothing
        box = _at_least(boxes[0].union(boxes[1]).padded(AROUND), self._work)
        in_a, in_b = first_mask[box.slices], second_mask[box.slices]
        a, b = _alone(first[box.slices], in_a), _alone(second[box.slices], in_b)
        dis = optical_flow()
        forth, back = dis.calc(a, b, NOTHING), dis.calc(b, a, NOTHING)
        return _motion(box, forth, back, in_a, in_b, a, b), _motion(box, back, forth, in_b, in_a, b, a)


def _at_least(box: Box, size: tuple[int, int]) -> Box:
    """The box, made large enough for optical flow where the frame allows it."""
    missing = max(_LEAST_SIDE - min(box.size), 0)
    return box.padded((missing + 1) // 2).clipped(*size)


def _alone(gray: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An object without what is behind it, which would drag the flow at its edge along: its own greys go on beyond it."""
    core = masks_.shrink(mask, 1)
    core = core if core.any() else mask
    filled = completed(gray.astype(np.float32), core)
    return np.where(core, gray, np.clip(np.rint(filled), 0, 255).astype(np.uint8))


def _motion(
    box: Box, forth: np.ndarray, back: np.ndarray, here: np.ndarray, there: np.ndarray, gray: np.ndarray, gray_there: np.ndarray
) -> ObjectMotion:  # fmt: skip
    import cv2

    height, width = here.shape
    start = grid(width, height)
    trusted = here & consistent(forth, back) & (sampled(there.astype(np.float32), start + forth) > 0.5)
    shift = start[there].mean(axis=0) - start[here].mean(axis=0)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    a, b = gray.astype(np.float32), gray_there.astype(np.float32)
    if trusted.sum() >= _FEW and _still(forth[trusted]):
        matrix = np.eye(2, 3)  # it stands still, and nothing has to be resampled
    elif trusted.sum() >= _FEW:
        cv2.setRNGSeed(1)
        points = start[trusted].astype(np.float64)
        found, _ = cv2.estimateAffinePartial2D(points, points + forth[trusted], method=cv2.RANSAC, ransacReprojThreshold=1.0)
        if found is not None and np.isfinite(found).all():
            matrix = found
            for _ in range(_ROUNDS):
                exact = refined(a, b, _along(matrix, start), here, there.astype(np.float32))
                matrix = _fitted(start[here], exact[here])
            if float(np.linalg.norm(_along(matrix, start)[here] - start[here], axis=1).max()) < STILL / 2:
                matrix = np.eye(2, 3)
    base = _along(matrix, start)
    beyond = np.zeros_like(base)
    if trusted.any():
        beyond = cv2.GaussianBlur(completed(start + forth - base, trusted), (0, 0), 2.0)
        # What is rigid moves as a whole, and its flow is only noise: taken where it explains what is seen better.
        errors = [
            cv2.GaussianBlur(np.where(here, np.abs(sampled(b, places) - a), 0).astype(np.float32), (0, 0), 3.0)
            for places in (base, base + beyond)
        ]
        better = completed(np.clip(0.8 * errors[0] - errors[1] - NOISE, 0, 1).astype(np.float32), here)
        beyond = beyond * cv2.GaussianBlur(better, (0, 0), 2.0)[..., None]
    missed = length_of(forth + sampled(back, start + forth))
    # Around the object its flow says nothing: what is there moves along as its nearest pixels do.
    astray = completed(missed.astype(np.float32), here)
    corner = np.array([box.left, box.top])
    matrix = np.hstack([matrix[:, :2], (matrix[:, 2] + corner - matrix[:, :2] @ corner)[:, None]])
    return ObjectMotion(matrix, box, beyond.astype(np.float32), astray.astype(np.float32), float(trusted.sum()) < LOST * here.sum())


def _still(flow: np.ndarray) -> bool:
    """Whether what has this flow (float32 [n, 2]) only seems to move."""
    return float(np.linalg.norm(np.median(flow, axis=0))) < STILL / 4 and float((np.linalg.norm(flow, axis=1) < STILL).mean()) > 0.5


def _along(matrix: np.ndarray, places: np.ndarray) -> np.ndarray:
    """`places` (float32 [h, w, 2]) moved by `matrix` (float64 [2, 3])."""
    return (places @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _fitted(points: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The affine motion, float64 [2, 3], that takes points [n, 2] nearest to where they moved."""
    solution, *_ = np.linalg.lstsq(np.hstack([points, np.ones((len(points), 1))]), moved, rcond=None)
    return solution.T


@dataclass(frozen=True, eq=False)
class Way:
    """Where the pixels around an object were in another frame.

    Attributes:
        box: which pixels of this frame.
        places: float32 [h, w, 2], the (x, y) in the other frame, in pixels.
        astray: float32 [h, w], by how many pixels of the size of work the ways back missed in all.
    """

    box: Box
    places: np.ndarray
    astray: np.ndarray

    @classmethod
    def still(cls, box: Box) -> Way:
        """From a frame to itself."""
        return cls(box, grid(box.width, box.height, box.left, box.top), np.zeros((box.height, box.width), np.float32))

    def at(self, points: np.ndarray) -> np.ndarray:
        """Where `points` (float32 [..., ..., 2], of this frame) were; beyond the box as its border's."""
        inside = self._inside(points)
        return sampled(self.places, inside - self._corner) + (points - inside)

    def inside(self, size: tuple[int, int]) -> np.ndarray:
        """Where the other frame, of `size` (width, height), has the pixel, bool [h, w]; what misses its border by less than one pixel
        is as good as on it."""
        x, y = self.places[..., 0], self.places[..., 1]
        return (x > -1) & (y > -1) & (x < size[0]) & (y < size[1])

    def after(self, scene: ObjectScene, number: int, step: int, box: Box) -> Way:
        """The way of frame `number + step`'s pixels in `box`, this being that of frame `number`."""
        here, missed = scene.follow(grid(box.width, box.height, box.left, box.top), number + step, -step)
        inside = self._inside(here) - self._corner
        return Way(box, self.at(here), sampled(self.astray, inside) + missed)

    @property
    def _corner(self) -> np.ndarray:
        return np.array([self.box.left, self.box.top], np.float32)

    def _inside(self, points: np.ndarray) -> np.ndarray:
        return np.dstack([
            np.clip(points[..., 0], self.box.left, self.box.right - 1), np.clip(points[..., 1], self.box.top, self.box.bottom - 1)
        ])  # fmt: skip
