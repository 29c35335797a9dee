"""What a training is made of and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.train.prepared import Turn

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

Batches = Callable[[int], Sequence[Sequence[Turn]]]
"""The batches of an epoch, by its number: always the same ones."""


@dataclass(frozen=True)
class TrainingTurns:
    """What is trained with.

    Attributes:
        batches: of the data set.
        identity: another one for every other data set.
        class_batches: of pictures of the object's class; None for none.
        images: how many there are.
        tags: how often which caption comes.
        trigger: the word for the object.
    """

    batches: Batches
    identity: str = ""
    class_batches: Batches | None = None
    images: int = 0
    tags: Mapping[str, int] | None = None
    trigger: str = ""


@dataclass(frozen=True, eq=False)
class OpenedForTraining:
    """A checkpoint while it is open.

    Attributes:
        checkpoint: of its own, which nobody else computes with meanwhile.
        tensors: all that its source has, for results that are whole checkpoints.
    """

    checkpoint: Checkpoint
    tensors: Callable[[], Mapping[str, Tensor]]


@dataclass(frozen=True)
class StepReport:
    """What is told after a step.

    Attributes:
        step: how many are done.
        loss: of this one.
        rate: its learning rate.
    """

    step: int
    loss: float
    rate: float


class TrainingDiverged(InvalidInput):
    """Numbers of the training are not finite any more."""
