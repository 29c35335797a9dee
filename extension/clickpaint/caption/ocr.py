"""Text in a picture, by an optional package: easyocr or pytesseract."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from clickpaint.compat import torchvision
from clickpaint.errors import Sentence

_SURE = 0.4
_MODELS = ("craft_mlt_25k.pth", "english_g2.pth")
"""What easyocr finds and reads English with; it is not to download anything by itself."""


def unavailable() -> str:
    """Why text cannot be read here, "" if it can."""
    if _reader():
        return ""
    if importlib.util.find_spec("easyocr") is not None:
        return Sentence("easyocr's files {files} are not in its folder of models.", files=" and ".join(_MODELS))
    return "Neither easyocr nor pytesseract (with tesseract) is installed."


def read_text(pixels: np.ndarray) -> list[str]:
    """The pieces of text in a picture, uint8 [H, W, 3], in reading order; none where no package is there."""
    reader = _reader()
    if reader == "easyocr":
        torchvision.available()  # mends one that cannot load, which easyocr could not be imported with
        import easyocr  # type: ignore[import-not-found,import-untyped]

        folder = _models_folder()
        lines = easyocr.Reader(["en"], model_storage_directory=str(folder), download_enabled=False, verbose=False).readtext(pixels)
        return [text.strip() for _, text, sure in lines if sure >= _SURE and text.strip()]
    if reader == "pytesseract":
        import pytesseract  # type: ignore[import-not-found,import-untyped]

        lines = pytesseract.image_to_string(Image.fromarray(pixels)).splitlines()
        return [line.strip() for line in lines if any(letter.isalnum() for letter in line)]
    return []


def _reader() -> str:
    folder = _models_folder()
    if importlib.util.find_spec("easyocr") is not None and all((folder / name).is_file() for name in _MODELS):
        return "easyocr"
    return "pytesseract" if importlib.util.find_spec("pytesseract") is not None and shutil.which("tesseract") else ""


def _models_folder() -> Path:
    """Where easyocr looks."""
    home = os.environ.get("EASYOCR_MODULE_PATH") or os.environ.get("MODULE_PATH") or "~/.EasyOCR"
    return Path(home).expanduser() / "model"
