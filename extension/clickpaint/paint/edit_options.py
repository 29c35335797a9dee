"""What can be asked of an edit by words, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from clickpaint.errors import InvalidInput

EditMethod = Literal["p2p", "ledits", "diffedit", "sdedit"]
"""p2p: Prompt-to-Prompt (Hertz et al., 2022). ledits: LEDITS++ (Brack et al., 2024). diffedit: DiffEdit (Couairon et al., 2023).
sdedit: SDEdit (Meng et al., 2022)."""

Inversion = Literal["ddpm", "ddim", "seed"]
"""How Prompt-to-Prompt gets from a picture to the noise that it is made of. ddpm: edit-friendly (Huberman-Spiegelglas et al., 2024).
ddim: by DDIM's steps backwards (Song et al., 2021). seed: not at all: it was painted here, with the source prompt and this seed."""

MOST_EDITS = 8


@dataclass(frozen=True)
class WordEdit:
    """One of the edits of LEDITS++.

    Attributes:
        text: what there is to be more of, or less.
        scale: how much, -30..30; below 0 it is taken away.
        threshold: 0..1, share of the picture that it is kept out of.
    """

    text: str
    scale: float = 5.0
    threshold: float = 0.9

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InvalidInput("An edit has no words.", "Say what there is to be more of, or less.")
        within("The scale of an edit", self.scale, -30, 30)
        within("The threshold of an edit", self.threshold, 0, 1)


@dataclass(frozen=True)
class EditOptions:
    """How a picture gets from what it shows (the source prompt) to what it is to show (the prompt).

    Attributes:
        method: which system does it.
        source: what the picture shows.
        edits: for LEDITS++; none for the words that the prompt has and the source has not, and the other way round.
        weights: for Prompt-to-Prompt, words of the prompt and how strong they are to be, -10..10; 1 changes nothing.
        inversion: for Prompt-to-Prompt.
        cross_steps: for Prompt-to-Prompt, the share of the steps that keep the source's attention to its words, 0..1.
        self_steps: the same for the source's attention within the picture, 0..1.
        local: for Prompt-to-Prompt, whether only what the changed words look at is changed.
        mask_ratio: for DiffEdit, above which multiple of half of the mean a difference belongs to the mask, 0.1..10.
    """

    method: EditMethod = "p2p"
    source: str = ""
    edits: tuple[WordEdit, ...] = ()
    weights: tuple[tuple[str, float], ...] = ()
    inversion: Inversion = "ddpm"
    cross_steps: float = 0.8
    self_steps: float = 0.4
    local: bool = False
    mask_ratio: float = 3.0

    def __post_init__(self) -> None:
        known("method", self.method, get_args(EditMethod))
        known("inversion", self.inversion, get_args(Inversion))
        within("The share of steps with the words' attention", self.cross_steps, 0, 1)
        within("The share of steps with the picture's attention", self.self_steps, 0, 1)
        within("The mask's ratio", self.mask_ratio, 0.1, 10)
        for _, weight in self.weights:
            within("The weight of a word", weight, -10, 10)
        if len(self.edits) > MOST_EDITS:
            raise InvalidInput("There are {count} edits.", "Give at most {limit}.", count=len(self.edits), limit=MOST_EDITS)

    def check(self, prompt: str) -> None:
        """Raise `InvalidInput` where something is missing, or would do nothing. prompt: what the picture is to show."""
        if self.edits and self.method != "ledits":
            raise InvalidInput("Edits with scales are LEDITS++'s.", "Choose the method ledits, or leave them out.")
        if self.weights and self.method != "p2p":
            raise InvalidInput("Weights of words are Prompt-to-Prompt's.", "Choose the method p2p, or leave them out.")
        if self.method in ("p2p", "diffedit") and not self.source.strip():
            raise InvalidInput("It is not said what the picture shows.", "Say it, so that what is changed can be found.")
        if self.method == "ledits" and not (self.edits or self.source.strip() != prompt.strip()):
            raise InvalidInput("There is nothing to edit.", "Say what the picture is to show, or give an edit.")
        if self.method == "sdedit" and not prompt.strip():
            raise InvalidInput("It is not said what the picture is to show.", "Say it in words.")


def known(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `InvalidInput` where a value is not among its choices."""
    if value not in choices:
        raise InvalidInput(
            "The {name} {value!r} is unknown.", "Choose one of {choices}.", name=name, value=value, choices=", ".join(choices)
        )


def within(name: str, value: float | None, low: float, high: float) -> None:
    """Raise `InvalidInput` where a number is out of its range."""
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(
            "{name} cannot be {value}.", "It goes from {minimum:g} to {maximum:g}.", value=str(value), minimum=low, maximum=high, name=name
        )
