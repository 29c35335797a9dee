"""Checkpoints small enough for a CPU: the hand-set one, and ones where every weight matters."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.kind import Kind
from clickpaint.paint.checkpoint.opening import Checkpoint, open_checkpoint
from clickpaint.paint.checkpoint.text import TextEncoder
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import PaintJob
from tests.toys.tensor_source import TensorSource

torchvision.available()  # before diffusers is imported, which fails where the two do not fit together
SIZE = 64


@functools.cache
def toy_checkpoint(in_channels: int = 4) -> Checkpoint:
    import torch

    from tests.toys.checkpoint import state_dict

    tensors = state_dict(in_channels, dtype=torch.float32)
    return open_checkpoint(TensorSource("toy", lambda: tensors, prediction="epsilon"))


@functools.cache
def random_checkpoint(in_channels: int = 4, prediction: str = "epsilon", family: str = "sd1") -> Checkpoint:
    """Networks of diffusers and transformers with seeded weights."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from clickpaint.paint.checkpoint.tokens import tokenizer

    xl = family == "sdxl"
    with torch.random.fork_rng():
        torch.manual_seed(7)
        added: dict[str, Any] = {
            "addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 32 + 6 * 8
        }  # fmt: skip
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=in_channels, block_out_channels=(32, 64), layers_per_block=1, attention_head_dim=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=64 if xl else 32, **(added if xl else {}),
        )  # fmt: skip
        vae_kind: Any = AutoencoderKL  # whose annotations know but one level
        vae = vae_kind(
            block_out_channels=(8, 8, 8, 8), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, sample_size=SIZE,
        )  # fmt: skip
        encoders = []
        for number in range(2 if xl else 1):
            config = CLIPTextConfig(
                vocab_size=49408, hidden_size=32, intermediate_size=48, projection_dim=32, num_hidden_layers=3, num_attention_heads=4,
                bos_token_id=49406, eos_token_id=49407, pad_token_id=49407,
            )  # fmt: skip
            model: Any = CLIPTextModelWithProjection(config) if number else CLIPTextModel(config)
            # a mean of about nothing, as random weights have it, would make "restore the mean" a division by nothing
            getattr(model, "text_model", model).final_layer_norm.bias.data += 0.2
            pad = "!" if number else "<|endoftext|>"
            encoders.append(TextEncoder(tokenizer(pad), model.eval(), layer=-2 if xl else -1, normed=not xl, skippable=not xl))
    kind = Kind(family, prediction, in_channels, SIZE)  # type: ignore[arg-type]
    for module in (unet, vae):
        module.eval().requires_grad_(False)
    return Checkpoint(
        name="random.safetensors", kind=kind, layout=None, unet=unet, vae=vae, text_encoders=tuple(encoders),  # type: ignore[arg-type]
        scheduler_config=kind.scheduler_config(), dtype=torch.float32, device=torch.device("cpu"),
    )  # fmt: skip


def picture(width: int = SIZE, height: int = SIZE, seed: int = 0) -> np.ndarray:
    """Uint8 [height, width, 3], colours that change softly."""
    import cv2

    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def blocks(width: int = SIZE, height: int = SIZE, seed: int = 0) -> np.ndarray:
    """Uint8 [height, width, 3] of 8 x 8 blocks, which the hand-set VAE keeps as they are."""
    coarse = np.random.default_rng(seed).integers(30, 226, (height // 8, width // 8, 3), dtype=np.uint8)
    return coarse.repeat(8, 0).repeat(8, 1)


def square(size: int = SIZE) -> np.ndarray:
    """Bool [size, size]: the middle, in whole blocks."""
    mask = np.zeros((size, size), bool)
    mask[16 : size - 16, 24 : size - 8] = True
    return mask


def job(
    pixels: np.ndarray, mask: np.ndarray, content: Any = "original", strength: float = 0.75, seed: int = 5, count: int = 1, **options: Any
) -> PaintJob:  # fmt: skip
    negative = "" if options.get("cfg_scale") == 1 else "blurry"  # of which nothing is asked then
    options = {"prompt": "a red house", "negative_prompt": negative, "steps": 6, "sampler": "DDIM", **options}
    soft = options.pop("soft", None)
    return PaintJob(pixels, mask, grouped(**options), content, strength, seed, count, soft)
