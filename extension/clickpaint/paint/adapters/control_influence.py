"""ControlNets at work: their part in the denoising loop, with the weights, times and modes of sd-webui-controlnet."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.loop import Inputs, Moment, Part, Residuals
from clickpaint.paint.flow.flow_controlnets import Question

if TYPE_CHECKING:
    import numpy as np
    import torch
    from diffusers import ControlNetModel
    from torch import Tensor

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.flow.flow_controlnets import ControlFamily
    from clickpaint.paint.paint_job import ControlMode

_FADING = 0.825
"""How much less each deeper skip connection counts where the ControlNet is to be one opinion among others (sd-webui-controlnet)."""


_WITHOUT_PROMPT = ("uncond", "image")
"""Branches of the guidance that no prompt of the user's speaks in."""


def control_image(pixels: np.ndarray, mask: np.ndarray | None = None) -> Tensor:
    """A control map as ControlNets read it, float32 [1, 3, H, W] in 0..1.

    Args:
        pixels: uint8 [H, W, 3].
        mask: bool [H, W], True where the ControlNet for inpainting is to see nothing: -1 there.
    """
    import numpy as np
    import torch

    image = pixels.astype(np.float32) / 255
    if mask is not None:
        image[mask] = -1.0
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous()


@dataclass(frozen=True, eq=False)
class Control:
    """One ControlNet and what it sees.

    Attributes:
        model: diffusers' module.
        image: float32 [1, 3, H, W], as `control_image` makes it, of the very size that is painted.
        weight: as in `ControlUnit`.
        start: the share of the sampling from which it acts, 0..1.
        end: the share up to which it acts, 0..1.
        mode: "prompt": the deeper half of the network listens less and less; "control": the same, and only the side of the prompt hears
            it, so that the guidance amplifies it.
    """

    model: ControlNetModel
    image: Tensor
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: ControlMode = "balanced"

    def acts(self, share: float) -> bool:
        """Whether it has a say when this share (0 .. below 1) of the sampling is done."""
        return self.weight != 0 and self.start <= share <= self.end

    def scales(self, count: int) -> list[float]:
        """What the `count` residuals are multiplied by, from the first skip connection to the middle of the network."""
        if self.mode == "balanced":
            return [self.weight] * count
        return [self.weight * _FADING ** (12 - index) for index in range(count)]

    @functools.cached_property
    def shown(self) -> Tensor:
        """The image as the network takes it."""
        return self.image.to(self.model.device, next(self.model.parameters()).dtype)

    def residuals(self, inputs: Inputs, timestep: torch.Tensor) -> Residuals | None:
        """What it adds for these inputs; None where it is not to be heard."""
        import torch

        size = tuple(8 * side for side in inputs.sample.shape[-2:])
        if tuple(self.image.shape[-2:]) != size:
            raise InvalidInput(
                "The control map is {map_width} x {map_height} pixels, but {width} x {height} are painted.",
                "Make it for this crop.",
                map_width=self.image.shape[-1],
                map_height=self.image.shape[-2],
                width=size[1],
                height=size[0],
            )
        rows, conditioned_rows = len(inputs.sample), None
        if self.mode == "control" or self.model.config["global_pool_conditions"]:
            prompted = [number for number, branch in enumerate(inputs.branches) if branch not in _WITHOUT_PROMPT]  # one after the other
            if not prompted:
                return None
            batch = rows // len(inputs.branches)
            conditioned_rows = slice(batch * prompted[0], batch * (prompted[-1] + 1))
        dtype = self.shown.dtype

        def asked(values: Tensor) -> Tensor:
            return (values if conditioned_rows is None else values[conditioned_rows]).to(dtype)

        down, mid = self.model(
            asked(inputs.sample),
            timestep,
            encoder_hidden_states=asked(inputs.context),
            controlnet_cond=self.shown,
            added_cond_kwargs={key: asked(value) for key, value in inputs.added.items()},
            return_dict=False,
        )

        def placed(residual: Tensor, scale: float) -> Tensor:
            if len(residual) == rows:
                return residual * scale
            whole = torch.zeros((rows, *residual.shape[1:]), dtype=residual.dtype, device=residual.device)
            whole[conditioned_rows] = residual * scale
            return whole

        *scales, last = self.scales(len(down) + 1)
        return Residuals(tuple(placed(residual, scale) for residual, scale in zip(down, scales, strict=True)), placed(mid, last))


@dataclass(frozen=True, eq=False)
class FlowControl:
    """One ControlNet of a flow-matching family and what it sees.

    Attributes:
        family: how it is asked.
        model: diffusers' module.
        checkpoint: beside which it works.
        seen: as `ControlFamily.seen` made it.
        weight, start, end: as in `Control`.
        distilled: the guidance that it is told, where it is told one.
        number: of the kind of map, for one that knows several.
    """

    family: ControlFamily
    model: Any
    checkpoint: FlowCheckpoint
    seen: Tensor
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    distilled: float = 3.5
    number: int | None = None

    def acts(self, share: float) -> bool:
        """Whether it has a say when this share (0 .. below 1) of the sampling is done."""
        return self.weight != 0 and self.start <= share <= self.end

    def residuals(self, inputs: Inputs, timestep: torch.Tensor) -> Residuals | None:
        """What it adds behind each block of the transformer."""
        level = float(timestep) / 1000
        question = Question(self.model, self.checkpoint, self.seen, inputs, level, self.distilled, self.number)
        answers = self.family.answers(question)
        return Residuals(tuple(answer * self.weight for answer in answers), answers[0].new_zeros(1))


class ControlPart(Part):
    """Several ControlNets at once: their residuals add up (Multi-ControlNet)."""

    def __init__(self, controls: Sequence[Control | FlowControl]) -> None:
        self.controls = tuple(controls)
        self.networks = [control.model for control in self.controls]

    def residuals(self, inputs: Inputs, moment: Moment) -> Residuals | None:
        acting = [control for control in self.controls if control.acts(moment.share)]
        speaking = [residuals for control in acting if (residuals := control.residuals(inputs, moment.timestep)) is not None]
        return functools.reduce(operator.add, speaking) if speaking else None
