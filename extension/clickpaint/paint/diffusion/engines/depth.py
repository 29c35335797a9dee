"""Depth to image: what is painted keeps the depths of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.engines.inpaint import Inpaint

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.paint_job import PaintOptions


class Depth(Inpaint):
    """For depth checkpoints (5 channels); the depth is that of the picture as it was."""

    name = "depth"

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        if kind.engine != "depth":
            raise InvalidInput(
                "The checkpoint knows no depth.", "Load a depth checkpoint, or use a depth ControlNet instead.", checkpoint=kind.title
            )
