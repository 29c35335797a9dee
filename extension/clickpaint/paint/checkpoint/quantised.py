"""Weights in eight bits with a scale beside each layer, as ComfyUI writes them ("scaled fp8"), brought back to what they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

_SCALES = ("scale_weight", "weight_scale")
"""How a weight's scale is called beside "weight": by ComfyUI at first, and later."""

_BESIDE = (*_SCALES, "scale_input", "input_scale", "comfy_quant", "weight_scale_2", "pre_quant_scale")
"""What else stands beside such a weight, and is not needed for computing in a wider type."""


def unscaled(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of a file, each weight that has a scale multiplied by it, in float16; all others are the same objects.

    Args:
        tensors: by the file's keys. Without a scale among them the result is a plain copy of the mapping.
        name: the file's, for messages.

    Raises:
        InvalidInput: the weights are quantised in a way that is not known here (four bits, blocks).
    """
    import torch

    scales = {key: key.removesuffix(leaf) + "weight" for key in tensors for leaf in _SCALES if key == leaf or key.endswith("." + leaf)}
    if not scales and "scaled_fp8" not in tensors:
        return dict(tensors)
    plain = {
        key: tensor for key, tensor in tensors.items() if key.rpartition(".")[2] not in _BESIDE and key.rpartition(".")[2] != "scaled_fp8"
    }
    for key, weight in scales.items():
        own = tensors.get(weight)
        if own is None:
            continue
        scale = tensors[key].float()
        if scale.numel() != 1 and own.ndim and scale.numel() == own.shape[0]:
            scale = scale.reshape(-1, *[1] * (own.ndim - 1))
        if (
            not own.is_floating_point()
            or scale.numel() not in (1, own.shape[0])
            or weight.removesuffix("weight") + "weight_scale_2" in tensors
        ):
            raise InvalidInput(
                "{name} is quantised in a way that is not known here ({key} is {dtype}).",
                "Choose the same model in fp16, bf16 or fp8.",
                key=weight,
                name=name,
                dtype=str(own.dtype).removeprefix("torch."),
            )
        plain[weight] = (own.float() * (scale if scale.numel() > 1 else scale.reshape(()))).to(torch.float16)
    return plain
