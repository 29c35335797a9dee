"""An IP-Adapter (base) as h94/IP-Adapter publishes it, with seeded weights."""

from __future__ import annotations

from typing import Any


def tensors(unet: Any, seen: int) -> dict[str, Any]:
    """What the file of an adapter for this network holds.

    Args:
        seen: width of what CLIP gives.
    """
    import torch

    generator = torch.Generator().manual_seed(4)
    width = unet.config["cross_attention_dim"]

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * shape[-1] ** -0.5

    made = {
        "image_proj.proj.weight": drawn(4 * width, seen), "image_proj.proj.bias": drawn(4 * width),
        "image_proj.norm.weight": torch.ones(width), "image_proj.norm.bias": drawn(width),
    }  # fmt: skip
    cross = [name.removesuffix(".processor") for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, module in enumerate(map(unet.get_submodule, cross)):
        for which in ("k", "v"):
            made[f"ip_adapter.{2 * number + 1}.to_{which}_ip.weight"] = 3 * drawn(module.inner_dim, width)
    return made
