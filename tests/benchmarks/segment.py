"""How well and how fast the segmenter without weights answers: `python -m tests.benchmarks.segment [--samples DIR]`.

On the published samples and on objects of scikit-image's photographs that were outlined by hand, as far as they are there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clickpaint.segment.base import Candidate, Point, Prompts
from clickpaint.segment.classic_segmenter import ClassicSegmenter
from clickpaint.segment.everything import everything
from tests.benchmarks import drawn_objects

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples" / "inpaint-anything"

GROWN = {"remove": 15, "fill": 50, "replace": 0}
"""By how large a square kernel the published masks were dilated before publication, by what they were made for.

15 is documented with the samples. 50 follows from them: fill_sample4 and replace_bus are one picture and one click, and dilating
the mask of the second by 50 gives that of the first with an IoU of 0.9985.
"""


@dataclass(frozen=True, eq=False)
class Sample:
    """A photograph, uint8 [H, W, 3]; its published click (x, y), None where there is none; its published mask, bool [H, W]; the kernel
    that mask was dilated with."""

    name: str
    pixels: np.ndarray
    point: tuple[int, int] | None
    mask: np.ndarray
    grown: int

    @property
    def object(self) -> np.ndarray:
        """The mask as it was before it was dilated, but for what dilating closes; bool [H, W]."""
        return shrunk(self.mask, self.grown)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Of the object."""
        mask = self.object
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class Row:
    """One object's result. click, box: IoU of the first candidate with the object; best: the best IoU among the click's candidates.
    published: the click's with the mask as it was published, dilated alike. Times in milliseconds of processor time. What asks for a
    click is NaN where there is none.
    """

    name: str
    click: float
    box: float
    best: float
    published: float
    encode_ms: float
    click_ms: float
    box_ms: float


def samples(folder: Path) -> Iterator[Sample]:
    """The pictures of a folder with an index.json, NAME.jpg and NAME_mask.png; `point` and `mode` may be missing in the index."""
    for entry in json.loads((folder / "index.json").read_text(encoding="utf-8")):
        name = entry["name"]
        pixels = np.asarray(Image.open(folder / f"{name}.jpg").convert("RGB"))
        mask = np.asarray(Image.open(folder / f"{name}_mask.png").convert("L")) > 127
        point = entry.get("point")
        yield Sample(name, pixels, tuple(point) if point else None, mask, GROWN[entry.get("mode", "replace")])


def drawn() -> Iterator[Sample]:
    """The objects that were outlined by hand."""
    folder = drawn_objects.folder()
    for drawn_object in drawn_objects.OBJECTS:
        if folder is not None and (folder / drawn_object.file).exists():
            pixels = np.asarray(Image.open(folder / drawn_object.file).convert("RGB"))
            yield Sample(drawn_object.name, pixels, drawn_object.point, drawn_object.mask(*pixels.shape[:2]), 0)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def grown(mask: np.ndarray, kernel: int) -> np.ndarray:
    """`mask` dilated with a square kernel, as the published ones were; 0 leaves it."""
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((kernel, kernel), np.uint8)) > 0 if kernel else mask


def shrunk(mask: np.ndarray, kernel: int) -> np.ndarray:
    """`mask` eroded with a square kernel; 0 leaves it."""
    import cv2

    if not kernel:
        return mask
    square = np.ones((kernel, kernel), np.uint8)
    return cv2.erode(mask.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0


def measure(sample: Sample) -> tuple[Row, list[Candidate], list[Candidate]]:
    """The row of one picture, and the candidates of its click (none without one) and of its box."""
    segmenter = ClassicSegmenter()
    started = time.process_time()
    embedding = segmenter.encode(sample.pixels)
    encoded = time.process_time()
    by_click = segmenter.predict(embedding, Prompts((Point(*sample.point),))) if sample.point is not None else []
    clicked = time.process_time()
    by_box = segmenter.predict(embedding, Prompts(box=sample.box))
    boxed = time.process_time()
    none, truth = float("nan"), sample.object
    scores = [iou(candidate.mask, truth) for candidate in by_click] or [none]
    row = Row(
        sample.name, scores[0], iou(by_box[0].mask, truth), max(scores),
        iou(grown(by_click[0].mask, sample.grown), sample.mask) if by_click else none,
        1000 * (encoded - started), 1000 * (clicked - encoded) if by_click else none, 1000 * (boxed - clicked),
    )  # fmt: skip
    return row, by_click, by_box


def mean(values: list[float]) -> float:
    """Of those that are there; NaN if none is."""
    there = [value for value in values if value == value]
    return sum(there) / len(there) if there else float("nan")


def cell(value: float, width: int, digits: int = 3) -> str:
    """A number of the table, a dash for one that is not there."""
    return f"{value:>{width}.{digits}f}" if value == value else f"{'–':>{width}}"


def table(rows: list[Row]) -> str:
    """The rows and their means."""
    numbers = ("click", "box", "best", "published", "encode_ms", "click_ms", "box_ms")
    lines = [
        "IoU with the object, nothing dilated (published masks are eroded by the kernel they were dilated with). published: the click's,",
        "dilated, with the mask as it was published. Milliseconds are the processor's.",
        "",
        f"{'picture':<20}{'click':>8}{'box':>8}{'best of 3':>11}{'published':>11}{'encode ms':>11}{'click ms':>10}{'box ms':>8}",
    ]
    means = Row("mean", *(mean([getattr(row, number) for row in rows]) for number in numbers))
    lines += [
        f"{row.name:<20}{cell(row.click, 8)}{cell(row.box, 8)}{cell(row.best, 11)}{cell(row.published, 11)}"
        f"{cell(row.encode_ms, 11, 0)}{cell(row.click_ms, 10, 0)}{cell(row.box_ms, 8, 0)}"
        for row in [*rows, means]
    ]
    return "\n".join(lines)


def regions(chosen: list[Sample]) -> str:
    """How well the regions of everything mode hold the objects, and what they cost."""
    overlaps, best, seconds, counts = {}, [], [], []
    for sample in chosen:
        key = sample.pixels.tobytes()
        if key not in overlaps:
            started = time.process_time()
            overlaps[key] = everything(ClassicSegmenter(), sample.pixels)
            seconds.append(time.process_time() - started)
            counts.append(len(overlaps[key]))
        best.append(max((iou(region.mask, sample.object) for region in overlaps[key]), default=0.0))
    return (
        f"everything: the best region's IoU with an object {np.mean(best):.3f}, {np.mean(counts):.0f} regions and {np.mean(seconds):.2f} s "
        f"of processor time a picture ({len(seconds)} pictures)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="a folder with index.json, NAME.jpg and NAME_mask.png")
    folder = parser.parse_args().samples
    chosen = list(samples(folder)) if (folder / "index.json").exists() else []
    if not chosen:
        print(f"Without the sample photographs, which are not in {folder}.")
    if folder == SAMPLES:
        chosen += list(drawn())
    if not chosen:
        print("skipped: no photographs at all")
        return
    print(table([measure(sample)[0] for sample in chosen]), "", regions(chosen), sep="\n")


if __name__ == "__main__":
    main()
