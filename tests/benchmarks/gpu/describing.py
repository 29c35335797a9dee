"""Control maps and captions by networks on the card, against the same on the processor and one by one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clickpaint.caption.base import Decoding
from clickpaint.caption.blip import Blip
from clickpaint.caption.region import crop_region
from clickpaint.control import depth_anything, registry, softedge
from clickpaint.control.base import Tools
from clickpaint.control.network import Network
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store
from tests.benchmarks.caption import random_blip
from tests.benchmarks.gpu.measure import Bench, Row
from tests.control.neural_toys import seeded


def maps(bench: Bench) -> Iterator[Row]:
    """PiDiNet and Depth Anything (large) as preprocessors: the card against the processor."""
    side = 128 if bench.small else 1024
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    networks = {"softedge_pidinet": softedge.PIDINET, "depth_anything_v2": depth_anything.SECOND}
    for name, network in networks.items():
        if bench.small and name == "depth_anything_v2":
            continue
        if (reason := registry.unavailable(name)) is not None:
            yield Row(f"map {name}", note=f"not measured: {reason}")
            continue
        module = seeded(network)
        card, processor = (_with(network, module, device) for device in (bench.device, Device()))
        resolution = 128 if bench.small else 512

        def made(tools: Tools, name: str = name, resolution: int = resolution) -> np.ndarray:
            return registry.detect(name, pixels, registry.request(name, {}, resolution), tools).pixels

        ours, there = bench.turns(lambda card=card, made=made: made(card), lambda p=processor, made=made: made(p), rounds=2)
        off = int(np.abs(made(card).astype(int) - made(processor)).max())
        yield Row(f"map {name} at {resolution}, against the processor", ours, there, note=f"at most {off} levels apart", wrong=off > 3)


def captions(bench: Bench) -> Iterator[Row]:
    """BLIP base's shape: eight regions together against one by one."""
    with tempfile.TemporaryDirectory() as folder:
        captioner = Blip("blip", random_blip(Path(folder) / "blip", small=bench.small), bench.device, ModelCache(lambda: 1 << 36))
        pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
        crops = []
        for index in range(2 if bench.small else 8):
            mask = np.zeros((512, 512), bool)
            mask[30 * index : 30 * index + 160, 30 * index : 30 * index + 160] = True
            crops.append(crop_region(pixels, mask))
        decoding = Decoding(beams=1, max_tokens=20)
        together, apart = bench.turns(
            lambda: captioner.caption(crops, decoding), lambda: [captioner.caption([crop], decoding) for crop in crops], rounds=2
        )
        yield Row(f"BLIP base, {len(crops)} regions together, against one by one", together, apart)


def _with(network: Network, module: Any, device: Device) -> Tools:
    """Tools in whose cache the network lies as if its file had been loaded."""
    import copy

    tools = Tools(Store(lambda kind: []), device, ModelCache(lambda: 1 << 36))
    tools.models.get(("control", network.model, device.type), lambda: (copy.deepcopy(module).to(device.torch), 1))
    return tools
