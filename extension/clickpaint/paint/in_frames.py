"""From frames of a clip, each with its mask, to painted ones that look alike: one size to paint at, crops that follow what is masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.image import blend
from clickpaint.image.geometry import Box
from clickpaint.image.mask import bounds
from clickpaint.image.soft_edge import SoftEdge, automatic
from clickpaint.paint.context import MULTIPLE, PaintPlan, plan, scaled, scaled_mask
from clickpaint.paint.diffusion.frame_sampling import FrameJob
from clickpaint.paint.in_picture import Erase
from clickpaint.paint.paint_job import MaskedContent, PaintJob, PaintOptions
from clickpaint.progress import SILENT, Progress

RunFrames = Callable[[Sequence[FrameJob], Progress], list[np.ndarray]]
"""Paints jobs of one size, each looking at the first one: uint8 [h, w, 3] for each."""

Before = Callable[[np.ndarray], np.ndarray]
"""before(points (x, y) float32 [h, w, 2]) → where in the first frame they were, the same."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame to be painted.

    Attributes:
        pixels: uint8 [H, W, 3].
        mask: bool [H, W], what is selected; for the task "replace", all that is to be painted.
        before: where its pixels were in the first frame; None for the first one, and where that is not known.
    """

    pixels: np.ndarray
    mask: np.ndarray
    before: Before | None = None


def edge_of(options: PaintOptions, size: tuple[int, int], mask: np.ndarray) -> SoftEdge:
    """How far beyond their masks frames of `size` are painted: what the options say, or what fits the first mask, bool [H, W]."""
    task = "replace" if options.task == "replace" else "fill"
    fitting = automatic(size, task, bounds(mask), options.sampling.denoising_strength)
    grow, feather = options.masking.grow, options.masking.feather
    return SoftEdge(fitting.grow if grow is None else grow, fitting.feather if feather is None else feather)


class FramePainter:
    """Paints frames of one clip, a few at a time; the first frame of the first call is what all others are to look like.

    Each frame's crop goes with its mask, and is painted at the size that the first one's is: what the mask selects lies at the same
    place in all of them, and so does the noise that they begin with.

    Args:
        options: their task is "fill", or "replace", whose frames are seen as a whole.
        native: side of the square in pixels that the checkpoint was trained on.
        run: see `RunFrames`.
        edge: see `edge_of`.
        erase: needed for the masked content "erased" alone.
        multiple: what the sides of what is painted are multiples of.
    """

    def __init__(
        self, options: PaintOptions, native: int, run: RunFrames, edge: SoftEdge, erase: Erase | None = None, multiple: int = MULTIPLE
    ) -> None:  # fmt: skip
        if options.sampling.batch_count != 1:
            raise InvalidInput("A clip has one result.", "Leave the number of results at 1.")
        if any(unit.map is not None for unit in options.control):
            raise InvalidInput("A finished control map shows one frame.", "Choose a preprocessor, which looks at every key frame.")
        if options.masking.content == "erased" and erase is None:
            raise InvalidInput("There is no eraser to start from.", "Choose another masked content.")
        self._options, self._native, self._run, self._edge, self._erase = options, native, run, edge, erase
        self._multiple = multiple
        self._seed = options.sampling.first_seed()
        self._plan: PaintPlan | None = None

    @property
    def seed(self) -> int:
        """That all frames are painted with."""
        return self._seed

    def paint(self, frames: Sequence[Frame], progress: Progress = SILENT) -> list[np.ndarray]:
        """Each frame, uint8 [H, W, 3], painted in its grown and feathered mask; outside of that to the bit as it was.

        frames: the first one is the same at every call.
        """
        crops = [self._crop(frame) for frame in frames]
        assert self._plan is not None
        options = self._options
        content: MaskedContent = options.masking.content
        starts = [frame.pixels for frame in frames]
        if content == "erased":
            assert self._erase is not None
            starts = [self._erase(frame.pixels, crop.hole, progress) for frame, crop in zip(frames, crops, strict=True)]
            content = "original"
        strength, size = options.sampling.denoising_strength, self._plan.first
        jobs = [
            self._job(crop, start, size, content, strength, frame.before, crops[0])
            for crop, start, frame in zip(crops, starts, frames, strict=True)
        ]
        painted = self._run(jobs, progress.part(0.0, 0.55 if self._plan.second else 1.0))
        if self._plan.second:
            size, strength = self._plan.second, options.passes.refine_strength
            jobs = []
            for crop, frame, result in zip(crops, frames, painted, strict=True):
                again = frame.pixels.copy()
                again[crop.box.slices] = np.where(crop.inside[..., None], scaled(result, crop.box.size), again[crop.box.slices])
                jobs.append(self._job(crop, again, size, "original", strength, frame.before, crops[0]))
            painted = self._run(jobs, progress.part(0.55, 1.0))
        return [self._put_back(frame, crop, result) for frame, crop, result in zip(frames, crops, painted, strict=True)]

    def _crop(self, frame: Frame) -> _Crop:
        height, width = frame.mask.shape
        whole = self._options.task == "replace"
        hole = frame.mask if whole else blend.hole(frame.mask, self._edge.grow, self._edge.feather)
        area = bounds(hole)
        if area is None:
            raise InvalidInput("There is nothing to paint.", "Select an object that does not fill the whole picture.")
        passes = self._options.passes
        own = plan(
            area, (width, height), self._native, resolution=passes.resolution, whole=whole, refine=passes.refine, multiple=self._multiple
        )  # fmt: skip
        if self._plan is None:
            self._plan = own
        box = own.box if whole else _of_shape(own.box, self._plan.box.size, (width, height))
        return _Crop(box, hole, hole[box.slices])

    def _job(
        self, crop: _Crop, pixels: np.ndarray, size: tuple[int, int], content: MaskedContent, strength: float, before: Before | None,
        first: _Crop,
    ) -> FrameJob:  # fmt: skip
        job = PaintJob(
            pixels=scaled(pixels[crop.box.slices], size), mask=scaled_mask(crop.inside, size), options=self._options,
            masked_content=content, strength=strength, seed=self._seed, soft=self._soft(crop, size),
        )  # fmt: skip
        if before is None:
            return FrameJob(job)
        # Through the whole frames: from this crop to its frame, back along the object's way, and into the first one's crop.
        columns, rows = (np.arange(side, dtype=np.float32) + 0.5 for side in size)
        across, down = (np.float32(side / count) for side, count in zip(crop.box.size, size, strict=True))
        points = np.dstack(np.meshgrid(columns * across - 0.5 + crop.box.left, rows * down - 0.5 + crop.box.top))
        there = before(points.astype(np.float32))
        scale = np.array([count / side for side, count in zip(first.box.size, size, strict=True)], np.float32)
        places = (there - np.array([first.box.left, first.box.top], np.float32) + 0.5) * scale - 0.5
        return FrameJob(job, places)

    def _soft(self, crop: _Crop, size: tuple[int, int]) -> np.ndarray | None:
        if not self._options.masking.soft:
            return None
        import cv2

        alpha = cv2.GaussianBlur(crop.inside.astype(np.float32), (0, 0), max(self._edge.feather / 2, 0.5))
        return np.where(scaled_mask(crop.inside, size), cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), 0).clip(0, 1)

    def _put_back(self, frame: Frame, crop: _Crop, painted: np.ndarray) -> np.ndarray:
        result = frame.pixels.copy()
        result[crop.box.slices] = np.where(crop.inside[..., None], scaled(painted, crop.box.size), result[crop.box.slices])
        return result


@dataclass(frozen=True, eq=False)
class _Crop:
    """What is painted of a frame.

    Attributes:
        box: the part of the frame.
        hole: bool [H, W], what may change of the frame.
        inside: bool [box.height, box.width], what may change in the box.
    """

    box: Box
    hole: np.ndarray
    inside: np.ndarray


def _of_shape(box: Box, shape: tuple[int, int], size: tuple[int, int]) -> Box:
    """The box made wider or higher, so that its sides are to each other as in `shape`, as far as a frame of `size` allows."""
    ratio = shape[0] / shape[1]
    wanted = max(box.width, round(box.height * ratio)), max(box.height, round(box.width / ratio))
    spans = []
    for start, side, more, limit in zip((box.left, box.top), box.size, wanted, size, strict=True):
        side, more = min(side, limit), min(more, limit)
        first = min(max(start - (more - side) // 2, 0), limit - more)
        spans.append((first, first + more))
    (left, right), (top, bottom) = spans
    return Box(left, top, right, bottom)
