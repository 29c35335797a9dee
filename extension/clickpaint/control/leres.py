"""Depth by LeReS (Yin et al. 2021, "Learning to Recover 3D Scene Shape from a Single Image"), and merged from many scales."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat.uninitialised import bare
from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.network import Network, batch
from clickpaint.control.resize import gray_to_rgb, working

if TYPE_CHECKING:
    import torch

LERES = Network("control_leres", lambda: module("leres.leres.multi_depth_model_woauxi").RelDepthModel(backbone="resnext101"))
MERGE = Network(
    "control_leres_merge",
    lambda: module("leres.pix2pix.models.networks").define_G(2, 1, 64, "unet_1024", "none", False, "normal", 0.02, []),
)


def leres(pixels: np.ndarray, request: Request, tools: Tools, *, boost: bool = False) -> ControlMap:
    """Near is bright. What is nearer, or farther, than the given part of the range becomes black."""
    import cv2

    at = working(pixels, request.resolution)
    depth = _merged(at.pixels, tools) if boost else LERES.run(tools, partial(_estimated, at.pixels))
    span = depth.max() - depth.min()
    stretched = 65535 * (depth - depth.min()) / span if span > np.finfo("float").eps else np.zeros(depth.shape)
    far = cv2.convertScaleAbs(stretched.astype(np.uint16), alpha=255.0 / 65535.0)
    if request.values["remove_near"]:
        far = cv2.threshold(far, request.values["remove_near"] / 100 * 255, 255, cv2.THRESH_TOZERO)[1]
    near = cv2.bitwise_not(far)
    if request.values["remove_background"]:
        near = cv2.threshold(near, request.values["remove_background"] / 100 * 255, 255, cv2.THRESH_TOZERO)[1]
    return ControlMap(gray_to_rgb(at.crop(near)))


def _estimated(pixels: np.ndarray, loaded: Any, device: torch.device) -> np.ndarray:
    """Depth, float32 [H, W]. Means and deviations of 0..1 are taken off values in 0..255, and BGR is given as RGB, as
    sd-webui-controlnet does it."""
    import torch

    mean = torch.tensor((0.485, 0.456, 0.406), device=device)[:, None, None]
    deviation = torch.tensor((0.229, 0.224, 0.225), device=device)[:, None, None]
    return loaded.depth_model((batch(pixels[:, :, ::-1], device) - mean) / deviation).squeeze().cpu().numpy()


def _merged(pixels: np.ndarray, tools: Tools) -> np.ndarray:
    """Miangoleh et al. 2021, "Boosting Monocular Depth Estimation Models to High-Resolution": estimates at several sizes and of
    patches, merged by a network."""
    estimate = module("leres.leres.depthmap").estimateboost
    merger = module("leres.pix2pix.models.pix2pix4depth_model").Pix2Pix4DepthModel

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        def with_merge(net: Any, its_device: torch.device) -> np.ndarray:
            merge = bare(merger, netG=net, device=its_device, isTrain=False, visual_names=["fake_B"])
            return estimate(pixels, loaded, 0, merge, max(pixels.shape[:2]))

        return MERGE.run(tools, with_merge)

    return LERES.run(tools, work)


_PARAMETERS = (
    Parameter("remove_near", "Remove Near %", 0, 100, 0.1, 0),
    Parameter("remove_background", "Remove Background %", 0, 100, 0.1, 0),
)

PREPROCESSORS = (
    Preprocessor(
        "depth_leres", "depth_leres", ("Depth",), leres, parameters=_PARAMETERS, models=(LERES.model,),
        packages=(*NEEDS, "torchvision"), control_models=("depth",),
    ),
    Preprocessor(
        "depth_leres++", "depth_leres++", ("Depth",), partial(leres, boost=True), parameters=_PARAMETERS,
        models=(LERES.model, MERGE.model), packages=(*NEEDS, "torchvision", "skimage"), control_models=("depth",),
    ),
)  # fmt: skip
