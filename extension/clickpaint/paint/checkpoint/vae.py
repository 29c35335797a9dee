"""The VAE: its configuration, read from the shapes of its tensors, and where each of diffusers' parameters lies in an original file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clickpaint.errors import InvalidInput

LEVELS = "encoder.down.{}.block.0.conv1.weight"


def vae_config(shapes: Mapping[str, tuple[int, ...]], scaling_factor: float, force_upcast: bool) -> dict[str, Any]:
    """What diffusers' `AutoencoderKL` takes, from original keys without prefix.

    Args:
        force_upcast: whether it may overflow in float16, and so has to run in float32.

    Raises:
        InvalidInput: a tensor that the build shows in is missing; the message names its key.
    """
    levels = 0
    while LEVELS.format(levels) in shapes:
        levels += 1
    blocks = sum(f"encoder.down.0.block.{index}.conv1.weight" in shapes for index in range(8))
    for key in ("encoder.conv_in.weight", LEVELS.format(0), "decoder.conv_in.weight"):
        if key not in shapes:
            raise InvalidInput("The VAE is damaged or of an unknown kind: {key} is missing.", "Choose another VAE.", key=key)
    return {
        "in_channels": shapes["encoder.conv_in.weight"][1],
        "out_channels": shapes["encoder.conv_in.weight"][1],
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "block_out_channels": tuple(shapes[LEVELS.format(level)][0] for level in range(levels)),
        "layers_per_block": blocks,
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        # the VAEs of the flow-matching families have none
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
        "scaling_factor": scaling_factor,
        "force_upcast": force_upcast,
    }


_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def originally(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """A VAE in diffusers' layout (as Forge keeps it) by the original's keys; the attention's projections stay linear layers."""
    levels = 1 + max(int(match[1]) for key in tensors if (match := re.match(r"encoder\.down_blocks\.(\d+)\.", key)))
    return {vae_key(_EARLIER.sub(lambda match: _LATER[match[0]], key), levels): tensor for key, tensor in tensors.items()}


_LATER = {"0.query.": "0.to_q.", "0.key.": "0.to_k.", "0.value.": "0.to_v.", "0.proj_attn.": "0.to_out.0."}
"""How diffusers named the attention's layers before 0.17, and later."""
_EARLIER = re.compile("|".join(map(re.escape, _LATER)))


def vae_key(name: str, levels: int) -> str:
    """The original's key of a parameter of diffusers' `AutoencoderKL`."""
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", name)
    name = re.sub(
        r"mid_block\.attentions\.0\.(group_norm|to_q|to_k|to_v|to_out\.0)", lambda match: f"mid.attn_1.{_ATTENTION[match[1]]}", name
    )
    name = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    # diffusers counts the decoder's levels from the smallest picture, the original from the largest
    name = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda match: f"up.{levels - 1 - int(match[1])}.block.", name)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda match: f"up.{levels - 1 - int(match[1])}.upsample", name)
