"""Saving painted results where the web UI saves its own, under its own rules for names and formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save(pixels: np.ndarray, mask: np.ndarray, prompt: str, seed: int, infotext: str, *, folder: Path) -> None:
    """Save one result if the user has the web UI save results at all, and its mask if he has it save masks."""
    from modules import images, shared

    if not shared.opts.samples_save:
        return

    def one(picture: Image.Image, suffix: str) -> None:
        images.save_image(picture, str(folder), "", seed, prompt, shared.opts.samples_format, info=infotext, suffix=suffix)

    one(Image.fromarray(pixels), "-clickpaint")
    if getattr(shared.opts, "save_mask", False):
        one(Image.fromarray(mask.astype(np.uint8) * 255), "-clickpaint-mask")
