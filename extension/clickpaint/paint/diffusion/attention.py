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
