"""Weights in eight bits with a scale beside each layer, as ComfyUI writes them ("scaled fp8"), and in four bits as bitsandbytes does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.packed_weights import FourBits, Scaled, packed

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

    scales = _scales(tensors)
    if not scales and "scaled_fp8" not in tensors:
        return dict(tensors)
    plain = _without_what_stands_beside(tensors)
    for key, weight in scales.items():
        if weight in tensors:
            own, scale = _checked(tensors, key, weight, name)
            rows = scale.reshape(-1, *[1] * (own.ndim - 1)) if scale.numel() > 1 else scale.reshape(())
            plain[weight] = (own.float() * rows).to(torch.float16)
    return plain


def kept_packed(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of a file, or of a host's layers, each weight that has a scale or is in four bits as a `packed` one: as small as it
    was, and unpacked by whoever computes with it. All others are the same objects.

    Args:
        tensors: by the file's keys.
        name: the file's, for messages.

    Raises:
        InvalidInput: the weights are quantised in a way that is not known here.
    """
    plain = _in_four_bits(tensors, name)
    scales = _scales(plain)
    if not scales and "scaled_fp8" not in plain:
        return plain
    kept = _without_what_stands_beside(plain)
    for key, weight in scales.items():
        if weight in plain:
            own, scale = _checked(plain, key, weight, name)
            kept[weight] = packed(Scaled(own, scale))
    return kept


def _scales(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The key of each scale, and that of the weight that it is for."""
    return {key: key.removesuffix(leaf) + "weight" for key in tensors for leaf in _SCALES if key == leaf or key.endswith("." + leaf)}


def _without_what_stands_beside(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key.rpartition(".")[2] not in (*_BESIDE, "scaled_fp8")}


def _checked(tensors: Mapping[str, Tensor], key: str, weight: str, name: str) -> tuple[Tensor, Tensor]:
    """(a weight, its scale in float32: one number or one for each row); raises `InvalidInput` where they do not go together."""
    own, scale = tensors[weight], tensors[key].float()
    if not own.is_floating_point() or scale.numel() not in (1, own.shape[0]) or weight.removesuffix("weight") + "weight_scale_2" in tensors:
        raise _unknown(name, weight, own)
    return own, scale


def _unknown(name: str, key: str, tensor: Tensor) -> InvalidInput:
    return InvalidInput(
        "{name} is quantised in a way that is not known here ({key} is {dtype}).",
        "Choose the same model in fp16, bf16 or fp8.",
        key=key,
        name=name,
        dtype=str(tensor.dtype).removeprefix("torch."),
    )


_STATE = ".quant_state.bitsandbytes__"
_OF_STATE = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")


def _in_four_bits(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The same, with what bitsandbytes wrote as packed weights."""
    states = {key.partition(_STATE)[0]: key for key in tensors if _STATE in key}
    gone = {f"{weight}.{leaf}" for weight in states for leaf in _OF_STATE} | set(states.values())
    kept = {key: tensor for key, tensor in tensors.items() if key not in gone}
    for weight, key in states.items():
        try:
            state: dict[str, Any] = json.loads(bytes(tensors[key].tolist()).decode())
            nested = f"{weight}.nested_absmax" in tensors
            packing = FourBits(
                tensors[weight], tensors[f"{weight}.quant_map"], tensors[f"{weight}.absmax"], int(state["blocksize"]),
                tuple(map(int, state["shape"])), tensors[f"{weight}.nested_quant_map"] if nested else None,
                tensors[f"{weight}.nested_absmax"] if nested else None, int(state.get("nested_blocksize", 256)),
                float(state.get("nested_offset", 0.0)),
            )  # fmt: skip
        except (KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
            raise _unknown(name, weight, tensors.get(weight, tensors[key])) from error
        kept[weight] = packed(packing)
    return kept
