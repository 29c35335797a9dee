"""ViTMatte (Yao, Wang, Yang and Wang 2023), where its folder is among the models: it finds hair and what shines through."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.caption import loading
from clickpaint.progress import Progress
from clickpaint.studio.model_pool import ModelPool
from clickpaint.weights.folders import is_folder

KIND = "matting"
"""Of the host's folders: the model is a folder of its own in one of them, with config.json and model.safetensors."""

_MULTIPLE = 32
"""Both sides of what the network sees are multiples of this."""


def folder(folders: Iterable[Path]) -> Path | None:
    """The first folder of a ViTMatte in these; None for none, or where the installed transformers has no such network."""
    if not loading.knows("vitmatte"):
        return None
    for parent in folders:
        try:
            inner = sorted(path for path in parent.iterdir() if is_folder(path))
        except OSError:
            continue
        for path in inner:
            try:
                if json.loads((path / "config.json").read_text("utf-8"))["model_type"] == "vitmatte":
                    return path
            except (OSError, ValueError, KeyError, TypeError):
                continue
    return None


class ViTMatte:
    """Called as a `segment.matting.Estimate`.

    Args:
        path: of its folder.
    """

    def __init__(self, path: Path, pool: ModelPool) -> None:
        self._path, self._pool = path, pool

    def __call__(self, pixels: np.ndarray, trimap: np.ndarray, progress: Progress) -> np.ndarray:
        import torch

        device = self._pool.host.device()

        def load() -> tuple[Any, int]:
            progress.report(None, "Loading ViTMatte")
            model = loading.load_model("VitMatteForImageMatting", self._path, device)
            return model, loading.nbytes(model)

        model = self._pool.models.get((KIND, str(self._path)), load, progress)
        height, width = trimap.shape
        colours = (pixels.astype(np.float32) / 255 - 0.5) / 0.5
        seen = np.concatenate([colours, trimap[..., None]], axis=2)
        seen = np.pad(seen, ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE), (0, 0)), mode="edge")
        inputs = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            alphas = model(pixel_values=inputs.to(device=device.torch, dtype=device.torch_dtype)).alphas
        return alphas[0, 0, :height, :width].float().cpu().numpy()
