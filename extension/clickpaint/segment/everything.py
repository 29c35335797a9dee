"""Everything mode: all that a segmenter finds in a picture when it is asked at every point of a grid."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast, runtime_checkable

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.geometry import Box
from clickpaint.image.packed import PackedMask, packed_fields
from clickpaint.progress import SILENT, Progress
from clickpaint.segment import grid
from clickpaint.segment.base import Candidate, Embedding, Segmenter
from clickpaint.segment.neural_segmenter import NeuralSegmenter

_SAME = 0.9
"""Masks whose IoU is above this count as one."""
_AT_ONCE_ON_CPU = 8
"""Points between two looks at the interruption: about a third of a second of decoding."""
_UPSCALED_AT_ONCE = 16
_TEXT = "Looking for everything"


@dataclass(frozen=True)
class EverythingOptions:
    """Names and defaults of segment_anything's SamAutomaticMaskGenerator.

    Attributes:
        points_per_side: the grid has its square of points.
        points_per_batch: decoded together (on a CPU fewer are).
        pred_iou_thresh: lowest score.
        stability_score_thresh: lowest IoU of the mask with itself, cut `stability_score_offset` higher and lower.
        box_nms_thresh: masks whose boxes overlap more say the same.
        crop_n_layers: also look at 2**i x 2**i crops for i up to this, overlapping by `crop_overlap_ratio`, with the grid made coarser
            by `crop_n_points_downscale_factor`**i.
        crop_nms_thresh: between crops.
        min_mask_region_area: smaller holes and pieces go.
    """

    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0

    def checked(self) -> EverythingOptions:
        """These options, known to be usable. Raises `InvalidInput` that names the one out of its range."""
        whole = {"points_per_side": (1, 128), "points_per_batch": (1, 1024), "crop_n_layers": (0, 3)}
        whole |= {"crop_n_points_downscale_factor": (1, 16), "min_mask_region_area": (0, 1 << 30)}
        unit = ("pred_iou_thresh", "stability_score_thresh", "box_nms_thresh", "crop_nms_thresh", "crop_overlap_ratio")
        for key, (low, high) in {**whole, **dict.fromkeys(unit, (0, 1)), "stability_score_offset": (0, 100)}.items():
            value = getattr(self, key)
            if not low <= value <= high or (key in whole and value != int(value)):  # NaN compares false as well
                raise InvalidInput(
                    "{option} cannot be {value!r}.",
                    "Give a whole number from {low} to {high}." if key in whole else "Give a number from {low} to {high}.",
                    option=key,
                    value=value,
                    low=low,
                    high=high,
                )
        return self


@dataclass(frozen=True, eq=False)
class Region(PackedMask):
    """A `Candidate` in little memory.

    Attributes:
        score: the segmenter's estimate of the mask's IoU, 0..1.
        logits: None, for a region cannot be refined.
    """

    score: float
    logits: None = None

    @classmethod
    def scored(cls, mask: np.ndarray, score: float, size: tuple[int, int] | None = None, at: tuple[int, int] = (0, 0)) -> Region | None:
        """The region of a mask whose (left, top) lies `at` there in a picture of `size`; None if nothing is selected."""
        packed = packed_fields(mask, size, at)
        return None if packed is None else cls(*packed, score)


@runtime_checkable
class FindsRegions(Protocol):
    """A segmenter with its own way of finding everything."""

    def regions(self, pixels: np.ndarray, progress: Progress = SILENT) -> Iterable[Candidate]: ...


def everything(
    segmenter: Segmenter,
    pixels: np.ndarray,
    options: EverythingOptions = EverythingOptions(),
    progress: Progress = SILENT,
    embedding: Embedding | None = None,
) -> list[Region]:
    """All regions, best score first, no two of them the same.

    Args:
        pixels: uint8 [H, W, 3] RGB.
        embedding: of `pixels` by this segmenter, if it is there already.

    Returns:
        Regions, which can be used as candidates. They may overlap: a whole and its parts are different regions.

    Raises:
        InvalidInput: an option is out of its range, or the segmenter has no everything mode.
    """
    options = options.checked()
    if isinstance(segmenter, NeuralSegmenter):
        regions = _by_grid(segmenter, pixels, options, progress, embedding)
    elif isinstance(segmenter, FindsRegions):
        regions = (Region.scored(candidate.mask, candidate.score) for candidate in segmenter.regions(pixels, progress))
        regions = [region for region in regions if region is not None]
    else:
        raise InvalidInput("The segmenter {name} cannot look for everything.", "Choose another one.", name=segmenter.name)
    ranked = _without_copies(sorted(regions, key=lambda region: -region.score))
    return [replace(region, score=min(max(region.score, 0.0), 1.0)) for region in ranked]  # SAM's own estimate may exceed 1


def label_map(regions: Sequence[Region | Candidate], size: tuple[int, int]) -> np.ndarray:
    """Which region a click means: uint16 [H, W], 1 + its index, 0 for none. Where regions overlap, the smallest counts.

    Args:
        size: (width, height).
    """
    labels = np.zeros(size[::-1], np.uint16)
    packed = [region if isinstance(region, Region) else Region.scored(region.mask, region.score) for region in regions]
    for index, region in sorted(enumerate(packed, 1), key=lambda item: -item[1].area if item[1] else 0):
        if region is not None:
            labels[region.box.slices][region.inside] = min(index, 65535)
    return labels


def overview(pixels: np.ndarray, regions: Sequence[Region | Candidate]) -> np.ndarray:
    """The picture with every region in a colour of its own and a light line around it, uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    labels = label_map(regions, (width, height))
    colours = np.zeros((len(regions) + 1, 3), np.uint8)
    for index in range(1, len(colours)):  # steps of the golden ratio around the colour wheel: neighbours in rank differ most
        colours[index] = [round(255 * part) for part in colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.75, 1.0)]
    painted = np.array(pixels)
    band = max(1, (1 << 20) // width)
    for top in range(0, height, band):
        rows = slice(top, min(top + band, height))
        inside = labels[rows] > 0
        # Dimmed and tinted in uint8: a 16-bit picture beside the result would be twice its size.
        painted[rows][inside] = painted[rows][inside] // 20 * 9 + colours[labels[rows][inside]] // 20 * 11
        edge = np.zeros_like(inside)
        edge[:, 1:] = labels[rows][:, 1:] != labels[rows][:, :-1]
        above = labels[max(top - 1, 0) : rows.stop - 1]
        edge[rows.stop - top - len(above) :] |= labels[rows][rows.stop - top - len(above) :] != above
        painted[rows][edge] = 235
    return painted


def _by_grid(
    segmenter: NeuralSegmenter, pixels: np.ndarray, options: EverythingOptions, progress: Progress, embedding: Embedding | None
) -> list[Region]:
    """SamAutomaticMaskGenerator's way, for every network of the family, with less memory: what the score rules out is never
    upscaled, and what stays is packed at once."""
    size = (pixels.shape[1], pixels.shape[0])
    crops = grid.crops(size, options.crop_n_layers, options.crop_overlap_ratio)
    regions: list[Region] = []
    closeness: list[float] = []  # 1 / area of the crop that a region was seen in
    for number, (crop, layer) in enumerate(crops):
        part = progress.part(number / len(crops), (number + 1) / len(crops))
        encoded = embedding if layer == 0 else None
        if encoded is None:
            encoded = segmenter.encode(np.ascontiguousarray(pixels[crop.slices]), part.part(0.0, 0.2))
        per_side = max(1, options.points_per_side // options.crop_n_points_downscale_factor**layer)
        points = grid.points(per_side) * crop.size
        seen = list(_in_crop(segmenter, encoded, points, crop, size, options, part.part(0.2, 1.0)))
        kept = grid.distinct(_boxes(seen), _scores(seen), options.box_nms_thresh)
        regions += [seen[index] for index in kept]
        closeness += [1 / crop.area] * len(kept)
    if len(crops) > 1:
        kept = grid.distinct(_boxes(regions), np.array(closeness), options.crop_nms_thresh)
        regions = [regions[index] for index in kept]
    if options.min_mask_region_area > 0:
        regions = _cleaned(regions, options)
    return regions


def _in_crop(
    segmenter: NeuralSegmenter, embedding: Embedding, points: np.ndarray, crop: Box, size: tuple[int, int],
    options: EverythingOptions, progress: Progress,
) -> Iterator[Region]:  # fmt: skip
    at_once = min(options.points_per_batch, _AT_ONCE_ON_CPU) if segmenter.on_cpu else options.points_per_batch
    for start in range(0, len(points), at_once):
        progress.report(start / len(points), _TEXT, done=start, total=len(points))
        logits, scores = segmenter.decode_points(embedding, points[start : start + at_once])
        good = scores > options.pred_iou_thresh if options.pred_iou_thresh > 0 else scores == scores
        logits, known = logits[good], scores[good].tolist()
        for first in range(0, len(known), _UPSCALED_AT_ONCE):
            progress.check()
            chosen = slice(first, first + _UPSCALED_AT_ONCE)
            stable = segmenter.stable_masks(embedding, logits[chosen], options.stability_score_offset, options.stability_score_thresh)
            for score, mask in zip(known[chosen], stable, strict=True):
                if mask is None:
                    continue
                region = Region(size, mask.box.shifted(crop.left, crop.top), mask.bits, mask.area, score)
                if crop.size == size or not grid.cut_off(_boxes([region]), crop, size)[0]:
                    yield region
    progress.report(1.0, _TEXT, done=len(points), total=len(points))


def _cleaned(regions: list[Region], options: EverythingOptions) -> list[Region]:
    """Without small holes and pieces; of those that became alike, the ones that needed no cleaning stay."""
    area, cleaned, untouched = options.min_mask_region_area, [], []
    for region in regions:
        inside = np.pad(region.inside, 1)
        clean = masks.drop_specks(masks.fill_holes(inside, area - 1), area)
        if not clean.any():  # every piece is small: the largest stays
            largest = masks.components(inside)[0]
            clean[largest.box.slices] = largest.mask
        after = Region.scored(clean, region.score, region.size, (region.box.left - 1, region.box.top - 1))
        cleaned.append(cast(Region, after))
        untouched.append(float(np.array_equal(clean, inside)))
    kept = grid.distinct(_boxes(cleaned), np.array(untouched), max(options.box_nms_thresh, options.crop_nms_thresh))
    return [cleaned[index] for index in kept]


def _without_copies(regions: list[Region]) -> list[Region]:
    kept: list[Region] = []
    areas = np.zeros(len(regions))  # of those kept, so that only what is as large is compared
    for region in regions:
        known = areas[: len(kept)]
        alike = np.flatnonzero(np.minimum(known, region.area) > _SAME * np.maximum(known, region.area))
        if not any(_same(region, kept[index]) for index in alike):
            areas[len(kept)] = region.area
            kept.append(region)
    return kept


def _same(a: Region, b: Region) -> bool:
    """Of two that are about as large."""
    common = a.box.intersection(b.box)
    if common is None or common.area <= _SAME * max(a.area, b.area):
        return False
    parts = [region.inside[common.shifted(-region.box.left, -region.box.top).slices] for region in (a, b)]
    shared = int(np.count_nonzero(parts[0] & parts[1]))
    return shared > _SAME * (a.area + b.area - shared)


def _boxes(regions: Sequence[Region]) -> np.ndarray:
    """As `grid` has them, the last pixel included."""
    return np.array([region.box for region in regions], np.float64).reshape(-1, 4) - (0, 0, 1, 1)


def _scores(regions: Sequence[Region]) -> np.ndarray:
    return np.array([region.score for region in regions], np.float64)
