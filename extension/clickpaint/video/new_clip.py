"""A clip that comes from no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clickpaint.errors import InvalidInput


def check_rate(rate: float) -> None:
    """Raises `InvalidInput` for frames a second that no clip can have; before its frames are made."""
    if not 0.1 <= rate <= 120:
        raise InvalidInput("A clip cannot show {value} frames a second.", "Give 0.1 to 120.", value=f"{rate:g}")


@dataclass(eq=False)
class NewClip:
    """Frames that were made, as the `Clip` that writing wants.

    Attributes:
        frames: uint8 [H, W, 3] each, all of one size, at least one.
        rate: frames a second, as `check_rate` wants it.
    """

    frames: Sequence[np.ndarray]
    rate: float
    path: Path = Path()

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].shape[1], self.frames[0].shape[0]

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, number: int) -> np.ndarray:
        return self.frames[number]

    def seconds(self, number: int) -> float:
        return 1 / self.rate

    def close(self) -> None:
        pass
