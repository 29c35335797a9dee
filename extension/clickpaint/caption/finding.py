"""Finding again what is said: a phrase, and where in the picture it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clickpaint.caption.clip import Clip
from clickpaint.caption.loading import load_model, load_processor, nbytes
from clickpaint.caption.region import RegionOptions, crop_region
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device

_CLIPSEG_LEAST = 0.3
_DINO_LEAST = 0.3
_SAM3_LEAST = 0.5
_AS_SEEN = RegionOptions(padding=0.05, smallest=64)


@dataclass(frozen=True, eq=False)
class PhraseMatch:
    """Where a phrase is in a picture.

    Attributes:
        mask: bool [H, W].
        score: 0..1, how sure it is.
        how: what found it.
        box: where a finder only gives boxes, the mask is of it all.
    """

    mask: np.ndarray
    score: float
    how: str
    box: Box | None = None


_CLASSES = {
    "clipseg": ("CLIPSegForImageSegmentation", "AutoProcessor"),
    "grounding_dino": ("GroundingDinoForObjectDetection", "AutoProcessor"),
    "sam3": ("Sam3Model", "Sam3Processor"),  # the one for films, which its folder names, takes no phrases
}
"""Of a family, the network's class and the processor's."""


class Finder:
    """A network from a local folder that finds phrases: CLIPSeg, Grounding DINO or SAM 3."""

    def __init__(self, name: str, family: str, folder: Path, device: Device, cache: ModelCache) -> None:
        self.name = name
        self._family, self._folder, self._device, self._cache = family, folder, device, cache

    def find(self, pixels: np.ndarray, phrase: str, progress: Progress = SILENT) -> PhraseMatch | None:
        """Where the phrase is in a picture, uint8 [H, W, 3]; None where it is not."""
        import torch

        def load() -> tuple[tuple[Any, Any], int]:
            progress.report(None, f"Loading {self.name}")
            network, words = _CLASSES[self._family]
            model = load_model(network, self._folder, self._device)
            return (model, load_processor(self._folder, words)), nbytes(model)

        model, processor = self._cache.get(("finder", self.name), load, progress)
        progress.report(0.3, "Looking for it")
        look: Callable[..., PhraseMatch | None] = getattr(self, f"_{self._family}")
        with torch.inference_mode():
            return look(model, processor, pixels, phrase)

    def _clipseg(self, model: Any, processor: Any, pixels: np.ndarray, phrase: str) -> PhraseMatch | None:
        """Lueddecke and Ecker 2022."""
        import torch

        inputs = self._moved(processor(text=[phrase], images=[Image.fromarray(pixels)], return_tensors="pt", padding=True))
        logits = model(**inputs).logits.float()
        heat = torch.nn.functional.interpolate(logits.reshape(1, 1, *logits.shape[-2:]), pixels.shape[:2], mode="bilinear")
        heat = torch.sigmoid(heat)[0, 0].cpu().numpy()
        mask = heat > _CLIPSEG_LEAST
        return PhraseMatch(mask, float(heat[mask].mean()), self.name) if mask.any() else None

    def _grounding_dino(self, model: Any, processor: Any, pixels: np.ndarray, phrase: str) -> PhraseMatch | None:
        """Liu et al. 2023. Its language is lower-case phrases, each with its full stop."""
        size = pixels.shape[:2]
        text = phrase.lower().strip().rstrip(".") + "."
        inputs = processor(images=Image.fromarray(pixels), text=text, return_tensors="pt")
        output = model(**self._moved(inputs))
        scores, boxes = output.logits[0].float().sigmoid().max(dim=-1).values.cpu(), output.pred_boxes[0].float().cpu().numpy()
        best = int(scores.argmax())
        if float(scores[best]) < _DINO_LEAST:
            return None
        x, y, width, height = boxes[best] * (size[1], size[0], size[1], size[0])
        left, top = round(float(x - width / 2)), round(float(y - height / 2))
        box = Box(left, top, round(float(x + width / 2)), round(float(y + height / 2))).clipped(size[1], size[0])
        if not box.area:
            return None
        mask = np.zeros(size, bool)
        mask[box.slices] = True
        return PhraseMatch(mask, float(scores[best]), self.name, box)

    def _sam3(self, model: Any, processor: Any, pixels: np.ndarray, phrase: str) -> PhraseMatch | None:
        inputs = processor(images=Image.fromarray(pixels), text=phrase, return_tensors="pt")
        output = model(**self._moved(inputs))
        instances = processor.post_process_instance_segmentation(
            output, threshold=_SAM3_LEAST, mask_threshold=0.5, target_sizes=[pixels.shape[:2]]
        )[0]
        if not len(instances["scores"]):
            return None
        masks = instances["masks"].cpu().numpy().astype(bool)
        return PhraseMatch(np.logical_or.reduce(masks), float(instances["scores"].max()), self.name)

    def _moved(self, inputs: Any) -> dict[str, Any]:
        device, dtype = self._device.torch, self._device.torch_dtype
        return {
            key: value.to(device=device, dtype=dtype if value.is_floating_point() else value.dtype) if hasattr(value, "to") else value
            for key, value in dict(inputs).items()
        }


def by_clip(
    clip: Clip, pixels: np.ndarray, masks: Sequence[np.ndarray], phrase: str, progress: Progress = SILENT
) -> tuple[int, float] | None:
    """Which of several regions, bool [H, W] each, fits the phrase best, and how well (cosine); None without regions."""
    if not masks:
        return None
    crops = [crop_region(pixels, mask, _AS_SEEN).pixels for mask in masks]
    scores = clip.similarities(crops, [phrase], progress)[:, 0]
    best = int(scores.argmax())
    return best, float(scores[best])


def by_captions(captions: Sequence[str], phrase: str) -> tuple[int, float] | None:
    """Which caption says the phrase best, by the share of the words of either that both have; None if none has any of them."""
    wanted = _words(phrase)
    if not wanted or not captions:
        return None
    scores = [len(wanted & words) / len(wanted) + 0.01 * len(wanted & words) / max(len(words), 1) for words in map(_words, captions)]
    best = int(np.argmax(scores))
    return (best, min(scores[best], 1.0)) if scores[best] > 0 else None


_EMPTY_WORDS = frozenset({"a", "an", "the", "of", "in", "on", "with", "and", "at", "is", "are", "to"})


def _words(text: str) -> set[str]:
    return {word.removesuffix("s") for word in re.findall(r"\w+", text.lower())} - _EMPTY_WORDS
