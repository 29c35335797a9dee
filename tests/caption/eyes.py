"""Real networks of the current small captioners and finders at toy size, with their real processors; see `tests.caption.toys`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clickpaint.caption.loading import transformers as library
from clickpaint.caption.loading import without_num2words
from tests.caption.toys import CHAT, _clip_text, _saved, seeded, word_tokenizer

_SQUARE = {"height": 32, "width": 32}
_QWEN_CHAT = CHAT.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")
_QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|im_end|>")


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "max_position_embeddings": 1024, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, **more,
    }  # fmt: skip


def florence2(folder: Path) -> Any:
    """Its prompts are sentences, whose words the toy vocabulary knows but in part; enough that the tasks differ."""
    transformers = library()
    tokenizer = word_tokenizer("<image>", image_token="<image>")
    text = transformers.BartConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=256, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=2, forced_bos_token_id=1,
    )  # fmt: skip
    vision = {
        "depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1], "patch_prenorm": [False, True],
        "embed_dim": [16, 32], "num_heads": [2, 2], "num_groups": [2, 2], "window_size": 4, "projection_dim": 32,
    }  # fmt: skip
    config = transformers.Florence2Config(text_config=text.to_dict(), vision_config=vision, image_token_id=tokenizer.image_token_id)
    pictures = transformers.CLIPImageProcessor(size=_SQUARE, do_center_crop=False)
    pictures.image_seq_length = 17  # of 4 x 4 places, and their mean
    processor = transformers.Florence2Processor(pictures, tokenizer)
    return _saved(folder, seeded(transformers.Florence2ForConditionalGeneration, config, spread=12.0), processor)


def smolvlm(folder: Path) -> Any:
    transformers = library()
    films = transformers.SmolVLMVideoProcessor(size={"longest_edge": 16}, max_image_size={"longest_edge": 16})
    with without_num2words():
        return _idefics(folder, "SmolVLM", films)


def idefics3(folder: Path) -> Any:
    return _idefics(folder, "Idefics3")


def _idefics(folder: Path, name: str, *more: Any) -> Any:
    """more: what this one's processor takes beside pictures and words."""
    transformers = library()
    tokenizer = word_tokenizer("<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>")
    tokenizer.padding_side = "left"
    config = getattr(transformers, f"{name}Config")(
        text_config={"model_type": "llama", **_text(tokenizer)}, scale_factor=2, image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_config={"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16,
                       "patch_size": 4}, pad_token_id=0,
    )  # fmt: skip
    pictures = getattr(transformers, f"{name}ImageProcessor")(size={"longest_edge": 32}, max_image_size={"longest_edge": 16})
    processor = getattr(transformers, f"{name}Processor")(pictures, tokenizer, *more, image_seq_len=4, chat_template=CHAT)
    return _saved(folder, seeded(getattr(transformers, f"{name}ForConditionalGeneration"), config), processor)


def _qwen(folder: Path, name: str, vision: dict[str, Any], rope: dict[str, Any], pictures: Any) -> Any:
    transformers = library()
    tokenizer = word_tokenizer(*_QWEN)
    tokenizer.padding_side = "left"
    ids = {key: tokenizer.convert_tokens_to_ids(token) for key, token in (
        ("image_token_id", "<|image_pad|>"), ("video_token_id", "<|video_pad|>"), ("vision_start_token_id", "<|vision_start|>"),
        ("vision_end_token_id", "<|vision_end|>"),
    )}  # fmt: skip
    shape = {"depth": 2, "num_heads": 2, "temporal_patch_size": 2, "spatial_merge_size": 2, "in_channels": 3, **vision}
    config = getattr(transformers, f"{name}Config")(text_config=_text(tokenizer, rope_parameters=rope), vision_config=shape, **ids)
    films = "Qwen3VLVideoProcessor" if name == "Qwen3VL" else "Qwen2VLVideoProcessor"
    kind = "Qwen2_5_VLProcessor" if name == "Qwen2_5_VL" else f"{name}Processor"
    processor = getattr(transformers, kind)(pictures, tokenizer, getattr(transformers, films)(), chat_template=_QWEN_CHAT)
    return _saved(folder, seeded(getattr(transformers, f"{name}ForConditionalGeneration"), config), processor)


_MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}


def qwen2_vl(folder: Path) -> Any:
    pictures = library().Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})
    return _qwen(folder, "Qwen2VL", {"embed_dim": 32, "hidden_size": 32, "patch_size": 14}, _MROPE, pictures)


def qwen2_5_vl(folder: Path) -> Any:
    pictures = library().Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})
    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "out_hidden_size": 32,
        "patch_size": 14,
        "window_size": 28,
        "fullatt_block_indexes": [1],
    }
    return _qwen(folder, "Qwen2_5_VL", vision, _MROPE, pictures)


def qwen3_vl(folder: Path) -> Any:
    pictures = library().Qwen2VLImageProcessor(
        patch_size=16, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    vision = {"hidden_size": 32, "intermediate_size": 32, "out_hidden_size": 32, "patch_size": 16, "num_position_embeddings": 16,
              "deepstack_visual_indexes": [0]}  # fmt: skip
    return _qwen(folder, "Qwen3VL", vision, {**_MROPE, "mrope_interleaved": True}, pictures)


def sam3(folder: Path) -> Any:
    transformers = library()
    tokenizer = word_tokenizer()
    tokenizer.model_max_length = 32
    small = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 32}
    layers = {**small, "num_layers": 2}
    config = transformers.Sam3Config(
        vision_config={
            "backbone_config": {"model_type": "sam3_vit_model", **small, "num_hidden_layers": 2, "image_size": 56, "patch_size": 14,
                                "window_size": 2, "global_attn_indexes": [1], "pretrain_image_size": 56},
            "fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        text_config={**_clip_text(tokenizer), "max_position_embeddings": 32}, geometry_encoder_config=layers, detr_encoder_config=layers,
        detr_decoder_config={**layers, "num_queries": 10}, mask_decoder_config={"hidden_size": 32, "num_attention_heads": 2},
    )  # fmt: skip
    pictures = transformers.Sam3ImageProcessor(size={"height": 56, "width": 56}, mask_size={"height": 16, "width": 16})
    return _saved(folder, seeded(transformers.Sam3Model, config, spread=2.0), transformers.Sam3Processor(pictures, tokenizer))


def sam3_video(folder: Path) -> Any:
    """The form in which SAM 3 is published: a network for films, of which the one for pictures is a part."""
    from safetensors.torch import save_file

    transformers = library()
    model = sam3(folder)
    config = transformers.Sam3VideoConfig(detector_config=model.config.to_dict(), architectures=["Sam3VideoModel"])
    config.save_pretrained(str(folder))
    weights = {f"detector_model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return model
