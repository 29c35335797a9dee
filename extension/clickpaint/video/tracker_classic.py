"""The tracker that needs no network: optical flow carries the mask, colours and edges correct it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clickpaint.image import mask as masks_
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress
from clickpaint.video.base import Frames
from clickpaint.video.flow import NOTHING, consistent, grid, optical_flow, sampled
from clickpaint.video.tracker_evidence import Textures, moves_along, shifted, stands_out
from clickpaint.video.tracking import TrackedFrame

_WORK = 320
"""Longest side in pixels of the crop around the object at which it is followed."""
_BINS = 12
_SEARCH = 0.6
"""How far the object is looked for, in its own sizes."""
_LEARNS = 0.15
"""Share of a new frame in what is known of the colours."""
_APART = 3
"""Frames before and after in which the background is looked for: in one the object has hardly moved."""
_OUTLINE = 2.0
"""Pixels of work around the flow's edge in which texture and background, which both blur, say nothing; over three more they come in."""
_GONE = 12
"""Pixels; fewer are no object."""
_BAND = 6.0
"""Pixels of work by which the flow's edge may be wrong."""


@dataclass(eq=False)
class _Colours:
    """How often each colour is the object's, and the background's around it: float32 [_BINS³] each, summing up to 1."""

    inside: np.ndarray
    outside: np.ndarray

    def learn(self, pixels: np.ndarray, mask: np.ndarray, around: np.ndarray, share: float) -> None:
        for name, where in (("inside", mask), ("outside", around & ~mask)):
            if where.sum() >= 32:
                setattr(self, name, (1 - share) * getattr(self, name) + share * _histogram(pixels, where))

    def evidence(self, pixels: np.ndarray) -> np.ndarray:
        """Logarithm of how much likelier each pixel is the object's, float32 [h, w], within ±3."""
        ratio = np.log((self.inside + 2e-5) / (self.outside + 2e-5))
        return np.clip(ratio, -3, 3).astype(np.float32)[_bins(pixels)]


class ClassicTracker:
    """DIS flow after the best shift was found, checked forth and back, carries the mask; models of the colours and textures of object and
    surroundings, what moves and what differs from the background, and a guided filter (He, Sun, Tang 2010, "Guided Image Filtering") draw
    its edge anew.
    """

    name = "classic"

    def follow(self, frames: Frames, start: int, mask: np.ndarray, stop: int, progress: Progress = SILENT) -> Iterator[TrackedFrame]:
        step = 1 if stop > start else -1
        before = frames.frame(start)
        now, margin = _snapped(before, mask)
        colours: _Colours | None = None
        first: _Colours | None = None
        textures: Textures | None = None
        near = _Near(frames)
        velocity = np.zeros(2)
        for number in range(start + step, stop, step):
            progress.check()
            frame = near.frame(number)
            if int(now.sum()) < _GONE:
                yield TrackedFrame(number, np.zeros_like(mask), 0.0)
                continue
            view = _View(frames.size, now, velocity)
            old, new, old_mask = view.crop(before), view.crop(frame), view.crop(now.astype(np.float32)) > 0.5
            if colours is None or first is None or textures is None:
                textures = Textures(old, old_mask)
                colours, first = (_Colours(np.full(_BINS**3, _BINS**-3.0), np.full(_BINS**3, _BINS**-3.0)) for _ in range(2))
                for model in (colours, first):
                    model.learn(old, old_mask, np.ones_like(old_mask), 1.0)
            carried, shift, believed = _carried(old, new, old_mask, velocity * view.scale)
            evidence = 0.6 * first.evidence(new) + 0.4 * colours.evidence(new)
            evidence = np.clip(evidence, -2, 2) + moves_along(old, new, carried > 0.5, shift)
            if 0 <= number + step < len(frames):  # what came in at the border, or from behind something, moves along only from now on
                later = view.crop(near.frame(number + step))
                evidence += moves_along(later, new, carried > 0.5, -shift)
            others = [view.crop(near.frame(n)) for n in (number - _APART * step, number + _APART * step) if 0 <= n < len(frames)]
            inner = carried > 0.5
            evidence += 2 * _off_outline(inner) * (textures.evidence(new) + stands_out(others, new, inner))
            found = _edged(new, carried, evidence, believed)
            confidence = _confidence(old_mask, carried, found, evidence, believed)
            colours.learn(new, found, np.ones_like(found), _LEARNS * confidence)
            textures.learn(new, found, confidence)
            before, now = frame, view.back(found)
            velocity = 0.5 * velocity + 0.5 * shift / view.scale if found.any() else velocity
            yield TrackedFrame(number, masks_.grow(now, margin) if margin > 0 else now, confidence)


class _Near:
    """The frames around the one that is looked at, each read once."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._kept: dict[int, np.ndarray] = {}

    def frame(self, number: int) -> np.ndarray:
        if number not in self._kept:
            self._kept = {n: frame for n, frame in self._kept.items() if abs(n - number) <= 2 * _APART}
            self._kept[number] = self._frames.frame(number)
        return self._kept[number]


def _off_outline(mask: np.ndarray) -> np.ndarray:
    """0 near the outline of a mask (bool [h, w]), to 1 away from it, float32 [h, w]."""
    import cv2

    depth = sum(cv2.distanceTransform(where.astype(np.uint8), cv2.DIST_L2, 5) for where in (mask, ~mask))
    return np.clip((depth - _OUTLINE) / 3, 0, 1).astype(np.float32)


def _snapped(frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """The mask without the margin that somebody drew around the object, and that margin in pixels: edges are followed, margins are kept.

    What of the mask is the object, its colours say (Rother, Kolmogorov, Blake 2004, "GrabCut").
    """
    import cv2

    view = _View((mask.shape[1], mask.shape[0]), mask, np.zeros(2))
    inside = view.crop(mask.astype(np.float32)) > 0.5
    if inside.sum() < 100 or not (~inside).any():
        return mask, 0.0
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    half = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    labels[half > 0.6 * half.max()] = cv2.GC_FGD
    cv2.setRNGSeed(1)
    cv2.grabCut(view.crop(frame), labels, NOTHING, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    object_ = masks_.drop_specks((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), int(0.1 * inside.sum()))
    if not object_.any():
        return mask, 0.0

    def likeness(margin: float) -> float:
        grown = masks_.grow(object_, margin)
        return float((grown & inside).sum() / (grown | inside).sum())

    margin = max((0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15), key=likeness)
    if margin == 0 or likeness(margin) < 0.8:
        return mask, 0.0
    return view.back(object_), margin / view.scale


class _View:
    """The crop of the frames around the object in which it is followed.

    Attributes:
        scale: pixels of work for one of the frame.
    """

    def __init__(self, size: tuple[int, int], mask: np.ndarray, velocity: np.ndarray) -> None:
        around = masks_.bounds(mask)
        assert around is not None
        reach = int(max(around.size) * _SEARCH + np.abs(velocity).max() + 24)
        self.size, self.box = size, around.padded(reach).clipped(*size)
        self.scale = min(1.0, _WORK / max(self.box.size))
        self._work = max(round(self.box.width * self.scale), 8), max(round(self.box.height * self.scale), 8)

    def crop(self, plane: np.ndarray) -> np.ndarray:
        import cv2

        part = plane[self.box.slices]
        return part if self._work == self.box.size else cv2.resize(part, self._work, interpolation=cv2.INTER_AREA)

    def back(self, mask: np.ndarray) -> np.ndarray:
        import cv2

        whole = np.zeros(self.size[::-1], bool)
        soft = mask.astype(np.float32)
        if self._work != self.box.size:
            soft = cv2.GaussianBlur(cv2.resize(soft, self.box.size, interpolation=cv2.INTER_LINEAR), (0, 0), 0.5 / self.scale)
        whole[self.box.slices] = soft > 0.5
        return whole


def _carried(old: np.ndarray, new: np.ndarray, mask: np.ndarray, velocity: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mask moved into the new crop (float32 [h, w]), the object's shift (x, y), and where the flow is believed (bool [h, w])."""
    import cv2

    first, second = (cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) for pixels in (old, new))
    shift = _shift(first, second, mask, velocity)
    height, width = mask.shape
    here = grid(width, height)
    moved = shifted(second, shift)
    dis = optical_flow()
    forth, back = dis.calc(first, moved, NOTHING), dis.calc(moved, first, NOTHING)
    good = consistent(forth, back) & mask
    matrix = None
    if good.sum() >= 24:
        where = np.flatnonzero(good)
        where = where[:: max(1, len(where) // 2000)]
        rows, columns = np.divmod(where, width)
        points = np.stack([columns, rows], axis=1).astype(np.float32)
        cv2.setRNGSeed(1)
        matrix, _ = cv2.estimateAffinePartial2D(points, points + forth[rows, columns], ransacReprojThreshold=2.0)
    if matrix is None or not 0.7 < np.hypot(matrix[0, 0], matrix[0, 1]) < 1.4:
        matrix = np.array([[1, 0, 0], [0, 1, 0.0]])
    inverse = cv2.invertAffineTransform(matrix)
    rigid = np.dstack([
        inverse[0, 0] * here[..., 0] + inverse[0, 1] * here[..., 1] + inverse[0, 2],
        inverse[1, 0] * here[..., 0] + inverse[1, 1] * here[..., 1] + inverse[1, 2],
    ]).astype(np.float32)  # fmt: skip
    # Flow that leads elsewhere than the object as a whole is the background's, or wrong.
    believed = consistent(back, forth) & (np.linalg.norm(here + back - rigid, axis=2) < 4 + 0.04 * max(width, height))
    source = np.where(believed[..., None], here + back, rigid)
    carried = sampled(mask.astype(np.float32), source)
    carried, believed = shifted(carried, -shift, 0.0), shifted(believed.astype(np.uint8), -shift, 0) > 0
    return carried, shift + matrix[:, 2] + (matrix[:, :2] - np.eye(2)) @ np.argwhere(mask).mean(axis=0)[::-1], believed


def _shift(first: np.ndarray, second: np.ndarray, mask: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """By how many whole pixels (x, y) the object has moved: where its pixels fit best, near where it was going by preference."""
    import cv2

    box = masks_.bounds(mask)
    assert box is not None
    template, stencil = first[box.slices].astype(np.float32), mask[box.slices].astype(np.float32)
    reach = int(_SEARCH * max(box.size)) + 24
    field = cv2.copyMakeBorder(second.astype(np.float32), reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    window = Box(box.left, box.top, box.right + 2 * reach, box.bottom + 2 * reach)
    cost = cv2.matchTemplate(field[window.slices], template, cv2.TM_SQDIFF, mask=stencil) / max(float(stencil.sum()), 1)
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    far = np.hypot(xs - velocity[0], ys - velocity[1]) / max(reach, 1)
    cost = np.maximum(cost, 0) * (1 + 0.3 * far) + 40 * far
    row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
    return np.array([column - reach, row - reach], np.float64)


def _edged(new: np.ndarray, carried: np.ndarray, evidence: np.ndarray, believed: np.ndarray) -> np.ndarray:
    """The mask with its edge where colours and edges of the picture put it, bool [h, w]."""
    import cv2

    inside = carried > 0.5
    if not inside.any():
        return inside
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5) - cv2.distanceTransform(
        (~inside).astype(np.uint8), cv2.DIST_L2, 5
    )
    sure = np.where(believed, 2.0, 3.5)  # pixels over which the flow's edge is blurred
    score = depth / sure + 0.6 * cv2.GaussianBlur(evidence, (0, 0), 1.0)
    soft = (1 / (1 + np.exp(-np.clip(score, -20, 20)))).astype(np.float32)
    guide = cv2.cvtColor(new, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    soft = _guided(guide, soft, 4, 1e-3)
    # Where the object turns or comes in, it grows by more than the flow's edge is wrong.
    wide = _BAND + 0.08 * float(np.sqrt(inside.sum()))
    found = ((soft > 0.5) & (depth > -wide)) | (depth > 3 * _BAND)
    found = masks_.fill_holes(found, max(int(0.01 * found.sum()), 16))
    return masks_.drop_specks(found, max(int(0.03 * found.sum()), 6))


def _guided(guide: np.ndarray, plane: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    import cv2

    size = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean = cv2.blur(guide, size), cv2.blur(plane, size)
    slope = (cv2.blur(guide * plane, size) - mean_guide * mean) / (cv2.blur(guide * guide, size) - mean_guide**2 + epsilon)
    return cv2.blur(slope, size) * guide + cv2.blur(mean - slope * mean_guide, size)


def _confidence(old: np.ndarray, carried: np.ndarray, found: np.ndarray, evidence: np.ndarray, believed: np.ndarray) -> float:
    """0 to 1: how much of the object the flow and the colours agree on, and how little its size jumped."""
    if not found.any():
        return 0.0
    area = min(old.sum(), found.sum()) / max(old.sum(), found.sum())
    flow = float(believed[found].mean())
    colour = float((evidence[found] > -0.5).mean())
    both = (carried > 0.5) & found
    overlap = both.sum() / max(((carried > 0.5) | found).sum(), 1)
    return float(np.clip((0.3 + 0.7 * flow) * colour * np.sqrt(area) * overlap, 0, 1))


def _bins(pixels: np.ndarray) -> np.ndarray:
    steps = (pixels.astype(np.int32) * _BINS) >> 8
    return (steps[..., 0] * _BINS + steps[..., 1]) * _BINS + steps[..., 2]


def _histogram(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    import cv2

    counts = np.bincount(_bins(pixels)[where], minlength=_BINS**3).astype(np.float32).reshape(_BINS, _BINS, _BINS)
    for axis in range(3):  # neighbouring colours are alike
        moved = np.moveaxis(counts, axis, 0).reshape(_BINS, -1)
        moved = cv2.filter2D(moved, cv2.CV_32F, np.array([[0.25], [0.5], [0.25]], np.float32), borderType=cv2.BORDER_REPLICATE)
        counts = np.moveaxis(moved.reshape(_BINS, _BINS, _BINS), 0, axis)
    return (counts / max(float(counts.sum()), 1)).ravel()
