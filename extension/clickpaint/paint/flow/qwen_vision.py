"""Qwen2.5-VL as a text encoder that can be shown a picture, on the tensors of a file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.networks import Part
from clickpaint.paint.flow.qwen_texts import language_config, needs_newer
from clickpaint.paint.flow.texts import TextNeed, TextNetwork

if TYPE_CHECKING:
    import torch

_LONGEST = 128000
_HEAD, _EYE_HEAD = 128, 80
"""Widths of an attention head, which no shape shows, of the language model and of what sees."""

_IMAGE, _TOKENS = "<|image_pad|>", 1024


class QwenVision(TextNeed):
    """Qwen2.5-VL. A file may leave out what sees, for models that are only given words."""

    _sign = "layers.0.self_attn.q_proj.bias"

    def find(self, tensors: Mapping[str, Any], width: int) -> str | None:
        for key in tensors:
            if key.endswith(self._sign) and "visual" not in key and tensors[key.replace("q_proj.bias", "q_proj.weight")].shape[1] == width:
                return key.removesuffix(self._sign).removesuffix("language_model.").removesuffix("model.")
        return None

    def build(self, part: Part, previous: Any | None) -> Any:
        try:
            from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel, Qwen2_5_VLTextModel
        except ImportError as error:
            raise needs_newer(self.title, "4.52") from error
        tensors = _named(part.tensors)
        language = {key.removeprefix("language_model."): tensor for key, tensor in tensors.items() if key.startswith("language_model.")}
        shapes = {key: tuple(tensor.shape) for key, tensor in language.items()}
        rows = shapes["layers.0.self_attn.k_proj.weight"][0]
        head = _HEAD if rows % _HEAD == 0 else 16
        words = language_config(shapes, head) | {"max_position_embeddings": _LONGEST, "rms_norm_eps": 1e-6, "use_cache": False}
        sees = "visual.patch_embed.proj.weight" in tensors
        config = {"text_config": words | _positions(head), "vision_config": _vision_config(tensors) if sees else {}}

        def make() -> Any:
            whole: Any = Qwen2_5_VLConfig(**config)
            return Qwen2_5_VLModel(whole) if sees else Qwen2_5_VLTextModel(whole.text_config)

        kept = previous is not None and getattr(previous, "clickpaint_build", None) == config
        if kept:
            model = previous
        else:
            with on_meta():
                model = make().eval()
            model.clickpaint_build = config
        assign(model, tensors if sees else language, lambda name: part.prefix + name)
        for module in list(model.modules()):
            if hasattr(module, "rotary_emb"):
                module.rotary_emb = type(module.rotary_emb)(module.rotary_emb.config)
            if hasattr(module, "rotary_pos_emb"):  # of what sees, which counts rows and columns
                _place_eye(module)
        return model


def _named(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """By transformers' names since 4.52: "language_model.…" and "visual.…"."""
    named = {}
    for key, tensor in tensors.items():
        name = key.removeprefix("model.")
        if not name.startswith(("language_model.", "visual.")):
            name = f"language_model.{name}"
        named[name] = tensor
    return named


def _positions(head: int) -> dict[str, Any]:
    """How positions are turned: a share of each head for time, rows and columns."""
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig

    sections = {"mrope_section": [head // 8, 3 * head // 16, 3 * head // 16]}
    if "rope_parameters" in inspect.signature(Qwen2_5_VLTextConfig.__init__).parameters:
        return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, **sections}}
    return {"rope_theta": 1e6, "rope_scaling": {"type": "mrope", **sections}}


def _vision_config(tensors: Mapping[str, Any]) -> dict[str, Any]:
    width, depth = tensors["visual.patch_embed.proj.weight"].shape[0], 0
    while f"visual.blocks.{depth}.norm1.weight" in tensors:
        depth += 1
    return {
        "depth": depth,
        "hidden_size": width,
        "intermediate_size": tensors["visual.blocks.0.mlp.gate_proj.weight"].shape[0],
        "num_heads": max(width // _EYE_HEAD, 1),
        "out_hidden_size": tensors["visual.merger.mlp.2.weight"].shape[0],
    }


def _place_eye(module: Any) -> None:
    import torch

    embedding = module.rotary_pos_emb
    if "config" in inspect.signature(type(embedding).__init__).parameters:
        module.rotary_pos_emb = type(embedding)(module.config)
        return
    half = module.config.hidden_size // module.config.num_heads // 2
    embedding.inv_freq = 1.0 / (10000.0 ** (torch.arange(0, half, 2, dtype=torch.float) / half))


def read_with_pictures(
    text: TextNetwork, before: str, written: str, pictures: Sequence[np.ndarray], device: torch.device
) -> torch.Tensor:  # fmt: skip
    """The last hidden state, float32 [1, tokens, C], of what follows `before`.

    Args:
        before: the beginning of the conversation, whose tokens are left out.
        written: the rest, with one <|image_pad|> in the place of each picture.
        pictures: uint8 [h, w, 3] each.

    Raises:
        InvalidInput: the file has only the language model, and a picture is to be shown.
    """
    import torch

    words = text.find("Qwen")
    skipped = len(words.encode(before, add_special_tokens=False).ids)
    more: dict[str, Any] = {}
    if pictures:
        if not hasattr(text.model, "visual"):
            raise InvalidInput(
                "The text encoder Qwen2.5-VL comes without what sees pictures, which this model needs.",
                "Choose a file of it that has tensors called visual.",
            )
        patches, grids = zip(*(_patches(pixels) for pixels in pictures), strict=True)
        first, *parts = written.split(_IMAGE)
        written = first + "".join(_IMAGE * (int(grid.prod()) // 4) + part for grid, part in zip(grids, parts, strict=True))
        more = {"pixel_values": torch.cat(patches).to(device), "image_grid_thw": torch.cat(grids).to(device)}
    ids = words.encode(before + written, add_special_tokens=False).ids
    shown = torch.tensor([ids if pictures else ids[: skipped + _TOKENS]], device=device)
    model = text.model
    if pictures:
        picture = words.token_to_id(_IMAGE)
        model.config.image_token_id, model.config.vision_start_token_id = picture, words.token_to_id("<|vision_start|>")
        model.config.video_token_id = -1  # there are none
        if "mm_token_type_ids" in inspect.signature(model.forward).parameters:
            more["mm_token_type_ids"] = (shown == picture).int()
        more["attention_mask"] = torch.ones_like(shown)
    elif hasattr(model, "visual"):
        model = model.language_model
    with torch.no_grad():
        hidden = model(input_ids=shown, **more).last_hidden_state
    return hidden[:, skipped:].float()


_SIDE, _FEWEST, _MOST = 14, 56 * 56, 12845056
"""Of a patch in pixels; and pixels of a picture."""
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def _patches(pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(patches as the network takes them, [n, 3 * 2 * 14 * 14]; (1, rows, columns) of them) of a picture, uint8 [h, w, 3]. As
    transformers' Qwen2VLImageProcessor, which needs torchvision."""
    import torch
    from PIL import Image

    cell = 2 * _SIDE
    height, width = (max(round(side / cell), 1) for side in pixels.shape[:2])
    area = height * width * cell * cell
    if not _FEWEST <= area <= _MOST:
        factor = ((_FEWEST if area < _FEWEST else _MOST) / (pixels.shape[0] * pixels.shape[1])) ** 0.5
        turn = np.ceil if area < _FEWEST else np.floor
        height, width = (max(int(turn(side * factor / cell)), 1) for side in pixels.shape[:2])
    resized = Image.fromarray(pixels).resize((width * cell, height * cell), Image.Resampling.BICUBIC)
    values = (np.asarray(resized, np.float32) / 255 - np.array(_MEAN, np.float32)) / np.array(_DEVIATION, np.float32)
    frames = torch.from_numpy(values).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)  # a picture is a clip of two frames
    cut = frames.reshape(2, 3, height, 2, _SIDE, width, 2, _SIDE).permute(2, 5, 3, 6, 1, 0, 4, 7)
    return cut.reshape(4 * height * width, 3 * 2 * _SIDE * _SIDE), torch.tensor([[1, 2 * height, 2 * width]])
