"""Straight lines (Gu et al. 2022, "Towards Light-weight and Real-time Line Segment Detection")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.network import Network
from clickpaint.control.resize import gray_to_rgb, working

if TYPE_CHECKING:
    import torch

MLSD = Network("control_mlsd", lambda: module("mlsd.models.mbv2_mlsd_large").MobileV2_MLSD_Large())
MOST = 200
"""Lines that are looked for, the likeliest ones."""


def mlsd(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """White lines on black. extra "lines": [[x0, y0, x1, y1], …] in pixels of the map."""
    import cv2

    at = working(pixels, request.resolution)
    value, distance = request.values["value"], request.values["distance"]
    lines = MLSD.run(tools, lambda loaded, device: segments(loaded, at.pixels, value, distance, device))
    drawn = np.zeros(at.pixels.shape[:2], np.uint8)
    for left, top, right, bottom in lines.astype(int).tolist():
        cv2.line(drawn, (left, top), (right, bottom), 255, 1)
    extra: dict[str, Any] = {"lines": lines.tolist()}
    if not len(lines):
        extra["note"] = "There are no straight lines; a lower value threshold finds fainter ones."
    return ControlMap(gray_to_rgb(at.crop(drawn)), extra)


def segments(network: Any, pixels: np.ndarray, value: float, distance: float, device: torch.device) -> np.ndarray:
    """float32 [N, 4], (x0, y0, x1, y1) in the pixels of `pixels` (uint8 [H, W, 3] RGB, sides multiples of 64), the likeliest first.

    The network answers at half the size: channel 0 is the logit of a line's centre, 1 to 4 are the offsets of its ends from there (the
    others serve training).

    Args:
        value: the least probability of a centre.
        distance: the least length of a line, in pixels of that half size.
    """
    import torch

    ones = np.ones((*pixels.shape[:2], 1))
    image = np.concatenate([pixels, ones], axis=2).transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1.0
    centre, offsets = network(torch.from_numpy(image).to(device))[0, :5].split((1, 4))
    heat = torch.sigmoid(centre)
    heat = heat * (torch.nn.functional.max_pool2d(heat, 3, stride=1, padding=1) == heat)
    scores, places = torch.topk(heat.reshape(-1), min(MOST, heat.numel()))
    rows, columns = np.divmod(places.cpu().numpy(), heat.shape[2])
    ends = offsets.permute(1, 2, 0).cpu().numpy()[rows, columns]
    length = np.sqrt(np.sum((ends[:, :2] - ends[:, 2:]) ** 2, axis=1))
    lines = (ends + np.stack([columns, rows, columns, rows], axis=1)).astype(np.float32) * 2
    return lines[(scores.cpu().numpy() > value) & (length > distance)]


PREPROCESSORS = (
    Preprocessor(
        "mlsd", "mlsd", ("MLSD",), mlsd, models=(MLSD.model,), packages=NEEDS, control_models=("mlsd",), priority=100,
        parameters=(
            Parameter("value", "MLSD Value Threshold", 0.01, 2.0, 0.01, 0.1),
            Parameter("distance", "MLSD Distance Threshold", 0.01, 20.0, 0.01, 0.1),
        ),
    ),
)  # fmt: skip
