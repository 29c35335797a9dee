"""Where the loaded checkpoint sees words in a picture: to look at, and as selections."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from clickpaint.caption.finding import PhraseMatch
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image.picture import Picture
from clickpaint.paint.diffusion.seeing_words import SeenWord
from clickpaint.paint.diffusion.words_mask import area_of
from clickpaint.paint.edit_options import within
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import Progress
from clickpaint.session.selection import check_mode
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.request import Requests, RunningRequest

_LONGEST = 500
"""Letters of a prompt."""


@dataclass(frozen=True)
class WordLook:
    """How the checkpoint looks for a phrase (DiffEdit, Couairon et al., 2023).

    Attributes:
        instead: what might be there instead; "" for nothing in particular.
        ratio: of the mean difference, what counts as all of it, 0.1..10; less selects more.
        resolution: side in pixels of the square whose area the picture is looked at in, 0..4096; 0 for the checkpoint's own.
    """

    instead: str = ""
    ratio: float = 3.0
    resolution: int = 0

    def __post_init__(self) -> None:
        within("The resolution", self.resolution, 0, 4096)
        within("The mask's ratio", self.ratio, 0.1, 10)


class WordMasks:
    """Part of the studio."""

    def __init__(self, host: Host, own_sampler: OwnSampler, requests: Requests) -> None:
        self._host, self._own_sampler, self._requests = host, own_sampler, requests
        self._lock = threading.Lock()
        self._last: tuple[tuple[str, str, int, str], list[SeenWord]] | None = None

    def available(self) -> bool:
        """Whether there is a checkpoint to look with."""
        try:
            return self._host.checkpoint() is not None
        except HostUnsupported:
            return False

    def match(self, request: RunningRequest, picture: Picture, phrase: str, look: WordLook) -> PhraseMatch:
        """Where a phrase is in a picture. Raises `InvalidInput` where it is nowhere, `HostUnsupported` without a checkpoint."""

        def work(progress: Progress) -> np.ndarray:
            with self._own_sampler.opened(PaintOptions()) as checkpoint:
                return checkpoint.difference(
                    picture.pixels, phrase, progress, instead=look.instead, ratio=look.ratio, resolution=look.resolution
                )

        seen = request.compute(work)
        mask = area_of(seen, picture.size)
        if not mask.any():
            raise InvalidInput("“{phrase}” was not found in this picture.", "Say it in other words, or click on it.", phrase=phrase)
        return PhraseMatch(mask, float(seen[seen > 0.5].mean()), self._host.capabilities().checkpoint or "the checkpoint")

    def maps(self, workspace: Workspace, prompt: str, resolution: int = 0) -> list[SeenWord]:
        """Where each word of a prompt is seen in the picture that is shown. resolution: as for `WordLook`. Raises `InvalidInput`,
        `HostUnsupported`."""
        with self._requests.run("find", workspace) as request:
            return self._maps(request, workspace.picture(), prompt, resolution)

    def maps_in(self, picture: Picture, prompt: str, resolution: int = 0) -> list[SeenWord]:
        """As `maps`, of a picture that belongs to no workspace."""
        with self._requests.run("find") as request:
            return self._maps(request, picture, prompt, resolution)

    def select(
        self, workspace: Workspace, prompt: str, index: int, threshold: float = 0.5, mode: str = "replace", resolution: int = 0
    ) -> tuple[State, str]:  # fmt: skip
        """Select where a word is seen, combined with the selection as `mode` of `selection.MODES` says.

        Args:
            prompt: what the picture shows.
            index: of the word in `maps`.
            resolution: as in `maps`.
            threshold: 0..1, share of the map's largest value from which it is selected.

        Returns:
            (the state, the word)

        Raises:
            As `maps`, and `InvalidInput` where there is no such word.
        """
        check_mode(mode)
        within("The threshold", threshold, 0, 1)
        with self._requests.run("find", workspace) as request, request.turn():
            picture = workspace.picture()
            words = self._maps(request, picture, prompt, resolution)
            if not 0 <= index < len(words):
                raise InvalidInput("There is no word {index}.", "Give 0 to {last}.", index=index, last=len(words) - 1)
            return workspace.select("Find", _over(words[index].seen, threshold, picture.size), mode), words[index].text

    def _maps(self, request: RunningRequest, picture: Picture, prompt: str, resolution: int) -> list[SeenWord]:
        prompt = prompt.strip()
        if not 0 < len(prompt) <= _LONGEST:
            raise InvalidInput(
                "There is nothing to look for." if not prompt else "The phrase is too long.", "Give up to {limit} letters.", limit=_LONGEST
            )
        within("The resolution", resolution, 0, 4096)
        key = picture.digest, prompt, resolution, self._host.capabilities().checkpoint or ""
        with self._lock:
            if self._last is not None and self._last[0] == key:
                return self._last[1]

        def work(progress: Progress) -> list[SeenWord]:
            with self._own_sampler.opened(PaintOptions()) as checkpoint:
                return checkpoint.word_maps(picture.pixels, prompt, resolution, progress)

        words = request.compute(work)
        with self._lock:
            self._last = key, words
        return words


def _over(seen: np.ndarray, threshold: float, size: tuple[int, int]) -> np.ndarray:
    """Bool [H, W] of a picture of `size` (width, height): where a map, enlarged, is at or over a threshold."""
    import cv2

    return cv2.resize(seen, size, interpolation=cv2.INTER_CUBIC) >= threshold
