"""What describing costs: `python -m tests.benchmarks.caption [--folder CAPTIONER] [--regions N] [--side PIXELS]`.

Regions per second, described together against one by one; and a click, alone and with its caption, where the picture's encoding is
reused against where every click makes it again. Networks of the real shapes (BLIP base, MobileSAM) with random weights; where the
package mobile_sam is not installed, and with --small, the classic segmenter.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from clickpaint.caption.base import Decoding
from clickpaint.caption.blip import Blip
from clickpaint.caption.loading import transformers
from clickpaint.caption.local import local_models
from clickpaint.caption.region import crop_region
from clickpaint.segment import registry
from clickpaint.segment.base import Point, Prompts, Segmenter
from clickpaint.segment.classic_segmenter import ClassicSegmenter
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device, pick
from tests.benchmarks.click import RandomWeights, random_network

_CLICKS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a BLIP captioner's folder; a random one of the base's shape otherwise")
    parser.add_argument("--regions", type=int, default=8)
    parser.add_argument("--side", type=int, default=512, help="of the picture")
    parser.add_argument("--small", action="store_true", help="a random one of a few channels, to see that this runs")
    options = parser.parse_args()
    device = pick()
    with tempfile.TemporaryDirectory() as folder:
        where = options.folder or random_blip(Path(folder) / "blip", small=options.small)
        assert options.folder is None or any(model.path == where for model in local_models([where.parent]))
        captioner = Blip("blip", where, device, ModelCache(lambda: 1 << 34))
        print(f"device {device.type} ({device.dtype}), {options.regions} regions, {options.side} x {options.side} pixels")
        pixels = np.random.default_rng(0).integers(0, 256, (options.side, options.side, 3), np.uint8)
        batching(captioner, pixels, options.regions)
        real = not options.small and registry.unavailable("mobile_sam") is None
        reuse(captioner, pixels, random_segmenter(Path(folder) / "sam", device) if real else ClassicSegmenter())


def batching(captioner: Blip, pixels: np.ndarray, count: int) -> None:
    side = len(pixels)
    masks = [np.zeros((side, side), bool) for _ in range(count)]
    for index, mask in enumerate(masks):
        start = index * side // (2 * count)
        mask[start : start + side // 3, start : start + side // 3] = True
    crops = [crop_region(pixels, mask) for mask in masks]
    decoding = Decoding(beams=1, max_tokens=20)
    captioner.caption(crops[:1], decoding)
    together = timed(lambda: captioner.caption(crops, decoding))
    apart = timed(lambda: [captioner.caption([crop], decoding) for crop in crops])
    print(f"together    {count / together:6.2f} regions/s")
    print(f"one by one  {count / apart:6.2f} regions/s   together is {apart / together:.2f} x as fast")


def reuse(captioner: Blip, pixels: np.ndarray, segmenter: Segmenter) -> None:
    decoding = Decoding(beams=1, max_tokens=20)
    embedding = segmenter.encode(pixels)
    points = [(len(pixels) * (i + 1) / (_CLICKS + 1),) * 2 for i in range(_CLICKS)]

    def click(point: tuple[float, ...], again: bool) -> np.ndarray:
        known = segmenter.encode(pixels) if again else embedding
        mask = segmenter.predict(known, Prompts((Point(point[0], point[1]),)))[0].mask
        return mask if mask.any() else np.ones_like(mask)  # random weights may select nothing

    def described(point: tuple[float, ...], again: bool) -> None:
        captioner.caption([crop_region(pixels, click(point, again))], decoding)

    click(points[0], False)
    for name, work in (("click", click), ("click and caption", described)):
        kept = statistics.median(timed(lambda p=point, work=work: work(p, False), 1) for point in points)
        made = statistics.median(timed(lambda p=point, work=work: work(p, True), 1) for point in points)
        print(f"{name + ', encoding kept':34}{kept * 1000:9.1f} ms")
        print(f"{name + ', encoded again':34}{made * 1000:9.1f} ms   {made / kept:.2f} x")


def random_segmenter(folder: Path, device: Device) -> Segmenter:
    """MobileSAM with random weights."""
    import torch

    folder.mkdir()
    file = folder / "mobile_sam.pt"
    torch.save(random_network("mobile_sam").state_dict(), file)
    return registry.create("mobile_sam", RandomWeights("mobile_sam", file), device, ModelCache(lambda: 1 << 34))


def timed(work: Callable[[], object], times: int = 3) -> float:
    """Seconds, the best of several."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def random_blip(folder: Path, small: bool) -> Path:
    """A folder with BLIP base's network (or a tiny one) and a vocabulary that says nothing."""
    library = transformers()
    words = ["[PAD]", *(f"[unused{i}]" for i in range(99)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{i}" for i in range(len(words), 30522)]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    tokenizer = library.BertTokenizer.from_pretrained(str(folder))
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 1, "intermediate_size": 128} if small else {}
    text = {"encoder_hidden_size": 64} if small else {}
    config = library.BlipConfig(
        vision_config={**size, "image_size": 384, "initializer_range": 0.02},
        text_config={**size, **text, "vocab_size": 30524, "num_attention_heads": 1 if small else 12, "is_decoder": True},
    )  # fmt: skip
    library.BlipForConditionalGeneration(config).save_pretrained(str(folder))
    pictures = library.BlipImageProcessor(size={"height": 384, "width": 384})
    library.BlipProcessor(pictures, tokenizer).save_pretrained(str(folder))
    return folder


if __name__ == "__main__":
    main()
