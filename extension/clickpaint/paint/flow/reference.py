"""What edit models see beside the latents: the picture itself, and others that it is to take something from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clickpaint.paint.context import scaled
from clickpaint.paint.diffusion.loop import Inputs, Moment, Part

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.diffusion.engines.base import Scene

_KEY = "reference "
"""Before the number of a picture in `Asked.added`, where it is [rows, c, h, w]."""

_LARGEST = 1024 * 1024
"""Pixels at which a reference picture is looked at, at most; that many these models were trained with."""


@dataclass(frozen=True, eq=False)
class References(Part):
    """The latents [1, c, h, w] of pictures, for the prompt and the negative one alike."""

    latents: Sequence[torch.Tensor]

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        rows = len(inputs.sample)
        seen = {f"{_KEY}{number}": latents.expand(rows, -1, -1, -1) for number, latents in enumerate(self.latents)}
        return replace(inputs, added={**inputs.added, **seen})


def seen_in(added: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """What `References` added to a call, in its order."""
    numbers = range(sum(key.startswith(_KEY) for key in added))
    return [added[f"{_KEY}{number}"] for number in numbers]


def references(scene: Scene, side: int, *, itself: bool = True) -> list[Part]:
    """What an edit model sees: the picture, where it is not painted from nothing, and the reference pictures of its options.

    Args:
        side: in pixels, of what the transformer takes for one token.
        itself: whether the picture is among them.
    """
    latents = [scene.known] if itself and not scene.from_nothing else []
    latents += [scene.coder.encode(picture) for picture in fitted_pictures(scene, side)]
    return [References(latents)] if latents else []


def fitted_pictures(scene: Scene, side: int) -> list[np.ndarray]:
    """The reference pictures, uint8 [h, w, 3], at most as large as these models know them, in whole tokens of `side` pixels."""
    fitted = []
    for picture in scene.job.options.reference.pictures:
        height, width = picture.shape[:2]
        share = min((_LARGEST / (width * height)) ** 0.5, 1.0)
        width, height = (max(int(edge * share) // side, 1) * side for edge in (width, height))
        fitted.append(scaled(picture, (width, height)))
    return fitted
