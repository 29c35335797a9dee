"""Saving painted results where the web UI saves its own, under its own rules for names and formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def save(pixels: np.ndarray, mask: np.ndarray, prompt: str, seed: int, infotext: str, *, folder: Path) -> None:
    """Save a result if the user has the web UI save results at all, and its mask if he has it save masks.

    Args:
        pixels: uint8 [H, W, 3], the whole picture.
        mask: bool [H, W], what was asked to be painted.
        prompt, seed, infotext: for the file's name and text.
        folder: the web UI's for its own results.
    """
    from modules import images, shared

    if not shared.opts.samples_save:
        return

    def save_one(picture: Image.Image, suffix: str) -> None:
        images.save_image(picture, str(folder), "", seed, prompt, shared.opts.samples_format, info=infotext, suffix=suffix)

    save_one(Image.fromarray(pixels), "-clickpaint")
    if getattr(shared.opts, "save_mask", False):
        save_one(Image.fromarray(mask.astype(np.uint8) * 255), "-clickpaint-mask")
