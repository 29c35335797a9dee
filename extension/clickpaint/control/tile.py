"""The picture with less detail, for ControlNets that paint detail back."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.plain import unchanged
from clickpaint.control.resize import to_resolution

_NEARLY_ONE = 1.1


def tile_resample(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The picture scaled down; rates under 1.1 leave it as it is."""
    import cv2

    rate = request.values["down_sampling"]
    if rate < _NEARLY_ONE:
        return unchanged(pixels, request, tools)
    height, width = (max(1, int(side / rate)) for side in pixels.shape[:2])
    return ControlMap(np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)))


def blur_gaussian(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    import cv2

    return ControlMap(np.asarray(cv2.GaussianBlur(to_resolution(pixels, request.resolution), (0, 0), request.values["sigma"])))


_VARIATION = Parameter("variation", "Variation", 3, 32, 1, 8)
_MODELS = ("tile", "blur")

PREPROCESSORS = (
    Preprocessor(
        "tile_resample", "tile_resample", ("Tile",), tile_resample, resolution=None, control_models=_MODELS, priority=100,
        parameters=(Parameter("down_sampling", "Down Sampling Rate", 1, 8, 0.01, 1),),
    ),
    Preprocessor(
        "tile_colorfix", "tile_colorfix", ("Tile",), unchanged, resolution=None, control_models=_MODELS, returns="unchanged",
        parameters=(_VARIATION,),
    ),
    Preprocessor(
        "tile_colorfix+sharp", "tile_colorfix+sharp", ("Tile",), unchanged, resolution=None, control_models=_MODELS, returns="unchanged",
        parameters=(_VARIATION, Parameter("sharpness", "Sharpness", 0, 2, 0.01, 1)),
    ),
    Preprocessor(
        "blur_gaussian", "blur_gaussian", ("Tile",), blur_gaussian, control_models=_MODELS,
        parameters=(Parameter("sigma", "Sigma", 0.01, 64, 0.01, 9),),
    ),
)  # fmt: skip
