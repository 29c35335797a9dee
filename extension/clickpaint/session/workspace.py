"""One user's editing session as data: the picture, what was selected, what was changed, and the way back and forth."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.errors import NotFound
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture_files import small_jpeg
from clickpaint.session.manifest import Contents
from clickpaint.session.selection import combine
from clickpaint.session.steps import State
from clickpaint.session.timeline import Timeline
from clickpaint.session.turns import Turns
from clickpaint.session.versions import Frame, Tiles, Versions

if TYPE_CHECKING:
    from clickpaint.caption.base import Turn
    from clickpaint.image.picture import Picture
    from clickpaint.paint.in_picture import PaintResult


class Workspace:
    """Several requests may use one workspace at once: whoever changes it takes a `turn`; reading needs none, and who reads several
    things that belong together takes a `snapshot`.

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
        self._turns = Turns()
        self._lock = threading.Lock()
        self._timeline = Timeline([State("Open")])
        self._versions = Versions(original)

    @classmethod
    def restored(cls, id: str, original: Picture, contents: Contents) -> Workspace:
        """A workspace as it was; nobody else may hold one of this id.

        Raises:
            ValueError, NotFound: the contents do not fit each other, or the picture.
        """
        workspace = cls(original, contents.name)
        workspace.id, workspace.opened, workspace.segmenter = id, contents.opened, contents.segmenter
        workspace.results, workspace.results_of, workspace.chat = contents.results, contents.results_of, contents.chat
        workspace._timeline = Timeline(contents.states, contents.index)
        workspace._versions = Versions(original, contents.tiles, contents.frames, contents.texts, contents.last_version)
        for state in contents.states:
            if state.version and state.version not in contents.tiles:
                raise ValueError(f"the version {state.version} is missing")
            size = workspace._versions.frame(state.version).size
            if any(mask is not None and mask.size != size for mask in (state.selection, state.series.base if state.series else None)):
                raise ValueError(f"a selection in the version {state.version} has another size")
        workspace.picture()
        return workspace

    def contents(self) -> Contents:
        """What is to be kept; what segmenters answered is not."""
        with self._lock:
            return Contents(
                self.name, self.opened, self.segmenter, tuple(self._timeline), self._timeline.index, self._versions.last,
                {**self._versions.tiles}, {**self._versions.frames}, {**self._versions.texts}, self.results, self.results_of, self.chat,
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

        def open_still() -> None:
            check()
            if self.closed:
                raise NotFound("This workspace was closed.", "Open the picture again.")

        with self._turns.take(open_still):
            try:
                yield
            finally:
                self.after_turn(self)

    @property
    def state(self) -> State:
        with self._lock:
            return self._timeline.shown

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is shown now."""
        return self.size_of(None)

    @property
    def can_undo(self) -> bool:
        with self._lock:
            return self._timeline.can_undo

    @property
    def can_redo(self) -> bool:
        with self._lock:
            return self._timeline.can_redo

    @property
    def versions(self) -> list[int]:
        """The results that can be shown, in the order they were made."""
        with self._lock:
            return sorted({state.version for state in self._timeline} | {0})

    @property
    def regions(self) -> tuple[PackedMask, ...]:
        """Of the last "everything"; none where a picture of another size is shown than it was asked of."""
        with self._lock:
            size = self._versions.frame(self._number(None)).size
            return self._regions if all(region.size == size for region in self._regions[:1]) else ()

    @property
    def nbytes(self) -> int:
        """Bytes of memory that this workspace holds."""
        with self._lock:
            held: dict[int, int] = {}
            for state in self._timeline:
                for part in (state.selection, state.answer, state.series.base if state.series else None):
                    if part is not None:
                        held[id(part)] = part.nbytes
            return (
                sum(held.values())
                + self._versions.nbytes
                + sum(region.nbytes for region in self._regions)
                + sum(result.pixels.nbytes for result in self.results)
            )

    def snapshot(self) -> tuple[State, Picture]:
        """Where the user is and the picture shown there, which fit each other whatever other requests change meanwhile."""
        with self._lock:
            state = self._timeline.shown
            return state, self._versions.picture(state.version)

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
            self._timeline.push(state)
            self._versions.forget_after(self._timeline.newest_version)
            self._versions.forget_before(self._timeline.oldest_version)

    def undo(self) -> State:
        """One step back; returns the step that was undone."""
        with self._lock:
            return self._timeline.undo()

    def redo(self) -> State:
        """One step forth; returns the step that was redone."""
        with self._lock:
            return self._timeline.redo()

    def picture(self, version: int | None = None) -> Picture:
        """A result with the original's metadata, and where something was painted with what tells how.

        Args:
            version: its number, 0 for the original; None for the one shown now.

        Raises:
            NotFound: there is none of that number (any more).
        """
        with self._lock:
            return self._versions.picture(self._number(version))

    def part(self, version: int | None, box: Box) -> np.ndarray:
        """What a version shows in a box within it, uint8 [h, w, 3], or with alpha [h, w, 4]; made without the rest of it.

        Args:
            version: its number, 0 for the original; None for the one shown now.
            box: where.

        Raises:
            NotFound: there is none of that number (any more).
        """
        with self._lock:
            return self._versions.part(self._number(version), box)

    def sampled(self, version: int | None, step: int) -> np.ndarray:
        """Every `step`th pixel of a version, across and down, as of `part`."""
        with self._lock:
            return self._versions.sampled(self._number(version), step)

    def small_jpeg(self, version: int | None, longest: int) -> bytes:
        """A version for looking at, on white where it is transparent.

        Args:
            version: its number, 0 for the original; None for the one shown now.
            longest: pixels of the longer side, at most.

        Raises:
            NotFound: there is none of that number (any more).
        """
        width, height = self.size_of(version)
        scale = min(1.0, longest / max(width, height))
        # two pixels for each of the result: a mean of those is smooth enough, and of a large picture little is touched
        pixels = self.sampled(version, max(int(0.5 / scale), 1))
        return small_jpeg(pixels, (max(round(width * scale), 1), max(round(height * scale), 1)))

    def size_of(self, version: int | None) -> tuple[int, int]:
        """(width, height) of a version; None for the one shown now."""
        with self._lock:
            return self._versions.frame(self._number(version)).size

    def difference(self, before: int, after: int) -> Box | None:
        """Where alone two versions can differ, an empty box for nowhere; None where their canvases differ."""
        with self._lock:
            return self._versions.difference(before, after)

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
        changed = self._versions.changed_tiles(shown, pixels, alpha, area)
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
        return self._add_canvas(self.picture().on_canvas(pixels, margins, opacity), label, margins, None, infotext)

    def add_cropped(self, box: Box) -> State:
        """Make a part of the picture shown the next result; what is selected in it stays selected.

        Args:
            box: inside the picture shown.
        """
        width, height = self.size
        selection = self.state.selection
        rest = None if selection is None else PackedMask.of(selection.mask[box.slices])
        margins = -box.left, -box.top, box.right - width, box.bottom - height
        return self._add_canvas(self.picture().cropped(box), "Crop", margins, rest, "")

    def _add_canvas(
        self, picture: Picture, label: str, margins: tuple[int, int, int, int], selection: PackedMask | None, infotext: str
    ) -> State:
        left, top, right, bottom = (before + more for before, more in zip(self.margins(), margins, strict=True))
        return self._add_version(label, picture, {}, Frame(picture, (left, top, right, bottom)), selection, infotext)

    def margins(self, version: int | None = None) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), how many pixels more a version has than the original; None for the one shown now."""
        with self._lock:
            return self._versions.margins(self._number(version))

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
            version = self._versions.next_number()
            # first what could be redone goes, so that the results left are those this one was made from
            self._timeline.drop_redo()
            self._versions.forget_after(self._timeline.newest_version)
            self._versions.add(version, picture, changed, frame, infotext)
            self._regions = ()
        state = State(label, version, selection)
        self.push(state)
        return state

    def _frame_shown(self) -> Picture:
        with self._lock:
            return self._versions.frame(self._number(None))

    def forget_oldest(self, steps: int = 1) -> bool:
        """Give up the oldest steps of the history, never the one shown now; False where there is none to give up."""
        with self._lock:
            forgot = self._timeline.forget_oldest(steps)
            self._versions.forget_before(self._timeline.oldest_version)
            return forgot

    def _number(self, version: int | None) -> int:
        """The version's number, of the one shown now for None; the caller holds the lock."""
        return self._timeline.shown.version if version is None else version
