"""What a large picture costs beyond its codec: `python -m tests.benchmarks.large [--megapixels 16 24] [--rounds 5]`.

Over loopback on a real server: opening and saving against Pillow's decoding and encoding of the same file in this process, in turns; undo
and redo of a removal. Wall time, and processor time of all threads, which other programs on the machine do not add to. Exits with 1 where
opening or saving takes more than 1.2 times the codec's processor time, or undo or redo more than 50 ms of it.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.studio.studio import Studio
from tests.benchmarks.click import Client, picture, served

FACTOR, STEP = 1.2, 50.0  # times the codec, ms

Cost = tuple[float, float]
"""Milliseconds on the clock, and of processor time."""


def cost(work: Callable[[], Any]) -> Cost:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - processor) * 1000


def median(costs: list[Cost]) -> Cost:
    wall, processor = (statistics.median(column) for column in zip(*costs, strict=True))
    return wall, processor


def grainy(size: tuple[int, int]) -> np.ndarray:
    """A picture with the grain of a camera, uint8 [H, W, 3]."""
    grain = np.random.default_rng(0).normal(0, 3, (size[1], size[0], 1)).astype(np.float32)
    return (picture(None, size) + grain).clip(0, 255).astype(np.uint8)


def file_of(pixels: np.ndarray, format: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format, **({"quality": 95} if format == "JPEG" else {"compress_level": 4}))
    return stream.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def measure(studio: Studio, port: int, pixels: np.ndarray, format: str, rounds: int) -> bool:
    """Prints a line for each; whether all is as good as it should be."""
    data, height, width = file_of(pixels, format), *pixels.shape[:2]
    costs: dict[str, list[Cost]] = {name: [] for name in ("open", "decode", "undo", "redo", "save", "encode")}
    for _ in range(rounds):
        costs["decode"].append(cost(lambda: decoded(data)))
        opened: list[str] = []
        costs["open"].append(cost(lambda opened=opened: opened.append(Client(port).open_file(data, f"large.{format.lower()}"))))
        url = f"/workspaces/{opened[0]}"
        studio.workspaces.settle()
        box = [width // 2, height // 2, width // 2 + 300, height // 2 + 300]
        client = Client(port)  # the server closes one that was idle
        client.post(f"{url}/mask?mask_side=1280", {"operations": [{"op": "box", "box": box}]})
        client.post(f"{url}/erase?mask_side=1280", {"eraser": "opencv_telea"})
        for way in ("undo", "redo"):
            studio.workspaces.settle()
            costs[way].append(cost(lambda url=url, way=way: Client(port).post(f"{url}/{way}?mask_side=1280", {})))
        studio.workspaces.settle()
        shown = studio.workspace(opened[0]).picture().pixels
        costs["save"].append(cost(lambda url=url: Client(port).get(f"{url}/image?format=source&download=1")))
        costs["encode"].append(cost(lambda shown=shown: file_of(shown, format)))
        studio.close(opened[0])
    medians = {name: median(values) for name, values in costs.items()}
    print(f"{format}, {width * height / 1e6:.0f} megapixels, {len(data) / 1e6:.1f} MB")
    good = True
    for name, codec in (("open", "decode"), ("save", "encode")):
        ratio = medians[name][1] / medians[codec][1]
        good &= ratio <= FACTOR
        print(f"  {name} {_said(medians[name])}, the codec {_said(medians[codec])}: {ratio:.2f} x (allowed {FACTOR:g})")
    for way in ("undo", "redo"):
        good &= medians[way][1] <= STEP
        print(f"  {way} {_said(medians[way])} (allowed {STEP:g} ms)")
    return good


def _said(cost: Cost) -> str:
    return f"{cost[0]:.0f} ms ({cost[1]:.0f} of the processor)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[16, 24])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as folder:
        overrides = {"segmenter": "classic", "eraser": "classic", "device": "cpu"}
        studio = Studio(EmbeddedHost(Path(folder), overrides=overrides))
        studio.selecting.encode_ahead = lambda workspace: None  # goes on behind the answer, and would be counted
        with served(studio) as port:
            for millions in options.megapixels:
                height = round((millions * 1e6 / 1.5) ** 0.5)
                pixels = grainy((height * 3 // 2, height))
                for format in ("JPEG", "PNG"):
                    good &= measure(studio, port, pixels, format, options.rounds)
        studio.shut_down()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
