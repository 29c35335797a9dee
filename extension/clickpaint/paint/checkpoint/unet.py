"""The UNet: its configuration, read from the shapes of its tensors, and where each of diffusers' parameters lies in an original file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clickpaint.errors import InvalidInput

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class UNetLayout:
    """The build of a UNet (or of a ControlNet, which has its first half), in the original's terms.

    Attributes:
        in_channels: of the latents and what lies beside them.
        out_channels: of the answer.
        channels: of each level.
        res_blocks: residual blocks of each level.
        depths: transformer blocks of each level, 0 for none.
        middle_depth: transformer blocks of the middle block.
        context: width of the prompt's embedding.
        linear: whether projections around the transformers are linear layers instead of 1x1 convolutions.
        label: width of the vector that SDXL adds to the time, 0 for none.
    """

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    res_blocks: int
    depths: tuple[int, ...]
    middle_depth: int
    context: int
    linear: bool
    label: int

    def config(self, head_channels: int | None) -> dict[str, Any]:
        """What diffusers' `UNet2DConditionModel` takes. head_channels: of each attention head, or None for 8 heads everywhere."""
        deep = [depth > 0 for depth in self.depths]
        config: dict[str, Any] = {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "block_out_channels": self.channels,
            "down_block_types": tuple("CrossAttnDownBlock2D" if crossed else "DownBlock2D" for crossed in deep),
            "up_block_types": tuple("CrossAttnUpBlock2D" if crossed else "UpBlock2D" for crossed in reversed(deep)),
            "layers_per_block": self.res_blocks,
            # diffusers takes the middle's from the last level, which where it has no transformers of its own is free to say so
            "transformer_layers_per_block": (*(depth or 1 for depth in self.depths[:-1]), self.depths[-1] or self.middle_depth),
            # named head "dim", but the number of heads
            "attention_head_dim": tuple(width // head_channels for width in self.channels) if head_channels else 8,
            "cross_attention_dim": self.context,
            "use_linear_projection": self.linear,
        }
        if self.label:
            config |= {
                "addition_embed_type": "text_time",
                "addition_time_embed_dim": 256,
                "projection_class_embeddings_input_dim": self.label,
            }
        return config

    def key(self, name: str) -> str:
        """The original's key of a parameter of diffusers' UNet or of the part of it that a ControlNet has: both without prefix."""
        for pattern, original in _OUTSIDE:
            if name.startswith(pattern):
                return original + name[len(pattern) :]
        match = re.match(r"(down|up|mid)_blocks?(?:\.(\d+))?\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name)
        if match is None:
            raise KeyError(name)
        part, level, kind, index, leaf = match[1], int(match[2] or 0), match[3], int(match[4]), match[5]
        if part == "mid":
            return f"middle_block.{index * 2 if kind == 'resnets' else 1}." + (_res_leaf(leaf) if kind == "resnets" else leaf)
        if part == "down":
            block = f"input_blocks.{1 + level * (self.res_blocks + 1) + (self.res_blocks if kind == 'downsamplers' else index)}"
        else:
            block = f"output_blocks.{level * (self.res_blocks + 1) + (self.res_blocks if kind == 'upsamplers' else index)}"
        if kind == "resnets":
            return f"{block}.0.{_res_leaf(leaf)}"
        if kind == "attentions":
            return f"{block}.1.{leaf}"
        if kind == "downsamplers":
            return f"{block}.0.{leaf.replace('conv', 'op', 1)}"
        return f"{block}.{2 if self.depths[len(self.channels) - 1 - level] else 1}.{leaf}"


_OUTSIDE = (
    ("time_embedding.linear_1.", "time_embed.0."),
    ("time_embedding.linear_2.", "time_embed.2."),
    ("add_embedding.linear_1.", "label_emb.0.0."),
    ("add_embedding.linear_2.", "label_emb.0.2."),
    ("conv_in.", "input_blocks.0.0."),
    ("conv_norm_out.", "out.0."),
    ("conv_out.", "out.2."),
)
_RES = (
    ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"), ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
)  # fmt: skip


def _res_leaf(leaf: str) -> str:
    layer, _, rest = leaf.partition(".")
    return f"{dict(_RES)[layer]}.{rest}"


def read_layout(shapes: Shapes) -> UNetLayout:
    """The build of a UNet from its first half, original keys without prefix ("input_blocks.0.0.weight" …).

    Raises:
        InvalidInput: a tensor that the build shows in is missing or has no sensible shape; the message names its key.
    """

    def shape(key: str, dimensions: int) -> tuple[int, ...]:
        sides = shapes.get(key)
        if sides is None or len(sides) != dimensions:
            raise InvalidInput(
                "The UNet is damaged or of an unknown kind: {key} is missing."
                if sides is None
                else "The UNet is damaged or of an unknown kind: {key} has {count} dimensions instead of {expected}.",
                "Choose another checkpoint.",
                key=key,
                count=len(sides or ()),
                expected=dimensions,
            )
        return sides

    first = shape("input_blocks.0.0.weight", 4)
    channels, depths, blocks = [], [], []
    level_blocks, width, depth, index = 0, first[0], 0, 1
    while True:
        block = f"input_blocks.{index}"
        if f"{block}.0.in_layers.2.weight" in shapes:
            width = shape(f"{block}.0.in_layers.2.weight", 4)[0]
            depth = _depth(shapes, f"{block}.1")
            level_blocks += 1
        else:
            channels.append(width)
            depths.append(depth)
            blocks.append(level_blocks)
            level_blocks = 0
            if f"{block}.0.op.weight" not in shapes:
                break
        index += 1
    if len(set(blocks)) != 1 or blocks[0] == 0:
        missing = f"input_blocks.{index}.0.in_layers.2.weight"
        raise InvalidInput("The UNet is damaged or of an unknown kind: {key} is missing.", "Choose another checkpoint.", key=missing)
    attended = "middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    projection = shapes.get("middle_block.1.proj_in.weight", ())
    return UNetLayout(
        in_channels=first[1],
        out_channels=shapes["out.2.weight"][0] if "out.2.weight" in shapes else 4,
        channels=tuple(channels),
        res_blocks=blocks[0],
        depths=tuple(depths),
        middle_depth=_depth(shapes, "middle_block.1"),
        context=shape(attended, 2)[1],
        linear=len(projection) == 2,
        label=shape("label_emb.0.0.weight", 2)[1] if "label_emb.0.0.weight" in shapes else 0,
    )


def _depth(shapes: Shapes, transformer: str) -> int:
    depth = 0
    while f"{transformer}.transformer_blocks.{depth}.attn2.to_k.weight" in shapes:
        depth += 1
    return depth
