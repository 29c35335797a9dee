"""Depth: near is bright. And the normals that sd-webui-controlnet derives from MiDaS' depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.network import Network, batch, to_bytes
from clickpaint.control.resize import gray_to_rgb, working

if TYPE_CHECKING:
    import torch


def _midas() -> torch.nn.Module:
    return module("midas.midas.dpt_depth").DPTDepthModel(path=None, backbone="vitb_rn50_384", non_negative=True)


def _zoe() -> torch.nn.Module:
    # The module's own call would fetch the backbone's code and weights; the file holds all of the network.
    config = module("zoe.zoedepth.utils.config").get_config("zoedepth", "infer")
    return module("zoe.zoedepth.models.zoedepth.zoedepth_v1").ZoeDepth.build_from_config(config)


MIDAS = Network("control_midas", _midas)
ZOE = Network("control_zoe", _zoe)


def _midas_depth(pixels: np.ndarray, tools: Tools) -> np.ndarray:
    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return loaded(batch(pixels, device) / 127.5 - 1.0)[0].float().cpu().numpy()

    return MIDAS.run(tools, work)


def _stretched(depth: np.ndarray) -> np.ndarray:
    """`depth` from its least to its largest value as 0..1; all 0 where it is the same everywhere."""
    above = depth - depth.min()
    return above / (above.max() or 1.0)


def midas(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Ranftl et al. 2021, "Vision Transformers for Dense Prediction" (DPT-Hybrid): RGB in -1..1 → inverse depth."""
    at = working(pixels, request.resolution)
    return ControlMap(gray_to_rgb(at.crop(to_bytes(_stretched(_midas_depth(at.pixels, tools))))))


def midas_normals(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The slope of MiDaS' depth; flat where the depth, in 0..1, is under the background threshold."""
    import cv2

    at = working(pixels, request.resolution)
    depth = _midas_depth(at.pixels, tools)
    slopes = [cv2.Sobel(depth, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0)]
    background = _stretched(depth) < request.values["background"]
    x, y = (np.where(background, np.float32(0), slope) for slope in slopes)
    normal = np.stack([x, y, np.ones_like(x) * (np.pi * 2.0)], axis=2)
    normal /= np.sum(normal**2.0, axis=2, keepdims=True) ** 0.5
    return ControlMap(np.ascontiguousarray(at.crop((normal * 127.5 + 127.5).clip(0, 255).astype(np.uint8)[:, :, ::-1])))


def zoe(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Bhat et al. 2023, "ZoeDepth": RGB in 0..1 → metres, shown between their 2nd and 85th percentile."""
    at = working(pixels, request.resolution)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return loaded.infer(batch(at.pixels, device) / 255.0)[0, 0].float().cpu().numpy()

    depth = ZOE.run(tools, work)
    near, far = np.percentile(depth, 2), np.percentile(depth, 85)
    depth = (depth - near) / ((far - near) or 1.0)
    return ControlMap(gray_to_rgb(at.crop(to_bytes(1.0 - depth))))


_TYPES = ("Depth",)
_MODELS = ("depth",)
_TIMM = (*NEEDS, "torchvision", "timm")

PREPROCESSORS = (
    Preprocessor(
        "depth", "depth_midas", _TYPES, midas,
        models=(MIDAS.model,), packages=_TIMM, control_models=_MODELS, priority=100,
    ),
    Preprocessor("depth_zoe", "depth_zoe", _TYPES, zoe, models=(ZOE.model,), packages=_TIMM, control_models=_MODELS),
    Preprocessor(
        "depth_hand_refiner", "depth_hand_refiner", _TYPES, None, control_models=("inpaint_depth_hand", "depth"),
        reason="needs the package hand_refiner, which no package index has, and hand meshes under a licence that forbids to pass them on",
        instead="depth_anything_v2",
    ),
    Preprocessor(
        "normal_map", "normal_midas", ("NormalMap",), midas_normals,
        models=(MIDAS.model,), packages=_TIMM, control_models=("normal",),
        parameters=(Parameter("background", "Normal Background Threshold", 0.0, 1.0, 0.01, 0.4),),
    ),
)  # fmt: skip
