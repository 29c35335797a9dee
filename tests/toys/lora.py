"""LoRAs of random weights for any checkpoint, in each layout that trainers write, and what they are to make of its weights."""

from __future__ import annotations

from typing import Any

import torch

Weights = dict[str, torch.Tensor]

LAYERS = (
    "down_blocks.0.attentions.0.proj_in",
    "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
    "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0",
    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "up_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v",
    "up_blocks.3.resnets.2.conv1",
    "down_blocks.0.downsamplers.0.conv",
)
"""Layers of a U-Net of Stable Diffusion 1; the first is a 1 x 1 convolution, the last two are 3 x 3 ones."""

TEXT_LAYERS = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc1")
"""Layers of every text encoder."""


def pair(weight: torch.Tensor, rank: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(down, up) of a layer with these weights, loud enough to be seen in a picture."""
    down = torch.randn(rank, *weight.shape[1:], generator=generator) / weight[0].numel() ** 0.5
    up = torch.randn(weight.shape[0], rank, *[1] * (weight.ndim - 2), generator=generator) * 0.3
    return down, up


def merged(weight: torch.Tensor, down: torch.Tensor, up: torch.Tensor, scale: float) -> torch.Tensor:
    """W + scale B A, by hand."""
    return weight + scale * (up.flatten(1).double() @ down.flatten(1).double()).reshape(weight.shape).to(weight.dtype)


def pairs(modules: dict[str, Any], rank: int = 4, seed: int = 3) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A (down, up) for each of these modules, by the same names."""
    generator = torch.Generator().manual_seed(seed)
    return {name: pair(module.weight, rank, generator) for name, module in modules.items()}


def kohya(prefix: str, low: dict[str, tuple[torch.Tensor, torch.Tensor]], alpha: float | None = None) -> Weights:
    """As kohya's trainer writes it; prefix: "lora_unet" or "lora_te_text_model" …"""
    out: Weights = {}
    for name, (down, up) in low.items():
        key = f"{prefix}_{name.replace('.', '_')}"
        out |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}
        if alpha is not None:
            out[f"{key}.alpha"] = torch.tensor(alpha)
    return out


def peft(prefix: str, low: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Weights:
    """As peft and today's diffusers write it; prefix: "unet", "text_encoder.text_model" …"""
    return {
        f"{prefix}.{name}.lora_{letter}.weight": tensor for name, (down, up) in low.items() for letter, tensor in (("A", down), ("B", up))
    }
