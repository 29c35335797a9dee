"""Modules without memory, and tensors put into them as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput

if TYPE_CHECKING:
    import torch

_FILLING = frozenset(
    ("kaiming_uniform_", "uniform_", "normal_", "trunc_normal_", "constant_", "xavier_uniform_", "fill_", "zero_", "zeros_", "ones_")
)


@contextmanager
def on_meta() -> Iterator[None]:
    """Modules made within this block, by this thread, have shapes but no memory, and no time is spent on initial values."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Unfilled(TorchFunctionMode):
        def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
            if getattr(func, "__name__", "") in _FILLING:
                return args[0] if args else (kwargs or {})["tensor"]
            return func(*args, **(kwargs or {}))

    with torch.device("meta"), Unfilled():
        yield


def assign(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], called: Callable[[str], str] = str) -> None:
    """Make each parameter of a module of `on_meta` the tensor of its name: the same storage, no gradient, nothing copied. May be
    done again with other tensors.

    Args:
        tensors: by the names of `module.named_parameters()`; others are ignored.
        called: the name under which people know a parameter's tensor, for messages.

    Raises:
        InvalidInput: a tensor is missing, or has another shape than the module's parameter.
    """
    import torch

    for place, owner in module.named_modules():
        for name, expected in owner._parameters.items():
            if expected is None:
                continue
            full = f"{place}.{name}" if place else name
            tensor = tensors.get(full)
            if tensor is None:
                raise InvalidInput("The file is damaged or cut off: {key} is missing.", _REPLACE, key=called(full))
            if tensor.shape != expected.shape:
                raise InvalidInput(
                    "The file is damaged or of an unknown kind: {key} is {shape} instead of {expected}.",
                    _REPLACE,
                    key=called(full),
                    shape=_size(tensor.shape),
                    expected=_size(expected.shape),
                )
            owner._parameters[name] = torch.nn.Parameter(tensor.detach(), requires_grad=False)


def empty(module: torch.nn.Module) -> None:
    """Let go of every tensor that `assign` put in, so that whoever owns them can free or move them."""
    import torch

    for owner in module.modules():
        for name, tensor in owner._parameters.items():
            if tensor is not None:
                owner._parameters[name] = torch.nn.Parameter(torch.empty_like(tensor, device="meta"), requires_grad=False)


def main_dtype(module: torch.nn.Module) -> torch.dtype:
    """The type that a module computes in: that of most of its weights, or float32 if its embeddings are (so Forge keeps those of
    text encoders, for the sake of all that follows them). Where there is no arithmetic for the type (eight bits), float16 on a
    card and float32 on the CPU."""
    import torch

    values: dict[torch.dtype, int] = {}
    device = torch.device("cpu")
    for layer in module.modules():
        for tensor in layer._parameters.values():
            if tensor is not None and isinstance(layer, torch.nn.Embedding) and tensor.dtype == torch.float32:
                return torch.float32
            if tensor is not None:
                values[tensor.dtype] = values.get(tensor.dtype, 0) + tensor.numel()
                device = tensor.device
    dtype = max(values, key=lambda candidate: values[candidate])
    if dtype in (torch.float32, torch.float16, torch.bfloat16):
        return dtype
    return torch.float32 if device.type == "cpu" else torch.float16


_REPLACE = "Download it again, or choose another checkpoint."


def _size(shape: torch.Size) -> str:
    return "x".join(map(str, shape)) or "a single number"
