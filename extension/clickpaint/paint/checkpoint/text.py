"""CLIP's text encoders, from either layout that checkpoints keep them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.kind import Kind
from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.networks import Part
from clickpaint.paint.checkpoint.tokens import END, tokenizer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """One of a checkpoint's text encoders.

    Attributes:
        tokenizer: of `tokens.tokenizer`.
        model: transformers' CLIPTextModel, or CLIPTextModelWithProjection where the checkpoint uses the pooled prompt.
        layer: the hidden state that the UNet was trained on, counted from the end (-1 the last, -2 the one before).
        normed: whether the final normalisation follows it.
        skippable: whether users may ask for an earlier one ("clip skip").
    """

    tokenizer: Any
    model: Any
    layer: int
    normed: bool
    skippable: bool

    @property
    def inner(self) -> Any:
        """The module with `embeddings`, `encoder` and `final_layer_norm`, wherever this version of transformers keeps it."""
        return getattr(self.model, "text_model", self.model)

    @property
    def width(self) -> int:
        """Channels of the embedding of one token."""
        return self.model.config.hidden_size

    @property
    def token_embedding(self) -> torch.nn.Embedding:
        """Turns token numbers into vectors; a forward hook on it can put vectors of its own among them."""
        return self.inner.embeddings.token_embedding

    def encode(self, ids: torch.Tensor, clip_skip: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(hidden [n, t, width], pooled [n, projection] or None) of token numbers, int64 [n, t] with t at most 77.

        Args:
            clip_skip: as web UIs count it: 1 is the last layer, 2 the one before. Only Stable Diffusion 1 heeds it.
        """
        import torch

        with torch.no_grad():
            return self.encode_with_gradients(ids, clip_skip)

    def encode_with_gradients(self, ids: torch.Tensor, clip_skip: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As `encode`, for training: gradients flow back wherever something in the encoder, or what comes into it, wants some."""
        layer = -max(1, clip_skip) if self.skippable else self.layer
        out = self.model(ids, output_hidden_states=True)
        if layer == -1 and self.normed:
            hidden = out.last_hidden_state
        else:
            hidden = out.hidden_states[layer]
            if self.normed:
                hidden = self.inner.final_layer_norm(hidden)
        return hidden, getattr(out, "text_embeds", None)


def build_text_encoder(part: Part, kind: Kind, previous: TextEncoder | None = None) -> TextEncoder:
    """The encoder on the part's tensors; `previous` serves again if it is of the same build.

    Raises:
        InvalidInput: a tensor is missing or has the wrong shape; the message names it.
    """
    tensors, names = as_transformers(part)
    width = tensors["embeddings.token_embedding.weight"].shape[1] if "embeddings.token_embedding.weight" in tensors else 0
    config = clip_config(part, tensors, names, pooled=_pooled(width, kind), quick=width == 768)
    same = previous is not None and all(getattr(previous.model.config, key) == value for key, value in config.items())
    encoder = previous if previous is not None and same else _without_tensors(config, kind)
    wanted = {name: name.removeprefix("text_model.") for name, _ in encoder.model.named_parameters()}
    parameters = {name: tensors[plain] for name, plain in wanted.items() if plain in tensors}
    assign(encoder.model, parameters, lambda name: part.prefix + str(names.get(wanted[name], wanted[name])))
    restore_positions(encoder.inner)
    return encoder


def clip_config(
    part: Part, tensors: Mapping[str, torch.Tensor], names: Mapping[str, str], *, pooled: bool, quick: bool
) -> dict[str, Any]:  # fmt: skip
    """What transformers' CLIP takes, from what `as_transformers` gives.

    Args:
        pooled: whether the prompt as a whole goes through a projection of its own.
        quick: whether it is OpenAI's, which was trained with a faster GELU and filled up with the end of the prompt.
    """

    def shape(key: str) -> tuple[int, ...]:
        if key not in tensors:
            full = part.prefix + names.get(key, key)
            raise InvalidInput("The text encoder is damaged: {key} is missing.", "Choose another checkpoint.", key=full)
        return tuple(tensors[key].shape)

    words, width = shape("embeddings.token_embedding.weight")
    layers = 0
    while f"encoder.layers.{layers}.layer_norm1.weight" in tensors:
        layers += 1
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": shape("encoder.layers.0.mlp.fc1.weight")[0],
        "projection_dim": shape("text_projection.weight")[0] if pooled else width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(width // 64, 1),
        "max_position_embeddings": shape("embeddings.position_embedding.weight")[0],
        "hidden_act": "quick_gelu" if quick else "gelu",
        "layer_norm_eps": 1e-5,
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407 if quick else 0,
    }


def _without_tensors(config: Mapping[str, Any], kind: Kind) -> TextEncoder:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    width = config["hidden_size"]
    with on_meta():
        model = (CLIPTextModelWithProjection if _pooled(width, kind) else CLIPTextModel)(CLIPTextConfig(**config))
    xl = kind.family.startswith("sdxl")
    # Stable Diffusion 2 was trained on the last layer but one; files made from diffusers' have been cut off behind it
    penultimate = xl or (kind.family == "sd2" and config["num_hidden_layers"] != 23)
    words = tokenizer(END if width == 768 else "!")
    return TextEncoder(words, model.eval(), layer=-2 if penultimate else -1, normed=not xl, skippable=kind.family == "sd1")


def _pooled(width: int, kind: Kind) -> bool:
    return kind.family.startswith("sdxl") and width == 1280


def restore_positions(inner: Any) -> None:
    """Make anew what is no weight: the numbers of the positions, which a module without memory could not keep.

    Args:
        inner: CLIP's module that has the `embeddings`.
    """
    import torch

    embeddings = inner.embeddings
    positions = embeddings.position_embedding.weight
    embeddings.position_ids = torch.arange(positions.shape[0], device=positions.device)[None]


_OPEN_CLIP = (
    ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), ("self_attn.out_proj", "attn.out_proj"),
    ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"),
)  # fmt: skip


def as_transformers(part: Part) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors by transformers' names without "text_model.", as views of the part's own; and the own key behind each name."""
    own = part.tensors
    if "positional_embedding" not in own:
        names = {key.removeprefix("text_model."): key for key in own}
        tensors = {name: own[key] for name, key in names.items()}
        if "text_projection" in own:  # as in OpenCLIP, a matrix from the left
            tensors["text_projection.weight"] = own["text_projection"].T
        return tensors, names
    names = {
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        **{f"final_layer_norm.{leaf}": f"ln_final.{leaf}" for leaf in ("weight", "bias")},
    }
    layer = 0
    while f"transformer.resblocks.{layer}.ln_1.weight" in own:
        for theirs, ours in _OPEN_CLIP:
            for leaf in ("weight", "bias"):
                names[f"encoder.layers.{layer}.{theirs}.{leaf}"] = f"transformer.resblocks.{layer}.{ours}.{leaf}"
        layer += 1
    tensors = {name: own[key] for name, key in names.items() if key in own}
    for number in range(layer):
        for leaf in ("weight", "bias"):
            key = f"transformer.resblocks.{number}.attn.in_proj_{leaf}"
            for third, projection in enumerate(("q_proj", "k_proj", "v_proj")):
                name = f"encoder.layers.{number}.self_attn.{projection}.{leaf}"
                names[name] = key
                if key in own:
                    size = own[key].shape[0] // 3
                    tensors[name] = own[key][third * size : (third + 1) * size]
    names["text_projection.weight"] = "text_projection"
    if "text_projection" in own:
        tensors["text_projection.weight"] = own["text_projection"].T
    return tensors, names
