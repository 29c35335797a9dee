"""What every eraser offers: a picture and a mask in, the picture without what was masked out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import blend
from clickpaint.image.geometry import CropRules
from clickpaint.progress import SILENT, Progress


@dataclass(frozen=True)
class EraseOptions:
    """How far beyond the mask an eraser may go, and what it puts there.

    Attributes:
        grow: pixels by which the mask is dilated first, so that the object's edge and shadow go too.
        feather: width in pixels of the band around that in which the result fades into the picture.
        grain: how much of the grain around the hole the result has, 0 (the structure alone) to 1; None for all of it, which is also what an
            eraser takes that has no such choice.
    """

    grow: int = 8
    feather: int = 4
    grain: float | None = None

    def __post_init__(self) -> None:
        for name, value, most in (("grow", self.grow, 256), ("feather", self.feather, 128)):
            if not 0 <= value <= most:
                raise InvalidInput("{name} cannot be {value}.", "It goes from 0 to {maximum} pixels.", name=name, value=value, maximum=most)
        if self.grain is not None and not 0 <= self.grain <= 1:
            raise InvalidInput("The grain cannot be {value:g}.", "It goes from 0 to 1.", value=self.grain)


class Eraser(ABC):
    """Erases by filling a crop around each group of holes; cutting, scaling and blending are the same for all.

    Attributes:
        name: the key in the registry.
        rules: how much context the crops have and at which size `fill` works well.
        has_grain: whether it can leave the grain out, by `fill_with_grain`.
    """

    has_grain = False
    name: str
    rules: CropRules

    def erase(
        self, pixels: np.ndarray, mask: np.ndarray, options: EraseOptions = EraseOptions(), progress: Progress = SILENT
    ) -> np.ndarray:
        """`pixels` without what `mask` selects; every pixel outside the grown and feathered mask stays bit for bit.

        Args:
            pixels: uint8 [H, W, 3] RGB.
            mask: bool [H, W], True = remove. Neither is written to.

        Raises:
            InvalidInput: wrong shape or type, or a grain is asked of an eraser that has no such choice.
            Interrupted: the user stopped it. ModelMissing, CorruptModel, OutOfMemory.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise InvalidInput("A picture is uint8 [H, W, 3], not {dtype} {shape}.", dtype=pixels.dtype, shape=list(pixels.shape))
        if mask.dtype != np.bool_ or mask.shape != pixels.shape[:2]:
            raise InvalidInput(
                "The mask is {dtype} {shape}.",
                "It must be bool {picture_shape}.",
                dtype=mask.dtype,
                shape=list(mask.shape),
                picture_shape=list(pixels.shape[:2]),
            )
        if options.grain is not None and not self.has_grain:
            raise InvalidInput(
                "The eraser {name} puts no grain into what it fills.", "Say nothing about grain, or choose classic.", name=self.name
            )

        def fill(crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
            return self._fill_around(crop, hole, options.grain, progress)

        return blend.inpaint(pixels, mask, fill, rules=self.rules, grow=options.grow, feather=options.feather, progress=progress)

    def _fill_around(self, crop: np.ndarray, hole: np.ndarray, grain: float | None, progress: Progress) -> np.ndarray:
        progress.check()
        if not hole.any():
            return crop.copy()
        if hole.all():  # nothing is left that could be continued
            return np.broadcast_to(np.rint(crop.mean(axis=(0, 1))).astype(np.uint8), crop.shape).copy()
        return self.fill(crop, hole, progress) if grain is None else self.fill_with_grain(crop, hole, grain, progress)

    def fill_with_grain(self, crop: np.ndarray, hole: np.ndarray, grain: float, progress: Progress) -> np.ndarray:
        """As `fill`, with so much grain as `EraseOptions.grain` says. Only those that have it are asked."""
        raise NotImplementedError

    @abstractmethod
    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        """`crop` (uint8 [h, w, 3] RGB, already at the size of `rules`) with `hole` (bool [h, w], never empty, never all
        of it) filled. What is returned outside the hole is ignored. Must not write into its arguments."""
