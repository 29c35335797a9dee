"""The text encoders of these families: CLIP, T5 and Qwen, on the tensors of a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.networks import Part
from clickpaint.paint.checkpoint.text import as_transformers, clip_config, restore_positions

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.flow.tokenizers import Finder


@dataclass(frozen=True, eq=False)
class TextNetwork:
    """A text encoder.

    Attributes:
        model: transformers' module.
        find: gives the tokenizers, when a prompt is to be read.
    """

    model: Any
    find: Finder


class TextNeed(ABC):
    """A text encoder that a family takes: how its tensors are known, and how it is built.

    Args:
        title: for people.
        optional: whether the family can do without it.
    """

    def __init__(self, title: str, *, optional: bool = False) -> None:
        self.title, self.optional = title, optional

    @abstractmethod
    def find(self, tensors: Mapping[str, Any], width: int) -> str | None:
        """What stands before the keys of its tensors; None where they are not among these.

        Args:
            tensors: or what has a `shape` like them; by the keys of a file.
            width: what the transformer takes for one token.
        """

    @abstractmethod
    def build(self, part: Part, previous: Any | None) -> Any:
        """transformers' module on these tensors; `previous` serves again if it is of the same build."""


class Clip(TextNeed):
    """CLIP.

    Args:
        title: for people.
        projected: whether it is the larger one (OpenCLIP's ViT-bigG/14), whose pooled prompt is projected.
        optional: whether the family can do without it.
    """

    def __init__(self, title: str, *, projected: bool = False, optional: bool = False) -> None:
        super().__init__(title, optional=optional)
        self._projected = projected

    def find(self, tensors: Mapping[str, Any], width: int) -> str | None:
        tokens = "token_embedding.weight"
        for key in tensors:
            if key.endswith(tokens) and "vision" not in key:
                prefix = key.removesuffix(tokens).removesuffix("embeddings.").removesuffix("text_model.")
                larger = "clip_g" in prefix or ("clip_l" not in prefix and tensors[key].shape[1] > _LARGEST_CLIP_L)
                if larger == self._projected:
                    return prefix
        return None

    def build(self, part: Part, previous: Any | None) -> Any:
        from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

        tensors, names = as_transformers(part)
        config = clip_config(part, tensors, names, pooled=self._projected, quick=not self._projected)

        def make() -> Any:
            return (CLIPTextModelWithProjection if self._projected else CLIPTextModel)(CLIPTextConfig(**config))

        model = _again(previous, config) or _made(make)
        wanted = {name: name.removeprefix("text_model.") for name, _ in model.named_parameters()}
        parameters = {name: tensors[plain] for name, plain in wanted.items() if plain in tensors}
        assign(model, parameters, lambda name: part.prefix + str(names.get(wanted[name], wanted[name])))
        restore_positions(getattr(model, "text_model", model))
        return model


_LARGEST_CLIP_L = 768
"""What is wider than OpenAI's CLIP ViT-L/14 is OpenCLIP's ViT-bigG/14."""


class T5(TextNeed):
    """T5 v1.1's encoder."""

    _sign = "encoder.block.0.layer.0.SelfAttention.q.weight"

    def find(self, tensors: Mapping[str, Any], width: int) -> str | None:
        for key in tensors:
            if key.endswith(self._sign) and tensors[key].shape[1] == width:
                return key.removesuffix(self._sign)
        return None

    def build(self, part: Part, previous: Any | None) -> Any:
        from transformers import T5Config, T5EncoderModel

        shapes = part.shapes()
        attention = "encoder.block.0.layer.0.SelfAttention."
        buckets, heads = shapes.get(f"{attention}relative_attention_bias.weight", (32, 1))
        words, width = shapes.get("shared.weight") or shapes.get("encoder.embed_tokens.weight") or (32128, shapes[self._sign][1])
        config = {
            "vocab_size": words,
            "d_model": width,
            "d_kv": shapes[self._sign][0] // heads,
            "d_ff": shapes.get("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", (0,))[0],
            "num_layers": _count(shapes, "encoder.block.{}.layer.0.layer_norm.weight"),
            "num_heads": heads,
            "relative_attention_num_buckets": buckets,
            "layer_norm_epsilon": 1e-6,
            "dropout_rate": 0.0,
        }

        def make() -> Any:
            model: Any = T5EncoderModel(T5Config(**config, feed_forward_proj="gated-gelu", use_cache=False, is_encoder_decoder=False))
            for block in model.encoder.block:
                block.layer[1].DenseReluDense.wo = _uncast()(block.layer[1].DenseReluDense.wo)
            return model

        model = _again(previous, config) or _made(make)
        tensors = dict(part.tensors)
        embedding = tensors.get("shared.weight", tensors.get("encoder.embed_tokens.weight"))
        if embedding is not None:
            tensors |= {"shared.weight": embedding, "encoder.embed_tokens.weight": embedding}
        names = {name: name.replace(".wo.layer.", ".wo.") for name, _ in model.named_parameters(remove_duplicate=False)}
        assign(model, {name: tensors[key] for name, key in names.items() if key in tensors}, lambda name: part.prefix + names[name])
        return model


def _uncast() -> Any:
    import torch

    class Uncast(torch.nn.Module):
        """A layer whose weights nobody looks at from outside: T5 converts what goes in to their type before they are brought into that
        of the computation, and in half precision it overflows."""

        weight = None

        def __init__(self, layer: torch.nn.Linear) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    return Uncast


def _count(shapes: Mapping[str, Any], key: str) -> int:
    number = 0
    while key.format(number) in shapes:
        number += 1
    return number


def _made(make: Any) -> Any:
    with on_meta():
        return make().eval()


def _again(previous: Any | None, config: Mapping[str, Any]) -> Any | None:
    same = previous is not None and all(getattr(previous.config, key, None) == value for key, value in config.items())
    return previous if same else None


def clip_states(text: TextNetwork, prompt: str, device: torch.device, *, filler: str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """(the last but one hidden state [1, 77, C], the pooled prompt [1, P]) of CLIP, both float32.

    Args:
        device: where it computes.
        filler: what fills up the prompt; None for its end.
    """
    import torch

    from clickpaint.paint.checkpoint.tokens import END
    from clickpaint.paint.checkpoint.tokens import tokenizer as clip_tokenizer

    words = clip_tokenizer(filler or END)
    ids = words(prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids.to(device)
    with torch.no_grad():
        out = text.model(ids, output_hidden_states=True)
    pooled = out.text_embeds if getattr(out, "text_embeds", None) is not None else out.pooler_output
    return out.hidden_states[-2].float(), pooled.float()


def t5_states(
    text: TextNetwork, prompt: str, device: torch.device, length: int, *, masked: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """(the last hidden state, float32 [1, length, C]; which of its tokens are the prompt's, bool [1, length]).

    Args:
        length: tokens that are read, filled up where the prompt has fewer.
        masked: whether what fills it up is not looked at.
    """
    import torch

    ids = _cut(text.find("T5").encode(prompt).ids, length)
    shown = torch.tensor([ids + [0] * (length - len(ids))], device=device)
    own = torch.arange(length, device=device)[None] < len(ids)
    with torch.no_grad():
        hidden = text.model(shown, attention_mask=own.long() if masked else None).last_hidden_state
    return hidden.float(), own


def _cut(ids: Sequence[int], length: int) -> list[int]:
    """At most this many tokens, the last of them T5's end."""
    ids = list(ids)
    return ids if len(ids) <= length else [*ids[: length - 1], 1]
