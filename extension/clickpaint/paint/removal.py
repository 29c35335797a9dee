"""Removing by a model that edits: what it is told, and how far around the object it may change what the object does to its surroundings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clickpaint.image.mask import bounds
from clickpaint.image.soft_edge import automatic
from clickpaint.paint.paint_job import PaintOptions

PROMPT = (
    "Remove the object in the middle of the picture, and its shadow and its reflection with it. Show in its place what is behind it. "
    "Keep everything else exactly as it is."
)
"""The crop has the object in its middle, wherever it is in the picture."""

_ERASES = re.compile(r"eras|remov", re.IGNORECASE)
_WORDS = {"Flux.2 Klein": "klein", "Flux.2 Klein base": "klein", "Flux Kontext": "kontext", "Qwen-Image-Edit": "qwen"}
"""Families of models that edit → what names of files for them have in them."""


def prompt_for(family: str, loras: Sequence[str]) -> str:
    """What a model that edits is told, with the first LoRA for its family whose name says that it erases.

    Args:
        family: by its name (`hosts.model_family`).
        loras: names of those that there are.
    """
    word = _WORDS.get(family)
    fitting = (name for name in loras if word and word in name.lower() and _ERASES.search(name))
    lora = next(fitting, None)
    return PROMPT if lora is None else f"{PROMPT} <lora:{lora}:1>"


def as_instruction(options: PaintOptions, mask: np.ndarray, prompt: str) -> PaintOptions:
    """The task "remove" as an instruction to a model that edits.

    Args:
        options: a prompt of theirs goes before, as do their pixels of grow and feather.
        mask: bool [H, W], the object; what it does to its surroundings is removed as well, within the band around it.
        prompt: see `prompt_for`.
    """
    masking = options.masking
    edge = automatic((mask.shape[1], mask.shape[0]), "clear", bounds(mask))
    grow = edge.grow if masking.grow is None else masking.grow
    feather = edge.feather if masking.feather is None else masking.feather
    return replace(
        options,
        task="instruct",
        prompt=options.prompt if options.prompt.positive.strip() else replace(options.prompt, positive=prompt),
        masking=replace(masking, content="original", grow=grow, feather=feather),
    )
