"""The use-cases of selecting by words: what a phrase names, and where the loaded checkpoint sees each word of a prompt."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np

from clickpaint.caption import all_regions, finding
from clickpaint.caption.all_regions import Sieve
from clickpaint.caption.base import Decoding
from clickpaint.caption.finding import PhraseMatch
from clickpaint.caption.region import crop_region
from clickpaint.caption.registry import Captioners
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.base import Host
from clickpaint.image.picture import Picture
from clickpaint.paint.diffusion.seeing_words import SeenWord
from clickpaint.paint.diffusion.words_mask import area_of
from clickpaint.paint.edit_options import within
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.progress import Progress
from clickpaint.segment.base import Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.session.selection import check_mode
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.request import Owner, Requests, RunningRequest, segmented
from clickpaint.studio.selecting import regions_of

_LONGEST = 500
"""Letters of a prompt."""

_LONGEST_PHRASE = 200
"""Letters of a phrase."""


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

    def __init__(self, host: Host, requests: Requests, pool: ModelPool, captioners: Captioners, own_sampler: OwnSampler) -> None:
        self._host, self._requests, self._pool, self._captioners, self._own_sampler = host, requests, pool, captioners, own_sampler
        self._lock = threading.Lock()
        self._last: tuple[tuple[str, str, int, str], list[SeenWord]] | None = None

    def available(self) -> bool:
        """Whether there is a checkpoint to look with."""
        try:
            return self._host.checkpoint() is not None
        except HostUnsupported:
            return False

    def find(
        self, workspace: Workspace, phrase: str, mode: str = "replace", segmenter: str | None = None, look: WordLook | None = None
    ) -> tuple[State, PhraseMatch]:
        """Select what a phrase names, combined with the selection as `mode` of `selection.MODES` says.

        Args:
            look: how the checkpoint is to look for it; None for the best that there is for phrases.

        Raises:
            InvalidInput: it is not in the picture, or the phrase or the mode cannot be.
        """
        check_mode(mode)
        phrase = _checked_phrase(phrase)
        with self._requests.run("find", workspace) as request, request.turn():
            place = self._match(request, workspace.picture(), phrase, segmenter or workspace.segmenter or None, look)
            return workspace.select("Find", place.mask, mode), place

    def find_in(
        self, picture: Picture, phrase: str, segmenter: str | None = None, look: WordLook | None = None, owner: Owner | None = None
    ) -> PhraseMatch:
        """Where a phrase is in a picture that belongs to no workspace; owner: the video that it is a frame of. Raises as `find`."""
        phrase = _checked_phrase(phrase)
        with self._requests.run("find", owner) as request:
            return self._match(request, picture, phrase, segmenter, look)

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

    def _match(self, request: RunningRequest, picture: Picture, phrase: str, segmenter: str | None, look: WordLook | None) -> PhraseMatch:
        """Where a phrase is: by a network made for it, otherwise by CLIP among all regions, otherwise by the checkpoint, otherwise by
        captions."""
        finder, clip = self._captioners.finder(), self._captioners.clip()
        if look is None and finder is None and clip is None and self.available():
            look = WordLook()
        if look is not None:
            return self._by_checkpoint(request, picture, phrase, look)
        captioner = self._captioners.captioner() if finder is None and clip is None else None
        name = self._pool.segmenter_name(segmenter)

        def work(progress: Progress) -> PhraseMatch | None:
            if finder is not None:
                place = finder.find(picture.pixels, phrase, progress.part(0.0, 0.5))
                return self._outlined(picture, place, name, progress.part(0.5, 1.0))
            regions = regions_of(self._pool, name, picture, EverythingOptions(), progress.part(0.0, 0.6))
            chosen = all_regions.sift(regions, Sieve(smallest=64, most=40))
            if clip is not None:
                best = finding.by_clip(clip, picture.pixels, [region.mask for region in chosen], phrase, progress.part(0.6, 1.0))
                return None if best is None else PhraseMatch(chosen[best[0]].mask, best[1], clip.name)
            assert captioner is not None
            chosen.sort(key=lambda region: region.area)  # of several that are said to be it, the smallest shows least of anything else
            crops = [crop_region(picture.pixels, region.mask) for region in chosen]
            captions = [wordings[0].text for wordings in captioner.caption(crops, Decoding(), progress.part(0.6, 1.0))]
            best = finding.by_captions(captions, phrase)
            return None if best is None else PhraseMatch(chosen[best[0]].mask, best[1], captioner.name)

        place = request.compute(work)
        if place is None or not place.mask.any():
            raise InvalidInput("“{phrase}” was not found in this picture.", "Say it in other words, or click on it.", phrase=phrase)
        return place

    def _outlined(self, picture: Picture, place: PhraseMatch | None, segmenter: str, progress: Progress) -> PhraseMatch | None:
        """The place by the outline of what is there, where it is only a box so far."""
        if place is None or place.box is None:
            return place
        left, top, right, bottom = place.box
        prompts = Prompts(box=(left, top, right, bottom))
        candidates = segmented(
            self._pool, segmenter, picture, lambda made, embedding, rest: made.predict(embedding, prompts, rest), progress
        )
        return replace(place, mask=candidates[0].mask) if candidates and candidates[0].mask.any() else place

    def _by_checkpoint(self, request: RunningRequest, picture: Picture, phrase: str, look: WordLook) -> PhraseMatch:
        """Where the checkpoint sees a phrase. Raises `HostUnsupported` without one."""

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


def _checked_phrase(phrase: str) -> str:
    phrase = phrase.strip()
    if not 0 < len(phrase) <= _LONGEST_PHRASE:
        raise InvalidInput(
            "There is nothing to look for." if not phrase else "The phrase is too long.",
            "Give up to {limit} letters.",
            limit=_LONGEST_PHRASE,
        )
    return phrase


def _over(seen: np.ndarray, threshold: float, size: tuple[int, int]) -> np.ndarray:
    """Bool [H, W] of a picture of `size` (width, height): where a map, enlarged, is at or over a threshold."""
    import cv2

    return cv2.resize(seen, size, interpolation=cv2.INTER_CUBIC) >= threshold
