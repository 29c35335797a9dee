"""One training from its first step to its result: it can be stopped, killed and gone on with at any moment, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from clickpaint.compat import torchvision
from clickpaint.errors import InvalidInput
from clickpaint.progress import SILENT, Progress
from clickpaint.train import run_folder
from clickpaint.train.learners import learning
from clickpaint.train.prepared import Turn, fingerprint
from clickpaint.train.run_types import OpenedForTraining, StepReport, TrainingTurns
from clickpaint.train.training_modes import repeatable, without_inference_tensors
from clickpaint.train.training_session import Session
from clickpaint.train.training_settings import TrainingJob
from clickpaint.weights.device import Device

_OTHERS = {
    "settings": "{folder} holds a training with other settings.",
    "data set": "{folder} holds a training with another data set.",
    "checkpoint": "{folder} holds a training on another checkpoint.",
}
"""What is said of a state, by what of it is not the same."""


class TrainingRun:
    """One training, also over several openings of its checkpoint.

    Args:
        job: what it is.
        data: what it is trained with.
        device: where, and in which precision.
        cache: folder for latents and text embeddings; None keeps none.
        on_step: told after every step.
        on_trial: told before the first step how many seconds one takes; None for no trial.
    """

    def __init__(
        self, job: TrainingJob, data: TrainingTurns, device: Device, cache: Path | None = None,
        on_step: Callable[[StepReport], None] | None = None, on_trial: Callable[[float], None] | None = None,
    ) -> None:  # fmt: skip
        self.job, self.data, self.device, self.cache, self.on_trial = job, data, device, cache, on_trial
        self._on_step = on_step or (lambda _: None)
        self._plans: dict[tuple[bool, int], Sequence[Sequence[Turn]]] = {}

    def resumable(self) -> int | None:
        """The step that a kept state of this very training has reached; None where there is none.

        Raises:
            InvalidInput: there is a state of another training. CorruptModel.
        """
        state = run_folder.read_state(self.job.folder)
        if state is None:
            return None
        self.check_same(state)
        return int(state["step"])

    def run(
        self,
        opened: Callable[[], AbstractContextManager[OpenedForTraining]],
        progress: Progress = SILENT,
        pause: Callable[[], bool] | None = None,
    ) -> Literal["done", "paused"]:
        """Train until it is done, or until `pause` says so between two steps; then call it again.

        Args:
            opened: opens the checkpoint; what it holds may be freed or moved between two openings.
            progress: is told where it is; an interruption is heard between two steps, and the state is kept.
            pause: asked after every step.

        Raises:
            TrainingDiverged: numbers are not finite any more; the state of the last saving is kept.
            Interrupted: by the user; the state is kept. ModelMissing, InvalidInput, OutOfMemory.
        """
        import torch

        torchvision.available()
        run_folder.clear_parts(self.job.folder)
        with torch.inference_mode(False), torch.enable_grad(), opened() as own, repeatable(self.device):
            checkpoint = own.checkpoint
            known_as = fingerprint(checkpoint.unet)
            with without_inference_tensors(checkpoint), learning(self.job, checkpoint) as learner:
                return Session(self, own, learner, known_as).run(progress, pause or (lambda: False))

    def plan(self, epoch: int, of_class: bool = False) -> Sequence[Sequence[Turn]]:
        """The batches of an epoch, planned once."""
        key = of_class, epoch
        if key not in self._plans:
            batches = self.data.class_batches if of_class else self.data.batches
            assert batches is not None
            self._plans = {known: plan for known, plan in self._plans.items() if known[0] != of_class}
            self._plans[key] = batches(epoch)
        return self._plans[key]

    def check_same(self, state: Mapping[str, Any], checkpoint: str | None = None) -> None:
        """Raises `InvalidInput`: the state is of another training.

        Args:
            state: that was kept.
            checkpoint: what the present one's U-Net is known by; None where none is open.
        """
        present = {"settings": self.job.identity(), "data set": self.data.identity, "checkpoint": checkpoint or state["checkpoint"]}
        for what, identity in present.items():
            if state[what] != identity:
                raise InvalidInput(_OTHERS[what], "Start over with --restart, or name another result with -o.", folder=self.job.folder.name)
