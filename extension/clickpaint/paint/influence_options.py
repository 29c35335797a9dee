"""What may steer a sampling besides the prompt, as data: a score that the result is to have, a picture that it is to resemble."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from clickpaint.errors import InvalidInput

GuideKind = Literal["none", "clip", "classifier", "picture"]
"""clip: likeness to words, by CLIP. picture: likeness to a picture, by CLIP. classifier: probability of a class, by a classifier."""


@dataclass(frozen=True)
class GuideOptions:
    """Guidance by the gradient of a score: of CLIP (GLIDE, Nichol et al., 2021), of a picture's likeness (Semantic Diffusion Guidance, Liu
    et al., 2021), of a classifier (Dhariwal and Nichol, 2021).

    Attributes:
        kind: whose score.
        words: for "clip" phrases, separated by ";", each with ":" and a weight where that is not 1; a weight below 0 leads away from it.
            For "classifier" the name or number of the class.
        scale: how strongly it steers, 0..10000; 0 is the plain sampler.
        picture: uint8 [h, w, 3], for "picture".
    """

    kind: GuideKind = "none"
    words: str = ""
    scale: float = 100.0
    picture: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(GuideKind):
            raise InvalidInput(
                "The guide {value!r} is unknown.", "Choose one of {choices}.", value=self.kind, choices=", ".join(get_args(GuideKind))
            )
        _share("The guide's scale", self.scale, 10_000)
        if self.kind == "none" and (self.words.strip() or self.picture is not None or self.scale != GuideOptions.scale):
            raise InvalidInput(
                "It is not said what guides.", "Choose the guide clip, picture or classifier, or leave its words, picture and scale out."
            )
        if self.kind in ("clip", "classifier") and not self.words.strip():
            raise InvalidInput("It is not said what the guide is to look for.", "Give its words.")
        if self.kind == "picture" and self.picture is None:
            raise InvalidInput("There is no picture to be guided by.", "Give one.")
        if self.kind == "picture" and self.words.strip():
            raise InvalidInput("A picture that guides needs no words.", "Leave them out, or choose the guide clip.")
        if self.kind in ("clip", "classifier") and self.picture is not None:
            raise InvalidInput("Words guide here, not a picture.", "Leave the picture out, or choose the guide picture.")
        if self.kind == "clip":
            self.phrases()

    @property
    def acts(self) -> bool:
        return self.kind != "none" and self.scale > 0

    def phrases(self) -> tuple[tuple[str, float], ...]:
        """(words, weight) of each phrase. Raises `InvalidInput`."""
        phrases = []
        for part in filter(str.strip, self.words.split(";")):
            words, sign, number = part.rpartition(":")
            try:
                weight = float(number) if sign else 1.0
            except ValueError:  # a colon that belongs to the words
                words, sign, weight = part, "", 1.0
            words = (words if sign else part).strip()
            if not words or not math.isfinite(weight) or abs(weight) > 10:
                raise InvalidInput(
                    "{phrase!r} cannot guide.", "Give words, or words:weight with a weight from -10 to 10.", phrase=part.strip()
                )
            phrases.append((words, weight))
        return tuple(phrases)


MOST_REFERENCES = 4


@dataclass(frozen=True)
class ReferenceOptions:
    """A picture that the result is to resemble, by the loaded network's own attention or by an IP-Adapter; or several that an edit model
    (Flux Kontext, Qwen-Image-Edit, Flux.2 Klein) looks at beside the one that is edited.

    Attributes:
        picture: uint8 [h, w, 3]; None for no reference.
        further: the second and others, uint8 [h, w, 3] each, in the order in which a prompt counts them; for edit models alone.
        adapter: name of an IP-Adapter's file that reads it; "" for the attention of the loaded network, which needs no file.
        weight: how far it is looked at, 0..1.
        fidelity: without an adapter, how far the negative prompt looks at it as well, 0..1; less is a stronger likeness.
        start, end: share of the sampling during which it acts, 0..1.
    """

    picture: np.ndarray | None = field(default=None, compare=False, repr=False)
    further: tuple[np.ndarray, ...] = field(default=(), compare=False, repr=False)
    adapter: str = ""
    weight: float = 1.0
    fidelity: float = 0.5
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("weight", self.weight), ("fidelity", self.fidelity), ("start", self.start), ("end", self.end)):
            _share(f"The reference's {name}", value, 1)
        if self.adapter and self.fidelity != ReferenceOptions.fidelity:
            raise InvalidInput("An IP-Adapter knows no fidelity.", "Leave the fidelity out, or let the network itself look (no adapter).")
        if self.end <= self.start:
            raise InvalidInput("The reference would act in no step.", "Let its end come after its start.")
        if self.further and self.picture is None:
            raise InvalidInput("There are further reference pictures, but no first one.", "Give the first one, too.")
        if len(self.pictures) > MOST_REFERENCES:
            raise InvalidInput(
                "There are {count} reference pictures.", "Give at most {limit}.", count=len(self.pictures), limit=MOST_REFERENCES
            )

    @property
    def acts(self) -> bool:
        return self.picture is not None and self.weight > 0

    @property
    def lacks_picture(self) -> bool:
        """Whether something is said about a reference that there is not."""
        return self.picture is None and self != ReferenceOptions()

    @property
    def pictures(self) -> tuple[np.ndarray, ...]:
        """All of them, in their order."""
        return () if self.picture is None else (self.picture, *self.further)

    @property
    def adjusted(self) -> bool:
        """Whether it is said how the picture is looked at, which an edit model decides by itself."""
        return self != ReferenceOptions()


def _share(name: str, value: float, high: float) -> None:
    if not (math.isfinite(value) and 0 <= value <= high):
        raise InvalidInput(
            "{name} cannot be {value}.", "It goes from {minimum:g} to {maximum:g}.", value=str(value), minimum=0, maximum=high, name=name
        )
