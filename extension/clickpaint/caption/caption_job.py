"""What is asked for in words, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clickpaint.caption import tags
from clickpaint.caption.all_regions import Described, Sieve, as_json
from clickpaint.caption.base import Wording
from clickpaint.caption.caption_refinement import Refined
from clickpaint.caption.region import RegionOptions
from clickpaint.caption.style import Style, as_prompt
from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.segment.everything import EverythingOptions

_MOST_CANDIDATES = 8


@dataclass(frozen=True)
class CaptionOptions:
    """How something is to be described.

    Attributes:
        captioner: its name, None for the setting's.
        region: how much around the object is shown to it, and how the rest looks.
        style: how it is to be said.
        candidates: wordings to show, 1 to 8.
        seed: of what is drawn among wordings, 0 to 2**32 - 1.
        context: also describe the whole picture, and let CLIP put wordings last that fit it better than the region.
        tags: also tags.
        refine: let a text model say it; None: where there is one and the style asks for more than a caption.
    """

    captioner: str | None = None
    region: RegionOptions = field(default_factory=RegionOptions)
    style: Style = field(default_factory=Style)
    candidates: int = 1
    seed: int = 0
    context: bool = False
    tags: bool = False
    refine: bool | None = None

    def checked(self) -> CaptionOptions:
        """Raises `InvalidInput`."""
        self.region.checked()
        self.style.checked()
        if not 1 <= self.candidates <= _MOST_CANDIDATES:
            raise InvalidInput(
                "There cannot be {candidates} candidates.",
                "Ask for 1 to {limit}.",
                candidates=self.candidates,
                limit=_MOST_CANDIDATES,
            )
        if not 0 <= self.seed < 2**32:
            raise InvalidInput("The seed cannot be {seed}.", "It goes from 0 to 4294967295.", seed=self.seed)
        return self


@dataclass(frozen=True)
class Raw:
    """What a captioner says.

    Attributes:
        captioner: its name.
        wordings: best first.
        seen: CLIP's similarity of each, empty without a CLIP.
        box: around what was described, None for the whole picture.
        context: of the whole picture, "" where that was not asked for.
        tags: of the object, none where they were not asked for.
        milliseconds: that it took.
    """

    captioner: str
    wordings: tuple[Wording, ...]
    seen: tuple[float, ...]
    box: Box | None
    context: str
    tags: tuple[tags.Tag, ...]
    milliseconds: float


@dataclass(frozen=True)
class Caption:
    """What was said of something.

    Attributes:
        raw: what the captioner said.
        style: that was asked for.
        refined: what a text model made of it; None where none did.
        failure: why it made nothing of it, though it was asked to.
        milliseconds: that all of it took.
    """

    raw: Raw
    style: Style
    refined: Refined | None = None
    failure: ClickpaintError | None = None
    milliseconds: float = 0.0

    @property
    def text(self) -> str:
        """What to show."""
        wording = self.refined.text if self.refined is not None else self.raw.wordings[0].text
        return as_prompt(wording) if self.style.form == "prompt" and self.refined is None else wording

    @property
    def prompt(self) -> str:
        """What to fill or replace with: the caption as a prompt, and the tags that it does not name."""
        wording = as_prompt(self.text)
        more = [tag for tag in self.raw.tags if tag.name.lower() not in wording.lower()]
        return ", ".join(part for part in (wording, tags.as_prompt(more)) if part)


@dataclass(frozen=True)
class Piece:
    """More of the refined text.

    Attributes:
        again: what came before is taken back.
    """

    text: str
    again: bool = False


WordsListener = Callable[["Raw | Piece"], None]
"""Hears what is known as soon as it is; what it raises ends the work."""


@dataclass(frozen=True, eq=False)
class Panorama:
    """Everything in a picture.

    Attributes:
        captioner: its name.
        size: (width, height) of the picture.
        regions: that got a caption, with it.
        context: what the whole picture shows.
        paragraph: all of it in one, "" where that was not asked for.
        words: lines that are written in the picture.
        overview: uint8 [H, W, 3], with labels.
        milliseconds: that it took.
        failure: why the paragraph is not a text model's.
    """

    captioner: str
    size: tuple[int, int]
    regions: tuple[Described, ...]
    context: str
    paragraph: str
    words: tuple[str, ...]
    overview: np.ndarray
    milliseconds: float
    failure: ClickpaintError | None = None

    def as_json(self) -> dict[str, Any]:
        """See `caption.all_regions.as_json`."""
        return as_json(self.size, self.regions, self.context, self.paragraph, self.words)


@dataclass(frozen=True)
class PanoramaOptions:
    """How all of a picture is to be described.

    Attributes:
        captioner: its name, None for the setting's.
        region: how much around each region is shown to it.
        style: of the captions.
        sieve: which regions are described.
        regions: how they are looked for.
        paragraph: join everything in one.
        text: read what is written in the picture.
        seed: of what is drawn among wordings.
    """

    captioner: str | None = None
    region: RegionOptions = field(default_factory=RegionOptions)
    style: Style = field(default_factory=Style)
    sieve: Sieve = field(default_factory=Sieve)
    regions: EverythingOptions = field(default_factory=EverythingOptions)
    paragraph: bool = True
    text: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Availability:
    """Whether something can be had here.

    Attributes:
        available: whether it can.
        reason: why not, "" where it can.
    """

    available: bool
    reason: str = ""
