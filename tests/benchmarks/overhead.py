"""What a click costs beside the decoder, and where: `python -m tests.benchmarks.click --overhead`.

The decoder is one that has its answer ready, so that what remains is HTTP, the hand-overs between threads, the masks and their files. The
client is a part of the process, and is named apart.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.segment.base import Embedding
from clickpaint.segment.neural_segmenter import LOGITS, Given, Network
from clickpaint.segment.sam import Sam
from clickpaint.studio.studio import Studio
from clickpaint.weights.device import Device

PARTS = {
    "client": "the client, of the same process: JSON and reading",
    "loop": "the server's loop: HTTP, routing, the request's JSON",
    "request": "the request's thread: turns and states, the masks' files, the answer's JSON",
    "lane": "the lane's thread: prompts, ranking, the mask that is shown",
    "storage": "storage",
}


class Ready(Sam):
    """SAM, whose encoder and decoder cost nothing: four areas with wavy edges, as large as those of objects."""

    def __init__(self, studio: Studio) -> None:
        super().__init__("sam_vit_b", "sam_vit_b", studio.pool.store, Device(), studio.pool.models)
        import torch

        y, x = np.mgrid[:LOGITS, :LOGITS].astype(np.float32)
        y, x = y - 0.31 * LOGITS, x - 0.47 * LOGITS
        waves = 1 + 0.15 * np.sin(5 * np.arctan2(y, x)) + 0.05 * np.sin(17 * np.arctan2(y, x))
        areas = [0.6 * (radius * waves - np.hypot(x, y)) for radius in (40, 25, 45, 70)]
        self._answer = torch.from_numpy(np.stack(areas).astype(np.float32))[None], torch.tensor([[0.8, 0.7, 0.9, 0.85]])

    def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
        return Embedding(self.name, pixels.shape[1], pixels.shape[0], 0, ())

    def _network(self, progress: Progress = SILENT) -> Network:
        return None  # type: ignore[return-value]  # it is handed to `_decode` alone

    def _decode(self, network: Network, features: tuple[Any, ...], given: Given) -> tuple[Any, Any]:
        return self._answer


@dataclass(frozen=True)
class Overhead:
    """Of a click beside its decoder.

    Attributes:
        clicks: milliseconds of each, in order.
        processor: milliseconds of processor time of one.
        parts: name → (milliseconds that its threads ran, milliseconds that they waited for a processor, how often they gave it up) of a
            click; nothing where the system does not say.
    """

    clicks: tuple[float, ...]
    processor: float
    parts: dict[str, tuple[float, float, float]]

    @property
    def least(self) -> float:
        return min(self.clicks)

    @property
    def median(self) -> float:
        return sorted(self.clicks)[len(self.clicks) // 2]


@contextmanager
def ready_decoder(studio: Studio) -> Iterator[None]:
    """Within this block the studio's segmenter is one whose decoder costs nothing."""
    ready, own = Ready(studio), studio.pool.segmenter
    studio.pool.segmenter = lambda name: ready  # type: ignore[method-assign]
    try:
        yield
    finally:
        studio.pool.segmenter = own  # type: ignore[method-assign]


def overhead(click: Callable[[float, float], object], size: tuple[int, int], clicks: int) -> Overhead:
    """click: clicks at (x, y), in pixels of the picture. size: (width, height) of the picture."""
    places = random.Random(0)

    def once() -> float:
        x, y = places.randrange(size[0]), places.randrange(size[1])
        began = time.perf_counter()
        click(x, y)
        return (time.perf_counter() - began) * 1000

    for _ in range(5):
        once()
    before, began = _threads(), time.process_time()
    taken = [once() for _ in range(clicks)]
    processor = (time.process_time() - began) * 1000 / clicks
    parts: dict[str, tuple[float, float, float]] = {}
    for number, spent in _threads().items():
        more = [(now - then) / clicks for now, then in zip(spent, before.get(number, (0.0, 0.0, 0.0)), strict=True)]
        name = _part(number)
        parts[name] = tuple(np.add(parts.get(name, (0.0, 0.0, 0.0)), more).tolist())
    kept = {name: parts[name] for name in PARTS if name in parts}
    return Overhead(tuple(taken), processor, kept)


def report(measured: Overhead) -> Iterable[str]:
    for name, (ran, waited, gave_up) in measured.parts.items():
        yield f"    {PARTS[name]}: ran {ran:.2f} ms, waited {waited:.2f} ms for a processor, gave it up {gave_up:.1f} times"


def _part(number: int) -> str:
    thread = next((thread for thread in threading.enumerate() if thread.native_id == number), None)
    name = "" if thread is None else thread.name
    known = {"MainThread": "client", "AnyIO worker thread": "request", "clickpaint-compute": "lane", "clickpaint-storage": "storage"}
    return known.get(name, "loop" if name == SERVER else "")


SERVER = "server"
"""Name of the thread that the server's loop runs in."""


def _threads() -> dict[int, tuple[float, float, float]]:
    """Of each thread: milliseconds run, milliseconds waited for a processor, times that it gave one up by itself. Linux says so."""
    spent = {}
    for folder in Path("/proc/self/task").glob("*"):
        try:
            ran, waited, _ = map(int, (folder / "schedstat").read_text().split())
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        except (OSError, ValueError):
            continue  # it has ended
        spent[int(folder.name)] = ran / 1e6, waited / 1e6, float(status.get("voluntary_ctxt_switches", 0))
    return spent
