"""From a picture, a mask and a wish to results: plan the crop, let the host paint it, put it back so that nothing else changes.

What is painted goes this way: a host gives a `Painted` (the crop at the size it was painted at); here it becomes a `PaintResult` (blended
into its part of the picture, which is all that is kept of it), several of them a `PaintedCanvas`. Whoever wants whole pictures asks that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import blend
from clickpaint.image.geometry import Box
from clickpaint.image.mask import bounds, check_size
from clickpaint.image.soft_edge import SoftEdge, automatic
from clickpaint.image.transparency import painted_over
from clickpaint.paint.agreement import Agreement
from clickpaint.paint.alignment import align
from clickpaint.paint.context import LARGEST_SIDE, MULTIPLE, plan, scaled, scaled_mask
from clickpaint.paint.paint_job import SHOWN, WHOLE, Painted, PaintJob, PaintOptions
from clickpaint.progress import SILENT, Progress

Run = Callable[[PaintJob, Progress], list[Painted]]
"""The host: paints one job, gives `job.count` results or fewer if the user skipped some."""

Erase = Callable[[np.ndarray, np.ndarray, Progress], np.ndarray]
"""erase(pixels uint8 [H, W, 3], mask bool [H, W], progress) → uint8 [H, W, 3], for the masked content "erased"."""


@dataclass(frozen=True, eq=False)
class PaintResult:
    """One of several results: what a part of the picture became.

    Attributes:
        box: outside of it nothing changed.
        pixels: uint8 [box.height, box.width, 3], what is there now.
        seed: as the host gave it.
        infotext: as the host gave it.
        opacity: uint8 [box.height, box.width], the alpha that is there now; None for a picture without alpha, or where it stays.
    """

    box: Box
    pixels: np.ndarray
    seed: int
    infotext: str = field(default="", repr=False)
    opacity: np.ndarray | None = field(default=None, repr=False)

    def placed_in(self, pixels: np.ndarray) -> np.ndarray:
        """A copy of the picture, uint8 [H, W, 3], with this result in it."""
        placed = pixels.copy()
        placed[self.box.slices] = self.pixels
        return placed

    def opacity_in(self, opacity: np.ndarray | None) -> np.ndarray | None:
        """A copy of the picture's alpha, uint8 [H, W] or None, with this result's in it."""
        if opacity is None or self.opacity is None:
            return opacity
        placed = opacity.copy()
        placed[self.box.slices] = self.opacity
        return placed


@dataclass(frozen=True, eq=False)
class PaintedCanvas:
    """What a painting gave.

    Attributes:
        pixels: uint8 [H, W, 3], the picture as it was, on a larger canvas if it was expanded.
        mask: bool [H, W] of what was asked to be painted.
        results: to choose from; fewer than were asked for if the user skipped some.
        opacity: uint8 [H, W], the picture's alpha as it was, or None; what was added to the canvas is transparent.
        edge: how far beyond the mask the results reach; None where the whole picture was the mask.
    """

    pixels: np.ndarray
    mask: np.ndarray
    results: tuple[PaintResult, ...]
    opacity: np.ndarray | None = None
    edge: SoftEdge | None = None

    def pictures(self) -> Iterator[np.ndarray]:
        """The whole picture with each of the results, uint8 [H, W, 3], one at a time."""
        return (result.placed_in(self.pixels) for result in self.results)


@dataclass(frozen=True, eq=False)
class _Canvas:
    """The picture with the area to paint.

    Attributes:
        pixels: uint8 [H, W, 3].
        mask: bool [H, W], what was asked to be painted.
        hole: bool [H, W], where something of the result is taken.
        alpha: float32 [H, W] in 0..1, how much of it.
        opacity: uint8 [H, W], the picture's own alpha, or None.
        edge: of the mask; None where that is the whole picture.
    """

    pixels: np.ndarray
    mask: np.ndarray
    hole: np.ndarray
    alpha: np.ndarray
    opacity: np.ndarray | None = None
    edge: SoftEdge | None = None


def paint(
    pixels: np.ndarray,
    mask: np.ndarray | None,
    options: PaintOptions,
    run: Run,
    *,
    native: int,
    erase: Erase | None = None,
    opacity: np.ndarray | None = None,
    anew: bool = False,
    multiple: int = MULTIPLE,
    agreement: Agreement | None = None,
    progress: Progress = SILENT,
) -> PaintedCanvas:
    """Results of `options` on `pixels`, uint8 [H, W, 3]; every pixel outside the grown and feathered area comes back bit for bit.

    Args:
        mask: bool [H, W], the selected object; not used to expand, and None for an instruction or an edit of the whole picture.
        native: side of the square in pixels that the loaded model was trained on.
        erase: needed for the masked content "erased" alone.
        opacity: uint8 [H, W], the picture's alpha; what is painted where it is transparent becomes visible. None for a picture without.
        anew: the model paints the whole crop anew, so that what it gives is brought back into register with it first.
        multiple: what the sides of a painted crop are multiples of.
        agreement: what of the picture as it was is kept in what is painted, exactly.

    Raises:
        InvalidInput: nothing is selected, or everything is and the task is to replace what is around it.
        Interrupted: the user asked to stop.
    """
    canvas = _canvas(pixels, mask, options)
    if canvas.edge is not None:  # infotexts are to say what acted
        options = replace(options, masking=replace(options.masking, grow=canvas.edge.grow, feather=canvas.edge.feather))
    if opacity is not None and not (options.task in WHOLE and mask is None):  # a sprite that is redrawn as a whole keeps its shape
        left, top, right, bottom = options.expand if options.task == "expand" else (0, 0, 0, 0)
        canvas = replace(canvas, opacity=np.pad(opacity, ((top, bottom), (left, right))))
    area = bounds(canvas.hole)
    if area is None:
        raise InvalidInput("There is nothing to paint.", "Select an object that does not fill the whole picture.")
    size = canvas.pixels.shape[1], canvas.pixels.shape[0]
    whole = options.task in ("replace", "expand")
    refine = False if options.task in WHOLE else options.passes.refine  # what was done once would be done twice
    resolution = options.passes.resolution or (_own(area) if options.task == "restore" else 0)
    where = plan(area, size, native, resolution=resolution, whole=whole, refine=refine, multiple=multiple)

    content, start = options.masking.content, canvas.pixels
    if options.task in SHOWN or (options.task == "edit" and options.edit.inversion != "seed"):
        content = "original"  # which is what is edited
    if content == "erased":
        if erase is None:
            raise InvalidInput("There is no eraser to start from.", "Choose another masked content.")
        start = erase(canvas.pixels, canvas.hole, progress.part(0.0, 0.1))
        content = "original"

    crop, hole, alpha = (full[where.box.slices] for full in (start, canvas.hole, canvas.alpha))
    first = PaintJob(
        pixels=scaled(crop, where.first),
        mask=scaled_mask(hole, where.first),
        options=options,
        masked_content=content,
        strength=options.sampling.denoising_strength,
        seed=options.sampling.first_seed(),
        count=options.sampling.batch_count,
        soft=_soft(alpha, where.first, options),
        maps=_maps(options, where.box, size, where.first),
    )
    shares = 0.1, 0.55 if where.second else 0.98
    painted = run(first, progress.part(*shares))
    if where.second:
        step = (0.98 - shares[1]) / max(len(painted), 1)
        maps = _maps(options, where.box, size, where.second)
        parts = [progress.part(shares[1] + i * step, shares[1] + (i + 1) * step) for i in range(len(painted))]
        painted = [
            _second_pass(result, crop, hole, alpha, where.second, options, maps, run, part)
            for result, part in zip(painted, parts, strict=True)
        ]
    progress.check()
    if anew:
        painted = [replace(result, pixels=align(result.pixels, first.pixels, first.mask).pixels) for result in painted]
    results = tuple(_put_back(result, canvas, where.box, agreement) for result in painted)
    return PaintedCanvas(canvas.pixels, canvas.mask, results, canvas.opacity, canvas.edge)


def _canvas(pixels: np.ndarray, mask: np.ndarray | None, options: PaintOptions) -> _Canvas:
    if options.task == "expand":
        pixels, mask = _expanded(pixels, options.expand)
    if options.task in WHOLE and mask is None:
        everything = np.ones(pixels.shape[:2], bool)
        return _Canvas(pixels, everything, everything, everything.astype(np.float32))
    if mask is None or not mask.any():
        raise InvalidInput("Nothing is selected.", "Click on an object first.")
    check_size(mask, (pixels.shape[1], pixels.shape[0]))
    task = options.task if options.task in ("replace", "expand") else "fill"
    fitting = automatic((pixels.shape[1], pixels.shape[0]), task, bounds(mask), options.sampling.denoising_strength)
    grow = fitting.grow if options.masking.grow is None else options.masking.grow
    feather = fitting.feather if options.masking.feather is None else options.masking.feather
    if options.task == "replace":
        alpha = 1 - blend.alpha(mask, grow, feather)  # the object is what stays, so the band lies around it
        return _Canvas(pixels, ~mask, alpha > 0, alpha, edge=SoftEdge(grow, feather))
    return _Canvas(pixels, mask, blend.hole(mask, grow, feather), blend.alpha(mask, grow, feather), edge=SoftEdge(grow, feather))


def _expanded(pixels: np.ndarray, margins: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The picture on a larger canvas, and the mask of what was added. The new area holds the border's colours, softened with the
    distance: enough for a model to continue from, and no mirrored object to copy."""
    import cv2

    left, top, right, bottom = margins
    height, width = pixels.shape[:2]
    canvas = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="edge")
    added = np.ones(canvas.shape[:2], bool)
    added[top : top + height, left : left + width] = False
    sigma = max(max(margins) / 8, 1.0)
    soft = cv2.GaussianBlur(canvas, (0, 0), sigma)
    canvas[added] = soft[added]
    return canvas, added


def _second_pass(
    result: Painted, crop: np.ndarray, hole: np.ndarray, alpha: np.ndarray, size: tuple[int, int],
    options: PaintOptions, maps: tuple[np.ndarray | None, ...], run: Run, progress: Progress,
) -> Painted:  # fmt: skip
    """`result` painted once more at the crop's own resolution, from itself and with little noise, for sharp details."""
    original, mask = scaled(crop, size), scaled_mask(hole, size)
    pixels = np.where(mask[..., None], scaled(result.pixels, size), original)
    soft = _soft(alpha, size, options)
    job = PaintJob(pixels, mask, options, "original", options.passes.refine_strength, result.seed, soft=soft, maps=maps)
    again = run(job, progress)
    return again[0] if again else result


def _maps(options: PaintOptions, box: Box, whole: tuple[int, int], size: tuple[int, int]) -> tuple[np.ndarray | None, ...]:
    """The part that lies in `box` of every finished control map, at (width, height) `size`; whole: the canvas's (width, height)."""
    left, top, right, bottom = options.expand
    maps: list[np.ndarray | None] = []
    for unit in options.control:
        if unit.map is None:
            maps.append(None)
            continue
        drawn = scaled(unit.map, (whole[0] - left - right, whole[1] - top - bottom))
        canvas = np.pad(drawn, ((top, bottom), (left, right), (0, 0)))
        maps.append(scaled(canvas[box.slices], size))
    return tuple(maps)


def _soft(alpha: np.ndarray, size: tuple[int, int], options: PaintOptions) -> np.ndarray | None:
    """`alpha`, float32 [h, w], at (width, height), for those who want soft inpainting."""
    if not options.masking.soft:
        return None
    return _scaled_share(alpha, size)


def _scaled_share(share: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`share`, float32 [h, w] in 0..1, at (width, height)."""
    import cv2

    shrinking = size[0] * size[1] < share.size
    resized = cv2.resize(share.astype(np.float32), size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return resized.clip(0, 1)


def _own(area: Box) -> int:
    """The resolution at which an area is painted as large as it is: what is restored has its details at that."""
    return round(min(math.sqrt(area.area), LARGEST_SIDE))


def _put_back(result: Painted, canvas: _Canvas, box: Box, agreement: Agreement | None) -> PaintResult:
    crop = scaled(result.pixels, box.size)
    share, opacity = canvas.alpha[box.slices], None
    if result.area is not None:
        share = share * _scaled_share(result.area, box.size)
    if canvas.opacity is not None:
        share, opacity = painted_over(canvas.opacity[box.slices], share)
    pixels = blend.composite(canvas.pixels[box.slices], crop, share)
    if agreement is not None:
        pixels = agreement.made(canvas.pixels, pixels, box)
    return PaintResult(box, pixels, result.seed, result.infotext, opacity)


def refining(options: PaintOptions, longest: int) -> PaintOptions:
    """Options that paint a chosen result once more, at up to `longest` pixels a side, keeping what it shows."""
    return replace(
        options,
        sampling=replace(options.sampling, denoising_strength=options.passes.refine_strength, batch_count=1),
        masking=replace(options.masking, content="original"),
        passes=replace(options.passes, resolution=longest, refine=False),
    )
