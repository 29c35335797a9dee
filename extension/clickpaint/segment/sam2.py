"""SAM 2.1 (Ravi et al. 2024), its picture part, through transformers; weights in Meta's layout or in transformers'."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from clickpaint.compat import torchvision
from clickpaint.segment.base import Embedding
from clickpaint.segment.neural_segmenter import SIDE, Given, Network, NeuralSegmenter

if TYPE_CHECKING:
    from torch import Tensor, nn

BACKBONES: dict[str, dict[str, Any]] = {
    "sam2.1_hiera_tiny": {"blocks_per_stage": [1, 2, 7, 2], "global_attention_blocks": [5, 7, 9]},
    "sam2.1_hiera_small": {"blocks_per_stage": [1, 2, 11, 2], "global_attention_blocks": [7, 10, 13]},
    "sam2.1_hiera_base_plus": {
        "hidden_size": 112,
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "blocks_per_stage": [2, 3, 16, 3],
        "global_attention_blocks": [12, 16, 20],
        "window_positional_embedding_background_size": [14, 14],
    },
    "sam2.1_hiera_large": {
        "hidden_size": 144,
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "blocks_per_stage": [2, 6, 36, 4],
        "global_attention_blocks": [23, 33, 43],
        "window_size_per_stage": [8, 4, 16, 8],
    },
}
"""What differs from transformers' defaults (Hiera tiny); the numbers are those of facebookresearch/sam2's sam2.1 configurations."""

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Sam2(NeuralSegmenter):
    """SAM 2.1 in four sizes. The picture is squeezed into a square, as SAM2ImagePredictor does, not padded."""

    min_stability = 0.98

    def _build(self, state: dict[str, Tensor]) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
        import torch

        weights = from_meta(state) if any(key.startswith("sam_mask_decoder.") for key in state) else with_shared_embedding(state)
        settings = config(self.model)
        with torch.device("meta"):
            module = import_transformers().Sam2Model(settings)
        missing, _ = module.load_state_dict({key: value.float() for key, value in weights.items()}, strict=False, assign=True)
        if missing:
            raise KeyError(f"no weights for {', '.join(missing[:5])}")
        # With this in the place of the choice between the one mask and the three, the decoder hands out all four.
        cast(Any, module.mask_decoder)._dynamic_multimask_via_stability = lambda masks, scores: (masks, scores)
        return module, _dense_pe

    def _encoder_size(self, width: int, height: int) -> tuple[int, int]:
        return SIDE, SIDE

    def _blocks(self, module: nn.Module) -> list[nn.Module]:
        return list(cast(Any, module).vision_encoder.backbone.blocks)

    def _encoded(self, network: Network, image: Tensor) -> tuple[Tensor, ...]:
        module = cast(Any, network.module)
        mean, std = (image.new_tensor(values, dtype=network.dense_pe.dtype).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        with self._device.autocast():
            return tuple(module.get_image_embeddings((image / 255 - mean) / std))

    def _decode(self, network: Network, features: tuple[Tensor, ...], given: Given) -> tuple[Tensor, Tensor]:
        module = cast(Any, network.module)
        sparse, dense = module.prompt_encoder(
            # One picture, B prompts: transformers' axes are (picture, prompt, point, coordinate).
            input_points=None if given.points is None else given.points[None],
            input_labels=None if given.labels is None else given.labels[None],
            input_boxes=None if given.boxes is None else given.boxes[None],
            input_masks=given.previous,
        )
        logits, scores, _, _ = module.mask_decoder(
            image_embeddings=features[-1],
            image_positional_embeddings=network.dense_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            high_resolution_features=list(features[:-1]),
        )
        return logits[0], scores[0]

    def _scale(self, embedding: Embedding) -> tuple[float, float]:
        return SIDE / embedding.width, SIDE / embedding.height

    def _unpadded(self, embedding: Embedding, logits: Tensor) -> Tensor:
        return logits


def config(model: str) -> Any:
    """The `transformers.Sam2Config` of one of `BACKBONES`."""
    transformers = import_transformers()
    backbone = transformers.Sam2HieraDetConfig(**BACKBONES[model])
    vision = transformers.Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=backbone.embed_dim_per_stage[::-1])
    return transformers.Sam2Config(vision_config=vision)


def import_transformers() -> Any:
    if importlib.util.find_spec("torchvision") is not None:  # not needed, but transformers imports it where it is
        torchvision.ensure()
    import transformers

    return transformers


_RENAMED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
        (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
        (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
        (r"^no_mem_embed$", "no_memory_embedding"),
        (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
        (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
        (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
        (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
        (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
        (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
        (r"\.output_upscaling\.0\.", ".upscale_conv1."),
        (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
        (r"\.output_upscaling\.3\.", ".upscale_conv2."),
        (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
        (r"\.out_proj\.", ".o_proj."),
        (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
        # Layers of an MLP by their place: two in the transformers' blocks, three in the heads.
        (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
        (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
        (r"(_mlps\.\d|_head)\.layers\.0\.", r"\1.proj_in."),
        (r"(_mlps\.\d|_head)\.layers\.1\.", r"\1.layers.0."),
        (r"(_mlps\.\d|_head)\.layers\.2\.", r"\1.proj_out."),
    )
)
_PICTURE_PART = ("image_encoder.", "sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed")
_POINT_EMBEDDING = "prompt_encoder.point_embeddings.{}.weight"


def from_meta(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of facebookresearch/sam2 under transformers' names; what only serves videos (the memory) is left out.

    Raises:
        KeyError: it is not such a file.
    """
    import torch

    weights: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith(_PICTURE_PART):
            for pattern, replacement in _RENAMED:
                key = pattern.sub(replacement, key)
            weights[key] = value
    # Negative point, positive point, two corners of a box: four tables of one row there, one table of four rows here.
    rows = [weights.pop(_POINT_EMBEDDING.format(index)) for index in range(4)]
    weights["prompt_encoder.point_embed.weight"] = torch.cat(rows)
    return with_shared_embedding(weights)


def with_shared_embedding(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers keeps the positional encoding twice; files may hold it once."""
    names = ("shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding")
    known = next(weights[name] for name in names if name in weights) if any(name in weights for name in names) else None
    return weights if known is None else {**weights, **dict.fromkeys(names, known)}


def _dense_pe(module: nn.Module) -> Tensor:
    return cast(Any, module).get_image_wide_positional_embeddings()
