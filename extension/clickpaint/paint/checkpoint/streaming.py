"""Computing on a device with weights that lie elsewhere: each layer's are there while it computes, and no longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def streamed(modules: Iterable[torch.nn.Module], device: torch.device) -> Iterator[None]:
    """Within this block layers whose weights lie on another device take copies of them along while they compute, as a web UI with
    little memory (medvram, lowvram, Forge's swapping) does. Layers that are on the device already cost nothing.
    """
    hooks = []
    try:
        for module in modules:
            for layer in module.modules():
                for name, buffer in layer._buffers.items():
                    if buffer is not None:
                        layer._buffers[name] = buffer.to(device)  # the numbers of the positions, nothing more
                if any(tensor is not None and not _on(tensor.device, device) for tensor in layer._parameters.values()):
                    fetch, put_back = _hooks(device)
                    hooks += [layer.register_forward_pre_hook(fetch), layer.register_forward_hook(put_back, always_call=True)]
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _hooks(device: torch.device) -> tuple[Any, Any]:
    import torch

    own: dict[str, Any] = {}

    def fetch(layer: torch.nn.Module, _: Any) -> None:
        for name, tensor in layer._parameters.items():
            if tensor is not None and not _on(tensor.device, device):
                own[name] = tensor
                layer._parameters[name] = torch.nn.Parameter(tensor.to(device, non_blocking=True), requires_grad=False)

    def put_back(layer: torch.nn.Module, *_: Any) -> None:
        layer._parameters.update(own)
        own.clear()

    return fetch, put_back


def _on(there: torch.device, device: torch.device) -> bool:
    return (there.type == device.type and None in (device.index, there.index)) or there == device
