"""Text in a picture: where it stands, and what it says. By rapidocr, whose package carries its networks, or by another that is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clickpaint.compat import torchvision
from clickpaint.compat.packages import installed
from clickpaint.errors import ModelMissing, Sentence
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache

_SURE = 0.4
_EASYOCR_FILES = ("craft_mlt_25k.pth", "english_g2.pth")
"""What easyocr finds and reads English with; it is not to download anything by itself."""
_NETWORKS = {
    "Det": "PP-OCRv6_det_small.onnx",
    "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec": "PP-OCRv6_rec_small.onnx",
}
"""rapidocr's files in its own folder: what finds text, what turns it upright, what reads it."""
_RAPIDOCR_NEEDS = ("rapidocr", "onnxruntime", "pyclipper", "shapely", "omegaconf", "colorlog", "six")


@dataclass(frozen=True)
class TextLine:
    """A line of text in a picture.

    Attributes:
        text: what it says.
        score: 0..1, how sure that is.
        outline: its corners (x, y) in pixels, clockwise from the text's upper left.
    """

    text: str
    score: float
    outline: tuple[tuple[float, float], ...]


def unavailable() -> str:
    """Why text cannot be read here, "" if it can."""
    if _reader():
        return ""
    if installed("easyocr"):
        return Sentence("easyocr's files {files} are not in its folder of models.", files=" and ".join(_EASYOCR_FILES))
    missing = [package for package in _RAPIDOCR_NEEDS if not installed(package)]
    return Sentence("rapidocr cannot run here: {packages} is not installed.", packages=", ".join(missing))


def read_text(pixels: np.ndarray, cache: ModelCache | None = None, progress: Progress = SILENT) -> list[str]:
    """The pieces of text in a picture, in reading order; none where no package is there.

    Args:
        pixels: uint8 [H, W, 3] RGB.
        cache: keeps the networks for the next time.
        progress: is told while they are loaded.
    """
    reader = _reader()
    if reader in _FINDERS:
        return [line.text for line in find_lines(pixels, cache, progress)]
    if reader == "pytesseract":
        import pytesseract  # type: ignore[import-not-found,import-untyped]

        lines = pytesseract.image_to_string(Image.fromarray(pixels)).splitlines()
        return [line.strip() for line in lines if any(letter.isalnum() for letter in line)]
    return []


def find_lines(pixels: np.ndarray, cache: ModelCache | None = None, progress: Progress = SILENT) -> list[TextLine]:
    """Where text stands in a picture, in reading order.

    Args:
        pixels: uint8 [H, W, 3] RGB.
        cache: keeps the networks for the next time.
        progress: is told while they are loaded.

    Raises:
        ModelMissing: no package that finds text is installed.
    """
    reader = _reader()
    if reader not in _FINDERS:
        raise ModelMissing(
            "Text cannot be found here: {reason}",
            "Start the program again without --skip-install: it installs what is missing.",
            reason=unavailable() or "pytesseract reads text, but does not say where it stands.",
        )
    load, find = _FINDERS[reader]
    progress.report(None, "Looking for text")
    return find(load()[0] if cache is None else cache.get(("text", reader), load, progress), pixels)


def _load_rapidocr() -> tuple[Any, int]:
    import rapidocr  # type: ignore[import-not-found,import-untyped]
    import torch

    files = {part: _rapidocr_folder(rapidocr) / name for part, name in _NETWORKS.items()}
    options = {f"{part}.model_path": str(file) for part, file in files.items()}  # by its path it looks for no other and downloads nothing
    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": torch.get_num_threads()}
    engine = rapidocr.RapidOCR(params={**options, **threads, "Global.log_level": "critical", "Global.text_score": _SURE})
    return engine, sum(file.stat().st_size for file in files.values())


def _by_rapidocr(engine: Any, pixels: np.ndarray) -> list[TextLine]:
    answer = engine(np.ascontiguousarray(pixels[..., ::-1]))  # it takes BGR
    if answer.boxes is None or answer.txts is None:
        return []
    return [_line(corners, text, score) for corners, text, score in zip(answer.boxes, answer.txts, answer.scores, strict=True)]


def _load_easyocr() -> tuple[Any, int]:
    torchvision.available()  # mends one that cannot load, which easyocr could not be imported with
    import easyocr  # type: ignore[import-not-found,import-untyped]

    folder = _easyocr_folder()
    reader = easyocr.Reader(["en"], model_storage_directory=str(folder), download_enabled=False, verbose=False)
    return reader, sum((folder / name).stat().st_size for name in _EASYOCR_FILES)


def _by_easyocr(reader: Any, pixels: np.ndarray) -> list[TextLine]:
    lines = [_line(corners, text, score) for corners, text, score in reader.readtext(pixels)]
    return [line for line in lines if line.score >= _SURE and line.text]


_FINDERS: dict[str, tuple[Callable[[], tuple[Any, int]], Callable[[Any, np.ndarray], list[TextLine]]]] = {
    "rapidocr": (_load_rapidocr, _by_rapidocr),
    "easyocr": (_load_easyocr, _by_easyocr),
}
"""What tells where text stands: how it is loaded, and asked."""


def _line(corners: Any, text: str, score: float) -> TextLine:
    return TextLine(text.strip(), float(score), tuple((float(x), float(y)) for x, y in corners))


def _reader() -> str:
    if all(installed(package) for package in _RAPIDOCR_NEEDS):
        return "rapidocr"
    folder = _easyocr_folder()
    if installed("easyocr") and all((folder / name).is_file() for name in _EASYOCR_FILES):
        return "easyocr"
    return "pytesseract" if installed("pytesseract") and shutil.which("tesseract") else ""


def _rapidocr_folder(package: Any) -> Path:
    return Path(package.__file__).parent / "models"


def _easyocr_folder() -> Path:
    """Where easyocr looks."""
    home = os.environ.get("EASYOCR_MODULE_PATH") or os.environ.get("MODULE_PATH") or "~/.EasyOCR"
    return Path(home).expanduser() / "model"
