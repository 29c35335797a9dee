"""The flow-matching families, and which of them a file's tensors are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.flow.base import FlowFamily
from clickpaint.paint.flow.chroma import Chroma
from clickpaint.paint.flow.flux import Flux
from clickpaint.paint.flow.flux2 import Flux2Klein
from clickpaint.paint.flow.qwen_image import QwenImage
from clickpaint.paint.flow.sd3 import StableDiffusion3
from clickpaint.paint.flow.z_image import ZImage

_ALL: tuple[FlowFamily, ...] = (StableDiffusion3(), Flux(), ZImage(), QwenImage(), Flux2Klein(), Chroma())
FAMILIES: Mapping[str, FlowFamily] = {family.name: family for family in _ALL}


def family_among(tensors: Mapping[str, Any]) -> tuple[FlowFamily, str] | None:
    """(the family that a transformer among these tensors is of, what stands before its keys); None where there is none.

    Args:
        tensors: or what has a `shape` like them; by the keys of a file.
    """
    shapes: Any = tensors
    for family in FAMILIES.values():
        prefix = family.prefix(shapes)
        if prefix is not None:
            return family, prefix
    return None


def shift_of(kind: FlowKind, steps: int = 20) -> float:
    """The shift of its schedule, for a picture of its own size."""
    family = FAMILIES[kind.family]
    return family.spacing(kind).factor(family.patches((kind.native_size, kind.native_size)), steps)


def identify(tensors: Mapping[str, Any], name: str) -> FlowKind | None:
    """What the transformer among these tensors is; None where there is none.

    Args:
        tensors: or what has a `shape` like them; by the keys of a file.
        name: of the file.

    Raises:
        InvalidInput: its weights are packed.
    """
    among = family_among(tensors)
    if among is None:
        return None
    family, prefix = among
    shapes = {key[len(prefix) :]: tuple(tensor.shape) for key, tensor in tensors.items() if key.startswith(prefix)}
    packed = next((key for key in shapes if ".quant_state." in key or key.endswith((".absmax", ".qzeros", ".qweight"))), None)
    if packed is not None:
        raise InvalidInput(
            "{name} holds its weights packed into four bits ({key}), which no engine here can compute with.",
            "Choose the same model in bf16, fp16 or fp8.",
            name=name,
            key=packed,
        )
    return family.identify(shapes, name)
