"""What edit models see beside the latents: the picture itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clickpaint.paint.diffusion.loop import Inputs, Moment, Part

if TYPE_CHECKING:
    import torch

KEY = "reference"
"""Under which `Asked.added` has it: [rows, c, h, w]."""


@dataclass(frozen=True, eq=False)
class Reference(Part):
    """The latents [1, c, h, w] of a picture, for the prompt and the negative one alike."""

    latents: torch.Tensor

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        return replace(inputs, added={**inputs.added, KEY: self.latents.expand(len(inputs.sample), -1, -1, -1)})
