"""Depth Anything (Yang et al. 2024), both versions, by transformers' network and the authors' files: near is bright."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.caption.loading import transformers
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.network import Network
from clickpaint.control.normals import IMAGENET_DEVIATION, IMAGENET_MEAN
from clickpaint.control.resize import gray_to_rgb, working

if TYPE_CHECKING:
    import torch

    from clickpaint.control.network import State

_LARGE_NECK = (256, 512, 1024, 1024)
_SIDE, _PATCH = 518, 14  # the short side at which the network was trained, and its patches, in pixels

_RENAMED = (
    (r"^pretrained\.patch_embed\.proj\.", "backbone.embeddings.patch_embeddings.projection."),
    (r"^pretrained\.pos_embed$", "backbone.embeddings.position_embeddings"),
    (r"^pretrained\.(cls|mask)_token$", r"backbone.embeddings.\1_token"),
    (r"^pretrained\.norm\.", "backbone.layernorm."),
    (r"^pretrained\.blocks\.(\d+)\.ls(\d)\.gamma$", r"backbone.encoder.layer.\1.layer_scale\2.lambda1"),
    (r"^pretrained\.blocks\.", "backbone.encoder.layer."),
    (r"^depth_head\.projects\.(\d)\.", r"neck.reassemble_stage.layers.\1.projection."),
    (r"^depth_head\.resize_layers\.(\d)\.", r"neck.reassemble_stage.layers.\1.resize."),
    (r"^depth_head\.scratch\.output_conv1\.", "head.conv1."),
    (r"^depth_head\.scratch\.output_conv2\.0\.", "head.conv2."),
    (r"^depth_head\.scratch\.output_conv2\.2\.", "head.conv3."),
    (r"resConfUnit(\d)\.conv(\d)\.", r"residual_layer\1.convolution\2."),
    (r"\.out_conv\.", ".projection."),
)
"""From the authors' names to transformers'."""

_ATTENTION = (("q_proj", "k_proj", "v_proj", "o_proj"), ("attention.query", "attention.key", "attention.value", "output.dense"))
"""The names of an attention's four layers in transformers 5 and before."""


def fit(state: State, network: torch.nn.Module) -> State:
    """The authors' tensors under transformers' names: queries, keys and values apart, and the fusion stages in reverse."""
    wanted = network.state_dict()
    query, key, value, out = _ATTENTION["backbone.encoder.layer.0.attention.q_proj.weight" not in wanted]
    renamed = {}
    for name, tensor in state.items():
        name = re.sub(r"^depth_head\.scratch\.refinenet(\d)\.", lambda m: f"neck.fusion_stage.layers.{4 - int(m[1])}.", name)
        name = re.sub(r"^depth_head\.scratch\.layer(\d)_rn\.", lambda m: f"neck.convs.{int(m[1]) - 1}.", name)
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if ".attn.qkv." in name:
            for part, piece in zip((query, key, value), tensor.chunk(3), strict=True):
                renamed[name.replace("attn.qkv", f"attention.{part}")] = piece
        else:
            renamed[name.replace(".attn.proj.", f".attention.{out}.")] = tensor
    return renamed


def build(
    layers: tuple[int, ...], width: int = 1024, depth: int = 24, heads: int = 16, neck: tuple[int, ...] = _LARGE_NECK, fusion: int = 256
) -> Any:
    """The network with a DINOv2 backbone (the large one by default) of which the outputs of `layers`, counted from 1, are used."""
    library = transformers()
    backbone = library.Dinov2Config(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, patch_size=_PATCH, image_size=_SIDE,
        out_indices=list(layers), apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    config = library.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=width, patch_size=_PATCH, neck_hidden_sizes=list(neck),
        fusion_hidden_size=fusion,
    )  # fmt: skip
    return library.DepthAnythingForDepthEstimation(config)


FIRST = Network("control_depth_anything", partial(build, (21, 22, 23, 24)), fit)
SECOND = Network("control_depth_anything_v2", partial(build, (5, 12, 18, 24)), fit)


def network_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) with 518 as the short side, both multiples of 14."""
    scale = max(_SIDE / height, _SIDE / width)

    def side(length: int) -> int:
        nearest = int(np.round(scale * length / _PATCH)) * _PATCH
        return nearest if nearest >= _SIDE else math.ceil(scale * length / _PATCH) * _PATCH

    return side(height), side(width)


def depth_anything(pixels: np.ndarray, request: Request, tools: Tools, *, network: Network) -> ControlMap:
    """The relative inverse depth from its least to its largest value. Red and blue change places before, as in sd-webui-controlnet."""
    import cv2

    at = working(pixels, request.resolution)
    height, width = network_size(*at.pixels.shape[:2])
    image = cv2.resize(at.pixels[:, :, ::-1] / 255.0, (width, height), interpolation=cv2.INTER_CUBIC)
    image = ((image - IMAGENET_MEAN) / IMAGENET_DEVIATION).astype(np.float32)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        import torch

        depth = loaded(torch.from_numpy(image).permute(2, 0, 1)[None].contiguous().to(device)).predicted_depth
        depth = torch.nn.functional.interpolate(depth[None], at.pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0]
        depth = depth - depth.min()
        return (depth / depth.max().clamp(min=1e-12) * 255.0).cpu().numpy().astype(np.uint8)

    return ControlMap(gray_to_rgb(at.crop(network.run(tools, work))))


PREPROCESSORS = tuple(
    Preprocessor(
        name, name, ("Depth",), partial(depth_anything, network=network),
        models=(network.model,), packages=("torch", "transformers"), control_models=("depth",),
    )
    for name, network in (("depth_anything", FIRST), ("depth_anything_v2", SECOND))
)  # fmt: skip
