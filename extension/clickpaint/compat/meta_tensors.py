"""Older libraries on tensors without memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


def fills_without_memory() -> AbstractContextManager:
    """Within this block `torch.full` takes a value that is a tensor without memory, as transformers before 4.35 makes the mask of CLIP:
    torch would ask for the value, which is not there. What comes out has no memory either, so that any value will do."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Fills(TorchFunctionMode):
        def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
            if func is torch.full and len(args) > 1 and isinstance(args[1], torch.Tensor) and args[1].is_meta:
                return torch.empty(args[0], dtype=(kwargs or {}).get("dtype", args[1].dtype), device="meta")
            return func(*args, **(kwargs or {}))

    return Fills()
