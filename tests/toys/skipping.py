"""Toy networks do not compute what is multiplied by nothing: most of a hand-set checkpoint's convolutions are all zeros."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any


def skip_zeros(resnet: ModuleType) -> None:
    """As long as the last convolution of a residual block of diffusers is all zeros, the block hands on what its shortcut makes of the
    input, which is what it would come to, to the bit: two thirds of the time that a toy checkpoint's VAE takes.

    That is asked anew at each call: weights that an adapter changes, and layers that it puts in, count from then on.

    Args:
        resnet: diffusers.models.resnet, just imported.
    """
    plain = resnet.ResnetBlock2D.forward

    @functools.wraps(plain)
    def forward(self: Any, input_tensor: Any, *arguments: Any, **named: Any) -> Any:
        return _shortcut(self, input_tensor) if adds_nothing(self) else plain(self, input_tensor, *arguments, **named)

    resnet.ResnetBlock2D.forward = forward


def skip_zeros_in_lean_layers(lean_layers: ModuleType) -> None:
    """The same where these compute such a block in place of diffusers.

    Args:
        lean_layers: clickpaint.paint.diffusion.lean_layers, just imported.
    """
    plain = lean_layers._residual

    def residual(block: Any, usual: Any, activated: Any, input_tensor: Any, *arguments: Any, **named: Any) -> Any:
        return _shortcut(block, input_tensor) if adds_nothing(block) else plain(block, usual, activated, input_tensor, *arguments, **named)

    lean_layers._residual = residual


def _shortcut(block: Any, input_tensor: Any) -> Any:
    return (input_tensor if block.conv_shortcut is None else block.conv_shortcut(input_tensor)) / block.output_scale_factor


def adds_nothing(block: Any) -> bool:
    """Whether a residual block comes to its shortcut, and nobody listens to its layers, learns its weights or counts what it does."""
    import torch

    last = block.conv2
    if type(last) is not torch.nn.Conv2d or block.upsample is not None or block.downsample is not None:
        return False
    if any(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module) for module in block.children()):
        return False
    if torch._C._len_torch_dispatch_stack() or last.weight.device.type != "cpu" or last.weight.dtype.itemsize == 1:
        return False
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in block.parameters()):
        return False
    return not last.weight.any() and not (last.bias is not None and last.bias.any())
