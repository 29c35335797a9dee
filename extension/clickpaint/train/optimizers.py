"""What changes the weights: torch's optimizers, Prodigy, and eight-bit ones where bitsandbytes works."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clickpaint.compat.packages import installed
from clickpaint.errors import ModelMissing
from clickpaint.train.training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch

STATE_VALUES = {
    "adamw": 2.0, "adam": 2.0, "radam": 2.0, "nadam": 2.0, "sgd": 1.0, "adafactor": 0.1, "prodigy": 4.0, "adamw8bit": 0.5,
}  # fmt: skip
"""Float32 numbers that an optimizer keeps for each weight."""


def make_optimizer(settings: TrainingSettings, groups: Sequence[dict[str, Any]]) -> torch.optim.Optimizer:
    """The optimizer on parameter groups with their learning rates.

    Raises:
        ModelMissing: its package is not here, or does not work here.
    """
    import torch

    name, decay = settings.optimizer, settings.weight_decay
    if name == "prodigy":
        if not installed("prodigyopt"):
            raise ModelMissing("The package prodigyopt is not installed.", "Install it: pip install --no-deps prodigyopt")
        from prodigyopt import Prodigy

        return Prodigy(groups, weight_decay=decay)
    if name == "adamw8bit":
        try:
            import bitsandbytes  # pyrefly: ignore

            return bitsandbytes.optim.AdamW8bit(groups, weight_decay=decay)
        except Exception as error:
            raise ModelMissing("The package bitsandbytes does not work here.", "Choose another optimizer, adamw for example.") from error
    if name == "adafactor" and not hasattr(torch.optim, "Adafactor"):
        raise ModelMissing("This version of torch has no Adafactor.", "Choose another optimizer, adamw for example.")
    kinds: dict[str, Any] = {"adamw": "AdamW", "adam": "Adam", "radam": "RAdam", "nadam": "NAdam", "adafactor": "Adafactor", "sgd": "SGD"}
    more = {"momentum": 0.9} if name == "sgd" else {}
    return getattr(torch.optim, kinds[name])(groups, weight_decay=decay, **more)


def rate_factor(settings: TrainingSettings, step: int) -> float:
    """What the learning rates are multiplied by in a step, from 0 on."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    share = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
    return max(0.0, 1 - share) if settings.schedule == "linear" else 1.0
