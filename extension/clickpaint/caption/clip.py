"""How well words and pictures fit: CLIP (Radford et al. 2021) from a local folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clickpaint.caption.loading import features, load_model, load_processor, nbytes
from clickpaint.caption.looking import Normalised
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device

_AT_ONCE = 16


class Clip:
    """Loaded by the first question, then held in the cache."""

    def __init__(self, name: str, folder: Path, device: Device, cache: ModelCache) -> None:
        self.name = name
        self._folder, self._device, self._cache = folder, device, cache

    def similarities(self, pictures: Sequence[np.ndarray], texts: Sequence[str], progress: Progress = SILENT) -> np.ndarray:
        """Cosine similarities, float32 [pictures, texts], about 0.15 for what has nothing to do with each other to 0.35.

        Args:
            pictures: uint8 [h, w, 3] each.
        """
        if not pictures or not texts:
            return np.zeros((len(pictures), len(texts)), np.float32)
        return self.pictures(pictures, progress) @ self.texts(texts, progress).T

    def pictures(self, pictures: Sequence[np.ndarray], progress: Progress = SILENT) -> np.ndarray:
        """Features of length 1, float32 [n, d]."""
        model, processor = self._loaded(progress)
        features = []
        for start in range(0, len(pictures), _AT_ONCE):
            progress.report(start / len(pictures), "Comparing words and pictures", done=start, total=len(pictures))
            images = [Image.fromarray(pixels) for pixels in pictures[start : start + _AT_ONCE]]
            inputs = processor(images=images, return_tensors="pt")
            features.append(self._features(model.get_image_features, pixel_values=inputs["pixel_values"]))
        return np.concatenate(features)

    def texts(self, texts: Sequence[str], progress: Progress = SILENT) -> np.ndarray:
        """Features of length 1, float32 [n, d]; what is longer than CLIP reads is cut off."""
        model, processor = self._loaded(progress)
        length = model.config.text_config.max_position_embeddings
        inputs = processor(text=list(texts), return_tensors="pt", padding=True, truncation=True, max_length=length)
        return self._features(model.get_text_features, input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])

    def score(
        self, phrases: Sequence[tuple[str, float]] = (), picture: np.ndarray | None = None, progress: Progress = SILENT
    ) -> Callable[[Tensor], Tensor]:  # fmt: skip
        """Differentiable: pictures, float32 [n, 3, h, w] in 0..1, to their likeness, [n]: the sum of the cosine similarities.

        Args:
            phrases: (words, weight) each.
            picture: uint8 [h, w, 3], another one that they are to resemble.
        """
        import torch

        model, processor = self._loaded(progress)
        looking, parameter = Normalised.of(processor), next(model.parameters())
        wanted = np.zeros(model.config.projection_dim, np.float32)
        if phrases:
            weights = np.array([weight for _, weight in phrases], np.float32)
            wanted = wanted + weights @ self.texts([words for words, _ in phrases], progress)
        if picture is not None:
            wanted = wanted + self.pictures([picture], progress)[0]
        direction = torch.from_numpy(wanted).to(parameter.device)

        def score(pictures: Tensor) -> Tensor:
            seen = features(model.get_image_features(pixel_values=looking(pictures).to(parameter.dtype))).float()
            return torch.nn.functional.normalize(seen, dim=-1) @ direction

        return score

    def _features(self, compute: Any, **inputs: Tensor) -> np.ndarray:
        import torch

        device, dtype = self._device.torch, self._device.torch_dtype
        moved = {key: value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype) for key, value in inputs.items()}
        with torch.inference_mode():
            vectors = features(compute(**moved)).float()
            return torch.nn.functional.normalize(vectors, dim=-1).cpu().numpy()

    def _loaded(self, progress: Progress) -> tuple[Any, Any]:
        def load() -> tuple[tuple[Any, Any], int]:
            import torch

            progress.report(None, f"Loading {self.name}")
            with torch.inference_mode(False):  # what is made inside has no gradients
                model = load_model("CLIPModel", self._folder, self._device)
            return (model, load_processor(self._folder)), nbytes(model)

        return self._cache.get(("clip", self.name), load, progress)
