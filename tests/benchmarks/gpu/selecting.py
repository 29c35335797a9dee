"""Encoders, decoders and erasers: ours on the card against the packages' own code on the same card."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.compat import torchvision
from clickpaint.erase.base import EraseOptions
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.segment import everything, grid, registry, sam2
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.neural_segmenter import NeuralSegmenter
from clickpaint.studio.studio import Studio
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from tests.benchmarks import click as clicks
from tests.benchmarks import erase as erasing
from tests.benchmarks.gpu.measure import Bench, Row
from tests.segment import toys

_PACKAGES = {
    "sam_vit_b": ("segment_anything", "vit_b"),
    "sam_vit_l": ("segment_anything", "vit_l"),
    "sam_vit_h": ("segment_anything", "vit_h"),
    "mobile_sam": ("mobile_sam", "vit_t"),
}
_SIZE = (1200, 800)
_GOAL = 1 / 3
"""Of the reference's time in float32, which encoding in half precision is to need at most."""


def encoders(bench: Bench) -> Iterator[Row]:
    """Every segmenter of the SAM family: encoding in each precision against the reference's own in float32, and how alike masks are."""
    pixels = clicks.picture(None, _SIZE)
    for name in ("sam_vit_b",) if bench.small else (*_PACKAGES, "sam2.1_hiera_tiny", "sam2.1_hiera_large"):
        if not bench.small and (reason := registry.unavailable(name)) is not None:
            yield Row(f"encode, {name}", note=f"not measured: {reason}")
            continue
        module = _random(name, bench)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights.pth"
            _save(module, path)
            module = module.to(bench.device.torch)
            reference, answers = _reference(name, module, pixels)
            full = None
            for dtype in dict.fromkeys(("float32", bench.device.dtype) if bench.small else ("float32", "float16", "bfloat16")):
                segmenter = _segmenter(name, path, replace(bench.device, dtype=dtype), bench)
                ours, theirs = bench.turns(lambda one=segmenter: one.encode(pixels), reference)
                embedding = segmenter.encode(pixels)
                points = [Point(x, y) for x, y in np.random.default_rng(0).uniform((0, 0), _SIZE, (2 if bench.small else 8, 2)).tolist()]
                masks = [segmenter.predict(embedding, Prompts((point,)))[0].mask for point in points]
                others = [[mask] for mask in full] if full else [answers(point) for point in points]
                alike = [max(_iou(mask, other) for other in three) for mask, three in zip(masks, others, strict=True)]
                against = "float32" if full else "the reference"
                slow = dtype == bench.device.dtype != "float32" and bench.device.kind == "cuda" and ours > theirs * _GOAL
                note = f"IoU with {against} {min(alike):.3f} to {max(alike):.3f}{'; goal 0.33 x' if slow else ''}"
                yield Row(f"encode, {name}, {dtype}", ours, theirs, note=note)
                full = full or masks
                peak = bench.peak(lambda one=segmenter: one.encode(pixels))
                if dtype == bench.device.dtype:
                    yield Row(f"encode, {name}, {dtype}: peak memory beyond weights", peak, bench.peak(reference), "MB")
            del module, reference, answers
        bench.clean()


def click(bench: Bench) -> Iterator[Row]:
    """A click through HTTP against the decoder alone."""
    import torch

    name = "sam_vit_b"
    with tempfile.TemporaryDirectory() as folder:
        if bench.small:
            name = "mobile_sam"
        path = Path(folder) / "weights.pth"
        torch.save(clicks.random_network(name).state_dict(), path)
        overrides = {"segmenter": name, "device": bench.device.type}
        studio = Studio(EmbeddedHost(Path(folder), overrides=overrides))
        clicks.with_weights(studio, name, path)
        with clicks.served(studio) as port:
            for size in ((300, 200),) if bench.small else ((1200, 800), (4896, 3264)):
                pixels = clicks.picture(None, size)
                decoder, predict, whole, _, _ = clicks.measure(studio, clicks.Client(port), pixels, 2 if bench.small else 30)
                millions = size[0] * size[1] / 1e6
                yield Row(
                    f"click over HTTP against the decoder, {millions:.0f} megapixels", whole, decoder, note=f"predict {predict:.1f} ms"
                )
        studio.shut_down()


def find_everything(bench: Bench) -> Iterator[Row]:
    """Everything in a picture of 640 x 480 against segment_anything's own generator, the same network, grid and thresholds.

    Random weights score all points alike: the lowest score that counts is the median, so that one mask in two is kept, about as many as
    of a photograph with trained ones.
    """
    from segment_anything import SamAutomaticMaskGenerator

    name, size, per_side = "sam_vit_b", (160, 120) if bench.small else (640, 480), 3 if bench.small else 32
    pixels = clicks.picture(None, size)
    module = _random(name, bench)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        _save(module, path)
        module = module.to(bench.device.torch)
        for dtype in dict.fromkeys(("float32", bench.device.dtype)):
            segmenter = _segmenter(name, path, replace(bench.device, dtype=dtype), bench)
            embedding = segmenter.encode(pixels)
            lowest = float(np.median(segmenter.decode_points(embedding, grid.points(4) * size)[1].float().cpu().numpy()))
            values = {"points_per_side": per_side, "pred_iou_thresh": min(max(lowest, 0.0), 1.0), "stability_score_thresh": 0.0}
            reference = SamAutomaticMaskGenerator(module, **values)
            options = everything.EverythingOptions(**values)
            seen: dict[str, int] = {}

            def ours(segmenter: NeuralSegmenter = segmenter, options: Any = options, seen: dict[str, int] = seen) -> None:
                seen["ours"] = len(everything.everything(segmenter, pixels, options))

            def theirs(reference: Any = reference, seen: dict[str, int] = seen) -> None:
                seen["theirs"] = len(reference.generate(pixels))

            here, there = bench.turns(ours, theirs, rounds=1 if bench.device.kind == "cpu" else 2)
            peaks = f", peak {bench.peak(ours):.0f} against {bench.peak(theirs):.0f} MB" if bench.device.kind == "cuda" else ""
            note = f"{seen['ours']} and {seen['theirs']} regions{peaks}; goal 0.7 x"
            yield Row(f"everything, {name}, {dtype}, {size[0]} x {size[1]}, {per_side**2} points", here, there, note=note)
        del module
    bench.clean()


def erasers(bench: Bench) -> Iterator[Row]:
    """A LaMa-shaped network on the card against the same on the processor."""
    side = 300 if bench.small else 4000
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = erasing.script_stand_in(Path(folder))
        for hole in (60,) if bench.small else (120, 500):
            mask = np.zeros((side, side), bool)
            mask[50 : 50 + hole, 50 : 50 + hole] = True
            ours = erasing.StandInEraser(path, bench.device)
            there = erasing.StandInEraser(path, Device())
            here, elsewhere = bench.turns(
                lambda one=ours, mask=mask: one.erase(pixels, mask), lambda one=there, mask=mask: one.erase(pixels, mask), rounds=2
            )
            peak = bench.peak(lambda one=ours, mask=mask: one.erase(pixels, mask))
            yield Row(f"LaMa's shape, hole of {hole} px, against the processor", here, elsewhere, note=f"peak {peak:.0f} MB")
            changed = (ours.erase(pixels, mask, EraseOptions(0, 0)) != pixels).any(axis=2) & ~mask
            yield Row(f"LaMa's shape, hole of {hole} px, changed outside", float(changed.sum()), unit="px", wrong=bool(changed.any()))


def _random(name: str, bench: Bench) -> Any:
    """The reference's own network with random weights, which give areas and not noise."""
    import torch

    torch.manual_seed(0)
    torchvision.ensure()
    with warnings.catch_warnings(), torch.device(bench.device.torch if name != "mobile_sam" else "cpu"):
        warnings.simplefilter("ignore")
        if bench.small:
            return clicks.smooth(toys.build_sam())
        if name in sam2.BACKBONES:
            import transformers

            module = transformers.Sam2Model(sam2.config(name)).eval()
            shared = module.shared_image_embedding.positional_embedding  # one tensor in every file of weights
            module.prompt_encoder.shared_embedding.positional_embedding.data.copy_(shared.data)
            return module
        package, size = _PACKAGES[name]
        return clicks.smooth(__import__(package).sam_model_registry[size]().eval())


def _save(module: Any, path: Path) -> None:
    import torch

    torch.save({key: value.cpu() for key, value in module.state_dict().items()}, path)


def _segmenter(name: str, path: Path, device: Device, bench: Bench) -> NeuralSegmenter:
    cache = ModelCache(lambda: 1 << 40)
    if bench.small:
        return toys.ToySam("sam_vit_b", "sam_vit_b", toys.OneFile(path), device, cache)  # type: ignore[arg-type]
    made = registry.create(name, clicks.RandomWeights(name, path), device, cache)
    assert isinstance(made, NeuralSegmenter)
    return made


def _reference(name: str, module: Any, pixels: np.ndarray) -> tuple[Any, Any]:
    """(encodes the picture, gives the three masks of a point, which random weights score alike), by the package's code in float32."""
    import torch

    if name in sam2.BACKBONES:
        mean, std = (torch.tensor(values, device=module.device).view(1, 3, 1, 1) for values in (sam2._MEAN, sam2._STD))

        def encode() -> Any:
            resized = torch.from_numpy(np.array(Image.fromarray(pixels).resize((1024, 1024), Image.Resampling.BILINEAR)))
            with torch.no_grad():
                return module.get_image_embeddings((resized.permute(2, 0, 1)[None].to(module.device) / 255 - mean) / std)

        def mask(point: Point) -> list[np.ndarray]:
            scale = 1024 / np.array(_SIZE)
            where = torch.tensor([[[[point.x * scale[0], point.y * scale[1]]]]], device=module.device, dtype=torch.float32)
            with torch.no_grad():
                masks = module(
                    image_embeddings=encode(), input_points=where,
                    input_labels=torch.ones(1, 1, 1, dtype=torch.int32, device=module.device),
                )  # fmt: skip
            large = torch.nn.functional.interpolate(masks.pred_masks[0], _SIZE[::-1], mode="bilinear", align_corners=False)
            return [*(large[0] > 0).cpu().numpy()]

        return encode, mask
    package = _PACKAGES[name][0]
    predictor = __import__(package).SamPredictor(module)

    def answer(point: Point) -> list[np.ndarray]:
        predictor.set_image(pixels)
        return [*predictor.predict(np.array([[point.x, point.y]]), np.array([1]))[0]]

    return lambda: predictor.set_image(pixels), answer


def _iou(first: np.ndarray, second: np.ndarray) -> float:
    union = (first | second).sum()
    return float((first & second).sum() / union) if union else 1.0
