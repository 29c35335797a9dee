"""Line drawings by learned generators: bright lines on black."""

from __future__ import annotations

import functools
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.network import Network, batch, to_bytes
from clickpaint.control.resize import gray_to_rgb, working

if TYPE_CHECKING:
    import torch

FINE = Network("control_lineart", lambda: module("lineart").Generator(3, 1, 3))
COARSE = Network("control_lineart_coarse", lambda: module("lineart").Generator(3, 1, 3))
MANGA = Network("manga_line")


def _anime() -> torch.nn.Module:
    import torch

    norm = functools.partial(torch.nn.InstanceNorm2d, affine=False, track_running_stats=False)
    return module("lineart_anime").UnetGenerator(3, 1, 8, 64, norm_layer=norm, use_dropout=False)


ANIME = Network("control_lineart_anime", _anime)


def realistic(pixels: np.ndarray, request: Request, tools: Tools, *, network: Network) -> ControlMap:
    """Chan et al. 2022, "Learning to generate line drawings that convey geometry and semantics": RGB in 0..1 → dark lines on white."""
    at = working(pixels, request.resolution)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return loaded(batch(at.pixels, device) / 255.0)[0, 0].cpu().numpy()

    return ControlMap(gray_to_rgb(at.crop(255 - to_bytes(network.run(tools, work)))))


def anime(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """A pix2pix U-Net for drawings, on sides that are multiples of 256: RGB in -1..1 → dark lines on white in -1..1."""
    import cv2

    at = working(pixels, request.resolution)
    height, width = at.pixels.shape[:2]
    enlarged = cv2.resize(at.pixels, (width + -width % 256, height + -height % 256), interpolation=cv2.INTER_CUBIC)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return (loaded(batch(enlarged, device) / 127.5 - 1.0)[0, 0] * 127.5 + 127.5).cpu().numpy()

    lines = cv2.resize(ANIME.run(tools, work), (width, height), interpolation=cv2.INTER_CUBIC)
    return ControlMap(gray_to_rgb(at.crop(255 - lines.clip(0, 255).astype(np.uint8))))


def anime_denoise(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Li et al. 2017, "Deep extraction of manga structural lines": grey in 0..255 → dark lines on white in 0..255.

    The TorchScript file of the manga eraser, which holds the same network and weights as sd-webui-controlnet's erika.pth.
    """
    import cv2
    import torch

    at = working(pixels, request.resolution)
    gray = cv2.cvtColor(at.pixels, cv2.COLOR_RGB2GRAY)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return 255 - loaded(torch.from_numpy(gray)[None, None].to(device, torch.float32))[0, 0].cpu().numpy()

    return ControlMap(gray_to_rgb(at.crop(MANGA.run(tools, work).clip(0, 255).astype(np.uint8))))


_TYPES = ("Lineart",)
_MODELS = ("lineart",)

PREPROCESSORS = (
    Preprocessor(
        "lineart", "lineart_realistic", _TYPES, partial(realistic, network=FINE),
        models=(FINE.model,), packages=NEEDS, control_models=_MODELS,
    ),
    Preprocessor(
        "lineart_coarse", "lineart_coarse", _TYPES, partial(realistic, network=COARSE),
        models=(COARSE.model,), packages=NEEDS, control_models=_MODELS,
    ),
    Preprocessor(
        "lineart_anime", "lineart_anime", _TYPES, anime,
        models=(ANIME.model,), packages=NEEDS, control_models=("lineart_anime", "lineart"),
    ),
    Preprocessor(
        "lineart_anime_denoise", "lineart_anime_denoise", _TYPES, anime_denoise,
        models=(MANGA.model,), packages=("torch",), control_models=("lineart_anime", "lineart"),
    ),
)  # fmt: skip
