"""A user's own classifier of pictures from a local folder, through transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.caption.loading import load_model, load_processor, nbytes
from clickpaint.caption.looking import Normalised
from clickpaint.errors import InvalidInput
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device

_SHOWN = 20


class Classifier:
    """Loaded by the first question, then held in the cache."""

    def __init__(self, name: str, folder: Path, device: Device, cache: ModelCache) -> None:
        self.name = name
        self._folder, self._device, self._cache = folder, device, cache

    def score(self, label: str, progress: Progress = SILENT) -> Callable[[Tensor], Tensor]:
        """Differentiable: pictures, float32 [n, 3, h, w] in 0..1, to the logarithm of the probability that each is of this class, [n].

        Args:
            label: the class's name, or its number.

        Raises:
            InvalidInput: there is no such class.
        """
        import torch

        model, looking = self._loaded(progress)
        labels = {int(number): str(name) for number, name in model.config.id2label.items()}
        chosen = next((number for number, name in labels.items() if label.strip().lower() in (name.lower(), str(number))), None)
        if chosen is None:
            names = [*labels.values()]
            raise InvalidInput(
                "{model} knows no class {label!r}.",
                "Choose one of {labels}.",
                model=self.name,
                label=label,
                labels=", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else ""),
            )

        def score(pictures: Tensor) -> Tensor:
            answers = model(pixel_values=looking(pictures).to(model.dtype)).logits.float()
            return torch.log_softmax(answers, dim=-1)[:, chosen]

        return score

    def _loaded(self, progress: Progress) -> tuple[Any, Normalised]:
        import torch

        def load() -> tuple[tuple[Any, Normalised], int]:
            progress.report(None, f"Loading {self.name}")
            with torch.inference_mode(False):  # what is made inside has no gradients
                model = load_model("AutoModelForImageClassification", self._folder, self._device)
            return (model, Normalised.of(load_processor(self._folder, "AutoImageProcessor"))), nbytes(model)

        return self._cache.get(("classifier", self.name), load, progress)
