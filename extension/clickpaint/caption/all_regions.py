"""Everything in a picture, each region with its caption: which regions, which captions are worth keeping, and how they are handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.caption.base import Captioner
from clickpaint.caption.region import RegionOptions, crop_region
from clickpaint.caption.style import Style, choose
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.progress import SILENT, Progress
from clickpaint.segment.everything import Region

if TYPE_CHECKING:
    from clickpaint.caption.clip import Clip


@dataclass(frozen=True)
class Sieve:
    """smallest: pixels that a region has at least. most: regions that are described. overlap: of two regions that share more than
    this part of the smaller, the surer stays; 1 keeps a whole beside its parts. surest: the least mean log probability of a caption's
    tokens. seen: the least CLIP similarity of a caption with its region, where there is a CLIP.
    """

    smallest: int = 2500
    most: int = 10
    overlap: float = 0.95
    surest: float = -1.8
    seen: float = 0.2

    def checked(self) -> Sieve:
        """Raises `InvalidInput`."""
        ranges = {"smallest": (0, 1 << 30), "most": (1, 200), "overlap": (0, 1), "surest": (-100, 0), "seen": (-1, 1)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(f"{name} cannot be {getattr(self, name)!r}.", f"It goes from {low} to {high}.", option=name)
        return self


@dataclass(frozen=True, eq=False)
class Described:
    """One region and what it is. score: of the words, see `Wording`. seen: CLIP's similarity, None without a CLIP."""

    region: Region
    caption: str
    score: float
    seen: float | None = None


def sift(regions: Sequence[Region], sieve: Sieve) -> list[Region]:
    """The regions to describe, the surest first."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda one: -one.score):
        if region.area >= sieve.smallest and all(_shared(region, other) <= sieve.overlap for other in kept):
            kept.append(region)
            if len(kept) == sieve.most:
                break
    return kept


def describe(
    captioner: Captioner, pixels: np.ndarray, regions: Sequence[Region], style: Style, sieve: Sieve,
    crops: RegionOptions, clip: Clip | None = None, seed: int = 0, progress: Progress = SILENT,
) -> list[Described]:  # fmt: skip
    """A caption for each of the regions that get a good one, the largest region first. pixels: uint8 [H, W, 3]."""
    cut = [crop_region(pixels, region.mask, crops) for region in regions]
    candidates = 1 if style.plain else 3
    wordings = captioner.caption(cut, style.decoding(candidates, seed), progress.part(0.0, 0.9)) if cut else []
    found = []
    for index, (region, crop, said) in enumerate(zip(regions, cut, wordings, strict=True)):
        progress.report(0.9 + 0.1 * index / len(cut), "Sifting captions")
        seen = None if clip is None else clip.similarities([crop.pixels], [one.text for one in said])[0].tolist()
        best = choose(said, style, seen)[0]
        one = Described(region, said[best].text, said[best].score, None if seen is None else seen[best])
        if one.caption and one.score >= sieve.surest and (one.seen is None or one.seen >= sieve.seen):
            found.append(one)
    return sorted(found, key=lambda one: -one.region.area)


def paragraph(whole: str, captions: Sequence[str], words: Sequence[str]) -> str:
    """The picture in one paragraph, without a text model: what was said, in a row."""
    parts = [_sentence(whole)] if whole else []
    if captions:
        parts.append(_sentence("In it: " + "; ".join(dict.fromkeys(caption.rstrip(".") for caption in captions))))
    if words:
        parts.append(_sentence("It says: " + "; ".join(f"“{word}”" for word in words)))
    return " ".join(parts)


def as_json(size: tuple[int, int], found: Sequence[Described], whole: str, told: str, words: Sequence[str]) -> dict[str, Any]:
    """For programs: boxes as [left, top, right, bottom], masks in COCO's uncompressed run-length code. size: (width, height)."""
    regions = [
        {
            "caption": one.caption, "score": round(one.score, 4), "clip": None if one.seen is None else round(one.seen, 4),
            "box": list(one.region.box), "area": one.region.area, "segmentation": masks.to_rle(one.region.mask),
        }
        for one in found
    ]  # fmt: skip
    return {"width": size[0], "height": size[1], "caption": whole, "paragraph": told, "text": list(words), "regions": regions}


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")


def _shared(one: Region, other: Region) -> float:
    """Which part of the smaller both have."""
    common = one.box.intersection(other.box)
    if common is None:
        return 0.0
    parts = [region.inside[common.shifted(-region.box.left, -region.box.top).slices] for region in (one, other)]
    return int(np.count_nonzero(parts[0] & parts[1])) / min(one.area, other.area)
