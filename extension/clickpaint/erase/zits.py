"""ZITS (Dong et al. 2022, "Incremental Transformer Structure Enhanced Image Inpainting with Masking Positional Encoding")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat.uninitialised import bare
from clickpaint.erase.lama_cleaner_models import module
from clickpaint.erase.neural_eraser import NeuralEraser, picture
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    import torch

_STRUCTURE = 256
"""Side of the square at which edges and lines are completed."""


class ZitsEraser(NeuralEraser):
    """Four TorchScript files: find straight lines, complete edges and lines at 256, enlarge them, paint along them."""

    name = "zits"
    rules = CropRules(padding=0.5, padding_min=96, min_size=256, multiple=32, max_size=1024, square=True)

    def load(self, device: Device) -> tuple[Any, int]:
        return self.scripts(device)

    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        import cv2

        if (cv2.resize(hole.astype(np.uint8) * 255, (_STRUCTURE, _STRUCTURE), interpolation=cv2.INTER_AREA) > 0).all():
            # Seen at 256 nothing is known, for which the position encoding would look forever.
            return np.broadcast_to(np.rint(crop[~hole].mean(axis=0)).astype(np.uint8), crop.shape).copy()
        theirs = module("zits")
        helper = bare(theirs.ZITS, device=device.torch, wireframe=network["zits_wireframe"], edge_line=network["zits_edge_line"])
        items = theirs.load_image(crop, hole.astype(np.uint8) * 255, device=device.torch)
        items["edge_256"] = (items["edge_256"] > 0).float()  # 0 or 255 where scikit-image is not installed
        lines = helper.wireframe_forward(items["img_512"].cpu(), h=_STRUCTURE, w=_STRUCTURE, masks=items["mask_512"].cpu(), mask_th=0.85)
        progress.report(0.2, "Erasing")
        edges, lines = helper.sample_edge_line_logits(
            context=[items["img_256"], items["edge_256"], lines], mask=items["mask_256"].clone(), iterations=1, add_v=0.05, mul_v=4
        )
        progress.report(0.5, "Erasing")
        side = crop.shape[0]
        edges, lines = (_enlarged(network["zits_structure"], plane, side) for plane in (edges, lines))
        painted = network["zits_inpaint"](items["images"], items["masks"], edges, lines, items["rel_pos"], items["direct"])
        return picture(painted)


def _enlarged(structure: Any, plane: torch.Tensor, side: int) -> torch.Tensor:
    """`plane` [1, 1, 256, 256] at `side`, doubled by the network as often as needed."""
    import torch

    while plane.shape[2] < side:
        plane = torch.sigmoid((structure(plane) + 2) * 2)
    return torch.nn.functional.interpolate(plane, size=(side, side), mode="bilinear", align_corners=False)
