"""Computing on a device, or in a type, with weights that are elsewhere or otherwise: each layer's are right while it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def streamed(module: torch.nn.Module, device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    """Within this block layers whose weights lie on another device or are of another type take converted copies along while they
    compute, as a web UI with little memory does (medvram, lowvram, Forge's swapping, eight-bit storage). The others cost nothing.
    """
    hooks, first = [], []
    try:
        for layer in module.modules():
            for name, buffer in layer._buffers.items():
                if buffer is not None:
                    layer._buffers[name] = buffer.to(device)  # the numbers of the positions, nothing more
            own = [tensor for tensor in layer._parameters.values() if tensor is not None]
            if all(_right(tensor, device, dtype) for tensor in own):
                continue
            fetch, put_back = _hooks(device, dtype)
            hooks += [layer.register_forward_pre_hook(fetch), layer.register_forward_hook(put_back, always_call=True)]
            if own[0] is next(module.parameters()) and own[0].numel() < _SMALL:
                # diffusers tells a network's device and type by its first weight, which is therefore right all the time
                again, last = _hooks(device, dtype)
                again(layer, ())
                first.append((last, layer))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for last, layer in first:
            last(layer)


_SMALL = 1 << 20


def _hooks(device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    import torch

    own: dict[str, Any] = {}

    def fetch(layer: torch.nn.Module, inputs: Any) -> Any:
        for name, tensor in layer._parameters.items():
            if tensor is not None and not _right(tensor, device, dtype):
                own[name] = tensor
                layer._parameters[name] = torch.nn.Parameter(tensor.to(device, dtype, non_blocking=True), requires_grad=False)
        if not isinstance(layer, torch.nn.Linear) or not inputs or inputs[0].dtype == dtype or not inputs[0].is_floating_point():
            return None
        return (inputs[0].to(dtype), *inputs[1:])  # some networks bring what goes in into the type that the weights had before

    def put_back(layer: torch.nn.Module, *_: Any) -> None:
        layer._parameters.update(own)
        own.clear()

    return fetch, put_back


def _right(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype) -> bool:
    there = tensor.device
    same_device = there == device or (there.type == device.type and None in (device.index, there.index))
    return same_device and tensor.dtype == dtype
