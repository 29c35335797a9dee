"""The layers of a checkpoint that a LoRA can change, by each of the names that files have for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.paint.adapters.change import Change
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint, Checkpoint


@dataclass(frozen=True, eq=False)
class Layer:
    """What one name of a layer means.

    Attributes:
        modules: those that the layer is divided into here, in the order of their outputs there; mostly one.
        block: of the U-Net that it lies in, "IN00" … "OUT11"; "" for those around the blocks, and where there is no U-Net.
        swapped: whether the halves of its outputs stand the other way round there.
    """

    modules: tuple[Any, ...]
    block: str = ""
    swapped: bool = False

    def weight(self) -> Tensor:
        """As the file knows it; only read."""
        import torch

        weight = self.modules[0].weight if len(self.modules) == 1 else torch.cat([module.weight for module in self.modules])
        return torch.cat(weight.chunk(2)[::-1]) if self.swapped else weight

    def shares(self, change: Change) -> Iterator[tuple[Any, Change]]:
        """What a change of the layer is for each of its modules."""
        if self.swapped:
            half = self.modules[0].weight.shape[0] // 2
            first, second = change.rows(0, half), change.rows(half, 2 * half)
            yield self.modules[0], second.above(first)
            return
        if len(self.modules) == 1:
            yield self.modules[0], change
            return
        start = 0
        for module in self.modules:
            yield module, change.rows(start, start + module.weight.shape[0])
            start += module.weight.shape[0]


Layers = dict[tuple[str, str], Layer]
"""By network ("unet", "te1", "te2", "te3") and name with "_" for dots."""


def layers_of(checkpoint: AnyCheckpoint) -> Layers:
    """The layers that can be changed."""
    return _of_transformer(checkpoint) if isinstance(checkpoint, FlowCheckpoint) else _of_unet(checkpoint)


def _kinds() -> tuple[type, ...]:
    import torch

    return torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm, torch.nn.Embedding


def _of_unet(checkpoint: Checkpoint) -> Layers:
    known: Layers = {}
    for name, module in checkpoint.unet.named_modules():
        if isinstance(module, _kinds()) and module.weight is not None:
            original = checkpoint.layout.key(f"{name}.weight").removesuffix(".weight")
            known |= {("unet", spoken.replace(".", "_")): Layer((module,), _block(original)) for spoken in (name, original)}
    for number, encoder in enumerate(checkpoint.text_encoders, 1):
        known |= _of_text(f"te{number}", encoder.model)
    return known


def _of_transformer(checkpoint: FlowCheckpoint) -> Layers:
    """By diffusers' names and by the makers', whichever of them the checkpoint's own file has."""
    from clickpaint.paint.flow.registry import FAMILIES

    family, own = FAMILIES[checkpoint.kind.family], checkpoint.kind
    names = family.tensors(own, {}).names
    known: Layers = {}
    divided: dict[str, list[tuple[int, Any]]] = {}
    for name, module in checkpoint.transformer.named_modules():
        if not isinstance(module, _kinds()) or module.weight is None:
            continue
        known["unet", name.replace(".", "_")] = Layer((module,))
        place = names.place(f"{name}.weight")
        original = place.key.rpartition(".")[0].replace(".", "_")
        if place.part is None:
            known.setdefault(("unet", original), Layer((module,), swapped=place.swapped))
        else:
            divided.setdefault(original, []).append((place.part if place.part >= 0 else 1 << 10, module))
    for original, parts in divided.items():
        known["unet", original] = Layer(tuple(module for _, module in sorted(parts, key=lambda part: part[0])))
    for name, text in checkpoint.texts.items():
        for network in _TEXTS.get(name, ()):
            known = _of_text(network, text.model) | known
    return known


_TEXTS = {"clip_l": ("te1",), "clip_g": ("te2",), "t5": ("te3", "te2")}
"""The networks of LoRAs that mean a text encoder; T5 is the second one where there is no second CLIP."""


def _of_text(network: str, model: Any) -> Layers:
    return {
        (network, name.removeprefix("text_model.").replace(".wo.layer", ".wo").replace(".", "_")): Layer((module,))
        for name, module in model.named_modules()
        if isinstance(module, _kinds())
    }


def _block(original: str) -> str:
    """The U-Net's block that a layer lies in."""
    match = re.match(r"(input|middle|output)_blocks?\.(\d+)", original)
    if match is None:
        return ""
    return "MID" if match[1] == "middle" else f"{'IN' if match[1] == 'input' else 'OUT'}{int(match[2]):02}"
