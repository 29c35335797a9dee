"""What PEFT puts into networks, in the versions 0.13 to 0.21."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def tuner_layers(network: torch.nn.Module) -> list[tuple[str, Any]]:
    """(name of the layer, PEFT's layer around it) for every layer that has one."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [(name, module) for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)]


def without_tuners(network: torch.nn.Module) -> None:
    """Put the layers themselves back where PEFT's are around them."""
    for name, tuner in tuner_layers(network):
        parent, _, leaf = name.rpartition(".")
        owner = network.get_submodule(parent) if parent else network
        setattr(owner, leaf, tuner.get_base_layer())
    for leftover in ("peft_config", "_hf_peft_config_loaded"):
        if leftover in vars(network):
            delattr(network, leftover)
