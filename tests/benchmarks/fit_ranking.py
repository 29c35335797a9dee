"""Fits the ranking of the segmenter without weights: `python -m tests.benchmarks.fit_ranking BSDS [--images N]`.

BSDS is the data folder of the Berkeley segmentation data set (Arbelaez et al. 2011), which is not part of this project. Prints the two
tables of `extension/clickpaint/segment/ranking_fit.py`. The objects are those that annotators agree on and that do not fill the
picture's border.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.segment import classic_segmenter
from clickpaint.segment.base import Point, Prompts
from clickpaint.segment.ranking import looks

HIDDEN = {"click": 14, "box": 1}
"""A box leaves so little open that a straight line ranks best what was not fitted to."""


def objects(folder: Path, split: str, images: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """(pixels, masks of objects that do not overlap much) of some pictures of one split."""
    from scipy.io import loadmat

    files = sorted((folder / "images" / split).glob("*.jpg"))
    for file in [files[k] for k in np.unique(np.linspace(0, len(files) - 1, images).astype(int))]:
        pixels = np.asarray(Image.open(file).convert("RGB"))
        truth = loadmat(str(folder / "groundTruth" / split / f"{file.stem}.mat"))["groundTruth"][0]
        drawn = [annotator["Segmentation"][0, 0].astype(int) for annotator in truth]
        agreed = []
        for segments in drawn:
            for label, area in zip(*np.unique(segments, return_counts=True), strict=True):
                mask = segments == label
                rim = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
                if not 0.004 * mask.size < area < 0.5 * mask.size or rim > 1.6 * np.sqrt(area):
                    continue
                common = [np.bincount(other[mask]) for other in drawn if other is not segments]
                most = [(counts.max(), (other == counts.argmax()).sum()) for counts, other in
                        zip(common, [other for other in drawn if other is not segments], strict=True)]  # fmt: skip
                share = np.mean([shared / (area + whole - shared) > 0.7 for shared, whole in most]) if most else 0
                if share >= 0.4:
                    agreed.append((share, mask))
        kept: list[np.ndarray] = []
        for _, mask in sorted(agreed, key=lambda pair: -pair[0]):
            if all((mask & other).sum() < 0.4 * (mask | other).sum() for other in kept):
                kept.append(mask)
        rng.shuffle(kept)  # type: ignore[arg-type]
        yield pixels, kept[:3]


def examples(folder: Path, split: str, images: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """(looks, IoUs) of all guesses at one click or box each."""
    import cv2

    rng = np.random.default_rng(1)
    result: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"click": [], "box": []}
    for pixels, masks in objects(folder, split, images, rng):
        embedding = classic_segmenter.ClassicSegmenter().encode(pixels)
        for mask in masks:
            small = cv2.resize(mask.astype(np.float32), embedding.data.graph.size, interpolation=cv2.INTER_AREA)
            inside = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
            ys, xs = np.nonzero(inside > 0.35 * inside.max())
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            jitter = 0.04 * rng.normal(size=4) * np.array([len(columns), len(rows), len(columns), len(rows)])
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) + jitter
            asked = [Prompts((Point(int(xs[k]), int(ys[k])),)) for k in rng.integers(len(xs), size=2)]
            for prompts in [*asked, Prompts(box=tuple(box))]:
                question = classic_segmenter.question(embedding, prompts)
                guesses, graph = classic_segmenter.guesses_at(embedding.data, question), question.graph
                truth = np.bincount(graph.labels.ravel(), small.ravel(), graph.count)
                if len(guesses.masks) < 2:
                    continue
                shared = guesses.masks @ truth
                ious = shared / (guesses.masks @ graph.area + truth.sum() - shared)
                seen = looks(graph, guesses, question.click, question.window)
                result["box" if prompts.box else "click"].append((seen, ious.astype(np.float32)))
    return result


def fitted(
    pairs: list[tuple[np.ndarray, np.ndarray]], judged: list[tuple[np.ndarray, np.ndarray]], hidden: int, steps: int = 1500
) -> np.ndarray:
    """One row per hidden unit: its weights, its bias, its weight in the rank; float [hidden, f + 2]."""
    import torch

    torch.manual_seed(0)
    every = np.concatenate([seen for seen, _ in pairs])
    mean, spread = torch.tensor(every.mean(0)), torch.tensor(every.std(0) + 1e-4)
    inner, outer = torch.nn.Linear(len(mean), hidden), torch.nn.Linear(hidden, 1, bias=False)
    net = torch.nn.Sequential(inner, torch.nn.Tanh(), outer)
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3, weight_decay=0.05)
    data = [((torch.tensor(seen) - mean) / spread, torch.tensor(ious)) for seen, ious in pairs]

    def score(seen: Any, ious: Any) -> tuple[Any, Any]:
        rank = net(seen)[:, 0]
        return (torch.softmax(2 * rank, 0) * ious).sum(), torch.nn.functional.mse_loss(torch.sigmoid(rank), ious)

    for step in range(steps):
        chosen = torch.randint(len(data), (32,)).tolist()
        terms = [score(*data[k]) for k in chosen]
        loss: Any = sum(-good + 2 * wrong for good, wrong in terms) / len(terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (1 - step / steps)
    with torch.no_grad():
        for name, many in (("fitted", pairs), ("judged", judged)):
            picked = [float(ious[int(net((torch.tensor(seen) - mean) / spread)[:, 0].argmax())]) for seen, ious in many]
            print(f"# {name}: {np.mean(picked):.3f} of at best {np.mean([ious.max() for _, ious in many]):.3f}, {len(many)} questions")
        weight = inner.weight / spread
        bias = inner.bias - weight @ mean
        return torch.cat([weight, bias[:, None], outer.weight.T], 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bsds", type=Path)
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args()
    learnt, judged = examples(options.bsds, "train", options.images), examples(options.bsds, "val", options.images // 4)
    for kind in ("click", "box"):
        table = fitted(learnt[kind], judged[kind], HIDDEN[kind])
        print(f"{kind.upper()} = (")
        for line in table:
            print("    (" + ", ".join(f"{number:.3g}" for number in line) + "),")
        print(")  # fmt: skip")


if __name__ == "__main__":
    main()
