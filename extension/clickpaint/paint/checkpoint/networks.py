"""Where UNet, VAE and text encoders lie among a checkpoint's tensors, whatever stands before their names."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.kind import what_else
from clickpaint.paint.checkpoint.vae import originally

if TYPE_CHECKING:
    import torch

Tensors = Mapping[str, "torch.Tensor"]


@dataclass(frozen=True)
class Part:
    """One network of a checkpoint.

    Attributes:
        prefix: what stands before its keys.
        tensors: by their keys without `prefix`.
    """

    prefix: str
    tensors: dict[str, torch.Tensor]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: tuple(tensor.shape) for key, tensor in self.tensors.items()}


@dataclass(frozen=True)
class Parts:
    """The networks of a checkpoint.

    Attributes:
        unet: under the original's keys.
        vae: the same; None where the file has none.
        texts: the text encoders, in the file's order.
        markers: names of what lies beside the networks ("betas", "v_pred", …).
    """

    unet: Part
    vae: Part | None
    texts: list[Part] = field(default_factory=list)
    markers: frozenset[str] = frozenset()


_FIRST_OF_UNET = "input_blocks.0.0.weight"
_FIRST_OF_VAE = "encoder.conv_in.weight"
_TOKENS = "token_embedding.weight"


def split(tensors: Tensors) -> Parts:
    """The networks of a checkpoint; its tensors are not touched.

    The UNet of the weights' moving average (`model_ema.…`) serves only where the plain one is missing.

    Raises:
        InvalidInput: there is no UNet; the message says what the file is instead, where that can be told.
    """
    # textual inversion and emphasis are put between a web UI's modules as "wrapped" ones
    tensors = {key.replace(".wrapped.", "."): tensor for key, tensor in tensors.items()}
    unet = _part(tensors, _prefix(tensors, _FIRST_OF_UNET)) or _averaged(tensors)
    if unet is None or any(key.startswith("control_model.") for key in tensors):
        raise _no_unet(tensors)
    vae = _part(tensors, _prefix(tensors, _FIRST_OF_VAE, "decoder.conv_in.weight"))
    if vae is not None and "encoder.down_blocks.0.resnets.0.norm1.weight" in vae.tensors:
        vae = Part(vae.prefix, originally(vae.tensors))
    texts = []
    for key in tensors:
        if key.endswith(_TOKENS):
            prefix = key.removesuffix(_TOKENS).removesuffix("embeddings.").removesuffix("text_model.")
            part = _part(tensors, prefix)
            if part is not None:
                beside = prefix.removesuffix("transformer.") + "text_projection"
                if "text_projection.weight" not in part.tensors and beside in tensors:
                    part.tensors["text_projection"] = tensors[beside]
                texts.append(part)
    return Parts(unet, vae, texts, frozenset(key for key in tensors if "." not in key))


def _prefix(tensors: Tensors, first: str, second: str = "") -> str | None:
    """What stands before a network's keys, by its first tensor; the shortest where there are several."""
    prefixes = [
        key.removesuffix(first)
        for key in tensors
        if key.endswith(first) and (not key.removesuffix(first) or key.removesuffix(first)[-1] == ".")
    ]
    return min((prefix for prefix in prefixes if not second or prefix + second in tensors), key=len, default=None)


def _part(tensors: Tensors, prefix: str | None) -> Part | None:
    if prefix is None:
        return None
    return Part(prefix, {key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)})


def _averaged(tensors: Tensors) -> Part | None:
    prefix = "model_ema.diffusion_model"  # behind which the keys have lost their dots
    names = _dotless() if any(key.startswith(prefix) for key in tensors) else {}
    averages = {
        names[key[len(prefix) :]]: tensor for key, tensor in tensors.items() if key[len(prefix) :] in names and key.startswith(prefix)
    }
    return Part(prefix, averages) if _FIRST_OF_UNET in averages else None


@functools.lru_cache(maxsize=1)
def _dotless() -> dict[str, str]:
    """Every key that a UNet can have, by itself without dots."""
    res = ("in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3", "skip_connection")
    attention = [f"attn{number}.{leaf}" for number in (1, 2) for leaf in ("to_q", "to_k", "to_v", "to_out.0")]
    block = [*attention, "ff.net.0.proj", "ff.net.2", "norm1", "norm2", "norm3"]
    transformer = ["norm", "proj_in", "proj_out", *(f"transformer_blocks.{depth}.{leaf}" for depth in range(12) for leaf in block)]
    layers = ["time_embed.0", "time_embed.2", "label_emb.0.0", "label_emb.0.2", "input_blocks.0.0", "out.0", "out.2"]
    for place in (*(f"input_blocks.{index}" for index in range(1, 16)), *(f"output_blocks.{index}" for index in range(16)), "middle_block"):
        layers += [f"{place}.{index}.{leaf}" for index in (0, 2) for leaf in res]
        layers += [f"{place}.1.{leaf}" for leaf in transformer]
        layers += [f"{place}.0.op", f"{place}.1.conv", f"{place}.2.conv"]
    names = [f"{layer}.{leaf}" for layer in layers for leaf in ("weight", "bias")]
    return {name.replace(".", ""): name for name in names}


def _no_unet(tensors: Tensors) -> InvalidInput:
    keys = list(tensors)
    what = what_else(keys)
    if what:
        return InvalidInput(
            "This is no checkpoint but {kind}."
            if not what.startswith(("Stable", "Flux", "quant"))
            else "This checkpoint is {kind}, which cannot be used here.",
            "Choose a checkpoint of Stable Diffusion 1, 2 or XL.",
            kind=what,
        )
    some = keys[0] if keys else "nothing at all"
    return InvalidInput(
        "This is no checkpoint of Stable Diffusion: it has no model.diffusion_model.{key}, but {other_key}.",
        "Choose a checkpoint of Stable Diffusion 1, 2 or XL.",
        key=_FIRST_OF_UNET,
        other_key=some,
    )
