"""ControlNets of three families, small enough for a CPU, in the key layout of the original files, and U-Nets that they fit.

The weights are random and the "zero" convolutions are not zero, so that whatever a ControlNet is given shows in its result.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from clickpaint.paint.checkpoint.unet import UNetLayout

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel

CHANNELS, LAYERS = 32, 2

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Family:
    """What tells the families apart. depths: transformer layers at each level and in the middle. heads: of each level, or their
    one number. linear: projections into the transformers are linear layers, not convolutions. added: numbers beside the timestep.
    """

    context: int
    mult: tuple[int, ...]
    depths: tuple[int, ...]
    middle: int
    heads: int | tuple[int, ...]
    linear: bool = False
    added: int | None = None
    added_time: int | None = None


SD1 = Family(768, (1, 2, 4, 4), (1, 1, 1, 0), 1, 8)
SD2 = Family(1024, (1, 2, 4, 4), (1, 1, 1, 0), 1, (2, 4, 8, 8), linear=True)
SDXL = Family(2048, (1, 2, 4), (0, 2, 3), 3, (2, 4, 8), linear=True, added=64 + 6 * 8, added_time=8)


def unet(family: Family = SD1, in_channels: int = 4, seed: int = 0) -> UNet2DConditionModel:
    """A U-Net of random weights that ControlNets of this family fit; the one of SD1 is built as the toy checkpoint's is."""
    from clickpaint.compat import torchvision

    torchvision.ensure()
    from diffusers import UNet2DConditionModel

    crossed = [depth > 0 for depth in family.depths]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        build: Any = UNet2DConditionModel  # whose annotations are narrower than what it takes
        return build(
            in_channels=in_channels,
            block_out_channels=tuple(CHANNELS * mult for mult in family.mult),
            down_block_types=tuple("CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in crossed),
            up_block_types=tuple("CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(crossed)),
            transformer_layers_per_block=(*(max(depth, 1) for depth in family.depths[:-1]), family.middle),
            cross_attention_dim=family.context,
            attention_head_dim=family.heads,
            use_linear_projection=family.linear,
            addition_embed_type="text_time" if family.added else None,
            addition_time_embed_dim=family.added_time,
            projection_class_embeddings_input_dim=family.added,
        ).eval()


@functools.cache
def checkpoint(family: Family = SD1, in_channels: int = 4, seed: int = 0) -> Any:
    """The part of a `Checkpoint` that ControlNets look at."""
    channels = tuple(CHANNELS * mult for mult in family.mult)
    layout = UNetLayout(in_channels, 4, channels, LAYERS, family.depths, family.middle, family.context, family.linear, family.added or 0)
    return SimpleNamespace(unet=unet(family, in_channels, seed), layout=layout)


def state_dict(family: Family = SD1, seed: int = 1, prefix: str = "control_model.", scale: float = 0.05) -> Weights:
    """A ControlNet's tensors under the original keys, float32. scale: how loudly it speaks."""
    generator = torch.Generator().manual_seed(seed)
    out: Weights = {}

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def layer(key: str, *shape: int, bias: bool = True, gain: float = 1.0) -> None:
        fan = shape[1] * (shape[2] * shape[3] if len(shape) == 4 else 1)
        out[f"{key}.weight"] = random(*shape) * gain / fan**0.5
        if bias:
            out[f"{key}.bias"] = random(shape[0]) * 0.1 * gain

    def norm(key: str, channels: int) -> None:
        out[f"{key}.weight"] = 1 + 0.1 * random(channels)
        out[f"{key}.bias"] = 0.1 * random(channels)

    def resnet(key: str, inputs: int, outputs: int) -> None:
        norm(f"{key}.in_layers.0", inputs)
        layer(f"{key}.in_layers.2", outputs, inputs, 3, 3)
        layer(f"{key}.emb_layers.1", outputs, 4 * CHANNELS)
        norm(f"{key}.out_layers.0", outputs)
        layer(f"{key}.out_layers.3", outputs, outputs, 3, 3)
        if inputs != outputs:
            layer(f"{key}.skip_connection", outputs, inputs, 1, 1)

    def transformer(key: str, channels: int, depth: int) -> None:
        projection = (channels, channels) if family.linear else (channels, channels, 1, 1)
        norm(f"{key}.norm", channels)
        layer(f"{key}.proj_in", *projection)
        for index in range(depth):
            block = f"{key}.transformer_blocks.{index}"
            for name, context in (("attn1", channels), ("attn2", family.context)):
                layer(f"{block}.{name}.to_q", channels, channels, bias=False)
                layer(f"{block}.{name}.to_k", channels, context, bias=False)
                layer(f"{block}.{name}.to_v", channels, context, bias=False)
                layer(f"{block}.{name}.to_out.0", channels, channels)
            layer(f"{block}.ff.net.0.proj", 8 * channels, channels)
            layer(f"{block}.ff.net.2", channels, 4 * channels)
            for number in (1, 2, 3):
                norm(f"{block}.norm{number}", channels)
        layer(f"{key}.proj_out", *projection)

    def spoken(key: str, channels: int) -> None:
        layer(key, channels, channels, 1, 1, gain=scale)

    layer("time_embed.0", 4 * CHANNELS, CHANNELS)
    layer("time_embed.2", 4 * CHANNELS, 4 * CHANNELS)
    if family.added:
        layer("label_emb.0.0", 4 * CHANNELS, family.added)
        layer("label_emb.0.2", 4 * CHANNELS, 4 * CHANNELS)
    widths = (16, 16, 32, 32, 96, 96, 256)
    layer("input_hint_block.0", 16, 3, 3, 3)
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layer(f"input_hint_block.{2 * index + 2}", outputs, inputs, 3, 3)
    layer("input_hint_block.14", CHANNELS, 256, 3, 3)
    layer("input_blocks.0.0", CHANNELS, 4, 3, 3)
    spoken("zero_convs.0.0", CHANNELS)
    channels, index = CHANNELS, 1
    for level, (mult, depth) in enumerate(zip(family.mult, family.depths, strict=True)):
        for _ in range(LAYERS):
            resnet(f"input_blocks.{index}.0", channels, mult * CHANNELS)
            channels = mult * CHANNELS
            if depth:
                transformer(f"input_blocks.{index}.1", channels, depth)
            spoken(f"zero_convs.{index}.0", channels)
            index += 1
        if level < len(family.mult) - 1:
            layer(f"input_blocks.{index}.0.op", channels, channels, 3, 3)
            spoken(f"zero_convs.{index}.0", channels)
            index += 1
    resnet("middle_block.0", channels, channels)
    transformer("middle_block.1", channels, family.middle)
    resnet("middle_block.2", channels, channels)
    spoken("middle_block_out.0", channels)
    return {prefix + key: value for key, value in out.items()}


def tracing(gain: float = -1.0) -> Weights:
    """A hand-set ControlNet for the toy checkpoint, whose network answers with its own (normalised) input: it adds `gain` times the
    map, averaged over 8 x 8 pixels, to that input, so that with a negative gain the map shines through what is painted.
    """
    out = {key: torch.zeros_like(value) for key, value in state_dict().items()}
    for key in out:
        if key.endswith("norm.weight") or (".norm" in key and key.endswith(".weight")):
            out[key] += 1
    offset = 20.0  # SiLU is the identity this far right of zero
    hint = "control_model.input_hint_block"
    for channel in range(3):
        out[f"{hint}.0.weight"][channel, channel, 1, 1] = 1.0
        for index in range(2, 14, 2):
            kernel = out[f"{hint}.{index}.weight"][channel, channel]
            if index in (4, 8, 12):  # every second pixel
                kernel[1:, 1:] = 0.25
            else:
                kernel[1, 1] = 1.0
        out[f"{hint}.14.weight"][channel, channel, 1, 1] = gain
    out[f"{hint}.0.bias"][:3] = offset
    out[f"{hint}.14.bias"][:3] = -gain * offset
    out["control_model.zero_convs.0.0.weight"][:3, :3, 0, 0] = torch.eye(3)
    return out
