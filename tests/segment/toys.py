"""Networks of the SAM family that are real but for their encoders, which are tiny; and what stands in for the store."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.progress import SILENT, Progress
from clickpaint.segment import sam
from clickpaint.weights.cache import ModelCache

WIDTH = 32


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """How much two masks, bool [H, W], have in common: intersection over union, 0..1."""
    return float((a & b).sum() / max((a | b).sum(), 1))


class OneFile:
    """A store that has one file, whatever it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []

    def require(self, name: str, progress: Progress = SILENT) -> Path:
        self.asked.append(name)
        return self.path


def saved(module: Any, path: Path) -> OneFile:
    import torch

    torch.save(module.state_dict(), path)
    return OneFile(path)


def cache() -> ModelCache:
    return ModelCache(lambda: 1 << 40)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Something with soft and hard edges, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 / max(width, 2), y * 255 / max(height, 2), 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], axis=-1)
    pixels[height // 4 : height // 2, width // 3 : width // 2] = (230, 40, 60)
    return np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)


def build_sam(checkpoint: None = None) -> Any:
    """`segment_anything.build_sam` with an encoder of two narrow blocks; every argument but those of the encoder is the same."""
    import torch
    from segment_anything import modeling

    encoder = modeling.ImageEncoderViT(
        depth=2, embed_dim=WIDTH, img_size=1024, mlp_ratio=2, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), num_heads=2,
        patch_size=16, qkv_bias=True, use_rel_pos=True, global_attn_indexes=[], window_size=14, out_chans=256,
    )  # fmt: skip
    return _with_decoder(modeling, encoder, modeling.MaskDecoder)


def build_hq(checkpoint: None = None) -> Any:
    """The same for `segment_anything_hq.build_sam`; one block sees everything, as its features go to the decoder."""
    import torch
    from segment_anything_hq import modeling

    encoder = modeling.ImageEncoderViT(
        depth=2, embed_dim=WIDTH, img_size=1024, mlp_ratio=2, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), num_heads=1,
        patch_size=16, qkv_bias=True, use_rel_pos=True, global_attn_indexes=[1], window_size=14, out_chans=256,
    )  # fmt: skip
    return _with_decoder(modeling, encoder, partial(modeling.MaskDecoderHQ, vit_dim=WIDTH))


def _with_decoder(modeling: Any, encoder: Any, decoder: Any) -> Any:
    prompts = modeling.PromptEncoder(embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16)
    transformer = modeling.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    return modeling.Sam(
        image_encoder=encoder,
        prompt_encoder=prompts,
        mask_decoder=decoder(
            num_multimask_outputs=3, transformer=transformer, transformer_dim=256, iou_head_depth=3, iou_head_hidden_dim=256
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    ).eval()


def randomised(builder: Any, seed: int = 0) -> Any:
    import torch

    torchvision.ensure()
    torch.manual_seed(seed)
    return builder()


class ToySam(sam.Sam):
    def _builder(self) -> Any:
        torchvision.ensure()
        return build_sam


class ToyHq(sam.SamHq):
    def _builder(self) -> Any:
        torchvision.ensure()
        return build_hq
