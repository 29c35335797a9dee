"""Text in a picture, by an optional package: easyocr or pytesseract."""

from __future__ import annotations

import importlib.util
import shutil

import numpy as np
from PIL import Image

_SURE = 0.4


def unavailable() -> str:
    """Why text cannot be read here, "" if it can."""
    return "" if _reader() else "Neither easyocr nor pytesseract (with tesseract) is installed."


def read_text(pixels: np.ndarray) -> list[str]:
    """The pieces of text in a picture, uint8 [H, W, 3], in reading order; none where no package is there."""
    reader = _reader()
    if reader == "easyocr":
        import easyocr  # type: ignore[import-not-found,import-untyped]

        found = easyocr.Reader(["en"], download_enabled=False, verbose=False).readtext(pixels)
        return [text.strip() for _, text, sure in found if sure >= _SURE and text.strip()]
    if reader == "pytesseract":
        import pytesseract  # type: ignore[import-not-found,import-untyped]

        lines = pytesseract.image_to_string(Image.fromarray(pixels)).splitlines()
        return [line.strip() for line in lines if any(letter.isalnum() for letter in line)]
    return []


def _reader() -> str:
    if importlib.util.find_spec("easyocr") is not None:
        return "easyocr"
    return "pytesseract" if importlib.util.find_spec("pytesseract") is not None and shutil.which("tesseract") else ""
