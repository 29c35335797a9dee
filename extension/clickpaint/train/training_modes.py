"""How networks compute while something learns: in which type, with which memory, and told to TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.train.run_types import StepReport
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint


def computed_in(device: Device, checkpoint: Checkpoint) -> torch.dtype:
    """The type of the network's own arithmetic."""
    import torch

    return device.torch_dtype if checkpoint.dtype == torch.float32 else checkpoint.dtype


def gradient_scaler(device: Device, dtype: torch.dtype) -> Any:
    """Keeps gradients in float16 from becoming nothing; does nothing for other types."""
    import torch

    needed = dtype == torch.float16 and device.kind == "cuda"
    if hasattr(torch.amp, "GradScaler"):
        return torch.amp.GradScaler(device.kind if needed else "cpu", enabled=needed)
    return torch.cuda.amp.GradScaler(enabled=needed)


@contextmanager
def repeatable(device: Device) -> Iterator[None]:
    """Within this block a card computes the same again where it can."""
    import torch

    if device.kind != "cuda":
        yield
        return
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


@contextmanager
def without_inference_tensors(checkpoint: Checkpoint) -> Iterator[None]:
    """Within this block the networks' weights can take part in gradients: those that a host has made in inference mode are seen through
    other tensors on the same memory."""
    import torch

    changed = []
    for module in checkpoint.modules():
        for owner in module.modules():
            for name, tensor in owner._parameters.items():
                if tensor is not None and tensor.is_inference():
                    seen = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
                    seen.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.shape, tensor.stride())  # type: ignore[arg-type]
                    owner._parameters[name] = torch.nn.Parameter(seen, requires_grad=False)
                    changed.append((owner, name, tensor))
    try:
        yield
    finally:
        for owner, name, tensor in changed:
            owner._parameters[name] = tensor


BLOCKS = ("ResnetBlock2D", "BasicTransformerBlock", "CLIPEncoderLayer")
"""The classes of what is computed a second time as a whole; none holds another."""


@contextmanager
def thrifty_networks(modules: Sequence[Any], thrifty: bool) -> Iterator[None]:
    """Within this block networks compute what they need for gradients a second time, if `thrifty`.

    Not by the libraries' own switches: transformers before 5 lets torch compute from inputs alone ("reentrant"), and what is learned in the
    first layers of a text encoder, whose embeddings need no gradient, would get none and no one would be told.
    """
    blocks = [block for module in modules for block in module.modules() if type(block).__name__ in BLOCKS] if thrifty else []
    for block in blocks:
        block.forward = _computed_twice(block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class's own is behind it


def _computed_twice(forward: Callable[..., Any]) -> Callable[..., Any]:
    import torch
    from torch.utils.checkpoint import checkpoint

    class Kept(torch.autograd.Function):
        """Keeps a block's inputs as a checkpoint does."""

        @staticmethod
        def forward(ctx: Any, _: torch.Tensor, *tensors: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(*tensors)
            return tensors[0].new_empty(0)

    def run(*args: Any, **kwargs: Any) -> Any:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        if not any(tensor.is_meta for tensor in tensors):
            return checkpoint(forward, *args, use_reentrant=False, **kwargs)
        # torch before 2.4 has no checkpoints on tensors without memory, of which only the count of what is kept matters
        Kept.apply(torch.empty(0, device="meta", requires_grad=True), *tensors)
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: None, lambda nothing: nothing):
            return forward(*args, **kwargs)

    return run


@contextmanager
def tensor_board(folder: Path, step: int) -> Iterator[Callable[[StepReport], None]]:
    """What writes TensorBoard's log, where that is installed."""
    from clickpaint.compat.packages import installed

    if not installed("tensorboard"):
        yield lambda _: None
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def tell(report: StepReport) -> None:
        writer.add_scalar("loss", report.loss, report.step)
        writer.add_scalar("learning rate", report.rate, report.step)

    try:
        yield tell
    finally:
        writer.close()
