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
    """Which regions are worth describing, and which descriptions are kept.

    Attributes:
        smallest: pixels that a region has at least.
        most: regions that are described.
        overlap: of two regions that share more than this part of the smaller, the surer stays; 1 keeps a whole beside its parts.
        surest: the least mean log probability of a caption's tokens.
        seen: the least CLIP similarity of a caption with its region, where there is a CLIP.
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
                raise InvalidInput(
                    "{option} cannot be {value!r}.",
                    "It goes from {low} to {high}.",
                    option=name,
                    value=getattr(self, name),
                    low=low,
                    high=high,
                )
        return self


@dataclass(frozen=True, eq=False)
class Described:
    """One region and what it is.

    Attributes:
        score: of the words, see `Wording`.
        seen: CLIP's similarity, None without a CLIP.
    """

    region: Region
    caption: str
    score: float
    seen: float | None = None


def sift(regions: Sequence[Region], sieve: Sieve) -> list[Region]:
    """The regions to describe, the surest first."""
    kept: list[Region] = []
    for region in sorted(regions, key=lambda region: -region.score):
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
    described_regions = []
    for index, (region, crop, candidates) in enumerate(zip(regions, cut, wordings, strict=True)):
        progress.report(0.9 + 0.1 * index / len(cut), "Sifting captions")
        seen = None if clip is None else clip.similarities([crop.pixels], [described.text for described in candidates])[0].tolist()
        best = choose(candidates, style, seen)[0]
        described = Described(region, candidates[best].text, candidates[best].score, None if seen is None else seen[best])
        if described.caption and described.score >= sieve.surest and (described.seen is None or described.seen >= sieve.seen):
            described_regions.append(described)
    return sorted(described_regions, key=lambda described: -described.region.area)


def paragraph(whole: str, captions: Sequence[str], words: Sequence[str]) -> str:
    """The picture in one paragraph, without a text model: what was said, in a row."""
    parts = [_sentence(whole)] if whole else []
    if captions:
        parts.append(_sentence("In it: " + "; ".join(dict.fromkeys(caption.rstrip(".") for caption in captions))))
    if words:
        parts.append(_sentence("It says: " + "; ".join(f"“{word}”" for word in words)))
    return " ".join(parts)


def as_json(size: tuple[int, int], described: Sequence[Described], whole: str, paragraph: str, words: Sequence[str]) -> dict[str, Any]:
    """For programs: boxes as [left, top, right, bottom], masks in COCO's uncompressed run-length code. size: (width, height)."""
    regions = [
        {
            "caption": region.caption, "score": round(region.score, 4), "clip": None if region.seen is None else round(region.seen, 4),
            "box": list(region.region.box), "area": region.region.area, "segmentation": masks.to_rle(region.region.mask),
        }
        for region in described
    ]  # fmt: skip
    return {"width": size[0], "height": size[1], "caption": whole, "paragraph": paragraph, "text": list(words), "regions": regions}


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")


def _shared(first: Region, other: Region) -> float:
    """Which part of the smaller both have."""
    common = first.box.intersection(other.box)
    if common is None:
        return 0.0
    parts = [region.inside[common.shifted(-region.box.left, -region.box.top).slices] for region in (first, other)]
    return int(np.count_nonzero(parts[0] & parts[1])) / min(first.area, other.area)
