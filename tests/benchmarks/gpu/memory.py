"""The memory policy on a real card: what it moves and lets go, and whether running out of memory is survived."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.erase.base import EraseOptions
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device, free_bytes, models_budget, out_of_memory, pick, release
from tests.benchmarks import click as clicks
from tests.benchmarks import erase as erasing
from tests.benchmarks.gpu import selecting
from tests.benchmarks.gpu.measure import Bench, Row


def moves(bench: Bench) -> Iterator[Row]:
    """Loading a model onto the card, letting it go for another, and loading it again."""
    import torch

    megabytes = 8 if bench.small else 2000
    held = torch.randn(megabytes * 250_000)  # float32
    cache = ModelCache(lambda: int(1.5 * held.nbytes), lambda: release(bench.device))

    def load(key: str) -> Any:
        return cache.get(key, lambda: (held.to(bench.device.torch, copy=True), held.nbytes))

    def both() -> None:
        load("first")
        load("second")

    (milliseconds,) = bench.turns(both, rounds=3)
    yield Row(
        f"two models of {megabytes} MB that do not fit together, in turn", milliseconds, note=f"{2 * megabytes / milliseconds:.1f} GB/s"
    )
    kept = [one.key for one in cache.contents()]
    yield Row("models kept after that", float(len(kept)), unit="", wrong=kept != ["second"])
    before = free_bytes(bench.device)
    cache.unload()
    gained = (free_bytes(bench.device) - before) / 1e6
    if bench.device.kind == "cuda":
        yield Row(
            "memory that came back when the last was let go", gained, float(held.nbytes / 1e6), "MB", wrong=gained < held.nbytes / 1.1e6
        )


def exhausted(bench: Bench) -> Iterator[Row]:
    """Encoding and erasing with next to no memory left on the card: the same answers, from the processor."""
    if bench.device.kind != "cuda":
        yield Row("out of memory", note="not provoked: this is no CUDA device")
        return
    import torch

    pixels = clicks.picture(None, (1200, 800))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(clicks.random_network("mobile_sam").state_dict(), path)
        full = replace(bench.device, dtype="float32")
        there = selecting._segmenter("mobile_sam", path, Device(), bench).encode(pixels).data[0]
        starved = selecting._segmenter("mobile_sam", path, full, bench)
        starved._network()
        with _nothing_left(bench):
            embedding = starved.encode(pixels)
        off = float((embedding.data[0].cpu() - there).abs().max() / there.abs().max())
        yield Row("encoding without memory: largest difference to the processor", off * 100, unit="%", wrong=off > 0.01)

        small = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
        mask = np.zeros((900, 900), bool)
        mask[300:600, 300:600] = True
        eraser = erasing.StandInEraser(erasing.script_stand_in(Path(folder)), bench.device)
        expected = erasing.StandInEraser(Path(folder) / "stand-in.pt", Device()).erase(small, mask, EraseOptions(0, 0))
        eraser.erase(small, mask)
        with _nothing_left(bench):
            result = eraser.erase(small, mask, EraseOptions(0, 0))
        alike = float(np.abs(result.astype(int) - expected).mean())
        yield Row("erasing without memory: mean difference to the processor", alike, unit="levels", wrong=alike > 12)
        again = eraser.erase(small, mask, EraseOptions(0, 0))
        off = int(np.abs(again.astype(int) - expected).max())
        yield Row(
            "erasing once there is memory again", float(off), unit="levels", note="at most so far from the processor's", wrong=off > 3
        )


def policy(bench: Bench) -> Iterator[Row]:
    """What the policy decides for this device."""
    import torch

    half = pick(bench.device.type, "half")
    yield Row("precision", note=f"auto {bench.device.dtype}, half {half.dtype}, full {pick(bench.device.type, 'full').dtype}")
    yield Row("memory that is free", free_bytes(bench.device) / 1e9, unit="GB")
    budget = models_budget(bench.device, 0, 0) / free_bytes(bench.device)
    yield Row("budget of models without a setting, share of it", budget * 100, unit="%", wrong=not 45 < budget * 100 < 55)
    with bench.device.autocast():
        product = torch.ones(8, 8, device=bench.device.torch) @ torch.ones(8, 8, device=bench.device.torch)
    wrong = product.dtype != bench.device.torch_dtype
    yield Row("autocast", note=f"a product of float32 is {str(product.dtype).removeprefix('torch.')}", wrong=wrong)
    if bench.device.kind == "cuda":
        try:
            torch.empty(1 << 50, device=bench.device.torch, dtype=torch.uint8)
        except Exception as error:
            yield Row("the card's own error is known as out of memory", note=type(error).__name__, wrong=not out_of_memory(error))


@contextmanager
def _nothing_left(bench: Bench) -> Iterator[None]:
    """Within this block the card refuses this process further memory."""
    import torch

    release(bench.device)
    total = torch.cuda.get_device_properties(bench.device.torch).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved(bench.device.torch) + (1 << 20)) / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
