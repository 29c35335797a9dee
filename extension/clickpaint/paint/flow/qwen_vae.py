"""Qwen-Image's VAE, made of Wan's for videos: its configuration and where each of diffusers' parameters lies in its makers' file."""

from __future__ import annotations

import re
from typing import Any

from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.networks import Part

_RESIDUAL = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6", "conv_shortcut": "shortcut"}
_OUTSIDE = {
    "quant_conv": "conv1", "post_quant_conv": "conv2", "encoder.conv_in": "encoder.conv1", "decoder.conv_in": "decoder.conv1",
    "encoder.norm_out": "encoder.head.0", "encoder.conv_out": "encoder.head.2",
    "decoder.norm_out": "decoder.head.0", "decoder.conv_out": "decoder.head.2",
}  # fmt: skip
_IN_A_LEVEL = 4
"""Layers of each level of the decoder: three residual ones, and what makes it larger."""


def wan_key(name: str) -> str:
    """The makers' key of a parameter of diffusers' `AutoencoderKLQwenImage`."""
    layer, _, leaf = name.rpartition(".")
    if layer in _OUTSIDE:
        return f"{_OUTSIDE[layer]}.{leaf}"
    match = re.fullmatch(r"(encoder|decoder)\.mid_block\.(resnets|attentions)\.(\d)\.(.+)", layer)
    if match is not None:
        side, kind, number, inner = match.groups()
        return f"{side}.middle.{int(number) * 2 if kind == 'resnets' else 1}.{_RESIDUAL.get(inner, inner)}.{leaf}"
    match = re.fullmatch(r"encoder\.down_blocks\.(\d+)\.(.+)", layer)
    if match is not None:
        return f"encoder.downsamples.{match[1]}.{_RESIDUAL.get(match[2], match[2])}.{leaf}"
    match = re.fullmatch(r"decoder\.up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d)\.(.+)", layer)
    if match is None:
        return name
    place = _IN_A_LEVEL * int(match[1]) + (int(match[3]) if match[2] == "resnets" else _IN_A_LEVEL - 1)
    return f"decoder.upsamples.{place}.{_RESIDUAL.get(match[4], match[4])}.{leaf}"


def qwen_vae(part: Part, previous: Any | None) -> Any:
    """diffusers' module on the part's tensors, in either layout; `previous` serves again if it is of the same build."""
    from diffusers import AutoencoderKLQwenImage

    shapes = part.shapes()
    original = "encoder.conv1.weight" in shapes
    first, last = ("encoder.conv1.weight", "decoder.conv1.weight") if original else ("encoder.conv_in.weight", "decoder.conv_in.weight")
    config = {"base_dim": shapes.get(first, (96,))[0], "z_dim": shapes.get(last, (0, 16))[1]}
    vae = previous
    if vae is None or any(vae.config[key] != value for key, value in config.items()):
        with on_meta():
            vae = AutoencoderKLQwenImage(**config).eval()
    keys = {name: wan_key(name) if original else name for name, _ in vae.named_parameters()}
    assign(vae, {name: part.tensors[key] for name, key in keys.items() if key in part.tensors}, lambda name: part.prefix + keys[name])
    return vae
