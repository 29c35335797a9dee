"""A picture at an encoder's size: PIL's antialiased bilinear filter, on a graphics card where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.weights.device import Device

_FILTERS = ("cuda", "xpu")
"""Kinds of devices that have PyTorch's antialiased filter."""


def resized(pixels: np.ndarray, size: tuple[int, int], device: Device) -> Tensor:
    """`pixels`, uint8 [H, W, 3], at another size, on the device: uint8 [1, 3, height, width].

    On the processor it is PIL's result to the bit, as the reference implementations resize. On a graphics card it is rounded where PIL
    rounds, so that it differs by 1 in few pixels at most, and takes none of the milliseconds that PIL takes for a large picture.

    Args:
        size: (width, height).
    """
    import torch

    if device.kind not in _FILTERS:
        # a copy, because PIL's memory cannot be written to, of which PyTorch warns
        small = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        return torch.from_numpy(small).permute(2, 0, 1)[None].to(device.torch)
    # a copy of what cannot be written to, of which PyTorch warns
    return filtered(torch.from_numpy(np.require(pixels, requirements=["C", "W"])).to(device.torch).permute(2, 0, 1)[None], size)


def filtered(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """PIL's filter in PyTorch, on whichever device: uint8 [1, 3, H, W] at `size` (width, height)."""
    import torch
    from torch.nn import functional

    width, height = size
    for target in ((picture.shape[2], width), (height, width)):  # across, then down, with a rounding after each, as PIL does it
        if tuple(picture.shape[2:]) != target:
            wide = functional.interpolate(picture.float(), size=target, mode="bilinear", antialias=True, align_corners=False)
            picture = (wide + 0.5).floor().clamp(0, 255).to(torch.uint8)
    return picture
