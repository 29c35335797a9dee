"""What every captioner offers: words for parts of a picture, and answers to questions about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.progress import SILENT, Progress


@dataclass(frozen=True, eq=False)
class Crop:
    """What a captioner sees.

    Attributes:
        pixels: uint8 [h, w, 3] RGB.
        mask: bool [h, w], the region in it; all of it for a whole picture.
    """

    pixels: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Decoding:
    """How words are chosen.

    Attributes:
        candidates: how many wordings.
        beams: of the search, at least as many as candidates.
        temperature: 0 searches for the likeliest words, above 0 they are drawn, by `seed`.
        words: (fewest, most) that a wording may have, None for what comes.
        max_tokens: where it is cut off.
        favoured, avoided: words to lean to and away from.
        instruction: for models that follow one.
    """

    candidates: int = 1
    beams: int = 3
    temperature: float = 0.0
    seed: int = 0
    words: tuple[int, int] | None = None
    max_tokens: int = 50
    favoured: tuple[str, ...] = ()
    avoided: tuple[str, ...] = ()
    instruction: str = ""


@dataclass(frozen=True)
class Wording:
    """One caption.

    Attributes:
        score: mean natural logarithm of its tokens' probabilities, at most 0; the closer to 0, the surer.
    """

    text: str
    score: float


@dataclass(frozen=True)
class Turn:
    """One question about an object, and its answer.

    Attributes:
        box: around the object it was asked about, None for the whole picture.
    """

    question: str
    answer: str
    box: Box | None = None


class Captioner(Protocol):
    """A network that says what a picture shows.

    Attributes:
        name: key.
        can_caption, can_answer: what it was trained for.
        follows: whether `Decoding.instruction` reaches it.
    """

    name: str
    can_caption: bool
    can_answer: bool
    follows: bool

    def caption(self, crops: Sequence[Crop], decoding: Decoding, progress: Progress = SILENT) -> list[list[Wording]]:
        """Wordings for every crop, the surest first. Raises `InvalidInput` where `can_caption` is False."""
        ...

    def answer(self, crop: Crop, question: str, history: Sequence[Turn] = (), progress: Progress = SILENT) -> str:
        """Raises `InvalidInput` where `can_answer` is False."""
        ...


class NoAnswers:
    """A captioner that cannot be asked."""

    name: str
    can_answer = False

    def answer(self, crop: Crop, question: str, history: Sequence[Turn] = (), progress: Progress = SILENT) -> str:
        raise InvalidInput(
            "{name} cannot answer questions.",
            "Put a question answering model (BLIP-VQA, SmolVLM …) into the captioner folder.",
            name=self.name,
        )
