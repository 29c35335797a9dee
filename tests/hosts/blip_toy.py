"""What a web UI needs for its own BLIP: a checkpoint of the real size with seeded weights, and BERT's vocabulary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from clickpaint.caption.loading import transformers
from tests.caption.toys import vocabulary

_RENAMED = (
    (r"^vision_model\.embeddings\.patch_embedding", "visual_encoder.patch_embed.proj"),
    (r"^vision_model\.embeddings\.position_embedding", "visual_encoder.pos_embed"),
    (r"^vision_model\.embeddings\.class_embedding", "visual_encoder.cls_token"),
    (r"^vision_model\.post_layernorm", "visual_encoder.norm"),
    (r"^vision_model\.encoder\.layers", "visual_encoder.blocks"),
    (r"self_attn\.projection", "attn.proj"),
    (r"self_attn", "attn"),
    (r"layer_norm", "norm"),
)
"""From transformers' names of the vision tower to Salesforce's."""
_BERT = 30522
"""Words of BERT."""


def write(models: Path, hub: Path) -> None:
    """Write the checkpoint into `models`/BLIP, with the vocabulary that our own reader of it needs, and the vocabulary into `hub`, a cache
    of the model hub, from which the web UI's code takes it.

    All large weights are windows into one table of random numbers, so that the file is small; the network is as large as the real one.
    It only says words of the toy vocabulary.
    """
    import torch

    library = transformers()
    words = vocabulary()
    with torch.device("meta"):
        size = {"vocab_size": _BERT + 2, "is_decoder": True, "encoder_hidden_size": 768, "num_attention_heads": 12}
        config = library.BlipConfig(text_config=size, vision_config={"image_size": 384})
        shapes = {_theirs(key): value.shape for key, value in library.BlipForConditionalGeneration(config).state_dict().items()}
    table = torch.randn(1 << 22, generator=torch.Generator().manual_seed(5)) * 0.1
    state: dict[str, Any] = {"text_decoder.bert.embeddings.position_ids": torch.arange(512)[None]}
    for index, (key, shape) in enumerate(sorted(shapes.items())):
        if "norm" in key.lower() and key.endswith("weight"):
            state[key] = torch.ones(shape)
        elif key.endswith("bias"):
            state[key] = torch.zeros(shape)
        elif len(shape) > 1:
            state[key] = _window(table, shape, index)
    state["text_decoder.cls.predictions.decoder.weight"] = state["text_decoder.bert.embeddings.word_embeddings.weight"]
    silent = torch.full((_BERT + 2,), -1e4)
    silent[104 : len(words)] = 0
    silent[102] = 0
    state["text_decoder.cls.predictions.bias"] = state["text_decoder.cls.predictions.decoder.bias"] = silent
    (models / "BLIP").mkdir(parents=True)
    # in the form of 2022: the web UIs' check of pickles knows no names that today's torch puts into its archives
    torch.save({"model": state}, models / "BLIP/model_base_caption_capfilt_large.pth", _use_new_zipfile_serialization=False)

    text = "\n".join([*words, *(f"[unused{index}]" for index in range(len(words), _BERT))])
    (models / "BLIP/bert-base-uncased-vocab.txt").write_text(text)
    revision = "0" * 40
    snapshot = hub / "models--bert-base-uncased/snapshots" / revision
    snapshot.mkdir(parents=True)
    (snapshot / "vocab.txt").write_text(text)
    (snapshot / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    (hub / "models--bert-base-uncased/refs").mkdir()
    (hub / "models--bert-base-uncased/refs/main").write_text(revision)


def _theirs(key: str) -> str:
    if key.startswith("vision_model."):
        for pattern, replacement in _RENAMED:
            key = re.sub(pattern, replacement, key)
    return key


def _window(table: Any, shape: tuple[int, ...], index: int) -> Any:
    """A tensor of this shape over a part of the table: every row begins one number after the one before."""
    import torch

    strides = [1] * len(shape)
    for axis in reversed(range(1, len(shape) - 1)):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
    start = index * 7919 % (table.numel() - reach)
    return torch.as_strided(table, tuple(shape), strides, start)
