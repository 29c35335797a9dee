"""Toy networks that do not compute what is multiplied by nothing: most of a hand-set checkpoint's convolutions are all zeros."""

from __future__ import annotations

import functools
from typing import Any

import torch


def skip_zeros(*networks: torch.nn.Module) -> None:
    """As long as the last convolution of a residual block of diffusers is all zeros, the block hands on what its shortcut makes of the
    input, which is what it would come to, to the bit.

    That is asked anew at each call: weights that an adapter changes, and layers that it puts in, count from then on.
    """
    from diffusers.models.resnet import ResnetBlock2D

    for network in networks:
        for block in network.modules():
            if type(block) is ResnetBlock2D and block.upsample is None and block.downsample is None:
                block.__class__ = _skipping()


def adds_nothing(block: Any) -> bool:
    """Whether a residual block comes to its shortcut, and nobody listens to its layers."""
    last = block.conv2
    if any(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module) for module in block.children()):
        return False
    return type(last) is torch.nn.Conv2d and not last.weight.any() and not last.bias.any()


@functools.cache
def _skipping() -> type:
    from diffusers.models.resnet import ResnetBlock2D

    class Skipping(ResnetBlock2D):
        def forward(self, input_tensor: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
            if not adds_nothing(self):
                return super().forward(input_tensor, *arguments, **named)
            shortcut = input_tensor if self.conv_shortcut is None else self.conv_shortcut(input_tensor)
            return shortcut / self.output_scale_factor

    Skipping.__name__ = ResnetBlock2D.__name__
    return Skipping
