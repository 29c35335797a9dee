"""The layers of diffusers' networks with less work around the same arithmetic: results are theirs, to the bit.

What a network of Stable Diffusion's kind computes anew in every step, although it comes out the same, is kept: the keys and values of
the prompt, the activated time embedding, what a ControlNet makes of its map. What changes nothing is left out: divisions by 1, dropouts,
looking up which arguments a processor takes. On a fast card the processor that starts the kernels is what a step waits for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

BUDGET = 128 << 20
"""Bytes that keys and values of prompts may take; SDXL's take 51 MB for a picture in half precision."""

_NOT_THERE = ("spatial_norm", "group_norm", "norm_q", "norm_k", "norm_cross", "residual_connection", "fused_projections")
"""What an attention layer must not have."""


class Prompts:
    """Prompts that stay the same over a sampling, with what the layers that look at them make of them."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._left = budget
        self._held: dict[int, torch.Tensor] = {}
        self._made: dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]] = {}

    def hold(self, context: torch.Tensor) -> None:
        """This very tensor will be looked at again."""
        self._held[id(context)] = context

    def let_go(self, context: torch.Tensor) -> None:
        self._held.pop(id(context), None)
        for place in [place for place in self._made if place[1] == id(context)]:
            self._left += sum(map(_size, self._made.pop(place)))

    def keys_values(self, module: Any, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of an attention layer, each [rows, heads, m, c / heads]."""
        place = id(module), id(seen)
        if place in self._made:
            return self._made[place]
        made = _by_head(module.to_k(seen), module.heads), _by_head(module.to_v(seen), module.heads)
        size = sum(map(_size, made))
        if id(seen) in self._held and size <= self._left:
            self._made[place] = made
            self._left -= size
        return made


@contextmanager
def lean(networks: Sequence[Any], prompts: Prompts | None = None) -> Iterator[None]:
    """Within this block the layers of these networks that are known here compute as this module says; all others, and those of networks
    that are no modules, are left alone. Not for training."""
    changed: list[Any] = []
    lasting = prompts or Prompts(0)
    try:
        for network in networks:
            activated = _Last(_silu)
            for name, layer in getattr(network, "named_modules", lambda: ())():
                forward = _forward(name, layer, lasting, activated)
                if forward is not None and "forward" not in vars(layer):
                    layer.forward = forward
                    changed.append(layer)
        yield
    finally:
        for layer in changed:
            del layer.forward


def _forward(name: str, layer: Any, prompts: Prompts, activated: _Last) -> Callable[..., torch.Tensor] | None:
    """What is to compute a layer; None to leave it alone."""
    kind = type(layer).__name__
    if kind == "BasicTransformerBlock" and _is_plain_block(layer):
        return functools.partial(_block, layer, type(layer).forward, prompts)
    if kind == "ResnetBlock2D" and _is_plain_residual(layer):
        return functools.partial(_residual, layer, type(layer).forward, activated)
    if name == "controlnet_cond_embedding":
        return _Last(functools.partial(type(layer).forward, layer))
    return None


class _Last:
    """A function of one tensor that is asked about the same one over and over."""

    def __init__(self, work: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._work = work
        self._asked: Any = None
        self._answer: Any = None

    def __call__(self, asked: torch.Tensor) -> torch.Tensor:
        if asked is not self._asked:
            self._asked, self._answer = asked, self._work(asked)
        return self._answer


def _is_plain_block(block: Any) -> bool:
    inner = [type(layer).__name__ for layer in block.ff.net]
    return (
        block.norm_type == "layer_norm"
        and block.pos_embed is None
        and not block.only_cross_attention
        and block.attn2 is not None
        and all(map(_is_plain_attention, (block.attn1, block.attn2)))
        and inner in (["GEGLU", "Dropout", "Linear"], ["GEGLU", "Dropout", "Linear", "Dropout"])
    )


def _is_plain_attention(module: Any) -> bool:
    return (
        type(module).__name__ == "Attention"
        and not any(getattr(module, name, None) for name in _NOT_THERE)
        and module.rescale_output_factor == 1
        and [type(layer).__name__ for layer in module.to_out] == ["Linear", "Dropout"]
    )


def _is_plain_residual(block: Any) -> bool:
    return (
        block.upsample is None
        and block.downsample is None
        and block.time_embedding_norm in ("default", "group")  # a U-Net's, a VAE's
        and not block.skip_time_act
        and block.output_scale_factor == 1
        and type(block.nonlinearity).__name__ == "SiLU"
        and {type(block.norm1).__name__, type(block.norm2).__name__} == {"GroupNorm"}
    )


def _block(
    block: Any, usual: Callable[..., torch.Tensor], prompts: Prompts, hidden_states: torch.Tensor, attention_mask: Any = None,
    encoder_hidden_states: torch.Tensor | None = None, encoder_attention_mask: Any = None, timestep: Any = None,
    cross_attention_kwargs: Any = None, **more: Any,
) -> torch.Tensor:  # fmt: skip
    """diffusers' `BasicTransformerBlock.forward`; timesteps and classes are for norms that are not here."""
    asked = (attention_mask, encoder_attention_mask, cross_attention_kwargs)
    if block.training or block._chunk_size is not None or any(value is not None for value in asked):
        return usual(
            block, hidden_states, attention_mask, encoder_hidden_states, encoder_attention_mask, timestep, cross_attention_kwargs, **more
        )  # fmt: skip
    states = _attended(block.attn1, prompts, block.norm1(hidden_states), None) + hidden_states
    states = _attended(block.attn2, prompts, block.norm2(states), encoder_hidden_states) + states
    widens, narrows = block.ff.net[0], block.ff.net[2]
    return narrows(widens(block.norm3(states))) + states


def _attended(module: Any, prompts: Prompts, hidden: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
    """An attention layer, by whatever has been set to compute it."""
    from torch.nn.functional import scaled_dot_product_attention

    if type(module.processor).__name__ != "AttnProcessor2_0":
        return module.processor(module, hidden, encoder_hidden_states=seen, attention_mask=None)
    query = _by_head(module.to_q(hidden), module.heads)
    keys, values = prompts.keys_values(module, hidden if seen is None else seen)
    looked = scaled_dot_product_attention(query, keys, values)
    looked = looked.transpose(1, 2).reshape(hidden.shape[0], -1, module.heads * keys.shape[-1])
    return module.to_out[0](looked.to(query.dtype))


def _residual(
    block: Any, usual: Callable[..., torch.Tensor], activated: _Last, input_tensor: torch.Tensor, temb: Any, *rest: Any, **more: Any
) -> torch.Tensor:  # fmt: skip
    """diffusers' `ResnetBlock2D.forward`."""
    if block.training or rest or more:
        return usual(block, input_tensor, temb, *rest, **more)
    states = block.conv1(_activated(block.norm1(input_tensor)))
    if block.time_emb_proj is not None:
        temb = block.time_emb_proj(activated(temb))[:, :, None, None]
    if temb is not None and block.time_embedding_norm == "default":
        states = states + temb
    states = block.norm2(states)  # what it was made of is let go before the next is made
    states = block.conv2(_activated(states))
    return (input_tensor if block.conv_shortcut is None else block.conv_shortcut(input_tensor)) + states


def _silu(values: torch.Tensor) -> torch.Tensor:
    from torch.nn.functional import silu

    return silu(values)


def _activated(normalised: torch.Tensor) -> torch.Tensor:
    """The same of what a norm has just made, in its place: in a VAE's last layers each of these tensors is a third of all the memory
    that a picture takes beside the weights."""
    from torch.nn.functional import silu

    return silu(normalised, inplace=not normalised.requires_grad)


def _by_head(states: torch.Tensor, heads: int) -> torch.Tensor:
    """[rows, n, c] as [rows, heads, n, c / heads]."""
    return states.view(states.shape[0], -1, heads, states.shape[-1] // heads).transpose(1, 2)


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
