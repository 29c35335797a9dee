"""A picture with a hole at all scales, as `exemplar` fills them: what is known, what is to be filled, and where whole patches are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clickpaint.progress import Progress

RADIUS = 3
"""Patches are squares of 2 · RADIUS + 1 pixels."""
TEXTURE_WEIGHT = 5.0
SEARCH_PIXELS = 16_000
SEARCH_AREA = 700_000
"""Levels with more hole pixels than the one, or more pixels than the other, take their matches from the next coarser level
as they are: where a patch comes from is settled by then, and it is copied at full resolution."""
SECOND_SEARCH_PIXELS = 1_500
"""The same of a filling that only says where the first may be doubted."""
COARSE_PIXELS = 40_000
"""The coarsest level has at most about this many pixels."""


@dataclass(eq=False)
class Level:
    """One scale.

    Attributes:
        planes: float32 [h, w, 3], [h, w] and [h, w]: RGB and two of texture, 0..255, 0 where nothing is known.
        hole: bool [h, w].
        targets: flat indices of all pixels whose patch touches the hole.
        sources: bool [h, w], where a whole patch is known.
    """

    planes: list[np.ndarray]
    hole: np.ndarray
    targets: np.ndarray
    sources: np.ndarray

    @cached_property
    def channels(self) -> np.ndarray:
        """float32 [h, w, 5], all planes, the hole filled as well as is known so far."""
        import cv2

        return cv2.merge([*cv2.split(self.planes[0]), *self.planes[1:]])

    def searched(self, most: int) -> bool:
        """Whether patches are looked for at this scale. most: the number of targets up to which they are."""
        return len(self.targets) <= most and self.hole.size <= SEARCH_AREA

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the targets, int32."""
        rows, columns = np.divmod(self.targets.astype(np.int32), np.int32(self.hole.shape[1]))
        return rows, columns

    @cached_property
    def known(self) -> np.ndarray:
        """Flat indices of the sources."""
        return np.flatnonzero(self.sources)

    @cached_property
    def _positions(self) -> np.ndarray:
        """Where each pixel is among the targets; -1 for all others, and last the one beyond the picture."""
        position = np.full(self.hole.size + 1, -1, np.int32)
        position[self.targets] = np.arange(len(self.targets))
        return position

    def at(self, pixels: np.ndarray) -> np.ndarray:
        """Which of the targets the flat indices are; -1 where none is."""
        return self._positions[pixels]

    def beside(self, dy: int, dx: int) -> np.ndarray:
        """Which of the targets is so far from each of them, -1 where none is. The same array in every call."""
        if (dy, dx) not in self._beside:
            rows, columns = self.places
            height, width = self.hole.shape
            inside = within(rows + dy, columns + dx, height, width)
            self._beside[dy, dx] = self._positions[np.where(inside, self.targets + dy * width + dx, -1)]
        return self._beside[dy, dx]

    @cached_property
    def _beside(self) -> dict[tuple[int, int], np.ndarray]:
        return {}


def within(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which places (int32) lie in the picture. As unsigned numbers negative ones are huge: one comparison less for each."""
    return (rows.view(np.uint32) < height) & (columns.view(np.uint32) < width)


def pyramid(crop: np.ndarray, hole: np.ndarray, progress: Progress) -> list[Level]:
    """Coarsest first; so many that the hole is only a few pixels wide in the first."""
    import cv2

    depth = float(cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3).max())
    known = (~hole).astype(np.float32)
    gray = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    around = cv2.erode(known, np.ones((3, 3), np.uint8))  # a gradient across the rim says nothing
    texture = [np.abs(cv2.Sobel(gray, cv2.CV_32F, dx, dy, scale=0.25)) * around for dx, dy in ((1, 0), (0, 1))]
    weight = cv2.blur(around, (15, 15)) + 1e-6
    texture = [TEXTURE_WEIGHT * cv2.blur(channel, (15, 15)) / weight for channel in texture]
    planes = [crop.astype(np.float32), *texture]
    levels: list[Level] = []
    while True:
        progress.check()
        for plane in planes:
            plane[known == 0] = 0
        level = _level(planes, known)
        if level is None:
            break
        levels.append(level)
        height, width = known.shape
        if (depth <= 2 * RADIUS and height * width <= COARSE_PIXELS) or min(height, width) < 8 * RADIUS:
            break
        size = ((width + 1) // 2, (height + 1) // 2)
        share = _halved(known, size)
        of_known = 1 / np.maximum(share, 1e-6)
        planes = [_halved(plane, size) * (of_known[..., None] if plane.ndim == 3 else of_known) for plane in planes]
        known = (share > 0.999).astype(np.float32)
        depth /= 2
    return levels[::-1]


def _halved(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    odd = plane.shape[0] % 2, plane.shape[1] % 2
    even = cv2.copyMakeBorder(plane, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE) if any(odd) else plane
    return cv2.resize(even, size, interpolation=cv2.INTER_AREA)


def _level(planes: list[np.ndarray], known: np.ndarray) -> Level | None:
    import cv2

    hole = known == 0
    side = 2 * RADIUS + 1
    touched = cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    sources = ~touched
    sources[:RADIUS] = sources[-RADIUS:] = False
    sources[:, :RADIUS] = sources[:, -RADIUS:] = False
    if not sources.any():
        return None
    return Level(planes, hole, np.flatnonzero(touched), sources)


def upsampled(matches: np.ndarray, below: Level, level: Level, rng: np.random.Generator) -> np.ndarray:
    """The matches of a level from those of the next coarser one."""
    width, small = level.hole.shape[1], below.hole.shape[1]
    rows, columns = np.divmod(level.targets, width)
    coarse = matches[(rows // 2) * small + columns // 2]
    coarse_rows, coarse_columns = np.divmod(coarse, small)
    result = np.zeros(level.hole.size, np.int64)
    match_rows = np.minimum(coarse_rows * 2 + rows % 2, level.hole.shape[0] - 1)
    match_columns = np.minimum(coarse_columns * 2 + columns % 2, width - 1)
    nearest = match_rows * width + match_columns
    lost = ~level.sources.reshape(-1)[nearest]
    nearest[lost] = rng.choice(level.known, int(lost.sum()))
    result[level.targets] = nearest
    return result
