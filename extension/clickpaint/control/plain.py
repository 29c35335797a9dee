"""Preprocessors without weights that keep the picture, or compute with its values alone."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.resize import gray_to_rgb, working


def unchanged(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    return ControlMap(pixels.copy())


def invert(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """White lines on black, of a drawing in black on white."""
    return ControlMap(255 - pixels)


def threshold(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """White where the darkest channel is over the threshold."""
    import cv2

    at = working(pixels, request.resolution)
    red, green, blue = cv2.split(at.unpadded)
    over = cv2.min(cv2.min(red, green), blue) > int(request.values["threshold"])
    return ControlMap(gray_to_rgb(over.astype(np.uint8) * 255))


PREPROCESSORS = (
    Preprocessor("none", "none", (), unchanged, resolution=None, returns="unchanged"),
    Preprocessor(
        "invert",
        "invert (from white bg & black line)",
        ("Canny", "Lineart", "Scribble", "MLSD"),
        invert,
        resolution=None,
        control_models=("canny", "lineart", "scribble", "mlsd"),
    ),
    Preprocessor("threshold", "threshold", (), threshold, parameters=(Parameter("threshold", "Binarization Threshold", 0, 255, 1, 127),)),
)
