"""What every video eraser offers: frames and masks in, frames without what was masked out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.progress import SILENT, Progress
from clickpaint.video.base import Frames, Masks


@dataclass(frozen=True)
class VideoEraseOptions:
    """How a video eraser works.

    Attributes:
        grow: pixels by which each mask is dilated first, 0 to 256; 0: only what the masks select changes.
        feather: width in pixels of the band around that in which the result fades into the frame, 0 to 128.
        grain: whether what is filled gets the fine noise of its surroundings.
        budget: bytes that frames and motions in memory may take, whatever the clip's length, and what several threads work on as much
            again.
    """

    grow: int = 0
    feather: int = 0
    grain: bool = True
    budget: int = 512 << 20

    def __post_init__(self) -> None:
        EraseOptions(self.grow, self.feather)  # the same ranges


class VideoEraser(Protocol):
    """Erases from a clip what masks select.

    Attributes:
        name: the key in the registry.
    """

    name: str

    def erase(
        self, frames: Frames, masks: Masks, options: VideoEraseOptions | None = None, progress: Progress = SILENT
    ) -> Iterator[np.ndarray]:
        """Every frame of the clip in order, uint8 [H, W, 3]; outside the grown and feathered masks to the bit as it was.

        Frames are made as they are asked for, a few dozen at a time; memory does not grow with the length.

        Raises:
            InvalidInput: the masks have another size, or a frame cannot be read.
            Interrupted, and whatever the image eraser raises.
        """
        ...
