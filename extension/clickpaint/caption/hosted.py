"""The captioner that the host has loaded (or would load) anyway: BLIP, of which the host only tells a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from clickpaint.caption.base import Crop, Decoding, NoAnswers, Wording
from clickpaint.caption.style import count_words
from clickpaint.progress import SILENT, Progress

_BEAMS = (3, 1, 5, 2, 4, 6, 7, 8)
"""One wording comes of each search: widths in the order in which they are tried."""
_TRIES = 3
_PROMPT_TOKENS = 4
"""What BLIP begins with ("a picture of") counts among its tokens."""
_TOKENS_PER_WORD = 1.15


class CaptionFunction(Protocol):
    """`Host.caption`."""

    def __call__(self, pixels: np.ndarray, beams: int | None, tokens: tuple[int, int] | None) -> str: ...


class HostCaptioner(NoAnswers):
    """Implements `Captioner`. It searches only: one wording as widely as the host's user has set it, several each by a width of its own.
    Its sentences come without scores: all are 0."""

    name = "host"
    can_caption = True
    follows = False

    def __init__(self, caption_on_host: CaptionFunction) -> None:
        self._caption_on_host = caption_on_host

    def caption(self, crops: Sequence[Crop], decoding: Decoding, progress: Progress = SILENT) -> list[list[Wording]]:
        wordings = []
        for index, crop in enumerate(crops):
            progress.report(index / len(crops), "Describing", done=index, total=len(crops))
            widths = _BEAMS[: decoding.candidates] if decoding.candidates > 1 else (None,)
            texts = [self._wording(crop, beams, decoding.words, progress) for beams in widths]
            wordings.append([Wording(text, 0.0) for text in dict.fromkeys(texts)])
        return wordings

    def _wording(self, crop: Crop, beams: int | None, words: tuple[int, int] | None, progress: Progress) -> str:
        if words is None:
            return self._caption_on_host(crop.pixels, beams, None)
        least, most = (_PROMPT_TOKENS + round(_TOKENS_PER_WORD * count) for count in words)
        text = ""
        for _ in range(_TRIES):
            progress.check()
            text = self._caption_on_host(crop.pixels, beams, (least, max(least + 1, most)))
            count = count_words(text)
            if count < words[0]:
                least, most = least + words[0] - count, max(most, least + words[0] - count + 2)
            elif count > words[1]:
                most -= count - words[1]
                least = min(least, most - 1)
            else:
                break
        return text
