"""A clip that comes from no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(eq=False)
class NewClip:
    """Frames that were made, as the `Clip` that writing wants.

    Attributes:
        frames: uint8 [H, W, 3] each, all of one size, at least one.
        rate: frames a second.
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
