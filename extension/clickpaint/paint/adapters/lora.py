"""LoRAs: read in the layouts of kohya's trainer and LyCORIS and of diffusers and peft, and at work for as long as one picture takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.change import Change, change_of
from clickpaint.paint.adapters.controlnet_files import FAMILIES
from clickpaint.paint.checkpoint.source import read
from clickpaint.paint.diffusion.prompt import Network

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

_KEY = re.compile(
    r"(?P<layer>.+?)(?P<old>_lora|\.lora_linear_layer|\.lora)?"
    r"\.(?P<role>lora_(?:up|down|mid|A|B|magnitude_vector)|(?<=lora\.)(?:up|down)|(?<=layer\.)(?:up|down)|alpha|dora_scale|diff_b|diff"
    r"|hada_\w+|lokr_\w+)(?:\.default)?(?:\.weight)?"
)
_ROLES = {
    "lora_up": "up", "lora_B": "up", "lora_down": "down", "lora_A": "down", "lora_mid": "mid", "lora_magnitude_vector": "dora_scale",
}  # fmt: skip
_NETWORKS = (
    ("lora_unet_", "unet"), ("lora_te1_", "te1"), ("lora_te2_", "te2"), ("lora_te_", "te1"),
    ("unet.", "unet"), ("text_encoder_2.", "te2"), ("text_encoder.", "te1"),
)  # fmt: skip
_OLD = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


@dataclass(frozen=True)
class LoraUse:
    """A LoRA that a prompt asks for. unet, text: how much it changes the U-Net and the text encoders; 1 as it was trained, and
    negative for the opposite."""

    name: str
    unet: float = 1.0
    text: float = 1.0


def lora_uses(networks: Iterable[Network]) -> tuple[LoraUse, ...]:
    """What `<lora:name>`, `<lora:name:weight>`, `<lora:name:text:unet>`, `<lora:name:te=0.5:unet=1>` in a prompt ask for: the web UI's
    syntax and order. `<lyco:…>` is another name for the same.

    Raises:
        InvalidInput: something else is asked for, or a weight is no number.
    """
    uses = []
    for network in networks:
        if network.kind not in ("lora", "lyco"):
            message = f"<{network.kind}:{network.name}> is not known here."
            raise InvalidInput(message, "Take it out of the prompt; <lora:name:weight> is known.", kind=network.kind)
        named = dict(argument.split("=", 1) for argument in network.arguments if "=" in argument)
        placed = [argument for argument in network.arguments if "=" not in argument]
        try:
            text = float(named.get("te", placed[0] if placed else 1.0))
            unet = float(named.get("unet", placed[1] if len(placed) > 1 else text))
        except ValueError as error:
            message = f"The weight of <lora:{network.name}> is no number: {error}."
            raise InvalidInput(message, "Write <lora:name:0.8>.", name=network.name) from error
        uses.append(LoraUse(network.name, unet, text))
    return tuple(uses)


@dataclass(frozen=True, eq=False)
class Lora:
    """name: for people. layers: the tensors by role, by network ("unet", "te1", "te2") and layer: its name with "_" for dots.
    alphas: what the file says about whole networks, as diffusers writes it.
    """

    name: str
    layers: Mapping[tuple[str, str], Mapping[str, Tensor]]
    alphas: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Lora:
        """A LoRA, LoCon, LoHa, LoKr or DoRA; its tensors stay in the file until they are used.

        Raises:
            InvalidInput: it is something else. CorruptModel: it cannot be read.
        """
        tensors, metadata = read(path)
        return cls.of(tensors, path.stem, metadata)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str, metadata: Mapping[str, str] | None = None) -> Lora:
        layers: dict[tuple[str, str], dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            match = _KEY.fullmatch(key.replace(".processor.", "."))
            if match is not None:
                role = _ROLES.get(match["role"], match["role"])
                layers.setdefault(_layer(match["layer"], match["old"] == "_lora"), {})[role] = tensor
        if not any(set(roles) - {"alpha"} for roles in layers.values()):
            raise InvalidInput(f"{name} is no LoRA.", "Choose another file.", name=name)
        try:
            said = json.loads((metadata or {}).get("lora_adapter_metadata", "{}"))
        except ValueError:
            said = {}
        networks = {"unet": "unet", "text_encoder": "te1", "text_encoder_2": "te2"}
        alphas = {ours: float(said[f"{theirs}.lora_alpha"]) for theirs, ours in networks.items() if f"{theirs}.lora_alpha" in said}
        return cls(name, layers, alphas)

    @property
    def family(self) -> str:
        """What it was made for, for people; "" where its layers do not tell."""
        widths = {
            tensor.shape[1]
            for (network, layer), roles in self.layers.items()
            for role, tensor in roles.items()
            if network == "unet" and layer.endswith(("attn2_to_k", "attn2_to_v")) and role == "down"
        }
        return FAMILIES.get(widths.pop(), "") if len(widths) == 1 else ""

    def changes(self, checkpoint: Checkpoint, unet: float, text: float) -> tuple[dict[Any, Change], list[str]]:
        """(what changes about which module of the checkpoint, the layers it does not have).

        Raises:
            InvalidInput: a layer is of another shape there: the LoRA was made for another family.
        """
        modules = _modules(checkpoint)
        changed: dict[Any, Change] = {}
        unknown = []
        for (network, layer), roles in self.layers.items():
            module = modules.get((network, layer))
            if module is None:
                unknown.append(layer)
                continue
            strength = unet if network == "unet" else text
            if strength == 0:
                continue
            try:
                changed[module] = change_of(roles, module.weight, strength, self.alphas.get(network))
            except (ValueError, RuntimeError) as error:
                raise self._misfit(checkpoint, f"its {layer} does not fit, {error}") from error
        if len(unknown) == len(self.layers):
            raise self._misfit(checkpoint, "none of its layers is there")
        return changed, unknown

    def _misfit(self, checkpoint: Checkpoint, reason: str) -> InvalidInput:
        ours, theirs = FAMILIES.get(checkpoint.layout.context, "of another kind"), self.family
        whose = theirs if theirs not in ("", ours) else "another kind of checkpoint"
        message = f"The LoRA {self.name} was made for {whose}, but the checkpoint is {ours}: {reason}."
        return InvalidInput(message, "Choose a LoRA of the checkpoint's family.", name=self.name)


@contextmanager
def applied(checkpoint: Checkpoint, loras: Sequence[tuple[Lora, float | tuple[float, float]]]) -> Iterator[list[str]]:
    """Within this block the checkpoint's U-Net and text encoders answer as if the LoRAs were part of them; afterwards as before, to
    the bit: they are added to the answers of single layers, and no weight is written to.

    Args:
        loras: each with its weight, or its weights for (U-Net, text encoders).

    Yields:
        A sentence for every LoRA that has layers which the checkpoint has not.

    Raises:
        InvalidInput: a LoRA was made for another family.
    """
    total: dict[Any, list[Change]] = {}
    notes = []
    for lora, weight in loras:
        unet, text = weight if isinstance(weight, tuple) else (weight, weight)
        changed, unknown = lora.changes(checkpoint, unet, text)
        for module, change in changed.items():
            total.setdefault(module, []).append(change)
        if unknown:
            count = f"{len(unknown)} of the {len(lora.layers)} layers of the LoRA {lora.name}"
            notes.append(f"{count} have no counterpart in the checkpoint and were left out, for example {unknown[0]}.")
    with ExitStack() as stack:
        for module, changes in total.items():
            whole = changes[0]
            for change in changes[1:]:
                whole = whole + change
            stack.callback(module.register_forward_hook(_Branch(whole)).remove)
        yield notes


class _Branch:
    """A forward hook that adds what a change says; the change follows the layer to its device and precision."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._place: Any = None

    def __call__(self, module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0]
        if self._place != (x.device, x.dtype):
            self._change, self._place = self._change.like(x), (x.device, x.dtype)
        return (output + self._change.answer(module, x)).to(output.dtype)


def _layer(name: str, old: bool) -> tuple[str, str]:
    """(network, layer) of a name in a file. old: diffusers' first layout, where attention had names of its own."""
    name = name.removeprefix("base_model.model.")
    network = "unet"
    for prefix, this in _NETWORKS:
        if name.startswith(prefix):
            name, network = name[len(prefix) :], this
            break
    flat = name.replace(".", "_")
    if network != "unet":
        flat = flat.removeprefix("text_model_")
        return network, re.sub(r"self_attn_(to_\w+)$", lambda match: f"self_attn_{_OLD[match[1]]}", flat) if old else flat
    return network, f"{flat}_0" if old and flat.endswith("to_out") else flat


def _modules(checkpoint: Checkpoint) -> dict[tuple[str, str], Any]:
    """The layers that can be changed, by network and by each of the names that files have for them."""
    import torch

    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    found: dict[tuple[str, str], Any] = {}
    for name, module in checkpoint.unet.named_modules():
        if isinstance(module, kinds):
            original = checkpoint.layout.key(f"{name}.weight").removesuffix(".weight")
            found |= {("unet", one.replace(".", "_")): module for one in (name, original)}
    for number, encoder in enumerate(checkpoint.text_encoders, 1):
        for name, module in encoder.model.named_modules():
            if isinstance(module, kinds):
                found[f"te{number}", name.removeprefix("text_model.").replace(".", "_")] = module
    return found
