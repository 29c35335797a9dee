"""Soft edges by learned edge detectors, and the scribbles and sketches that are made of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.controlnet_aux_modules import NEEDS, module
from clickpaint.control.edges import lineart_standard
from clickpaint.control.network import Network, batch, to_bytes
from clickpaint.control.resize import gray_to_rgb, working
from clickpaint.control.thinning import strokes

if TYPE_CHECKING:
    import torch

HED = Network("control_hed", lambda: module("hed").ControlNetHED_Apache2())
PIDINET = Network("control_pidinet", lambda: module("pidi.model").pidinet())
TEED = Network("control_teed", lambda: module("teed.ted").TED())
MTEED = Network("control_mteed", lambda: module("teed.ted").TED())


def averaged(edges: tuple[torch.Tensor, ...], height: int, width: int) -> np.ndarray:
    """The side outputs of a network (logits [1, 1, h, w] at several scales) as one probability, float64 [height, width]."""
    import cv2

    planes = [edge[0, 0].float().cpu().numpy() for edge in edges]
    resized = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in planes]
    return 1 / (1 + np.exp(-np.mean(np.stack(resized, axis=2), axis=2).astype(np.float64)))


def stepped(edge: np.ndarray, steps: int) -> np.ndarray:
    """Probabilities in a few steps, so that weak edges vanish and strong ones lose the fine print ("safe")."""
    return (edge.astype(np.float32) * float(steps + 1)).astype(np.int32).astype(np.float32) / float(steps)


def hed(pixels: np.ndarray, request: Request, tools: Tools, *, safe: bool = False, scribble: bool = False) -> ControlMap:
    """Xie and Tu 2015, "Holistically-Nested Edge Detection", as retrained for ControlNet: RGB in 0..255."""
    return _averaging(HED, pixels, request, tools, 2 if safe else 0, scribble)


def teed(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Soria et al. 2023, "Tiny and Efficient Model for the Edge Detection Generalization": RGB in 0..255."""
    return _averaging(TEED, pixels, request, tools, int(request.values["safe_steps"]), False)


def _averaging(network: Network, pixels: np.ndarray, request: Request, tools: Tools, steps: int, scribble: bool) -> ControlMap:
    at = working(pixels, request.resolution)
    edges = at.crop(_edges(network, at.pixels, tools, steps))
    return ControlMap(gray_to_rgb(strokes(edges) if scribble else edges))


def _edges(network: Network, pixels: np.ndarray, tools: Tools, steps: int) -> np.ndarray:
    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return averaged(loaded(batch(pixels, device)), *pixels.shape[:2])

    edge = network.run(tools, work)
    return to_bytes(stepped(edge, steps) if steps else edge)


def anyline(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """MistoLine's Anyline as sd-webui-controlnet has it: MTEED's edges, nearly black where `lineart_standard` sees faint lines."""
    at = working(pixels, request.resolution)
    edges = _edges(MTEED, at.pixels, tools, int(request.values["safe_steps"]))
    lines = lineart_standard(at.pixels, Request(min(edges.shape)), tools).pixels[:, :, 0]
    return ControlMap(gray_to_rgb(at.crop(np.where(_patches(lines == 1, least=12), 1, edges).astype(np.uint8))))


def _patches(mask: np.ndarray, least: int) -> np.ndarray:
    """The 4-connected parts of a mask (bool [H, W]) that have at least so many pixels."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large = np.asarray(stats)[:, cv2.CC_STAT_AREA] >= least
    large[0] = False  # what is not in the mask
    return large[np.asarray(labels, np.intp)]


def pidinet(
    pixels: np.ndarray, request: Request, tools: Tools, *, safe: bool = False, scribble: bool = False, sketch: bool = False
) -> ControlMap:
    """Su et al. 2021, "Pixel Difference Networks for Efficient Edge Detection": BGR in 0..1, the fused last output.

    sketch: what is over one half is white, the rest black.
    """
    at = working(pixels, request.resolution)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        # reversed on the device, divided there: the order of the operations decides about the last bit
        return loaded(batch(at.pixels[:, :, ::-1], device) / 255.0)[-1][0, 0].cpu().numpy()

    edge = PIDINET.run(tools, work)
    edge = (edge > 0.5).astype(np.float32) if sketch else stepped(edge, 2) if safe else edge
    edges = at.crop(to_bytes(edge))
    return ControlMap(gray_to_rgb(strokes(edges) if scribble else edges))


_SOFT = ("SoftEdge",)
_SAFE_STEPS = (Parameter("safe_steps", "Safe Steps", 0, 10, 1, 2),)
_SCRIBBLE = ("scribble", "sketch")


def _described(name: str, label: str, types: tuple[str, ...], run: Any, network: Network, **more: Any) -> Preprocessor:
    fields: dict[str, Any] = {"control_models": ("softedge", "hed"), **more}
    return Preprocessor(name, label, types, run, models=(network.model,), packages=NEEDS, **fields)


PREPROCESSORS = (
    _described("hed", "softedge_hed", _SOFT, hed, HED),
    _described("hed_safe", "softedge_hedsafe", _SOFT, partial(hed, safe=True), HED),
    _described("pidinet", "softedge_pidinet", _SOFT, pidinet, PIDINET, priority=100),
    _described("pidinet_safe", "softedge_pidisafe", _SOFT, partial(pidinet, safe=True), PIDINET),
    _described("softedge_teed", "softedge_teed", _SOFT, teed, TEED, parameters=_SAFE_STEPS),
    _described("softedge_anyline", "softedge_anyline", _SOFT, anyline, MTEED, parameters=_SAFE_STEPS, resolution=1280),
    _described("scribble_hed", "scribble_hed", ("Scribble",), partial(hed, scribble=True), HED, control_models=_SCRIBBLE),
    _described(
        "pidinet_scribble", "scribble_pidinet", ("Scribble",), partial(pidinet, scribble=True), PIDINET,
        control_models=_SCRIBBLE, priority=100,
    ),
    _described(
        "pidinet_sketch", "t2ia_sketch_pidi", ("T2I-Adapter",), partial(pidinet, sketch=True), PIDINET,
        control_models=("t2iadapter_sketch", "sketch"), priority=100,
    ),
)  # fmt: skip
