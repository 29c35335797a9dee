"""LoRAs and their relatives: read in the layouts of kohya's trainer, LyCORIS, ComfyUI, diffusers and PEFT, and at work for as long as one
picture takes. What a file holds is applied whole, or refused as what it is; layers that a checkpoint has not are told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput, Sentence
from clickpaint.paint.adapters.change import Change, change_of
from clickpaint.paint.adapters.controlnet_files import FAMILIES
from clickpaint.paint.adapters.lora_keys import FOREIGN, ROLES, Scaling, configuration_beside, scalings, tensor_name
from clickpaint.paint.adapters.lora_layers import layers_of
from clickpaint.paint.adapters.lora_prompt import LoraUse
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.checkpoint.kind import what_else
from clickpaint.paint.checkpoint.source import read
from clickpaint.weights.device import out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint

BUNDLED = "bundle_emb."
"""What stands before the names of a bundled textual inversion's tensors."""


@dataclass(frozen=True, eq=False)
class LoraLayer:
    """What a file says about one layer.

    Attributes:
        tensors: by role, one of `lora_keys.ROLES`.
        alpha: what is said about it outside of its tensors; None where nothing is.
        stabilised: whether alpha counts by the square root of the rank.
    """

    tensors: Mapping[str, Tensor]
    alpha: float | None = None
    stabilised: bool = False


@dataclass(frozen=True, eq=False)
class Lora:
    """What lies in a LoRA's file.

    Attributes:
        name: for people.
        layers: by network ("unet", "te1", "te2") and layer: its name with "_" for dots.
        embeddings: textual inversions that are bundled with it: the content of each as if it were a file's, by the word it stands for.
        strays: names of tensors that say nothing about any layer.
    """

    name: str
    layers: Mapping[tuple[str, str], LoraLayer]
    embeddings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    strays: Sequence[str] = ()

    @classmethod
    def read(cls, path: Path) -> Lora:
        """A LoRA or a relative of it; its tensors stay in the file until they are used.

        Args:
            path: the file.

        Raises:
            InvalidInput: it is something else, or has tensors of a kind that is not known here.
            CorruptModel: it cannot be read.
        """
        tensors, metadata = read(path)
        return cls.of(tensors, path.stem, metadata, configuration_beside(path))

    @classmethod
    def of(
        cls,
        tensors: Mapping[str, Tensor],
        name: str,
        metadata: Mapping[str, str] | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> Lora:
        """The same, of what lies in the file already.

        Args:
            tensors: by their names in the file.
            name: for people.
            metadata: of a safetensors file.
            configuration: PEFT's, which lies beside the file.

        Raises:
            InvalidInput: as `read`.
        """
        scaling = scalings(metadata or {}, configuration)
        layers: dict[tuple[str, str], dict[str, Tensor]] = {}
        written: dict[tuple[str, str], tuple[str, bool]] = {}
        embeddings: dict[str, dict[str, Any]] = {}
        strays, adapters = [], set()
        for key, tensor in tensors.items():
            if key.startswith(BUNDLED):
                _bundle(embeddings, key, tensor)
                continue
            parts = tensor_name(key)
            if parts is None:
                strays.append(key)
                continue
            if parts.role not in ROLES:
                raise _foreign(name, parts.role)
            place = parts.network, parts.layer
            layers.setdefault(place, {})[parts.role] = tensor
            written[place] = parts.written, parts.flat
            adapters.add(parts.adapter)
        if len(adapters - {""}) > 1:
            raise InvalidInput(
                "{name} holds several adapters in one file: {adapters}.",
                "Save each in a file of its own.",
                name=name,
                adapters=", ".join(sorted(adapters - {""})),
            )
        if not any(set(roles) - {"alpha", "scale"} for roles in layers.values()) and not embeddings:
            what = what_else(tensors)
            raise InvalidInput(
                "{name} is no LoRA but {kind}." if what and what != "a LoRA" else "{name} is no LoRA.",
                "Choose another file.",
                name=name,
                kind=what,
            )
        return cls(
            name,
            {place: _layer_of(roles, *written[place], scaling.get(place[0], Scaling())) for place, roles in layers.items()},
            embeddings,
            strays,
        )

    @property
    def family(self) -> str:
        """What it was made for, for people; "" where its layers do not tell."""
        for signs, title in _SIGNS.items():
            if any(network == "unet" and layer.startswith(signs) for network, layer in self.layers):
                return title
        widths = {
            tensor.shape[1]
            for (network, layer), lora_layer in self.layers.items()
            for role, tensor in lora_layer.tensors.items()
            if network == "unet" and layer.endswith(("attn2_to_k", "attn2_to_v")) and role in ("down", "diff") and tensor.ndim > 1
        }
        return FAMILIES.get(widths.pop(), "") if len(widths) == 1 else ""

    def changes(
        self, checkpoint: AnyCheckpoint, unet: float, text: float, use: LoraUse | None = None
    ) -> tuple[dict[Any, Change], list[str]]:
        """What it changes in a checkpoint.

        Args:
            checkpoint: only looked at.
            unet: how much it changes the U-Net.
            text: how much it changes the text encoders.
            use: what a prompt asks for, in place of both.

        Returns:
            (the change of each module of the checkpoint that has one, names of the layers that the checkpoint has not)

        Raises:
            InvalidInput: a layer is of another shape there: the LoRA was made for another family; or the file is damaged.
        """
        use = use or LoraUse(self.name, unet, text)
        modules = layers_of(checkpoint)
        changed: dict[Any, Change] = {}
        unknown = []
        for (network, layer), lora_layer in self.layers.items():
            target = modules.get((network, layer))
            if target is None:
                unknown.append(layer)
                continue
            strength = use.weight_of(target.block) if network == "unet" else use.text
            if strength == 0:
                continue
            if any(tensor.numel() == 0 for tensor in lora_layer.tensors.values()):
                raise self._damaged(Sentence("a tensor of {layer} is empty", layer=layer))
            try:
                change = change_of(
                    lora_layer.tensors, target.weight(), strength, lora_layer.alpha, stabilised=lora_layer.stabilised, ranks=use.ranks
                )
            except KeyError as error:
                raise self._damaged(Sentence("{layer} has no {tensor}", layer=layer, tensor=error.args[0])) from error
            except ValueError as error:
                raise self._misfit(checkpoint, Sentence("its {layer} does not fit, {reason}", layer=layer, reason=error)) from error
            except (RuntimeError, IndexError) as error:  # what torch says about shapes is for developers
                if out_of_memory(error):
                    raise
                raise self._misfit(checkpoint, Sentence("the tensors of its {layer} do not fit each other", layer=layer)) from error
            if not change.is_finite():
                raise self._damaged(Sentence("some numbers of {layer} are not finite", layer=layer))
            for module, own in target.shares(change):
                changed[module] = changed[module] + own if module in changed else own
        if self.layers and len(unknown) == len(self.layers):
            raise self._misfit(checkpoint, "none of its layers is there")
        return changed, unknown

    def _damaged(self, reason: str) -> InvalidInput:
        return InvalidInput("The LoRA {name} is damaged or cut off: {reason}.", "Download it again.", name=self.name, reason=reason)

    def _misfit(self, checkpoint: AnyCheckpoint, reason: str) -> InvalidInput:
        flows = isinstance(checkpoint, FlowCheckpoint)
        ours = checkpoint.kind.title if flows else FAMILIES.get(checkpoint.layout.context, "of another kind")
        theirs = self.family
        whose = theirs if theirs not in ("", ours) else "another kind of checkpoint"
        return InvalidInput(
            "The LoRA {name} was made for {family}, but the checkpoint is {checkpoint_family}: {reason}.",
            "Choose a LoRA of the checkpoint's family.",
            name=self.name,
            family=whose,
            checkpoint_family=ours,
            reason=reason,
        )


_SIGNS = {
    ("double_blocks_", "single_blocks_", "single_transformer_blocks_"): "Flux",
    ("joint_blocks_",): "Stable Diffusion 3",
    ("transformer_blocks_0_img_mod", "transformer_blocks_0_img_mlp"): "Qwen-Image",
    ("noise_refiner_", "context_refiner_"): "Z-Image",
}
"""How the layers of LoRAs for transformers begin, and what they were made for."""


@contextmanager
def applied(checkpoint: AnyCheckpoint, loras: Sequence[tuple[Lora, float | tuple[float, float] | LoraUse]]) -> Iterator[list[str]]:
    """Within this block the checkpoint's U-Net and text encoders answer as if the LoRAs were part of them; afterwards as before, to
    the bit: they are added to the answers of single layers, and no weight is written to.

    Args:
        checkpoint: what they are added to.
        loras: each with its weight, its weights for (U-Net, text encoders), or what a prompt asks of it.

    Yields:
        A sentence for every LoRA that has layers which the checkpoint has not, or tensors that say nothing about any layer.

    Raises:
        InvalidInput: a LoRA was made for another family, or is damaged.
    """
    total: dict[Any, list[Change]] = {}
    notes = []
    for lora, weight in loras:
        if not isinstance(weight, LoraUse):
            weight = LoraUse(lora.name, *(weight if isinstance(weight, tuple) else (weight, weight)))
        changed, unknown = lora.changes(checkpoint, weight.unet, weight.text, weight)
        for module, change in changed.items():
            total.setdefault(module, []).append(change)
        if unknown:
            count = f"{len(unknown)} of the {len(lora.layers)} layers of the LoRA {lora.name}"
            notes.append(f"{count} have no counterpart in the checkpoint and were left out, for example {unknown[0]}.")
        if lora.strays:
            count = f"{len(lora.strays)} tensors of the LoRA {lora.name}"
            notes.append(f"{count} are of no kind that is known here and were left out, for example {lora.strays[0]}.")
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
        computed = x if x.is_floating_point() else output  # an embedding is asked with whole numbers
        if self._place != (computed.device, computed.dtype):
            self._change, self._place = self._change.like(computed), (computed.device, computed.dtype)
        return (output + self._change.answer(module, x)).to(output.dtype)


def _bundle(embeddings: dict[str, dict[str, Any]], key: str, tensor: Tensor) -> None:
    """Put a tensor of a bundled textual inversion where it belongs: "bundle_emb.NAME.string_to_param.*", "bundle_emb.NAME.clip_l" …"""
    word, _, leaf = key.removeprefix(BUNDLED).partition(".")
    own = embeddings.setdefault(word, {})
    if leaf.startswith("string_to_param."):
        own.setdefault("string_to_param", {})[leaf.removeprefix("string_to_param.")] = tensor
    else:
        own[leaf] = tensor


def _layer_of(roles: dict[str, Tensor], written: str, flat: bool, scaling: Scaling) -> LoraLayer:
    # a trainer that writes alpha beside its pairs, as kohya's, has the rank's root in it already
    return LoraLayer(roles, scaling.alpha_of(written), scaling.stabilised and not (flat and "alpha" in roles))


def _foreign(name: str, role: str) -> InvalidInput:
    what = next((title for signs, title in FOREIGN if role in signs), None)
    return InvalidInput(
        "{name} is {kind}, which cannot be applied here: it has {role}." if what else "{name} has tensors that are not known here: {role}.",
        "Choose a LoRA, LyCORIS or DoRA file.",
        name=name,
        role=role,
        kind=what,
    )
