"""Tags in the manner of booru sites (SmilingWolf's WD taggers), through ONNX Runtime where it is installed."""

from __future__ import annotations

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clickpaint.caption.base import Crop
from clickpaint.errors import ModelMissing
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.onnx_session import open_session

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache

_GENERAL, _CHARACTER = "0", "4"
_FACES = {"0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^", "o_o", "u_u",
          "x_x", "|_|", "||_||"}  # fmt: skip
"""Tags whose underscore is part of a drawing."""


@dataclass(frozen=True)
class Tag:
    """One tag of a picture.

    Attributes:
        score: 0..1.
    """

    name: str
    score: float


def unavailable() -> str:
    """Why no tagger can run here, "" if one can."""
    return "" if importlib.util.find_spec("onnxruntime") is not None else "onnxruntime is not installed."


class Tagger:
    """A folder with model.onnx and selected_tags.csv."""

    def __init__(self, name: str, folder: Path, cache: ModelCache) -> None:
        self.name, self._folder, self._cache = name, folder, cache

    def tags(self, crop: Crop, general: float = 0.35, character: float = 0.85, progress: Progress = SILENT) -> list[Tag]:
        """What the crop shows, the surest first. general, character: the least score of a tag of that kind."""
        session, tags = self._loaded(progress)
        progress.report(0.5, "Tagging")
        entry = session.get_inputs()[0]
        side = next(size for size in entry.shape[1:] if isinstance(size, int) and size > 3)
        (scores,) = session.run(None, {entry.name: _prepared(crop.pixels, side)})
        least = {_GENERAL: general, _CHARACTER: character}
        tags = [
            Tag(name, float(score)) for (name, kind), score in zip(tags, scores[0], strict=True) if score >= least.get(kind, float("inf"))
        ]
        return sorted(tags, key=lambda tag: -tag.score)

    def _loaded(self, progress: Progress) -> tuple[Any, list[tuple[str, str]]]:
        if unavailable():
            raise ModelMissing(unavailable(), "Install onnxruntime to have tags.")

        def load() -> tuple[tuple[Any, list[tuple[str, str]]], int]:
            progress.report(None, f"Loading {self.name}")
            file = self._folder / "model.onnx"
            session = open_session(file, self.name)
            with (self._folder / "selected_tags.csv").open(encoding="utf-8", newline="") as rows:
                tags = [(_readable(row["name"]), row["category"]) for row in csv.DictReader(rows)]
            return (session, tags), file.stat().st_size

        return self._cache.get(("tagger", self.name), load, progress)


def as_prompt(tags: list[Tag]) -> str:
    """Tags as a prompt of the web UI, in which parentheses mean emphasis and are escaped."""
    return ", ".join(tag.name.replace("(", r"\(").replace(")", r"\)") for tag in tags)


def _readable(name: str) -> str:
    return name if name in _FACES else name.replace("_", " ")


def _prepared(pixels: np.ndarray, side: int) -> np.ndarray:
    """float32 [1, side, side, 3], BGR, 0..255: squared by a white border, as the taggers were trained."""
    height, width = pixels.shape[:2]
    longest = max(height, width)
    square = np.full((longest, longest, 3), 255, np.uint8)
    top, left = (longest - height) // 2, (longest - width) // 2
    square[top : top + height, left : left + width] = pixels
    scaled = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BICUBIC))
    return np.ascontiguousarray(scaled[None, :, :, ::-1], np.float32)
