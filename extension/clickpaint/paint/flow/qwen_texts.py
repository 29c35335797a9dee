"""Qwen's language models as text encoders, on the tensors of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported
from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.networks import Part
from clickpaint.paint.flow.texts import TextNeed, TextNetwork

if TYPE_CHECKING:
    import torch

_LONGEST = 40960
"""Tokens, of what the positions are worked out for; nothing but a default."""


class Qwen3(TextNeed):
    """Qwen3 (dense).

    Args:
        title: for people.
        joined: how many of its hidden states the transformer takes for one token, side by side.
    """

    _sign = "layers.0.self_attn.q_norm.weight"

    def __init__(self, title: str, *, joined: int = 1) -> None:
        super().__init__(title)
        self._joined = joined

    def find(self, tensors: Mapping[str, Any], width: int) -> str | None:
        prefixes = (key.removesuffix(self._sign) for key in tensors if key.endswith(self._sign))
        words = ((prefix, tensors.get(f"{prefix}embed_tokens.weight")) for prefix in prefixes)
        return next((prefix for prefix, own in words if own is not None and own.shape[1] * self._joined == width), None)

    def build(self, part: Part, previous: Any | None) -> Any:
        try:
            from transformers import Qwen3Config, Qwen3Model
        except ImportError as error:
            raise needs_newer(self.title, "4.51") from error
        shapes = part.shapes()
        head = shapes[self._sign][0]
        config = language_config(shapes, head) | {"head_dim": head}

        def make() -> Any:
            kind: Any = Qwen3Config  # whose way of saying rope_theta has changed, and which takes both
            return Qwen3Model(kind(**config, rope_theta=1e6, rms_norm_eps=1e-6, max_position_embeddings=_LONGEST, use_cache=False))

        return placed(part, make, config, previous)


def language_config(shapes: Mapping[str, tuple[int, ...]], head: int) -> dict[str, Any]:
    """What transformers' language models of this build take, from the shapes of their tensors; head: width of an attention head."""
    words, width = shapes["embed_tokens.weight"]
    layers = 0
    while f"layers.{layers}.input_layernorm.weight" in shapes:
        layers += 1

    def rows(layer: str) -> int:
        return shapes.get(f"layers.0.{layer}.weight", (0,))[0]

    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": rows("mlp.gate_proj"),
        "num_hidden_layers": layers,
        "num_attention_heads": rows("self_attn.q_proj") // head,
        "num_key_value_heads": rows("self_attn.k_proj") // head,
    }


def placed(part: Part, make: Any, config: Mapping[str, Any], previous: Any | None) -> Any:
    """A language model on the part's tensors, with its positions, which a module without memory could not keep."""
    model = previous
    if model is None or any(getattr(model.config, key, None) != value for key, value in config.items()):
        with on_meta():
            model = make().eval()
    assign(model, part.tensors, lambda name: part.prefix + name)
    model.rotary_emb = type(model.rotary_emb)(model.config)
    return model


def needs_newer(kind: str, version: str) -> HostUnsupported:
    """That the installed transformers have no such network."""
    import transformers

    return HostUnsupported(
        "{kind} needs transformers {wanted} or newer; here is {version}.",
        "Use the web UI's own sampler, or the stand-alone program.",
        kind=kind,
        wanted=version,
        version=transformers.__version__,
    )


def hidden_states(
    text: TextNetwork, written: str, device: torch.device, length: int, *, filled: bool = False
) -> tuple[torch.Tensor, ...]:  # fmt: skip
    """What each layer of the model makes of a text, [1, tokens, C] each, the embedding first.

    Args:
        length: at most so many tokens are read.
        filled: whether the text is filled up to that length.
    """
    import torch

    words = text.find("Qwen")
    ids = words.encode(written, add_special_tokens=False).ids[:length]
    missing = length - len(ids) if filled else 0
    shown = torch.tensor([ids + [words.token_to_id("<|endoftext|>")] * missing], device=device)
    mask = torch.tensor([[1] * len(ids) + [0] * missing], device=device)
    with torch.no_grad():
        out = text.model(shown, attention_mask=mask, output_hidden_states=True)
    return out.hidden_states


def as_user(prompt: str) -> str:
    """A prompt in Qwen's form of a conversation, up to where the answer would begin."""
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
