"""Preprocessors that keep the picture as it is, or change each pixel by itself: they need neither weights nor neighbours."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.resize import gray_to_rgb, to_resolution


def unchanged(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The picture itself, as a view that cannot be written to: what these preprocessors are for happens while sampling."""
    same = pixels.view()
    same.setflags(write=False)
    return ControlMap(same)


def invert(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """White lines on black, of a drawing in black on white."""
    return ControlMap(~pixels)


def threshold(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """White where even the darkest channel is over the threshold."""
    import cv2

    red, green, blue = cv2.split(to_resolution(pixels, request.resolution))
    darkest = cv2.min(cv2.min(red, green), blue)
    return ControlMap(gray_to_rgb(cv2.threshold(darkest, int(request.values["threshold"]), 255, cv2.THRESH_BINARY)[1]))


def inpaint(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The picture with what is to be painted half transparent: alpha 128 where selected, 255 elsewhere."""
    import cv2

    assert request.mask is not None  # `registry.request` sees to it
    with_alpha = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA))
    with_alpha[..., 3] = cv2.LUT(request.mask.view(np.uint8), np.array([255] + [128] * 255, np.uint8))
    return ControlMap(with_alpha)


_FIDELITY = (Parameter("style_fidelity", "Style Fidelity (only for Balanced mode)", 0, 1, 0.01, 0.5),)
_INVERTED = ("Canny", "Lineart", "Scribble", "MLSD")

PREPROCESSORS = (
    Preprocessor("none", "none", (), unchanged, resolution=None, returns="unchanged", priority=10),
    Preprocessor(
        "invert", "invert (from white bg & black line)", _INVERTED, invert, resolution=None,
        control_models=("canny", "lineart", "scribble", "mlsd"), priority=20,
    ),
    Preprocessor("threshold", "threshold", (), threshold, parameters=(Parameter("threshold", "Binarization Threshold", 0, 255, 1, 127),)),
    Preprocessor(
        "inpaint", "inpaint_global_harmonious", ("Inpaint",), inpaint, resolution=None, needs_mask=True, accepts_mask=True,
        control_models=("inpaint",),
    ),
    Preprocessor(
        "inpaint_only", "inpaint_only", ("Inpaint",), inpaint, resolution=None, needs_mask=True, accepts_mask=True,
        control_models=("inpaint",), priority=100,
    ),
    *(
        Preprocessor(name, name, ("Reference",), unchanged, parameters=_FIDELITY, resolution=None, returns="unchanged", priority=priority)
        for name, priority in (("reference_only", 100), ("reference_adain", 0), ("reference_adain+attn", 0))
    ),
)  # fmt: skip
