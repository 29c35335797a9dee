"""Which words of one prompt are which of another."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion.conditioning import Word

CHUNK = 77
"""Places that a text encoder has."""


def aligned(source: Sequence[Word], target: Sequence[Word], places: int) -> tuple[np.ndarray, np.ndarray]:
    """How Prompt-to-Prompt takes the source's attention for the target's: (mapper [places, places], shares [places]), float32.

    attention of the target's place n = shares[n] x sum over m of (the source's attention to m x mapper[m, n]) + (1 - shares[n]) x its own

    A word that both have keeps its attention (equation "refinement"), one in the place of another takes that one's ("word swap"), and one
    that is new has its own.

    Args:
        places: 77 n, of both prompts.
    """
    mapper, shares = np.zeros((places, places), np.float32), np.zeros(places, np.float32)
    for before, after in [*_pairs(source, target), *((start, start) for start in _starts(places)), *_padding(source, target, places)]:
        mapper[np.ix_(before, after)] = np.eye(len(before)) if len(before) == len(after) else 1 / len(after)
        shares[list(after)] = 1
    return mapper, shares


def strengths(target: Sequence[Word], weights: Sequence[tuple[tuple[str, ...], float]], places: int) -> np.ndarray:
    """By what the attention to each place is multiplied, float32 [places].

    Args:
        weights: (words that stand one behind the other, factor).

    Raises:
        InvalidInput: the prompt has no such words.
    """
    factors = np.ones(places, np.float32)
    for words, factor in weights:
        for place in places_of(target, words):
            factors[place] = factor
    return factors


def places_of(prompt: Sequence[Word], words: tuple[str, ...]) -> list[int]:
    """The places of these words wherever they stand in a prompt one behind the other. Raises `InvalidInput` where nowhere."""
    texts, count = [word.text for word in prompt], len(words)
    starts = [start for start in range(len(texts) - count + 1) if count and tuple(texts[start : start + count]) == words]
    if not starts:
        raise InvalidInput(
            "The prompt does not say “{word}”.", "Give words as they stand in it: {words}.", word=" ".join(words), words=", ".join(texts)
        )
    return [place for start in starts for word in prompt[start : start + count] for place in word.places]


def changed(source: Sequence[Word], target: Sequence[Word]) -> tuple[list[Word], list[Word]]:
    """(words that only the source has, words that only the target has), by their places in the prompts."""
    gone, new = [], []
    for kind, a, b, c, d in _operations(source, target):
        if kind != "equal":
            gone += source[a:b]
            new += target[c:d]
    return gone, new


def _operations(source: Sequence[Word], target: Sequence[Word]) -> list[tuple[str, int, int, int, int]]:
    matcher = difflib.SequenceMatcher(None, [word.text for word in source], [word.text for word in target], autojunk=False)
    return [*matcher.get_opcodes()]


def _pairs(source: Sequence[Word], target: Sequence[Word]) -> Iterator[tuple[list[int], list[int]]]:
    for kind, a, b, c, d in _operations(source, target):
        if kind in ("insert", "delete"):
            continue
        if b - a == d - c:
            for before, after in zip(source[a:b], target[c:d], strict=True):
                yield list(before.places), list(after.places)
        else:
            yield [place for word in source[a:b] for place in word.places], [place for word in target[c:d] for place in word.places]


def _starts(places: int) -> Iterator[list[int]]:
    return ([start] for start in range(0, places, CHUNK))


def _padding(source: Sequence[Word], target: Sequence[Word], places: int) -> Iterator[tuple[list[int], list[int]]]:
    def left(prompt: Sequence[Word]) -> Iterator[int]:
        taken: Collection[int] = {place for word in prompt for place in word.places}
        return (place for place in range(places) if place not in taken and place % CHUNK)

    return (([before], [after]) for before, after in zip(left(source), left(target), strict=False))
