"""The network's attention layers, within reach of what takes part in the sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Attend = Callable[..., "torch.Tensor"]
"""A processor of diffusers: attend(module, hidden_states [rows, n, c], encoder_hidden_states=[rows, m, d] or None, …) → [rows, n, c]"""


@dataclass(frozen=True)
class Layer:
    """One attention layer of a U-Net.

    Attributes:
        name: as diffusers calls the module, such as "down_blocks.0.attentions.0.transformer_blocks.0.attn1".
        cross: whether it looks at the prompt (else at the picture itself).
    """

    name: str
    cross: bool

    @property
    def place(self) -> str:
        """Where in the network: "down", "mid" or "up"."""
        return self.name.partition("_")[0]


Wrap = Callable[[Layer, Attend], "Attend | None"]
"""wrap(layer, attend) → what computes the layer in place of `attend`, which it may call; None to leave it alone"""


@contextmanager
def wrapped(unet: Any, wraps: Sequence[Wrap]) -> Iterator[None]:
    """Within this block the attention layers compute through `wraps`, the last one outermost; afterwards, whatever happened, the very
    processors are there that were before. Where no wrap answers, a layer is not touched."""
    before: list[tuple[Any, Any]] = []
    try:
        for name, module in unet.named_modules() if wraps else ():
            if not hasattr(module, "set_processor") or not name.endswith(("attn1", "attn2")):
                continue
            layer, attend = Layer(name, name.endswith("attn2")), module.processor
            for wrap in wraps:
                attend = wrap(layer, attend) or attend
            if attend is not module.processor:
                before.append((module, module.processor))
                module.set_processor(attend)
        yield
    finally:
        for module, processor in before:
            module.set_processor(processor)


def queries(module: Any, hidden: torch.Tensor) -> torch.Tensor:
    """What looks around, [rows x heads, n, c / heads], of `hidden` [rows, n, c]."""
    return module.head_to_batch_dim(module.to_q(hidden))


def keys_values(module: Any, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is looked at, twice [rows x heads, m, c / heads], of a prompt [rows, m, d] or the picture itself."""
    return module.head_to_batch_dim(module.to_k(seen)), module.head_to_batch_dim(module.to_v(seen))


def probabilities(module: Any, hidden: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """How much each place of `hidden` [rows, n, c] looks at each of `seen` [rows, m, d]: [rows, heads, n, m], each row sums to 1."""
    keys = module.head_to_batch_dim(module.to_k(seen))
    flat = module.get_attention_scores(queries(module, hidden), keys)
    return flat.reshape(len(hidden), module.heads, *flat.shape[1:])


def answered(module: Any, shares: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """What a layer answers whose probabilities are `shares` [rows, heads, n, m], about `seen` [rows, m, d]: [rows, n, c]."""
    values = module.head_to_batch_dim(module.to_v(seen))
    return projected(module, shares.flatten(0, 1).to(values.dtype) @ values)


def projected(module: Any, looked: torch.Tensor) -> torch.Tensor:
    """The layer's last step, from what its heads saw, [rows x heads, n, c / heads], to [rows, n, c]."""
    out = module.to_out[1](module.to_out[0](module.batch_to_head_dim(looked)))
    return out / module.rescale_output_factor


def sides(pixels: int, height: int, width: int) -> tuple[int, int] | None:
    """(height, width) of the level of a U-Net that has `pixels` places, for latents of this height and width; None where none has."""
    while height * width > pixels:
        height, width = (height + 1) // 2, (width + 1) // 2  # as a convolution of stride 2 makes them
    return (height, width) if height * width == pixels else None
