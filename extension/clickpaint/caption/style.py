"""How a caption is to be said, and what of that can be had without a text model: by decoding, and by choosing among wordings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clickpaint.caption.base import Decoding, Wording
from clickpaint.errors import InvalidInput

SENTIMENTS = ("positive", "natural", "negative")
FACTUALITIES = ("factual", "imagination")
FORMS = ("sentence", "prompt")
LANGUAGES = ("English", "Chinese", "French", "Spanish", "Arabic", "Portuguese", "Cantonese", "German", "Italian", "Japanese", "Korean",
             "Russian", "Hindi", "Dutch", "Polish", "Turkish", "Vietnamese", "Indonesian", "Ukrainian")  # fmt: skip
SHORTEST, LONGEST = 3, 150
TOLERANCE = 0.2
"""A caption of N words may have from 0.8 N to 1.2 N."""

_POSITIVE = """
    beautiful lovely happy bright cute pretty gorgeous wonderful delicious colorful colourful smiling cozy charming elegant
    fresh shiny peaceful cheerful playful adorable stunning graceful warm sunny clean proud perfect amazing great nice good fun
    friendly majestic vibrant lush sparkling delightful magnificent festive sweet calm golden joyful loving relaxed new
"""
_NEGATIVE = """
    ugly sad dark dirty broken old angry scary dull gloomy lonely abandoned rusty messy creepy dead bad damaged ruined cracked
    gray grey dusty muddy worn stained torn horrible terrible boring cheap crowded empty cold stormy wet tired weird strange
    evil rotten faded bleak grim shabby filthy crooked dangerous burnt
"""
POSITIVE, NEGATIVE = tuple(_POSITIVE.split()), tuple(_NEGATIVE.split())
"""Words that carry a mood, of those that captioners use."""

_IMAGINED = 1.1
"""The temperature at which the imagination draws its words."""
_MOOD = 1.0
"""What one word of the wished mood is worth in the choice, in units of `Wording.score`."""
_SEEN = 20.0
"""What 1 of CLIP similarity is worth there: the captions of one picture differ by hundredths."""

_LEADING = re.compile(
    r"^(?:(?:(?:this|it) (?:is|shows)|there (?:is|are)|(?:a|an|the)?\s*(?:close[- ]?up\s+)?"
    r"(?:picture|photo|photograph|image|view|shot|painting) (?:of|shows|showing))\s+)+",
    re.IGNORECASE,
)
_JOINTS = re.compile(
    r"[.,;:!?]+\s*|\s+(?:and|with|that (?:is|are|has|have)|which (?:is|are|has|have)|who (?:is|are)|while|as well as)\s+", re.IGNORECASE
)
_ARTICLE = re.compile(r"^(?:a|an|the|some|its|his|her|their|is|are)\s+", re.IGNORECASE)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_LETTERS_PER_WORD = 1.6
"""Chinese, Cantonese and Japanese are counted by letters: as many make one English word."""
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])(?:\s+|$|(?<=[。！？]))")


@dataclass(frozen=True)
class Style:
    """How a caption is to be worded.

    Attributes:
        length: words, None for what comes.
        sentiment, factuality, form, language: one of the tables above.
        wiki: add what is generally known about the object. form "prompt": phrases as a prompt for Stable Diffusion has them.
    """

    length: int | None = None
    sentiment: str = "natural"
    factuality: str = "factual"
    form: str = "sentence"
    language: str = "English"
    wiki: bool = False

    def checked(self) -> Style:
        """Raises `InvalidInput`."""
        if self.length is not None and not SHORTEST <= self.length <= LONGEST:
            raise InvalidInput(
                "A caption cannot have {length} words.",
                "Ask for {shortest} to {longest}.",
                length=self.length,
                shortest=SHORTEST,
                longest=LONGEST,
            )
        for name, known in (("sentiment", SENTIMENTS), ("factuality", FACTUALITIES), ("form", FORMS), ("language", LANGUAGES)):
            if getattr(self, name) not in known:
                raise InvalidInput(
                    "The {name} {value!r} is unknown.",
                    "Choose one of {known}.",
                    name=name,
                    value=getattr(self, name),
                    known=", ".join(known),
                )
        return self

    @property
    def words(self) -> tuple[int, int] | None:
        """(fewest, most) that `length` admits."""
        return None if self.length is None else bounds(self.length)

    @property
    def beyond_decoding(self) -> tuple[str, ...]:
        """The controls set that only a text model can serve."""
        return (("language",) if self.language != "English" else ()) + (("wiki",) if self.wiki else ())

    @property
    def plain(self) -> bool:
        """Whether nothing is asked for but a caption."""
        return self == Style()

    def decoding(self, candidates: int, seed: int, instruction: str = "") -> Decoding:
        """How a captioner is to choose its words for this style."""
        lean = {"positive": (POSITIVE, NEGATIVE), "natural": ((), ()), "negative": (NEGATIVE, POSITIVE)}[self.sentiment]
        return Decoding(
            candidates=candidates, temperature=_IMAGINED if self.factuality == "imagination" else 0.0, seed=seed, words=self.words,
            favoured=lean[0], avoided=lean[1], instruction=instruction,
        )  # fmt: skip


def bounds(length: int) -> tuple[int, int]:
    """The fewest and most words that count as `length`."""
    slack = int(length * TOLERANCE)
    return max(1, length - slack), length + slack


def count_words(text: str) -> int:
    """Words as people count them; letters of languages without spaces by how many make a word."""
    letters = len(_CJK.findall(text))
    return len(re.findall(r"\w+(?:['’.-]\w+)*", _CJK.sub(" ", text))) + round(letters / _LETTERS_PER_WORD)


def mood(text: str) -> float:
    """Words of a good mood less words of a bad one."""
    words = re.findall(r"\w+", text.lower())
    return float(sum(word in POSITIVE for word in words) - sum(word in NEGATIVE for word in words))


def choose(wordings: Sequence[Wording], style: Style, seen: Sequence[float] | None = None) -> list[int]:
    """The order in which wordings fit the style, best first, as indices.

    Args:
        seen: CLIP's similarity of each with the crop. It keeps the factual ones to what is there; the imagination may leave it.
    """
    wanted = {"positive": 1.0, "natural": 0.0, "negative": -1.0}[style.sentiment]

    def worth(index: int) -> float:
        wording = wordings[index]
        value = wording.score + _MOOD * wanted * mood(wording.text)
        if seen is not None:
            value += _SEEN * seen[index] * (1.0 if style.factuality == "factual" else 0.25)
        if style.words is not None:
            count = count_words(wording.text)
            value -= max(style.words[0] - count, count - style.words[1], 0)
        return value

    return sorted(range(len(wordings)), key=lambda index: -worth(index))


def as_prompt(text: str) -> str:
    """A caption as comma-separated phrases: without "a picture of", articles and joining words, nothing twice."""
    text = _LEADING.sub("", text.strip())
    phrases = [_ARTICLE.sub("", phrase.strip()).strip(" '\"") for phrase in _JOINTS.split(text)]
    return ", ".join(
        dict.fromkeys(phrase.lower() if phrase[:1].isupper() and phrase[1:].islower() else phrase for phrase in phrases if phrase)
    )


def trimmed(text: str, length: int) -> str:
    """At most what `length` admits: cut at a sentence's end where one is near enough, otherwise at a word."""
    least, most = bounds(length)
    if count_words(text) <= most:
        return text
    kept = ""
    for sentence in (part for part in _SENTENCE_END.split(text) if part):
        longer = f"{kept} {sentence}" if kept and not _CJK.search(kept[-2:]) else kept + sentence
        if count_words(longer) > most:
            break
        kept = longer
    if kept and count_words(kept) >= least:
        return kept
    pieces = re.findall(r"\s*\S+", text) if not _CJK.search(text) else list(text)
    while count_words("".join(pieces)) > length:
        pieces.pop()
    return "".join(pieces).strip().rstrip(",;:-、，") + ("。" if _CJK.search(text) else ".")
