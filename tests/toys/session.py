"""A session on a toy studio: what tests open, point at and wait for."""

from __future__ import annotations

from typing import Any

import numpy as np

from clickpaint.segment.base import Point, Prompts
from clickpaint.session.workspace import Workspace
from tests.toys.studio import ToyStudio, file_of, pixels

image = pixels()
red, blue, grey = ((image == image[y, x]).all(axis=2) for x, y in ((30, 20), (59, 39), (0, 0)))


def at(*points: tuple[float, float], label: int = 1) -> Prompts:
    return Prompts(tuple(Point(x, y, label) for x, y in points))


def quiet(studio: ToyStudio, workspace: Workspace) -> Workspace:
    """Once nothing is under way any more."""
    for task in studio.tasks.visible(workspace.id):
        assert task.wake.wait(60)
    return workspace


def opened(studio: ToyStudio, shown: Any = None) -> Workspace:
    return quiet(studio, studio.open(file_of(image if shown is None else shown), "toy.png"))


def selected(workspace: Workspace) -> np.ndarray:
    """The mask, bool [H, W]."""
    state = workspace.state
    return np.zeros(workspace.size[::-1], bool) if state.selection is None else state.selection.mask
