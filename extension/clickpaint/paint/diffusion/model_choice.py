"""Which family's part in the sampling goes with which checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.diffusion.checkpoint_model import Model
from clickpaint.paint.diffusion.stable_diffusion import StableDiffusion
from clickpaint.paint.flow.flow_matching import FlowMatching

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyCheckpoint


def model_of(checkpoint: AnyCheckpoint) -> Model:
    """What the sampling asks of a checkpoint."""
    return FlowMatching(checkpoint) if isinstance(checkpoint, FlowCheckpoint) else StableDiffusion(checkpoint)
