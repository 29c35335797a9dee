"""The use-case of text in a picture: where it stands, so that it can be selected, all of it or line by line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.caption import ocr
from clickpaint.caption.ocr import TextLine
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.picture import Picture
from clickpaint.progress import Progress
from clickpaint.segment import everything as everything_mode
from clickpaint.segment.everything import Region
from clickpaint.session.selection import check_mode
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.request import Requests, RunningRequest


@dataclass(frozen=True, eq=False)
class Text:
    """All text in a picture.

    Attributes:
        lines: in reading order.
        regions: what each covers.
        labels: uint16 [H, W], 1 + index of the line at each pixel, 0 for none.
        mask: bool [H, W], all of them.
        milliseconds: from the request to the answer.
    """

    lines: tuple[TextLine, ...]
    regions: tuple[Region, ...]
    labels: np.ndarray
    mask: np.ndarray
    milliseconds: float


class Reading:
    """Part of the studio."""

    def __init__(self, requests: Requests, pool: ModelPool) -> None:
        self._requests, self._pool = requests, pool

    def select(self, workspace: Workspace, mode: str = "replace") -> tuple[Text, State]:
        """Select all text; "region" adjustments can then pick single lines.

        Args:
            workspace: whose picture is looked at.
            mode: how it is combined with the selection, one of `selection.MODES`.

        Raises:
            InvalidInput: there is no text, or no such mode. ModelMissing: nothing here finds text.
        """
        check_mode(mode)
        with self._requests.run("text", workspace) as request, request.turn():
            text = self._read(request, workspace.picture())
            workspace.hold_regions(text.regions)
            return text, workspace.select("Text", text.mask, mode)

    def read(self, picture: Picture) -> Text:
        """The text in a picture that belongs to no workspace. Raises as `select`."""
        with self._requests.run("text") as request:
            return self._read(request, picture)

    def _read(self, request: RunningRequest, picture: Picture) -> Text:
        began = time.perf_counter()

        def work(progress: Progress) -> Text:
            lines = ocr.find_lines(picture.pixels, self._pool.models, progress)
            pairs = [(line, region) for line in lines if (region := _region(line, picture.size)) is not None]
            if not pairs:
                raise InvalidInput("No text was found in this picture.", "Paint over it with the brush if there is some.")
            regions = tuple(region for _, region in pairs)
            labels = everything_mode.label_map(regions, picture.size)
            milliseconds = (time.perf_counter() - began) * 1000
            return Text(tuple(line for line, _ in pairs), regions, labels, labels > 0, milliseconds)

        return request.compute(work)


def _region(line: TextLine, size: tuple[int, int]) -> Region | None:
    """What is inside a line's outline; None where that is nothing."""
    corners: Sequence[tuple[float, float]] = line.outline
    return Region.scored(masks.from_lasso(size, corners), line.score)
