"""Which part of a body each pixel is (Güler et al. 2018, "DensePose"), by a TorchScript export of detectron2's network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.network import Network
from clickpaint.control.resize import working

if TYPE_CHECKING:
    import torch

DENSEPOSE = Network("control_densepose")
_PARTS = 24
_DARK_VIOLET = (68, 1, 84)  # viridis at 0, RGB: the background, and every channel that is 0


def densepose(pixels: np.ndarray, request: Request, tools: Tools, *, viridis: bool = True) -> ControlMap:
    """24 parts in the colours of viridis on its violet, or in those of parula on black."""
    import cv2

    torchvision.available()  # the script calls its operators
    at = working(pixels, request.resolution)

    def work(loaded: Any, device: torch.device) -> list[tuple[tuple[int, ...], np.ndarray]]:
        import torch

        boxes, coarse, fine, _, _ = loaded(torch.from_numpy(np.array(at.pixels)).permute(2, 0, 1).to(device))
        return [_labels(box, body, parts) for box, body, parts in zip(boxes, coarse, fine, strict=True)]

    canvas = np.zeros_like(at.pixels)
    colors = cv2.COLORMAP_VIRIDIS if viridis else cv2.COLORMAP_PARULA
    for (left, top, width, height), labels in DENSEPOSE.run(tools, work):
        shown = cv2.applyColorMap((labels.astype(np.float32) * (255.0 / _PARTS)).clip(0, 255).astype(np.uint8), colors)[:, :, ::-1]
        box = canvas[top : top + height, left : left + width]
        shown, within = shown[: box.shape[0], : box.shape[1]], labels[: box.shape[0], : box.shape[1], None] > 0
        np.copyto(box, shown, where=within)
    if viridis:
        canvas = np.where(canvas == 0, np.array(_DARK_VIOLET, np.uint8), canvas)
    return ControlMap(np.ascontiguousarray(at.crop(canvas)))


def _labels(box: torch.Tensor, body: torch.Tensor, parts: torch.Tensor) -> tuple[tuple[int, ...], np.ndarray]:
    """(left, top, width, height) of one person in pixels, and the part that each pixel in it is, uint8 [height, width], 0 = none."""
    import torch

    left, top, right, bottom = box.tolist()
    place = (int(left), int(top), max(int(right - left), 1), max(int(bottom - top), 1))
    size = (place[3], place[2])
    inside, part = (
        torch.nn.functional.interpolate(logits[None], size, mode="bilinear", align_corners=False).argmax(dim=1)[0]
        for logits in (body, parts)
    )
    return place, (part * (inside > 0)).to(torch.uint8).cpu().numpy()


PREPROCESSORS = tuple(
    Preprocessor(
        name, label, ("OpenPose",), partial(densepose, viridis=viridis), models=(DENSEPOSE.model,), packages=("torch", "torchvision"),
        control_models=("densepose", "openpose"),
    )
    for name, label, viridis in (
        ("densepose", "densepose (pruple bg & purple torso)", True),
        ("densepose_parula", "densepose_parula (black bg & blue torso)", False),
    )
)  # fmt: skip
