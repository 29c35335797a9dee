"""The pictures that a workspace's results are, of which only what changed is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.errors import NotFound
from clickpaint.image.geometry import Box

if TYPE_CHECKING:
    from clickpaint.image.picture import Picture

_TILE = 256

Tiles = Mapping[tuple[int, int], np.ndarray]
"""What changed in a version: uint8 [h, w, 3] or with alpha [h, w, 4] by (top, left). Never written to once it is made."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A canvas that has another size than the original's.

    Attributes:
        picture: on it, before anything more was changed.
        margins: (left, top, right, bottom), how many pixels more it has than the original; below 0 for fewer.
    """

    picture: Picture
    margins: tuple[int, int, int, int]


class Versions:
    """The original, which is version 0, and the results, by their numbers. Whoever shares them between threads locks them.

    Of results only the tiles that changed are kept, so that many small edits of a huge picture cost little; the one asked for last is
    kept whole.

    Args:
        original: the picture as it came.
        tiles: by the version's number.
        frames: of the versions that brought a canvas of their own.
        texts: infotexts of those that were painted.
        last: the highest number that a version ever had.
    """

    def __init__(
        self, original: Picture, tiles: Mapping[int, Tiles] | None = None, frames: Mapping[int, Frame] | None = None,
        texts: Mapping[int, str] | None = None, last: int = 0,
    ) -> None:  # fmt: skip
        self.original = original
        self.tiles: dict[int, Tiles] = {**(tiles or {})}
        self.frames: dict[int, Frame] = {**(frames or {})}
        self.texts: dict[int, str] = {**(texts or {})}
        self.last = max(last, *self.tiles, 0)
        self._latest: tuple[int, Picture] = (0, original)

    def picture(self, version: int) -> Picture:
        """The result with the original's metadata, and where something was painted with what tells how.

        Raises:
            NotFound: there is none of that number (any more).
        """
        if version == 0:
            return self.original
        number, latest = self._latest
        if version == number:
            return latest
        self._check(version)
        first = self._framed(version)
        if first <= number < version and number:
            base, first = latest, number + 1
        else:
            base = self.frame(version)
        pixels, alpha = base.pixels.copy(), None if base.alpha is None else base.alpha.copy()
        for painted in [number for number in sorted(self.tiles) if first <= number <= version]:
            for (top, left), tile in self.tiles[painted].items():
                place = slice(top, top + tile.shape[0]), slice(left, left + tile.shape[1])
                pixels[place] = tile[..., :3]
                if alpha is not None:
                    alpha[place] = tile[..., 3]
        for array in (pixels, alpha):
            if array is not None:
                array.setflags(write=False)  # it is ours, and need not be copied once more
        picture = self._with_text(self.frame(version).with_pixels(pixels, alpha), version)
        self._latest = (version, picture)
        return picture

    def part(self, version: int, box: Box) -> np.ndarray:
        """What a version shows in a box that lies within it, uint8 [h, w, 3], or with alpha [h, w, 4]; made without the rest of it.

        Raises:
            NotFound: there is none of that number (any more).
        """
        base, painted = self._layers(version)
        pixels = base.pixels[box.slices]
        pixels = pixels.copy() if base.alpha is None else np.dstack([pixels, base.alpha[box.slices]])
        for number in painted:
            for (top, left), tile in self.tiles[number].items():
                common = Box(left, top, left + tile.shape[1], top + tile.shape[0]).intersection(box)
                if common is not None:
                    pixels[common.shifted(-box.left, -box.top).slices] = tile[common.shifted(-left, -top).slices]
        return pixels

    def sampled(self, version: int, step: int) -> np.ndarray:
        """Every `step`th pixel of a version, across and down, uint8 [h, w, 3], or with alpha [h, w, 4]; made without the others.

        Raises:
            NotFound: there is none of that number (any more).
        """
        base, painted = self._layers(version)
        pixels = base.pixels[::step, ::step]
        pixels = pixels.copy() if base.alpha is None else np.dstack([pixels, base.alpha[::step, ::step]])
        for number in painted:
            for (top, left), tile in self.tiles[number].items():
                small = tile[-top % step :: step, -left % step :: step]
                row, column = -(-top // step), -(-left // step)
                pixels[row : row + small.shape[0], column : column + small.shape[1]] = small
        return pixels

    def difference(self, before: int, after: int) -> Box | None:
        """Where alone two versions can differ, an empty box for nowhere; None where their canvases differ."""
        if self._framed(before) != self._framed(after):
            return None
        low, high = sorted((before, after))
        changed = [
            Box(left, top, left + tile.shape[1], top + tile.shape[0])
            for number, tiles in self.tiles.items()
            if low < number <= high
            for (top, left), tile in tiles.items()
        ]
        if not changed:
            return Box(0, 0, 0, 0)
        lefts, tops, rights, bottoms = zip(*changed, strict=True)
        return Box(min(lefts), min(tops), max(rights), max(bottoms))

    def changed_tiles(self, shown: Picture, pixels: np.ndarray, alpha: np.ndarray | None, area: Box) -> Tiles:
        """The tiles in which new pixels differ from a picture.

        Args:
            shown: the picture.
            pixels: uint8 [H, W, 3].
            alpha: uint8 [H, W], None where the picture has none.
            area: outside of it nothing differs.
        """
        changed = {}
        for top in range(area.top // _TILE * _TILE, area.bottom, _TILE):
            for left in range(area.left // _TILE * _TILE, area.right, _TILE):
                tile = (slice(top, top + _TILE), slice(left, left + _TILE))
                if alpha is None or shown.alpha is None:
                    if not np.array_equal(pixels[tile], shown.pixels[tile]):
                        changed[top, left] = pixels[tile].copy()
                elif not (np.array_equal(pixels[tile], shown.pixels[tile]) and np.array_equal(alpha[tile], shown.alpha[tile])):
                    changed[top, left] = np.dstack([pixels[tile], alpha[tile]])
        return changed

    def next_number(self) -> int:
        self.last += 1
        return self.last

    def add(self, version: int, picture: Picture, changed: Tiles, frame: Frame | None, infotext: str) -> None:
        """A new result.

        Args:
            version: its number.
            picture: all of it.
            changed: what is new in it.
            frame: its canvas, where that is another than the version's before.
            infotext: how it was painted, "" where it was not.
        """
        self.tiles[version] = changed
        if frame is not None:
            self.frames[version] = frame
        if infotext:
            self.texts[version] = infotext
        self._latest = (version, self._with_text(picture, version))

    def margins(self, version: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), how many pixels more a version has than the original."""
        first = self._framed(version)
        return self.frames[first].margins if first else (0, 0, 0, 0)

    def frame(self, version: int) -> Picture:
        """The picture that this version's tiles lie on."""
        first = self._framed(version)
        return self.frames[first].picture if first else self.original

    def forget_before(self, oldest: int) -> None:
        """Make one version of all up to this one."""
        below = [number for number in sorted(self.tiles) if number <= oldest]
        if below == [oldest]:
            return
        merged: dict[tuple[int, int], np.ndarray] = {}
        frame = None
        for version in below:
            if version in self.frames:  # what was painted on a smaller canvas is part of this one
                frame, merged = self.frames.pop(version), {}
            merged.update(self.tiles.pop(version))
        if oldest:
            self.tiles[oldest] = merged
        if frame is not None:
            self.frames[oldest] = frame

    def forget_after(self, newest: int) -> None:
        for version in [number for number in self.tiles if number > newest]:
            del self.tiles[version]
            self.frames.pop(version, None)
            self.texts.pop(version, None)
        if self._latest[0] > newest:
            self._latest = (0, self.original)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they hold."""
        tiles = sum(tile.nbytes for changed in self.tiles.values() for tile in changed.values())
        pictures = sum(_picture_bytes(picture) for picture in (self.original, *(frame.picture for frame in self.frames.values())))
        return tiles + pictures + (self._latest[1].pixels.nbytes if self._latest[0] else 0)

    def _layers(self, version: int) -> tuple[Picture, list[int]]:
        """A picture, and the numbers of the versions whose tiles make this one of it."""
        number, latest = self._latest
        if version in (0, number):
            return (self.original if version == 0 else latest), []
        self._check(version)
        first = self._framed(version)
        return self.frame(version), [number for number in sorted(self.tiles) if first <= number <= version]

    def _check(self, version: int) -> None:
        if version and version not in self.tiles:
            raise NotFound(
                "There is no version {version} of this picture.", "Ask for one of the versions of the workspace.", version=version
            )

    def _with_text(self, picture: Picture, version: int) -> Picture:
        painted = max((number for number in self.texts if number <= version), default=None)
        return picture if painted is None else picture.with_text(parameters=self.texts[painted])

    def _framed(self, version: int) -> int:
        """The version that brought the canvas of this one; 0 for the original's."""
        return max((number for number in self.frames if number <= version), default=0)


def _picture_bytes(picture: Picture) -> int:
    source = picture.source
    parts = (picture.pixels, picture.alpha, source.rgb, source.alpha, source.samples.array if source.samples is not None else None)
    return sum(part.nbytes for part in {id(part): part for part in parts if part is not None}.values())
