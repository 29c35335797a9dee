"""A folder of pictures on the command line, read, computed and written at the same time, against one after the other.

    python -m tests.benchmarks.folder [--pictures 50] [--side 1600]

Both ways are run twice, in turns, with the same pictures and the same results. The ratio is that of times; the processor time of each shows
how much of two processors there was to have: on a busy machine the ratio is nearer to 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from clickpaint.app.main import main as clickpaint
from clickpaint.cli import files


def write_pictures(folder: Path, count: int, side: int) -> None:
    """Photographs, as far as their files' sizes go: JPEGs of smooth noise with grain."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8)).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)
        grain = random.normal(0, 4, (side, side * 4 // 3, 1))
        pixels = np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.jpg", quality=92)


def timed(source: Path, out: Path, under_way: int) -> tuple[float, float]:
    """Seconds and processor seconds of removing the same box from every picture."""
    files._UNDER_WAY = under_way
    began, worked = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = clickpaint(
            ["remove", str(source), "--box", "300,300,420,420", "--eraser", "opencv_telea", "--segmenter", "classic", "-o", str(out)]
        )
    assert status == 0
    return time.perf_counter() - began, time.process_time() - worked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=50)
    parser.add_argument("--side", type=int, default=1600, help="height in pixels; the width is a third more")
    arguments = parser.parse_args()
    together = files._UNDER_WAY
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "in"
        source.mkdir()
        write_pictures(source, arguments.pictures, arguments.side)
        runs: dict[int, list[tuple[float, float]]] = {1: [], together: []}
        for turn in range(2):
            for under_way, times in runs.items():
                times.append(timed(source, Path(name) / f"out-{under_way}-{turn}", under_way))
        same = all(
            file.read_bytes() == (Path(name) / f"out-{together}-1" / file.name).read_bytes() for file in (Path(name) / "out-1-1").iterdir()
        )
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    print(f"{arguments.pictures} JPEGs of {arguments.side * 4 // 3} x {arguments.side}; {load}")
    middle = {under_way: [statistics.median(column) for column in zip(*times, strict=True)] for under_way, times in runs.items()}
    for under_way, (seconds, worked) in middle.items():
        print(f"  {under_way} at once: {seconds:7.2f} s, {worked:7.2f} s of processor time")
    print(f"  {middle[1][0] / middle[together][0]:.2f} x as fast; results {'the same to the byte' if same else 'DIFFER'}")


if __name__ == "__main__":
    main()
