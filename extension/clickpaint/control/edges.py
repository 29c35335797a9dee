"""Edges and lines found by filters."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.resize import gray_to_rgb, working


def canny(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Canny 1986, "A Computational Approach to Edge Detection", on all three channels (the strongest gradient counts), L1 norm."""
    import cv2

    at = working(pixels, request.resolution)
    edges = cv2.Canny(at.pixels, int(request.values["low"]), int(request.values["high"]))
    return ControlMap(gray_to_rgb(at.crop(edges)))


def scribble_xdog(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """White where the picture is darker than its surroundings: a difference of Gaussians (Winnemöller et al. 2012, "XDoG")."""
    at = working(pixels, request.resolution)
    darker = _darker(at.pixels, 0.5, 5.0)
    # the arithmetic of the original: rounded away from zero, then doubled in a byte that overflows
    doubled = (255 - (255.0 - darker).clip(0, 255).astype(np.uint8)) << 1
    return ControlMap(gray_to_rgb(at.crop((doubled > request.values["threshold"]).view(np.uint8) * 255)))


def lineart_standard(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Bright lines on black where the picture is darker than its surroundings, scaled by the median strength of its lines."""
    at = working(pixels, request.resolution)
    darker = _darker(at.pixels, 0.0, 6.0).clip(0, 255)
    lines = darker[darker > 8]
    darker /= max(16, np.median(lines)) if lines.size else 16
    darker *= 127
    return ControlMap(gray_to_rgb(at.crop(darker).clip(0, 255).astype(np.uint8)))


def _darker(pixels: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    """float32 [H, W]: how much darker each pixel, blurred by `fine` (sigma; 0: not), is than around it within `coarse`; least channel."""
    import cv2

    values = pixels.astype(np.float32)
    around = cv2.GaussianBlur(values, (0, 0), coarse)
    difference = cv2.subtract(around, cv2.GaussianBlur(values, (0, 0), fine) if fine else values)
    red, green, blue = cv2.split(difference)
    return np.asarray(cv2.min(cv2.min(red, green), blue))


PREPROCESSORS = (
    Preprocessor(
        "canny", "canny", ("Canny",), canny, control_models=("canny",), priority=100,
        parameters=(Parameter("low", "Low Threshold", 1, 255, 1, 100), Parameter("high", "High Threshold", 1, 255, 1, 200)),
    ),
    Preprocessor(
        "scribble_xdog", "scribble_xdog", ("Scribble",), scribble_xdog, control_models=("scribble", "sketch"),
        parameters=(Parameter("threshold", "XDoG Threshold", 1, 64, 1, 32),),
    ),
    Preprocessor(
        "lineart_standard", "lineart_standard (from white bg & black line)", ("Lineart",), lineart_standard,
        control_models=("lineart",), priority=100,
    ),
)  # fmt: skip
