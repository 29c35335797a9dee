"""Colours without their places, brightness without its colours, and the picture stirred."""

from __future__ import annotations

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.resize import gray_to_rgb, to_resolution, working_size

_CELL = 64
_NOISE_PERIOD = 256


def color_grid(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The picture in squares of 64 pixels (T2I-Adapter's colour condition)."""
    import cv2

    height, width = pixels.shape[:2]
    working_size(height, width, request.resolution)  # which refuses what is too long
    # rounded by Python, from a quotient: not always the size that the other preprocessors work at
    if height < width:
        size = (round(width / height * request.resolution), request.resolution)
    else:
        size = (request.resolution, round(height / width * request.resolution))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    cells = cv2.resize(resized, (max(1, size[0] // _CELL), max(1, size[1] // _CELL)), interpolation=cv2.INTER_CUBIC)
    # rows that repeat are copied whole, which is faster than enlarging both ways; which ones do, OpenCV is asked
    wide = np.asarray(cv2.resize(cells, (size[0], cells.shape[0]), interpolation=cv2.INTER_NEAREST))
    numbers = np.arange(cells.shape[0], dtype=np.uint16)[:, None]
    repeated = np.asarray(cv2.resize(numbers, (1, size[1]), interpolation=cv2.INTER_NEAREST))[:, 0]
    return ControlMap(np.take(wide, repeated.astype(np.intp), axis=0))


def recolor_luminance(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """L of CIE Lab. Red and blue are taken for each other, as the ControlNets for this were trained."""
    import cv2

    return _with_gamma(np.asarray(cv2.extractChannel(cv2.cvtColor(pixels, cv2.COLOR_BGR2LAB), 0)), request)


def recolor_intensity(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """V of HSV: the brightest channel."""
    import cv2

    red, green, blue = cv2.split(pixels)
    return _with_gamma(np.asarray(cv2.max(cv2.max(red, green), blue)), request)


def _with_gamma(gray: np.ndarray, request: Request) -> ControlMap:
    import cv2

    curve = (np.arange(256, dtype=np.float32) / 255.0) ** np.float32(request.values["gamma"]) * 255.0
    return ControlMap(gray_to_rgb(np.asarray(cv2.LUT(gray, curve.clip(0, 255).astype(np.uint8)))))


def shuffle(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The picture with every pixel taken from a place that wanders smoothly and at random, by `request.seed`."""
    import cv2

    resized = to_resolution(pixels, request.resolution)
    height, width = resized.shape[:2]
    random = np.random.RandomState(request.seed)
    x = _smooth_noise(random, height, width) * float(width - 1)
    y = _smooth_noise(random, height, width) * float(height - 1)
    return ControlMap(np.asarray(cv2.remap(resized, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)))


def _smooth_noise(random: np.random.RandomState, height: int, width: int) -> np.ndarray:
    """float64 [height, width] from exactly 0 to exactly 1: a cubic surface through random values 256 pixels apart."""
    import cv2

    period = _NOISE_PERIOD
    knots = random.uniform(0, 1, (height // period + 2, width // period + 2))
    surface = cv2.resize(knots, (width + 2 * period, height + 2 * period), interpolation=cv2.INTER_CUBIC)
    surface = surface[period : period + height, period : period + width]
    surface = surface - surface.min()
    return surface / surface.max()


_GAMMA = (Parameter("gamma", "Gamma Correction", 0.1, 2, 0.001, 1),)

PREPROCESSORS = (
    Preprocessor("color", "t2ia_color_grid", ("T2I-Adapter",), color_grid, control_models=("t2iadapter_color", "t2ia", "t2i_adapter")),
    Preprocessor(
        "recolor_luminance", "recolor_luminance", ("Recolor",), recolor_luminance, parameters=_GAMMA, resolution=None,
        control_models=("recolor",), priority=100,
    ),
    Preprocessor(
        "recolor_intensity", "recolor_intensity", ("Recolor",), recolor_intensity, parameters=_GAMMA, resolution=None,
        control_models=("recolor",),
    ),
    Preprocessor("shuffle", "shuffle", ("Shuffle",), shuffle, uses_seed=True, control_models=("shuffle",), priority=100),
)  # fmt: skip
