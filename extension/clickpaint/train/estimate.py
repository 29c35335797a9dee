"""How much memory a training takes, before it begins: its networks are asked once without memory, and what they would keep is counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clickpaint.compat.meta_tensors import fills_without_memory
from clickpaint.errors import OutOfMemory, Sentence
from clickpaint.paint.checkpoint.meta import empty
from clickpaint.train.optimizers import STATE_VALUES
from clickpaint.train.training_settings import WHOLE, TrainingJob, TrainingSettings

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint

_SPARE = 256 << 20
"""Bytes that libraries take besides."""
_SMALLEST = 256
"""Pixels of the smallest resolution that is proposed."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes on the device besides the checkpoint's own weights.

    Attributes:
        learned: what is changed, its gradients, and what the optimizer keeps.
        kept: what the networks keep of a batch for its gradients.
        parameters: how many numbers are changed.
    """

    learned: int
    kept: int
    parameters: int

    @property
    def total(self) -> int:
        return self.learned + self.kept + _SPARE


@dataclass(frozen=True)
class Fit:
    """What fits into memory.

    Attributes:
        thrifty: whether what gradients need is computed a second time rather than kept.
        estimate: of that.
        free: bytes that there are.
    """

    thrifty: bool
    estimate: MemoryEstimate
    free: int


def estimate(job: TrainingJob, checkpoint: Checkpoint, resolution: int, dtype: torch.dtype) -> dict[bool, MemoryEstimate]:
    """What a training takes, by whether it is thrifty. Takes seconds, and no memory.

    Args:
        job: what is to be trained.
        checkpoint: of its own; its modules are emptied, and cannot be used afterwards.
        resolution: side in pixels.
        dtype: what the networks compute in.
    """
    import torch

    from clickpaint.train.learners import learning

    learns_words = job.kind == "embedding" or (job.kind in ("lora", "dreambooth") and job.settings.text_learning_rate > 0)
    for module in checkpoint.modules():
        empty(module)
    unet = checkpoint.unet
    on_meta = replace(checkpoint, device=torch.device("meta"), dtype=dtype)
    encoders = [encoder.model for encoder in checkpoint.text_encoders] if learns_words else []
    for module in (unet, *encoders):
        torch.nn.Module.to(module, dtype=dtype)
    with torch.inference_mode(False), torch.enable_grad(), fills_without_memory(), learning(job, on_meta) as learner:
        parameters = sum(tensor.numel() for tensor in learner.tensors.values())
        averaged = 1 if job.settings.ema_decay and job.kind in WHOLE else 0
        learned = int(4 * parameters * (2 + STATE_VALUES[job.settings.optimizer] + averaged))
        whole, largest = _kept(learner, on_meta, resolution, dtype)
        inputs = _boundaries(learner, on_meta, resolution, dtype)
    rows = job.settings.batch_size * (2 if job.kind == "dreambooth" else 1)
    return {
        False: MemoryEstimate(learned, whole * rows, parameters),
        True: MemoryEstimate(learned, (inputs + largest) * rows, parameters),
    }


def fitting(job: TrainingJob, estimates: dict[bool, MemoryEstimate], free: int, device: str) -> Fit:
    """How the training goes in the memory that there is.

    Raises:
        OutOfMemory: it does not; the error says how much is needed, and what would fit.
    """
    chosen = job.settings.gradient_checkpointing
    ways = {"on": (True,), "off": (False,), "auto": (False, True)}[chosen]
    for thrifty in ways:
        if estimates[thrifty].total <= free:
            return Fit(thrifty, estimates[thrifty], free)
    least = estimates[ways[-1]]
    raise OutOfMemory(
        "This training needs about {needed} GB on {device} besides the checkpoint, and {free} GB are free.",
        _advice(job, estimates, free),
        needed=_gigabytes(least.total),
        free=_gigabytes(free),
        device=device,
    )


def _advice(job: TrainingJob, estimates: dict[bool, MemoryEstimate], free: int) -> Sentence:
    """What would fit, one sentence."""
    settings, thrifty = job.settings, estimates[True]
    if settings.gradient_checkpointing == "off" and thrifty.total <= free:
        return Sentence("With gradient checkpointing it needs {thrifty} GB, which fits.", thrifty=_gigabytes(thrifty.total))
    each = thrifty.kept // max(1, settings.batch_size)
    room = free - thrifty.learned - _SPARE
    if settings.batch_size > 1 and each <= room:
        return Sentence(
            "With gradient checkpointing batches of {most} fit; accumulation makes up for the rest.",
            most=max(1, room // max(1, each)),
        )
    side = int((settings.resolution or 512) * (max(room, 0) / max(1, each)) ** 0.5) // 64 * 64
    if side >= _SMALLEST:
        return Sentence("With gradient checkpointing and one picture at a time a resolution of {side} fits.", side=side)
    if job.kind in WHOLE:
        return Sentence("Train a LoRA instead, which needs far less.")
    return Sentence("Choose a smaller rank or resolution, a checkpoint of a smaller family, or close other programs.")


def _gigabytes(bytes: int) -> str:
    return f"{max(bytes, 0) / 2**30:.1f}"


def _ask(learner: Any, checkpoint: Checkpoint, resolution: int, dtype: torch.dtype) -> Any:
    """The network's answer to one example, on the meta device."""
    import torch

    side, encoders = resolution // 8, checkpoint.text_encoders

    def blank(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.empty(shape, device="meta", dtype=kind)

    tokens = 77 * -(-learner.settings.caption_tokens // 75)
    contexts, held = [], []
    for encoder in encoders:
        if learner.learns_words:
            out = encoder.model(blank(1, 77, kind=torch.long), output_hidden_states=True)
            held.append(out)
            contexts.append(out.hidden_states[-1].repeat(1, tokens // 77, 1).to(dtype))
        else:
            contexts.append(blank(1, tokens, encoder.width))
    added = None
    if checkpoint.kind.family.startswith("sdxl"):
        added = {"text_embeds": blank(1, checkpoint.text_encoders[-1].model.config.projection_dim), "time_ids": blank(1, 6)}
    channels = checkpoint.unet.config["in_channels"]
    maps = blank(1, 3, resolution, resolution)
    latents, times = blank(1, channels, side, side), blank(1, kind=torch.long)
    return learner.answer(latents, times, torch.cat(contexts, dim=-1), added, maps=maps), held


@contextmanager
def _counting(learner: Any) -> Iterator[list[int]]:
    """Within this block what is kept for gradients is counted: [bytes]."""
    import torch

    weights = {weight.untyped_storage()._cdata for module in learner.modules() for weight in module.parameters()}
    seen: set[int] = set()
    total = [0]

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights and storage._cdata not in seen:
            seen.add(storage._cdata)
            total[0] += storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total


def _kept(learner: Any, checkpoint: Checkpoint, resolution: int, dtype: torch.dtype) -> tuple[int, int]:
    """(bytes of all that is kept, of the block that keeps most)."""
    from clickpaint.train.training_modes import BLOCKS

    largest, hooks = [0], []
    with _counting(learner) as total:
        starts: dict[int, int] = {}

        def before(module: Any, _: Any) -> None:
            starts[id(module)] = total[0]

        def after(module: Any, *_: Any) -> None:
            largest[0] = max(largest[0], total[0] - starts[id(module)])

        for network in learner.modules():
            for module in network.modules():
                if type(module).__name__ in BLOCKS:
                    hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
        try:
            answer = _ask(learner, checkpoint, resolution, dtype)
        finally:
            for hook in hooks:
                hook.remove()
        del answer
    return total[0], largest[0]


def _boundaries(learner: Any, checkpoint: Checkpoint, resolution: int, dtype: torch.dtype) -> int:
    """Bytes of what is kept where blocks are computed a second time."""
    from clickpaint.train.training_modes import thrifty_networks

    with thrifty_networks(learner.modules(), True), _counting(learner) as total:
        answer = _ask(learner, checkpoint, resolution, dtype)
        del answer
    return total[0]


def with_checkpointing(settings: TrainingSettings, thrifty: bool) -> TrainingSettings:
    """The settings with what was chosen for "auto"."""
    return replace(settings, gradient_checkpointing="on" if thrifty else "off")
