"""Real networks of the captioners at toy size, with seeded weights, in the folders that `save_pretrained` writes."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.caption.loading import transformers as library

_WORDS = """
    a the red green blue ball dog cat sky sea sits lies on in of with and under big small old new lovely ugly grass sand car
    picture happy sad beautiful broken dirty bright dark man woman child runs stands looks near tree house road window light
    . , ! ?
"""
WORDS = _WORDS.split()


def vocabulary() -> list[str]:
    """BERT's special tokens at BERT's places, then some words and pieces of words."""
    head = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*head, *WORDS, "##s", "##ing", "##ed"]


def photo(width: int = 90, height: int = 60, seed: int = 0) -> np.ndarray:
    """uint8 [H, W, 3]: blocks and noise in colours of its own, so that it differs from others, and every part of it from the rest."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 200, (-(-height // 10), -(-width // 10), 3)).repeat(10, 0).repeat(10, 1)[:height, :width]
    return (blocks + random.integers(0, 56, (height, width, 3))).astype(np.uint8)


def square(width: int = 90, height: int = 60) -> np.ndarray:
    """bool [H, W]: a square in the middle."""
    mask = np.zeros((height, width), bool)
    mask[20:40, 30:50] = True
    return mask


def bert_tokenizer(folder: Path) -> Any:
    transformers = library()

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary()), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    return transformers.BertTokenizer.from_pretrained(str(folder))


def word_tokenizer(*special: str, **named: str) -> Any:
    """A tokenizer of whole words for the chat models. named: those of its special tokens that it has under a name (`image_token`)."""
    transformers = library()
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokens = ["<pad>", "<s>", "</s>", "<unk>", *special, *WORDS, "user", "assistant", ":"]
    made = Tokenizer(models.WordLevel({token: index for index, token in enumerate(tokens)}, "<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=list(special), **({"extra_special_tokens": named} if named else {}),
    )  # fmt: skip


def seeded(kind: Any, config: Any, seed: int = 0, spread: float = 4.0) -> Any:
    """A network with weights drawn by `seed`; `spread` wider than usual, so that its words depend on the picture."""
    import torch

    torch.manual_seed(seed)
    model = kind(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(spread)
    return model


def _known(kind: Any, **arguments: Any) -> dict[str, Any]:
    """Those of the arguments that this version of transformers takes."""
    return {name: value for name, value in arguments.items() if name in inspect.signature(kind.__init__).parameters}


def _blip_config() -> Any:
    transformers = library()

    size = len(vocabulary()) + 2
    text = {
        "vocab_size": size, "hidden_size": 64, "encoder_hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 1, "max_position_embeddings": 128, "bos_token_id": size - 2, "eos_token_id": 2, "pad_token_id": 0,
        "sep_token_id": 102, "is_decoder": True, "layer_norm_eps": 1e-12, "projection_dim": 64,
    }  # fmt: skip
    vision = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "image_size": 32,
              "patch_size": 8, "projection_dim": 64, "layer_norm_eps": 1e-6, "initializer_range": 0.02}  # fmt: skip
    return transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=64, image_text_hidden_size=64)


def blip(folder: Path, kind: str = "BlipForConditionalGeneration") -> Any:
    transformers = library()

    tokenizer = bert_tokenizer(folder)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.add_special_tokens({"additional_special_tokens": ["[ENC]"]})
    pictures = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    model = seeded(getattr(transformers, kind), _blip_config(), spread=8.0)
    if kind == "BlipForQuestionAnswering":
        model.decoder_start_token_id = model.config.text_config.bos_token_id
    return _saved(folder, model, transformers.BlipProcessor(pictures, tokenizer))


def git(folder: Path) -> Any:
    transformers = library()

    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    config = transformers.GitConfig(
        vision_config=vision, vocab_size=len(vocabulary()), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=128, bos_token_id=101, eos_token_id=102, pad_token_id=0,
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    return _saved(folder, seeded(transformers.GitForCausalLM, config), transformers.GitProcessor(pictures, bert_tokenizer(folder)))


def blip2(folder: Path) -> Any:
    transformers = library()

    tokenizer = word_tokenizer("<image>")
    index = tokenizer.convert_tokens_to_ids("<image>")
    config = transformers.Blip2Config(
        vision_config={"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
                       "patch_size": 8},
        qformer_config={"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
                        "encoder_hidden_size": 32},
        text_config={"model_type": "opt", "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "ffn_dim": 32,
                     "num_attention_heads": 2, "max_position_embeddings": 256, "word_embed_proj_dim": 32, "pad_token_id": 0,
                     "bos_token_id": 1, "eos_token_id": 2},
        num_query_tokens=4, image_token_index=index, image_token_id=index,
    )  # fmt: skip
    pictures = transformers.BlipImageProcessor(size={"height": 32, "width": 32})
    processor = transformers.Blip2Processor(pictures, tokenizer, **_known(transformers.Blip2Processor, num_query_tokens=4))
    return _saved(folder, seeded(transformers.Blip2ForConditionalGeneration, config), processor)


CHAT = (
    "{% for message in messages %}{{ message['role'] }} : {% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %} {% endfor %}{% if add_generation_prompt %}assistant :{% endif %}"
)


def llava(folder: Path) -> Any:
    """A chat model with eyes."""
    transformers = library()

    tokenizer = word_tokenizer("<image>")
    tokenizer.padding_side = "left"
    vision = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8, projection_dim=32
    )
    text = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    index = tokenizer.convert_tokens_to_ids("<image>")
    config = transformers.LlavaConfig(vision_config=vision, text_config=text, image_token_index=index)
    size = {"height": 32, "width": 32}
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    processor = transformers.LlavaProcessor(
        pictures, tokenizer, patch_size=8, vision_feature_select_strategy="default", chat_template=CHAT, num_additional_image_tokens=1
    )
    return _saved(folder, seeded(transformers.LlavaForConditionalGeneration, config), processor)


def llama(folder: Path) -> Any:
    """An instruct model without eyes."""
    transformers = library()

    tokenizer = word_tokenizer()
    tokenizer.chat_template = CHAT
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=1024, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return _saved(folder, seeded(transformers.LlamaForCausalLM, config), tokenizer)


def clip(folder: Path) -> Any:
    transformers = library()

    tokenizer = word_tokenizer()
    tokenizer.model_max_length = 40
    config = transformers.CLIPConfig(text_config=_clip_text(tokenizer), vision_config=_clip_vision(), projection_dim=16)
    size = {"height": 32, "width": 32}
    pictures = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)
    return _saved(folder, seeded(transformers.CLIPModel, config, spread=2.0), transformers.CLIPProcessor(pictures, tokenizer))


def clipseg(folder: Path) -> Any:
    transformers = library()

    tokenizer = word_tokenizer()
    tokenizer.model_max_length = 40
    config = transformers.CLIPSegConfig(
        text_config=_clip_text(tokenizer), vision_config=_clip_vision(), projection_dim=16, reduce_dim=16, extract_layers=[0, 1],
        conditional_layer=0, decoder_num_attention_heads=2, decoder_intermediate_size=32,
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    pictures = transformers.ViTImageProcessor(size=size)
    processor = transformers.CLIPSegProcessor(pictures, tokenizer)
    return _saved(folder, seeded(transformers.CLIPSegForImageSegmentation, config, spread=2.0), processor)


def _clip_text(tokenizer: Any) -> dict[str, Any]:
    return {"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "max_position_embeddings": 40, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "projection_dim": 16}  # fmt: skip


def _clip_vision() -> dict[str, Any]:
    return {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
            "patch_size": 8, "projection_dim": 16}  # fmt: skip


def _saved(folder: Path, model: Any, processor: Any) -> Any:
    model.save_pretrained(str(folder))
    processor.save_pretrained(str(folder))
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = [type(model).__name__]
    (folder / "config.json").write_text(json.dumps(config))
    return model


def grounding_dino(folder: Path) -> Any:
    transformers = library()
    tokenizer = bert_tokenizer(folder)
    backbone = transformers.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, image_size=64, out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=len(vocabulary()), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=128,
    )  # fmt: skip
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, num_queries=12, max_text_len=32, use_timm_backbone=False,
    )  # fmt: skip
    pictures = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    processor = transformers.GroundingDinoProcessor(pictures, tokenizer)
    return _saved(folder, seeded(transformers.GroundingDinoForObjectDetection, config, spread=1.0), processor)
