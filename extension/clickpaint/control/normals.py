"""Surface normals: x, y and z as red, green and blue."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.network import Network, batch, to_bytes
from clickpaint.control.resize import working

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def _bae() -> torch.nn.Module:
    options = SimpleNamespace(mode="client", architecture="BN", pretrained="scannet", sampling_ratio=0.4, importance_ratio=0.7)
    return module("normalbae.nets.NNET").NNET(options)


BAE = Network("control_normal_bae", _bae)


def bae(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Bae et al. 2021, "Estimating and Exploiting the Aleatoric Uncertainty in Surface Normal Estimation"."""
    at = working(pixels, request.resolution)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        import torch

        mean, deviation = (torch.tensor(each, device=device)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_DEVIATION))
        normals = loaded((batch(at.pixels, device) / 255.0 - mean) / deviation)[0][-1][0, :3]
        return ((normals + 1) * 0.5).clip(0, 1).permute(1, 2, 0).cpu().numpy()

    return ControlMap(np.ascontiguousarray(at.crop(to_bytes(BAE.run(tools, work)))))


PREPROCESSORS = (
    Preprocessor(
        "normal_bae", "normal_bae", ("NormalMap",), bae,
        models=(BAE.model,), packages=(*NEEDS, "torchvision"), control_models=("normalbae", "normal"), priority=100,
    ),
    Preprocessor(
        "normal_dsine", "normal_dsine", ("NormalMap",), None, control_models=("normalbae", "normal"),
        parameters=(Parameter("fov", "Fov", 0, 360, 0.1, 60), Parameter("iterations", "Iterations", 1, 20, 1, 5)),
        reason="needs the network DSINE, which no package index has", instead="normal_bae",
    ),
)  # fmt: skip
