"""One user's editing session as data: the picture, what was selected, what was changed, and the way back and forth."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.errors import Busy, InvalidInput, NotFound
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.segment.base import Point
from clickpaint.session.selection import combine

if TYPE_CHECKING:
    from clickpaint.caption.base import Turn
    from clickpaint.image.picture import Picture
    from clickpaint.paint.in_picture import PaintResult

_TILE = 256
_MOST_STEPS = 200
_MOST_ANSWERS = 16  # how many clicks back `choose` and `previous` still work after an undo
_MOST_WAITING = 8


@dataclass(frozen=True, eq=False)
class Answer:
    """What a segmenter answered to a click.

    Attributes:
        segmenter: its name.
        masks: of the candidates, best first; None for one that selects nothing.
        scores: the segmenter's estimate of each, 0 to 1.
        logits: float32 [1, 256, 256] to refine a candidate with, None where the segmenter has none.
    """

    segmenter: str
    masks: tuple[PackedMask | None, ...]
    scores: tuple[float, ...]
    logits: tuple[np.ndarray | None, ...]

    @property
    def nbytes(self) -> int:
        return sum(mask.nbytes for mask in self.masks if mask is not None) + sum(part.nbytes for part in self.logits if part is not None)


@dataclass(frozen=True, eq=False)
class Series:
    """Clicks that belong together, because each request repeats points of the one before, adding some or leaving some out.

    Attributes:
        points: of the last request, (x, y) in pixels.
        box: of the last request, (left, top, right, bottom) in pixels, None without one.
        mode: how their result is combined with `base`, one of `selection.MODES`.
        base: what was selected before the first of them, None for nothing.
    """

    points: tuple[Point, ...]
    box: tuple[float, float, float, float] | None
    mode: str
    base: PackedMask | None

    def continued_by(self, points: tuple[Point, ...], box: tuple[float, float, float, float] | None) -> bool:
        """Whether a request with these points and this box belongs to the series."""
        if self.points:
            return not set(self.points).isdisjoint(points)
        return box == self.box


@dataclass(frozen=True, eq=False)
class State:
    """Where the user was after a step.

    Attributes:
        label: the step, for people.
        version: which result is shown, 0 is the original.
        selection: None for nothing.
        feather: width in pixels of the selection's soft edge.
        series: the clicks that led here, if clicks did.
        answer: what the segmenter answered to the last of them.
        chosen: index of the candidate that the selection was made of.
    """

    label: str
    version: int = 0
    selection: PackedMask | None = None
    feather: int = 0
    series: Series | None = None
    answer: Answer | None = None
    chosen: int | None = None

    def bare(self) -> State:
        """This state without the answer, which is most of what it holds."""
        return State(self.label, self.version, self.selection, self.feather, self.series, None, None)


Tiles = Mapping[tuple[int, int], np.ndarray]
"""What changed in a version: uint8 [h, w, 3] or with alpha [h, w, 4] by (top, left). Never written to once it is made."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A canvas that has another size than the original's.

    Attributes:
        picture: on it, before anything more was changed.
        margins: (left, top, right, bottom), how many pixels more it has than the original.
    """

    picture: Picture
    margins: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Contents:
    """All of a workspace that is worth keeping after the program ended, as it was at one moment.

    Attributes:
        name, opened, segmenter, results, results_of, chat: as in `Workspace`.
        states: of the timeline.
        index: of the state shown.
        last_version: the highest number that a version ever had.
        tiles: by the version's number.
        frames: of the versions that brought a canvas of their own.
        texts: infotexts by the version's number.
    """

    name: str
    opened: float
    segmenter: str
    states: tuple[State, ...]
    index: int
    last_version: int
    tiles: Mapping[int, Tiles]
    frames: Mapping[int, Frame]
    texts: Mapping[int, str]
    results: tuple[PaintResult, ...]
    results_of: PackedMask | None
    chat: tuple[Turn, ...]


class Workspace:
    """Several requests may use one workspace at once: whoever changes it takes a `turn`; reading needs none, and who reads several
    things that belong together takes a `snapshot`.

    Of results only the tiles that changed are kept, so that many small edits of a huge picture cost little.

    Attributes:
        id: what it is asked for by; nobody guesses it.
        name: of the file.
        opened: when, in seconds since 1970.
        original: the picture as it came.
        segmenter: name of the one used last.
        results: to choose from, of the last painting.
        results_of: what was selected for them.
        chat: questions asked about the picture, and their answers.
        used: when it was used last, in seconds of `time.monotonic`.
        closed: whether it was closed meanwhile.
        after_turn: called with the workspace whenever somebody's turn ends.
    """

    def __init__(self, original: Picture, name: str = "") -> None:
        self.id = secrets.token_urlsafe(18)
        self.name = name
        self.opened = time.time()
        self.original = original
        self.segmenter = ""
        self._regions: tuple[PackedMask, ...] = ()
        self.results: tuple[PaintResult, ...] = ()
        self.results_of: PackedMask | None = None
        self.chat: tuple[Turn, ...] = ()
        self.used = time.monotonic()
        self.closed = False
        self.after_turn: Callable[[Workspace], object] = lambda _: None
        self._turn = threading.Lock()
        self._waiting = 0
        self._lock = threading.Lock()
        self._states = [State("Open")]
        self._index = 0
        self._tiles: dict[int, Tiles] = {}
        self._frames: dict[int, Frame] = {}  # of versions that have another size
        self._texts: dict[int, str] = {}  # infotexts of versions that were painted
        self._last_version = 0
        self._latest: tuple[int, Picture] = (0, original)

    @classmethod
    def restored(cls, id: str, original: Picture, contents: Contents) -> Workspace:
        """A workspace as it was; nobody else may hold one of this id.

        Raises:
            ValueError, NotFound: the contents do not fit each other, or the picture.
        """
        workspace = cls(original, contents.name)
        workspace.id, workspace.opened, workspace.segmenter = id, contents.opened, contents.segmenter
        workspace.results, workspace.results_of, workspace.chat = contents.results, contents.results_of, contents.chat
        if not 0 <= contents.index < len(contents.states):
            raise ValueError(f"there is no state {contents.index}")
        workspace._states, workspace._index = [*contents.states], contents.index
        workspace._tiles, workspace._frames, workspace._texts = {**contents.tiles}, {**contents.frames}, {**contents.texts}
        workspace._last_version = max(contents.last_version, *contents.tiles, 0)
        for state in contents.states:
            if state.version and state.version not in contents.tiles:
                raise ValueError(f"the version {state.version} is missing")
            size = workspace._frame(state.version).size
            if any(mask is not None and mask.size != size for mask in (state.selection, state.series.base if state.series else None)):
                raise ValueError(f"a selection in the version {state.version} has another size")
        workspace.picture()
        return workspace

    def contents(self) -> Contents:
        """What is to be kept; what segmenters answered is not."""
        with self._lock:
            return Contents(
                self.name, self.opened, self.segmenter, tuple(self._states), self._index, self._last_version, {**self._tiles},
                {**self._frames}, {**self._texts}, self.results, self.results_of, self.chat,
            )  # fmt: skip

    @contextmanager
    def turn(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the only one who changes this workspace.

        Args:
            check: called while waiting; what it raises ends that.

        Raises:
            Busy: too many wait already.
            NotFound: it was closed.
        """
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                raise Busy("Too many requests wait for this picture.", "Try again when the ones before have been answered.")
            self._waiting += 1
        try:
            while not self._turn.acquire(timeout=0.1):
                check()
        finally:
            with self._lock:
                self._waiting -= 1
        try:
            check()
            if self.closed:
                raise NotFound("This workspace was closed.", "Open the picture again.")
            yield
        finally:
            self._turn.release()
            self.after_turn(self)

    @property
    def state(self) -> State:
        with self._lock:
            return self._states[self._index]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is shown now."""
        with self._lock:
            return self._frame(self._states[self._index].version).size

    @property
    def can_undo(self) -> bool:
        with self._lock:
            return self._index > 0

    @property
    def can_redo(self) -> bool:
        with self._lock:
            return self._index + 1 < len(self._states)

    @property
    def versions(self) -> list[int]:
        """The results that can be shown, in the order they were made."""
        with self._lock:
            return sorted({state.version for state in self._states} | {0})

    @property
    def regions(self) -> tuple[PackedMask, ...]:
        """Of the last "everything"; none where a picture of another size is shown than it was asked of."""
        with self._lock:
            size = self._frame(self._states[self._index].version).size
            return self._regions if all(region.size == size for region in self._regions[:1]) else ()

    @property
    def nbytes(self) -> int:
        """Bytes of memory that this workspace holds."""
        with self._lock:
            held: dict[int, int] = {}
            for state in self._states:
                for part in (state.selection, state.answer, state.series.base if state.series else None):
                    if part is not None:
                        held[id(part)] = part.nbytes
            tiles = sum(tile.nbytes for changed in self._tiles.values() for tile in changed.values())
            pictures = sum(_picture_bytes(picture) for picture in (self.original, *(frame.picture for frame in self._frames.values())))
            pictures += self._latest[1].pixels.nbytes if self._latest[0] else 0
            return (
                sum(held.values())
                + tiles
                + pictures
                + sum(region.nbytes for region in self._regions)
                + sum(result.pixels.nbytes for result in self.results)
            )

    def snapshot(self) -> tuple[State, Picture]:
        """Where the user is and the picture shown there, which fit each other whatever other requests change meanwhile."""
        with self._lock:
            state = self._states[self._index]
            return state, self._picture(state.version)

    def select(self, label: str, mask: np.ndarray, mode: str) -> State:
        """The user's next step: `mask`, bool [H, W], combined with the selection as `mode` of `selection.MODES` says.

        Raises:
            InvalidInput: an unknown mode.
        """
        before = self.state
        base = None if before.selection is None else before.selection.mask
        after = State(label, before.version, PackedMask.of(combine(base, mask, mode)), before.feather)
        self.push(after)
        return after

    def push(self, state: State) -> None:
        """The user's next step; what could be redone before is gone."""
        with self._lock:
            del self._states[self._index + 1 :]
            self._states.append(state)
            self._forget_unreachable()
            old = len(self._states) - _MOST_ANSWERS - 1
            if old >= 0 and self._states[old].answer is not None:
                self._states[old] = self._states[old].bare()
            self._index = len(self._states) - 1
        if len(self._states) > _MOST_STEPS:
            self.forget_oldest(len(self._states) - _MOST_STEPS)

    def undo(self) -> State:
        """One step back; returns the step that was undone."""
        with self._lock:
            if self._index == 0:
                raise InvalidInput("There is nothing to undo.")
            self._index -= 1
            return self._states[self._index + 1]

    def redo(self) -> State:
        """One step forth; returns the step that was redone."""
        with self._lock:
            if self._index + 1 >= len(self._states):
                raise InvalidInput("There is nothing to redo.")
            self._index += 1
            return self._states[self._index]

    def picture(self, version: int | None = None) -> Picture:
        """A result with the original's metadata, and where something was painted with what tells how.

        Args:
            version: its number, 0 for the original; None for the one shown now.

        Raises:
            NotFound: there is none of that number (any more).
        """
        with self._lock:
            return self._picture(self._states[self._index].version if version is None else version)

    def _picture(self, version: int) -> Picture:
        """As `picture`; the caller holds the lock."""
        if version == 0:
            return self.original
        number, latest = self._latest
        if version == number:
            return latest
        if version not in self._tiles:
            raise NotFound(
                "There is no version {version} of this picture.", "Ask for one of the versions of the workspace.", version=version
            )
        first = self._framed(version)
        if first <= number < version and number:
            base, first = latest, number + 1
        else:
            base = self._frame(version)
        pixels, alpha = base.pixels.copy(), None if base.alpha is None else base.alpha.copy()
        for painted in [number for number in sorted(self._tiles) if first <= number <= version]:
            for (top, left), tile in self._tiles[painted].items():
                place = slice(top, top + tile.shape[0]), slice(left, left + tile.shape[1])
                pixels[place] = tile[..., :3]
                if alpha is not None:
                    alpha[place] = tile[..., 3]
        for array in (pixels, alpha):
            if array is not None:
                array.setflags(write=False)  # it is ours, and need not be copied once more
        picture = self._with_text(self._frame(version).with_pixels(pixels, alpha), version)
        self._latest = (version, picture)
        return picture

    def add_result(
        self, pixels: np.ndarray, label: str, area: Box, selection: PackedMask | None = None, infotext: str = "",
        opacity: np.ndarray | None = None,
    ) -> State:  # fmt: skip
        """Make `pixels` the next result.

        Args:
            pixels: uint8 [H, W, 3] of the size shown now.
            label: the step, for people.
            area: outside of it they are known to be those of the picture shown now.
            selection: what is selected then, None for nothing.
            infotext: how it was painted, "" where it was not.
            opacity: uint8 [H, W], alpha where the picture has some; None: as it is now.
        """
        shown = self.picture()
        alpha = None if shown.alpha is None else shown.alpha if opacity is None else opacity
        changed = {}
        for top in range(area.top // _TILE * _TILE, area.bottom, _TILE):
            for left in range(area.left // _TILE * _TILE, area.right, _TILE):
                tile = (slice(top, top + _TILE), slice(left, left + _TILE))
                if alpha is None or shown.alpha is None:
                    if not np.array_equal(pixels[tile], shown.pixels[tile]):
                        changed[top, left] = pixels[tile].copy()
                elif not (np.array_equal(pixels[tile], shown.pixels[tile]) and np.array_equal(alpha[tile], shown.alpha[tile])):
                    changed[top, left] = np.dstack([pixels[tile], alpha[tile]])
        return self._add_version(label, self._frame_shown().with_pixels(pixels, alpha), changed, None, selection, infotext)

    def add_expanded(
        self, pixels: np.ndarray, label: str, margins: tuple[int, int, int, int], infotext: str = "", opacity: np.ndarray | None = None
    ) -> State:
        """Make `pixels` the next result, on a larger canvas.

        Args:
            pixels: uint8 [H, W, 3], the picture shown now with the margins around it.
            label: the step, for people.
            margins: (left, top, right, bottom) in pixels.
            infotext: how it was painted.
            opacity: uint8 [H, W], alpha where the picture has some; None: what is new is as opaque as the border that it continues.
        """
        picture = self.picture().expanded(pixels, margins, opacity)
        left, top, right, bottom = (before + more for before, more in zip(self.margins(), margins, strict=True))
        return self._add_version(label, picture, {}, Frame(picture, (left, top, right, bottom)), None, infotext)

    def margins(self, version: int | None = None) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), how many pixels more a version has than the original; None for the one shown now."""
        with self._lock:
            first = self._framed(self._states[self._index].version if version is None else version)
            return self._frames[first].margins if first else (0, 0, 0, 0)

    def hold_regions(self, regions: tuple[PackedMask, ...]) -> None:
        """Keep what "everything" found, to pick from by its index."""
        with self._lock:
            self._regions = regions

    def hold_results(self, results: tuple[PaintResult, ...], selection: PackedMask | None) -> None:
        """Keep what a painting gave to choose from.

        Args:
            results: in the order shown.
            selection: what was selected for them.
        """
        self.results, self.results_of = results, selection

    def _add_version(
        self, label: str, picture: Picture, changed: Tiles, frame: Frame | None, selection: PackedMask | None, infotext: str
    ) -> State:
        with self._lock:
            version = self._last_version = self._last_version + 1
            # first what could be redone goes, so that the results left are those this one was made from
            del self._states[self._index + 1 :]
            self._forget_unreachable()
            self._tiles[version] = changed
            if frame is not None:
                self._frames[version] = frame
            if infotext:
                self._texts[version] = infotext
            self._latest = (version, self._with_text(picture, version))
            self._regions = ()
        state = State(label, version, selection)
        self.push(state)
        return state

    def _with_text(self, picture: Picture, version: int) -> Picture:
        painted = max((number for number in self._texts if number <= version), default=None)
        return picture if painted is None else picture.with_text(parameters=self._texts[painted])

    def _framed(self, version: int) -> int:
        """The version that brought the canvas of this one; 0 for the original's."""
        return max((number for number in self._frames if number <= version), default=0)

    def _frame(self, version: int) -> Picture:
        """The picture that this version's tiles lie on."""
        first = self._framed(version)
        return self._frames[first].picture if first else self.original

    def _frame_shown(self) -> Picture:
        with self._lock:
            return self._frame(self._states[self._index].version)

    def forget_oldest(self, steps: int = 1) -> bool:
        """Give up the oldest steps of the history, never the one shown now; False where there is none to give up."""
        with self._lock:
            steps = min(steps, self._index)
            if steps <= 0:
                return False
            del self._states[:steps]
            self._index -= steps
            oldest = self._states[0].version
            below = [number for number in sorted(self._tiles) if number <= oldest]
            if below == [oldest]:
                return True
            merged: dict[tuple[int, int], np.ndarray] = {}
            frame = None
            for version in below:
                if version in self._frames:  # what was painted on a smaller canvas is part of this one
                    frame, merged = self._frames.pop(version), {}
                merged.update(self._tiles.pop(version))
            if oldest:
                self._tiles[oldest] = merged
            if frame is not None:
                self._frames[oldest] = frame
            return True

    def _forget_unreachable(self) -> None:
        newest = max(state.version for state in self._states)
        for version in [number for number in self._tiles if number > newest]:
            del self._tiles[version]
            self._frames.pop(version, None)
            self._texts.pop(version, None)
        if self._latest[0] > newest:
            self._latest = (0, self.original)


def _picture_bytes(picture: Picture) -> int:
    source = picture.source
    parts = (picture.pixels, picture.alpha, source.rgb, source.alpha, source.samples.array if source.samples is not None else None)
    return sum(part.nbytes for part in {id(part): part for part in parts if part is not None}.values())
