"""BLIP (Li et al. 2022): captions, and answers; from transformers' folders and from Salesforce's single files."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.caption.base import Crop, Turn
from clickpaint.caption.loading import load_processor, transformers
from clickpaint.caption.transformer import Loaded, TransformersCaptioner, _pictures
from clickpaint.errors import CorruptModel
from clickpaint.weights.load_weights import load_state_dict

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.weights.device import Device

_HEAD = 64
"""Channels of an attention head, in all of BLIP's sizes."""
_BEGIN, _ENCODE = "[DEC]", "[ENC]"
"""The two tokens that BLIP adds to BERT's, in the order of their ids."""
_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]

_RENAMED = (
    (r"^visual_encoder\.patch_embed\.proj", "vision_model.embeddings.patch_embedding"),
    (r"^visual_encoder\.pos_embed$", "vision_model.embeddings.position_embedding"),
    (r"^visual_encoder\.cls_token$", "vision_model.embeddings.class_embedding"),
    (r"^visual_encoder\.norm\.", "vision_model.post_layernorm."),
    (r"^visual_encoder\.blocks\.", "vision_model.encoder.layers."),
    (r"(layers\.\d+)\.attn\.proj\.", r"\1.self_attn.projection."),
    (r"(layers\.\d+)\.attn\.", r"\1.self_attn."),
    (r"(layers\.\d+)\.norm([12])\.", r"\1.layer_norm\2."),
)
"""From Salesforce's names of the vision tower to transformers'; the text towers have the same in both."""


class Blip(TransformersCaptioner):
    """Captions."""

    model_class = "BlipForConditionalGeneration"

    def _ends(self, model: Any, tokenizer: Any) -> tuple[int, ...]:
        return (model.config.text_config.sep_token_id,)

    def _vocabulary_size(self, model: Any) -> int:
        return model.text_decoder.get_output_embeddings().weight.shape[0]


class BlipVqa(Blip):
    """Answers of a few words."""

    model_class = "BlipForQuestionAnswering"
    can_caption = False
    can_answer = True

    def _question(self, loaded: Loaded, crop: Crop, question: str, history: Sequence[Turn]) -> dict[str, Any]:
        # it was trained on single questions: what was said before would only mislead it
        return loaded.processor(images=_pictures([crop]), text=question, return_tensors="pt")


def from_single_file(file: Path, vocabulary: Path, device: Device) -> tuple[Any, Any]:
    """The network and processor of Salesforce's checkpoint, whose sizes are read from its tensors.

    Args:
        vocabulary: BERT's vocab.txt, which the checkpoint is used with.

    Raises:
        CorruptModel: the file is no BLIP captioner.
    """
    import torch

    state = load_state_dict(file)
    try:
        settings = _config(state)
        with torch.device("meta"):
            model = transformers().BlipForConditionalGeneration(settings)
        own = model.state_dict()
        renamed = {_renamed(key): value.float() if value.is_floating_point() else value for key, value in state.items()}
        weights = {name: value for name, value in renamed.items() if name in own}
        for key in own.keys() - weights.keys():  # buffers, and the output layer that is the embedding
            if key.endswith("position_ids"):
                weights[key] = torch.arange(own[key].shape[-1])[None]
            elif key.endswith("cls.predictions.decoder.bias"):
                weights[key] = weights["text_decoder.cls.predictions.bias"]
        model.load_state_dict(weights, strict=True, assign=True)
        for name, buffer in model.named_buffers():  # those that no checkpoint holds
            if buffer.is_meta:
                owner, _, leaf = name.rpartition(".")
                model.get_submodule(owner).register_buffer(leaf, torch.arange(buffer.shape[-1])[None], persistent=False)
    except (KeyError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise CorruptModel(
            "{filename} is no BLIP captioner: {reason}", "Put the right file there.", filename=file.name, reason=reason
        ) from error
    side = settings.vision_config.image_size
    return model.to(device=device.torch, dtype=device.torch_dtype).eval(), _processor(vocabulary, side)


def _renamed(key: str) -> str:
    for pattern, replacement in _RENAMED:
        key = re.sub(pattern, replacement, key)
    return key


def _config(state: dict[str, Tensor]) -> Any:
    patch = state["visual_encoder.patch_embed.proj.weight"]
    hidden, _, size, _ = patch.shape
    side = round((state["visual_encoder.pos_embed"].shape[1] - 1) ** 0.5) * size
    words, text = state["text_decoder.bert.embeddings.word_embeddings.weight"].shape
    vision_config = {
        "hidden_size": hidden, "intermediate_size": state["visual_encoder.blocks.0.mlp.fc1.weight"].shape[0], "image_size": side,
        "num_hidden_layers": _layers(state, r"visual_encoder\.blocks\.(\d+)\."), "num_attention_heads": hidden // _HEAD, "patch_size": size,
        "layer_norm_eps": 1e-6,
    }  # fmt: skip
    text_config = {
        "vocab_size": words, "hidden_size": text, "encoder_hidden_size": hidden, "num_attention_heads": text // _HEAD,
        "intermediate_size": state["text_decoder.bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_hidden_layers": _layers(state, r"text_decoder\.bert\.encoder\.layer\.(\d+)\."), "layer_norm_eps": 1e-12,
        "max_position_embeddings": state["text_decoder.bert.embeddings.position_embeddings.weight"].shape[0], "is_decoder": True,
        "bos_token_id": words - 2, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 102,
    }  # fmt: skip
    return transformers().BlipConfig(vision_config=vision_config, text_config=text_config, projection_dim=256)


def _layers(state: dict[str, Tensor], pattern: str) -> int:
    return 1 + max(int(match[1]) for match in (re.match(pattern, key) for key in state) if match)


def _processor(vocabulary: Path, side: int) -> Any:
    with tempfile.TemporaryDirectory() as folder:  # every version of transformers reads a folder, none the other's arguments
        shutil.copy(vocabulary, Path(folder) / "vocab.txt")
        (Path(folder) / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
        tokenizer = load_processor(Path(folder), "BertTokenizer")
    tokenizer.add_special_tokens({"bos_token": _BEGIN})
    tokenizer.add_special_tokens({"additional_special_tokens": [_ENCODE]})
    pictures = transformers().BlipImageProcessor(size={"height": side, "width": side}, image_mean=_MEAN, image_std=_STD)
    return transformers().BlipProcessor(pictures, tokenizer)
