"""How well and how fast the segmenter without weights answers: `python -m tests.benchmarks.segment [--samples DIR]`."""

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
    def box(self) -> tuple[int, int, int, int]:
        """Of the published mask, as it was published."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class Row:
    """One picture's result. click, box: IoU of the first candidate, dilated as the published mask was; *_plain: as it came.

    best: the best IoU among the click's candidates. Times in milliseconds. What asks for a click is NaN where there is none.
    """

    name: str
    click: float
    box: float
    best: float
    click_plain: float
    box_plain: float
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


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def grown(mask: np.ndarray, kernel: int) -> np.ndarray:
    """`mask` dilated with a square kernel, as the published ones were; 0 leaves it."""
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((kernel, kernel), np.uint8)) > 0 if kernel else mask


def measure(sample: Sample) -> tuple[Row, list[Candidate], list[Candidate]]:
    """The row of one picture, and the candidates of its click (none without one) and of its box."""
    segmenter = ClassicSegmenter()
    started = time.perf_counter()
    embedding = segmenter.encode(sample.pixels)
    encoded = time.perf_counter()
    by_click = segmenter.predict(embedding, Prompts((Point(*sample.point),))) if sample.point is not None else []
    clicked = time.perf_counter()
    by_box = segmenter.predict(embedding, Prompts(box=sample.box))
    boxed = time.perf_counter()
    none = float("nan")
    scores = [iou(grown(candidate.mask, sample.grown), sample.mask) for candidate in by_click] or [none]
    row = Row(
        sample.name, scores[0], iou(grown(by_box[0].mask, sample.grown), sample.mask), max(scores),
        iou(by_click[0].mask, sample.mask) if by_click else none, iou(by_box[0].mask, sample.mask),
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
    numbers = ("click", "box", "best", "click_plain", "box_plain", "encode_ms", "click_ms", "box_ms")
    lines = [
        "IoU with the published mask. click, box: the first candidate, dilated with the square kernel the published mask was dilated with",
        "(remove_* 15, fill_* 50, replace_* not). best: the best of the click's candidates, dilated alike. (plain): nothing dilated.",
        "",
        f"{'picture':<18}{'click':>8}{'box':>8}{'best of 3':>11}{'click (plain)':>15}{'box (plain)':>13}"
        f"{'encode ms':>11}{'click ms':>10}{'box ms':>8}",
    ]
    means = Row("mean", *(mean([getattr(row, number) for row in rows]) for number in numbers))
    lines += [
        f"{row.name:<18}{cell(row.click, 8)}{cell(row.box, 8)}{cell(row.best, 11)}{cell(row.click_plain, 15)}{cell(row.box_plain, 13)}"
        f"{cell(row.encode_ms, 11, 0)}{cell(row.click_ms, 10, 0)}{cell(row.box_ms, 8, 0)}"
        for row in [*rows, means]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, default=SAMPLES, help="a folder with index.json, NAME.jpg and NAME_mask.png")
    folder = parser.parse_args().samples
    if not (folder / "index.json").exists():
        print(f"skipped: no sample photographs in {folder}")
        return
    print(table([measure(sample)[0] for sample in samples(folder)]))


if __name__ == "__main__":
    main()
