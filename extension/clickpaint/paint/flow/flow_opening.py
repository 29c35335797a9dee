"""From a source's tensors to the networks of a flow-matching family that compute on them."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint, FlowKind, compute_type
from clickpaint.paint.checkpoint.meta import assign
from clickpaint.paint.checkpoint.networks import Part
from clickpaint.paint.checkpoint.vae import originally
from clickpaint.paint.flow.base import FlowFamily
from clickpaint.paint.flow.naming import Tensors
from clickpaint.paint.flow.registry import family_among, identify
from clickpaint.paint.flow.texts import TextNetwork
from clickpaint.paint.flow.tokenizers import tokenizer

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.source import Source


def open_flow(source: Source, previous: Any | None = None) -> FlowCheckpoint | None:
    """The networks of a source, now; None where its transformer is of none of these families.

    Args:
        previous: a checkpoint that is not needed any more, whose modules may serve again.

    Raises:
        InvalidInput: some tensors are missing, or are packed; the message names one, or the network.
    """
    # textual inversion is put between a web UI's modules as a "wrapped" one
    tensors = {key.replace(".wrapped.", "."): tensor for key, tensor in source.tensors().items()}
    among = family_among(tensors)
    kind = identify(tensors, source.name)
    if among is None or kind is None:
        return None
    family, prefix = among
    before = previous if isinstance(previous, FlowCheckpoint) and previous.kind == kind else None
    part = Part(prefix, {key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)})
    transformer = transformer_of(family, kind, part, before.transformer if before else None)
    texts = _texts(family, kind, source, tensors, before)
    vae = family.make_vae(vae_part(tensors, source.name), before.vae if before else None)
    device = next(transformer.parameters()).device
    return FlowCheckpoint(source.name, kind, transformer, vae, texts, compute_type(transformer, device), device)


def transformer_of(family: FlowFamily, kind: FlowKind, part: Part, previous: Any | None = None) -> Any:
    """diffusers' transformer on the part's tensors; `previous`, of the same kind, serves again."""
    names = family.tensors(kind, part.shapes())
    transformer = previous
    if transformer is None:
        transformer = family.make(kind)
        _swap_answers(transformer, names)
    assign(transformer, names.parameters(part.tensors, transformer.named_parameters()), lambda name: part.prefix + names.place(name).key)
    return transformer


def _swap_answers(transformer: Any, names: Tensors) -> None:
    """Where a file has a layer's outputs in another order than diffusers, the layer's answer is turned, and its weights stay as they are.
    Called once for a module, before anything else hangs on the layer."""
    import torch

    def turned(layer: Any, inputs: Any, answer: torch.Tensor) -> torch.Tensor:
        first, second = answer.chunk(2, dim=-1)
        return torch.cat([second, first], dim=-1)

    for name, layer in transformer.named_modules():
        if isinstance(layer, torch.nn.Linear) and names.place(f"{name}.weight").swapped:
            layer.register_forward_hook(turned)


def _texts(
    family: FlowFamily, kind: FlowKind, source: Source, tensors: Mapping[str, Any], before: FlowCheckpoint | None
) -> dict[str, TextNetwork]:  # fmt: skip
    folders = getattr(source, "folders", None)

    def find(kind: Any) -> Any:
        return tokenizer(kind, [] if folders is None else folders("tokenizers"))

    texts = {}
    for name, need in family.texts.items():
        prefix = need.find(tensors, family.text_width(kind))
        if prefix is None and not need.optional:
            raise InvalidInput(
                "{name} comes without its text encoder {encoder}, and no file in {folder} is one.",
                "Put its safetensors file into that folder.",
                name=source.name,
                encoder=need.title,
                folder=_first_folder(folders, "text_encoder"),
            )
        if prefix is not None:
            part = Part(prefix, {key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)})
            old = before.texts.get(name) if before else None
            texts[name] = TextNetwork(need.build(part, old.model if old else None), functools.partial(find))
    return texts


def _first_folder(folders: Any, kind: str) -> Path:
    return next(iter(folders(kind) if folders is not None else ()), Path("models") / kind)


_FIRST_OF_VAE = re.compile(r"(.*\.)?decoder\.(conv_in|conv1)\.weight")


def find_vae(tensors: Mapping[str, Any]) -> str | None:
    """What stands before the keys of a VAE among these; None where there is none."""
    matches = (_FIRST_OF_VAE.fullmatch(key) for key in tensors)
    return next((match[1] or "" for match in matches if match is not None and "text_encoders" not in match[0]), None)


def vae_part(tensors: Mapping[str, Any], name: str) -> Part:
    """The VAE among a checkpoint's tensors, under its makers' keys."""
    prefix = find_vae(tensors)
    if prefix is None:
        key = "first_stage_model.encoder.conv_in.weight"
        raise InvalidInput("{name} has no VAE: {key} is missing.", "Choose a VAE file to go with it.", key=key, name=name)
    part = Part(prefix, {key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)})
    layout = "encoder.down_blocks.0.resnets.0.norm1.weight" in part.tensors and "decoder.conv_in.weight" in part.tensors
    return Part(prefix, originally(part.tensors)) if layout else part
