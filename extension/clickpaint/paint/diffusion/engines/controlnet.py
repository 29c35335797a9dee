"""Inpainting that follows control maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.engines.inpaint import Inpaint

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.paint_job import PaintOptions


class ControlNet(Inpaint):
    """The job's control units act in every engine; this one insists on them."""

    name = "controlnet"

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        super().check(kind, options)
        if not options.control:
            raise InvalidInput("No ControlNet is chosen.", "Add a ControlNet unit, or choose another engine.")
