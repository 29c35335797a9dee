"""Puts something else where an object is, in every frame: painted in key frames, and carried along the object's own motion.

What is painted belongs to the object that was selected: it moves, turns and grows with it. Between two key frames it comes from both,
by flow, weighed by how far the way there and back agrees, and is joined to the frame in the gradient domain (`seamless.solved`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.erase import seamless
from clickpaint.errors import InvalidInput
from clickpaint.image import blend
from clickpaint.image import mask as masks_
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress
from clickpaint.video import joining
from clickpaint.video.base import Frames, Masks
from clickpaint.video.flow import completed, sampled
from clickpaint.video.object_motion import ObjectScene, Way

TRUST = 0.02
"""How much what was painted counts against its gradients: a difference at the rim fades over some 7 pixels."""
AGREED = 2.0
"""Pixels of missing that halve what a key frame's pixel counts, and half of that for each further one."""
UNSEEN = 0.15
"""Share of a hole that neither key frame shows, from which on a further one is painted."""
MARGIN = 8
"""Pixels around a hole that are looked at."""


@dataclass(frozen=True, eq=False)
class KeyFrame:
    """A frame to be painted.

    Attributes:
        number: of the frame.
        pixels: uint8 [H, W, 3].
        mask: bool [H, W], what was selected.
        before: the (x, y) in the first key frame of pixels of this one, float32 [h, w, 2] both; None for the first one itself, and where
            the object's way there is not known.
    """

    number: int
    pixels: np.ndarray
    mask: np.ndarray
    before: Callable[[np.ndarray], np.ndarray] | None = None


KeyPainter = Callable[[Sequence[KeyFrame], Progress], list[np.ndarray]]
"""paint(key frames, progress) → each painted, uint8 [H, W, 3], in the mask grown as `FillOptions` say; elsewhere as it was. The first
one is the first of the whole clip, which the others are to look like, again at each call."""


@dataclass(frozen=True)
class FillOptions:
    """How a clip is filled.

    Attributes:
        grow: pixels by which each mask is dilated, 0 to 512.
        feather: width in pixels of the band around that in which the result fades into the frame, 0 to 512.
        every: frames from one key frame to the next, 1 to 1000.
        grain: whether what is filled gets the fine noise of its surroundings.
        budget: bytes that frames in memory may take, whatever the clip's length.
    """

    grow: int = 0
    feather: int = 0
    every: int = 12
    grain: bool = True
    budget: int = 512 << 20

    def __post_init__(self) -> None:
        if not 1 <= self.every <= 1000:
            raise InvalidInput("Every {value} frames cannot be painted.", "Give 1 to 1000.", value=self.every)


@dataclass(frozen=True, eq=False)
class _Key:
    """A key frame that is painted.

    Attributes:
        way: to the first key frame; None where it is not known.
    """

    number: int
    painted: np.ndarray
    way: Way | None


@dataclass(frozen=True, eq=False)
class _Layer:
    """What one key frame gives to a part of another frame: colours float32 [h, w, 3], weight float32 [h, w], 0 where it shows nothing."""

    colours: np.ndarray
    weight: np.ndarray


def fill(
    frames: Frames, masks: Masks, painter: KeyPainter, options: FillOptions | None = None, progress: Progress = SILENT
) -> Iterator[np.ndarray]:
    """Every frame of the clip in order, uint8 [H, W, 3]; outside the grown and feathered masks to the bit as it was.

    Frames are made as they are asked for, some dozens at a time; memory does not grow with the length.

    Raises:
        InvalidInput: the masks have another size or select nothing, or a frame cannot be read.
        Interrupted, and whatever `painter` raises.
    """
    check_masks(frames, masks)
    return _Filler(frames, masks, painter, options or FillOptions(), progress).frames()


def check_masks(frames: Frames, masks: Masks) -> None:
    """Raises `InvalidInput` where the masks are no masks of these frames."""
    width, height = frames.size
    first = masks.mask(0)
    if first.dtype != np.bool_ or first.shape != (height, width):
        raise InvalidInput(
            "The masks are {mask_width} × {mask_height}, the frames {width} × {height}.",
            "Give masks of the frames' size.",
            mask_width=first.shape[1], mask_height=first.shape[0], width=width, height=height,
        )  # fmt: skip


class _Filler:
    def __init__(self, frames: Frames, masks: Masks, painter: KeyPainter, options: FillOptions, progress: Progress) -> None:
        self.painter, self.options, self.progress = painter, options, progress
        width, height = frames.size
        fitting = max(options.budget // (width * height * 8), 3 * options.every // 2 + 2)
        self.spans = int(max(min(fitting // options.every, 3), 1))
        self.scene = ObjectScene(frames, masks, self.spans * options.every + 3)
        self.first: KeyFrame | None = None

    def frames(self) -> Iterator[np.ndarray]:
        number, known = 0, None
        while number < len(self.scene):
            if not self.scene.mask(number).any():
                yield self.scene.frame(number).copy()
                number, known = number + 1, None
                continue
            end = self._together(number)
            numbers = list(range(number, min(end + 1, number + self.spans * self.options.every + 1), self.options.every))
            numbers = [each for each in numbers if each < end] or [number]
            keys = self._keys(numbers, known)
            # Without a further key frame behind it, the last one serves up to the end of what belongs together.
            last = keys[-1].number if self._goes_on(keys[-1].number, end) else end
            for each, result in self._between(keys, last):
                self.progress.report(each / len(self.scene), "Filling", done=each, total=len(self.scene), unit="frame")
                yield result
            number, known = last, keys[-1] if last < end else None

    def _together(self, start: int) -> int:
        """The frame behind the last one that the object is followed to from `start`, of those looked at together."""
        limit = min(start + self.spans * self.options.every + 1, len(self.scene))
        end = start + 1
        while end < limit and not self.scene.motion(end - 1, 1).lost:
            self.progress.check()
            end += 1
        return end

    def _goes_on(self, last: int, end: int) -> bool:
        """Whether the key frame `last` is the one that the next stretch begins with."""
        return last == end - 1 and end < len(self.scene) and not self.scene.motion(last, 1).lost

    def _keys(self, numbers: Sequence[int], known: _Key | None) -> list[_Key]:
        """The key frames of these numbers painted, but for the first of them if it is `known`."""
        ways: list[Way | None] = [known.way if known is not None else None]
        if self.first is None:
            self.first = KeyFrame(numbers[0], self.scene.frame(numbers[0]), self.scene.mask(numbers[0]))
            ways = [Way.still(self._box(numbers[0]))]
        for before, number in itertools.pairwise(numbers):
            ways.append(self._composed(before, number, ways[-1]))
        wanted = [place for place, number in enumerate(numbers) if known is None or number != known.number]
        painted = self._painted([numbers[place] for place in wanted], [ways[place] for place in wanted])
        keys = [] if known is None else [known]
        return keys + [_Key(numbers[place], pixels, ways[place]) for place, pixels in zip(wanted, painted, strict=True)]

    def _composed(self, before: int, number: int, way: Way | None) -> Way | None:
        """The way from frame `number` to the first key frame, by that of an earlier frame."""
        if way is None:
            return None
        for each in range(before, number):
            way = way.after(self.scene, each, 1, self._box(each + 1))
        return way

    def _painted(self, numbers: Sequence[int], ways: Sequence[Way | None]) -> list[np.ndarray]:
        if not numbers:
            return []
        assert self.first is not None
        further = [
            KeyFrame(number, self.scene.frame(number), self.scene.mask(number), None if way is None else way.at)
            for number, way in zip(numbers, ways, strict=True)
            if number != self.first.number
        ]
        self.progress.report(numbers[0] / len(self.scene), "Painting key frames", done=numbers[0], total=len(self.scene), unit="frame")
        done = numbers[0] / len(self.scene)
        results = self.painter([self.first, *further], self.progress.part(done, done))
        by_number = {key.number: pixels for key, pixels in zip([self.first, *further], results, strict=True)}
        return [by_number[number] for number in numbers]

    def _between(self, keys: Sequence[_Key], end: int) -> Iterator[tuple[int, np.ndarray]]:
        """The frames from the first key frame up to but without `end`, in order."""
        for place, key in enumerate(keys):
            after = keys[place + 1] if place + 1 < len(keys) else None
            stop = end if after is None else after.number
            if key.number < stop:
                yield from self._span(key, after, stop)

    def _span(self, key: _Key, after: _Key | None, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """The frames from one key frame up to but without `stop`, where the next one is, or the end."""
        numbers = range(key.number, stop)
        forward, backward = self._ways(key, numbers, 1), {}
        if after is not None:
            backward = self._ways(after, range(stop - 1, key.number, -1), -1)
        sources = {
            number: [(key, forward[number]), *([(after, backward[number])] if after is not None and number in backward else [])]
            for number in numbers
        }
        worst = max(numbers, key=lambda number: self._unseen(number, sources[number]))
        if worst > key.number and self._unseen(worst, sources[worst]) > UNSEEN:
            way = None if key.way is None else self._composed(key.number, worst, key.way)
            middle = _Key(worst, self._painted([worst], [way])[0], way)
            yield from self._span(key, middle, worst)
            yield from self._span(middle, after, stop)
            return
        for number in numbers:
            self.progress.check()
            yield number, self._finished(number, sources[number])

    def _ways(self, key: _Key, numbers: range, step: int) -> dict[int, Way]:
        """The ways of frames to a key frame, of those that follow it in this direction."""
        way = Way.still(self._box(key.number))
        found = {key.number: way}
        for number in numbers:
            if number != key.number:
                way = way.after(self.scene, number - step, step, self._box(number))
                found[number] = way
        return found

    def _unseen(self, number: int, sources: Sequence[tuple[_Key, Way]]) -> float:
        """Share of a frame's mask that its key frames do not show."""
        box = self._box(number)
        mask = self.scene.mask(number)[box.slices]
        seen = np.zeros_like(mask)
        for _, way in sources:
            seen |= self._shown(way)
        return float((mask & ~seen).sum() / max(mask.sum(), 1))

    def _shown(self, way: Way) -> np.ndarray:
        return way.inside(self.scene.size) & (way.astray < 4 * AGREED)

    def _finished(self, number: int, sources: Sequence[tuple[_Key, Way]]) -> np.ndarray:
        scene, options = self.scene, self.options
        frame, mask, box = scene.frame(number), scene.mask(number), self._box(number)
        distances = [abs(key.number - number) for key, _ in sources]
        layers = []
        for (key, way), distance in zip(sources, distances, strict=True):
            nearness = 1.0 if len(sources) == 1 else 1 - distance / max(sum(distances), 1)
            layers.append(self._layer(key, way, nearness))
        layers = [layer for layer in layers if layer.weight.any()]
        hole = blend.hole(mask, options.grow, options.feather)
        pixels = frame[box.slices].astype(np.float32)
        inner = joined(pixels, hole[box.slices], layers, self.progress)
        if options.grain:
            inner = with_grain(inner, pixels, hole[box.slices], number)
        result = frame.copy()
        result[box.slices] = np.where(hole[box.slices][..., None], np.clip(np.rint(inner), 0, 255).astype(np.uint8), result[box.slices])
        return blend.composite(frame, result, blend.alpha(mask, options.grow, options.feather))

    def _layer(self, key: _Key, way: Way, nearness: float) -> _Layer:
        """What a key frame gives; nearness: 0 to 1, so that one key frame fades into the next."""
        shown = self._shown(way)
        if not shown.any():
            return _Layer(np.zeros((*shown.shape, 3), np.float32), np.zeros(shown.shape, np.float32))
        low, high = np.floor(way.places[shown].min(axis=0)) - 3, np.ceil(way.places[shown].max(axis=0)) + 4
        part = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1])).clipped(*self.scene.size)
        source = key.painted[part.slices].astype(np.float32)
        local = way.places - np.array([part.left, part.top], np.float32)
        still = bool((way.places == Way.still(way.box).places).all())
        colours = source[way.box.shifted(-part.left, -part.top).slices] if still else sampled(source, local, smooth=True)
        weight = np.where(shown, max(nearness, 1e-3) / (1 + (way.astray / AGREED) ** 2), 0)
        return _Layer(np.clip(colours, 0, 255), weight.astype(np.float32))

    def _box(self, number: int) -> Box:
        found = masks_.bounds(self.scene.mask(number))
        reach = self.options.grow + self.options.feather + MARGIN
        whole = Box(0, 0, *self.scene.size)
        return whole if found is None else found.padded(reach).clipped(*self.scene.size)


def joined(pixels: np.ndarray, hole: np.ndarray, layers: Sequence[_Layer], progress: Progress) -> np.ndarray:
    """`pixels` (float32 [h, w, 3]) with the hole (bool [h, w]) filled from layers so that neither a seam nor a step shows."""
    if not layers or not hole.any():
        return pixels if not hole.any() or hole.all() else seamless.membrane(pixels, hole, progress)
    weights = [layer.weight for layer in layers]
    total = np.sum(weights, axis=0)
    known = total > 0
    colours = completed(joining.mean_by_weight(weights, [layer.colours for layer in layers]), known)
    gradients = joining.mixed_gradients(weights, [layer.colours for layer in layers], colours)
    around = masks_.grow(hole, 3) & ~hole & known
    rim = joining.steadied(pixels, colours, around)
    return seamless.solved(np.where(hole[..., None], colours, rim), hole, gradients, TRUST, progress)


def with_grain(inner: np.ndarray, pixels: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
    """`inner` with as much fine noise more as the frame has around the hole, and what was painted lacks."""
    around = masks_.grow(hole, 12) & ~hole
    wanted, there = noise_of(pixels, around), noise_of(inner, hole)
    missing = np.sqrt(np.maximum(wanted**2 - there**2, 0))
    if not missing.any():
        return inner
    noise = np.random.default_rng(seed).standard_normal(inner.shape).astype(np.float32)
    return inner + noise * missing.astype(np.float32) * _grain_share(hole)[..., None]


def _grain_share(hole: np.ndarray) -> np.ndarray:
    """How much of the grain is added, float32 [h, w]: all of it but at the rim, where a frame's own begins."""
    import cv2

    depth = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.minimum(depth / 2, 1).astype(np.float32)


def noise_of(pixels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Standard deviation of the fine noise in the calmest parts, float64 [3] (Immerkær 1996, "Fast Noise Variance Estimation")."""
    import cv2

    inner = cv2.erode(where.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if inner.sum() < 64:
        return np.zeros(3)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    high = np.where(inner[..., None], cv2.filter2D(pixels, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT) ** 2, 0)
    near = np.maximum(cv2.GaussianBlur(inner.astype(np.float32), (0, 0), 3), 1e-6)[..., None]
    local = (cv2.GaussianBlur(high.astype(np.float32), (0, 0), 3) / near)[inner]
    return np.sqrt(np.quantile(local, 0.2, axis=0))
