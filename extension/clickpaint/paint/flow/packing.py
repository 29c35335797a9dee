"""Latents as tokens: two by two latents, all channels of each, and where each token lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def packed(latents: torch.Tensor) -> torch.Tensor:
    """[n, c, h, w] as [n, h/2 w/2, 4 c]."""
    count, channels, height, width = latents.shape
    cut = latents.reshape(count, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(count, height // 2 * (width // 2), 4 * channels)


def unpacked(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The inverse of `packed`; height, width: of the latents."""
    count, _, channels = tokens.shape
    cut = tokens.reshape(count, height // 2, width // 2, channels // 4, 2, 2)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(count, channels // 4, height, width)


def places(height: int, width: int, number: int, like: torch.Tensor) -> torch.Tensor:
    """(number of the picture, row, column) of each of its height x width tokens, float32 [tokens, 3] on the device of `like`."""
    import torch

    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    all_places = torch.stack([torch.full_like(rows, number), rows, columns], dim=-1).reshape(-1, 3)
    return all_places.to(like.device, torch.float32)
