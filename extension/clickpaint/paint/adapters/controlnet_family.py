"""Which family of models a ControlNet's file was made for, as far as the names and shapes of its tensors tell."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clickpaint.errors import ClickpaintError
from clickpaint.weights.weights_file import safetensors_header, weights_format

_WIDTHS = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
"""By how many numbers describe one token of the prompt."""

_SIGNS = (
    (("control_all_x_embedder.", "control_layers.", "control_noise_refiner."), "Z-Image"),
    (("txt_norm.", "controlnet_x_embedder.txt_norm."), "Qwen-Image"),
    (("pos_embed_input.proj.", "joint_blocks.", "pos_embed.proj."), "Stable Diffusion 3"),
    (("controlnet_x_embedder.", "double_blocks.", "single_transformer_blocks.", "pos_embed_input_hint."), "Flux"),
)
"""How the names of tensors of ControlNets for transformers begin; asked in this order."""


def made_for(path: Path) -> str:
    """What a file was made for, by the name that people know the family under; "" where that does not show. Of a safetensors file only
    the header is read; others are not opened, for that takes as long as loading them."""
    try:
        return _made_for(path, path.stat().st_mtime_ns)
    except (OSError, ClickpaintError):  # whoever loads it says what is wrong with it
        return ""


@functools.lru_cache(maxsize=64)
def _made_for(path: Path, changed: int) -> str:
    return family_of_tensors(safetensors_header(path)[0]) if weights_format(path) == "safetensors" else ""


def family_of_tensors(tensors: Mapping[str, Any]) -> str:
    """As `made_for`, of tensors or what has a `shape` like them."""
    keys = [key.removeprefix("control_model.").removeprefix("controlnet.") for key in tensors]
    for signs, family in _SIGNS:
        if any(key.startswith(signs) for key in keys):
            return family
    widths = {tensor.shape[1] for key, tensor in tensors.items() if key.endswith("attn2.to_k.weight")}
    if len(widths) == 1:
        return _WIDTHS.get(widths.pop(), "")
    labels = [
        tensor.shape[-1] for key, tensor in tensors.items() if key.endswith(("label_emb.0.0.weight", "add_embedding.linear_1.weight"))
    ]
    return "Stable Diffusion XL" if labels[:1] == [2816] else ""


def fits(made: str, loaded: str) -> bool:
    """Whether a ControlNet that was made for one family works with a model of another; both by their names for people, "" for unknown."""
    first = {"AnimateDiff": "Stable Diffusion 1"}.get(loaded, loaded)
    return not made or not first or first == made or first.startswith((f"{made} ", f"{made}-", f"{made}.5"))
