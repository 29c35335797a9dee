"""The segmenter that needs no weights: graph cuts over superpixels. A stopgap for machines without a model."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.segment.base import Candidate, Embedding, Prompts
from clickpaint.segment.hierarchy import contracted, regions
from clickpaint.segment.hypotheses import Bias, Guesses, Seeds, Window, guess, overlaps
from clickpaint.segment.mask_refinement import Pixels, enlarge, sharpen
from clickpaint.segment.ranking import pick, rank
from clickpaint.segment.regions import find_regions
from clickpaint.segment.superpixels import Graph, build_graph

WORK = 384
"""Long side of the picture that clicks are answered on; the cost of a click does not depend on the picture's size."""

GUIDE = 1280
"""Long side of the picture along whose edges the outline is laid in the end."""

NODES = 320
"""Superpixels that are left once those without an edge between them are joined."""

LOGITS = 256

CLICK_BIASES = (Bias(16, 0.0), Bias(32, 0.3))
BOX_BIASES = tuple(Bias(smoothness, foreground) for smoothness, foreground in product((16, 32, 64), (0.0, 0.2, 0.4, 0.6)))


@dataclass(frozen=True, eq=False)
class _Encoded:
    """A picture as this segmenter looks at it.

    Attributes:
        small, guide: uint8 [h, w, 3], the picture at WORK and at GUIDE.
        fine: the graph of `small`; boxes, which leave less open, are answered on it.
        graph: the same with fewer nodes, for clicks.
        regions: bool [r, n], what the nodes of `graph` make when joined pair by pair.
    """

    small: np.ndarray
    guide: np.ndarray
    fine: Graph
    graph: Graph
    regions: np.ndarray

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.small, self.guide, self.fine, self.graph, self.regions))


class Question(NamedTuple):
    """Prompts as the graph has them.

    Attributes:
        graph: the one to ask.
        known: pixels of the small picture that were pointed at.
        seeds: the nodes there.
        window: the box.
        click: the first positive point, where there is no box.
    """

    graph: Graph
    known: Pixels
    seeds: Seeds
    window: Window | None
    click: tuple[int, int] | None


class ClassicSegmenter:
    """`Segmenter` without a model. Its candidates are a thing of its own size, a part of it and something larger, where such are found.

    Positive points lie inside, negative ones outside every candidate; with a box nothing outside the box is selected. Logits, float32
    [1, 256, 256], cover the whole picture (stretched to a square); fed back, they hold the answer near the candidate they came from.
    """

    name = "classic"

    def encode(self, pixels: np.ndarray, progress: Progress = SILENT) -> Embedding:
        """See `Segmenter.encode`."""
        progress.report(0.0, "Looking at the picture")
        small, guide = _shrunk(pixels, WORK), _shrunk(pixels, GUIDE)
        fine = build_graph(small)
        progress.report(0.6, "Looking at the picture")
        graph = contracted(fine, NODES)
        encoded = _Encoded(small, guide, fine, graph, regions(graph))
        progress.report(1.0, "Looking at the picture")
        height, width = pixels.shape[:2]
        return Embedding(self.name, width, height, encoded.nbytes, encoded)

    def predict(self, embedding: Embedding, prompts: Prompts, progress: Progress = SILENT) -> list[Candidate]:
        """See `Segmenter.predict`."""
        prompts = prompts.checked(embedding.width, embedding.height)
        encoded: _Encoded = embedding.data
        asked = question(embedding, prompts)
        graph = asked.graph
        progress.report(0.0, "Finding what was pointed at")
        guesses = guesses_at(encoded, asked, progress)
        ranks = rank(graph, guesses, asked.click, asked.window) if len(guesses.masks) else np.zeros(0, np.float32)
        if prompts.previous is not None:
            guesses, ranks = _with_previous(graph, guesses, ranks, asked.seeds, prompts.previous)
        picked = pick(graph, guesses, ranks)
        if not picked:  # nothing stood out: the patches under the points, or the box itself
            picked = [(_fallback(graph, asked.seeds, asked.window), 0.0)]
        progress.report(0.6, "Finding what was pointed at")
        return [self._candidate(embedding, prompts, nodes[graph.labels], score, asked.known) for nodes, score in picked]

    def regions(self, pixels: np.ndarray, progress: Progress = SILENT) -> Iterator[Candidate]:
        """Regions that together cover nearly all of `pixels`, uint8 [H, W, 3] RGB, the likeliest things first, no two alike.

        One after another, because all their full-size masks at once would not fit into memory for a large picture.
        """
        embedding = self.encode(pixels, progress.part(0.0, 0.1))
        encoded: _Encoded = embedding.data
        graph = encoded.graph
        regions = find_regions(graph, encoded.regions, progress.part(0.1, 0.7))
        finishing = progress.part(0.7, 1.0)
        rough = ((nodes[graph.labels], score) for nodes, score in regions)
        work = (partial(self._candidate, embedding, Prompts(), *region, []) for region in rough)
        for index, candidate in enumerate(_side_by_side(work)):
            finishing.report(index / len(regions), "Drawing outlines", done=index, total=len(regions))
            yield candidate

    def _candidate(self, embedding: Embedding, prompts: Prompts, rough: np.ndarray, score: float, known: Pixels) -> Candidate:
        """`rough`, bool [h, w] of the small picture, as a mask of the full picture that obeys the prompts."""
        encoded: _Encoded = embedding.data
        small = sharpen(encoded.small, rough, known)
        mask = enlarge(small, encoded.small, encoded.guide, (embedding.width, embedding.height))
        _obey(mask, prompts)
        return Candidate(mask, score, _logits(small))


def _side_by_side(work: Iterable[Callable[[], Candidate]]) -> Iterator[Candidate]:
    """The results in turn; two are made at a time, no more, as each is as large as the picture. OpenCV lets other threads run."""
    with ThreadPoolExecutor(2) as pool:
        ahead: deque[Future[Candidate]] = deque()
        for job in work:
            ahead.append(pool.submit(job))
            if len(ahead) == 2:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def question(embedding: Embedding, prompts: Prompts) -> Question:
    """`prompts`, checked, in the graph of `embedding`."""
    encoded: _Encoded = embedding.data
    graph = encoded.graph if prompts.box is None else encoded.fine
    width, height = graph.size
    x_scale, y_scale = width / embedding.width, height / embedding.height
    known: Pixels = [
        (min(int(point.x * x_scale), width - 1), min(int(point.y * y_scale), height - 1), int(point.label)) for point in prompts.points
    ]
    window = None
    if prompts.box is not None:
        left, top, right, bottom = (v * s for v, s in zip(prompts.box, (x_scale, y_scale, x_scale, y_scale), strict=True))
        window = Window(max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    click = next(((x, y) for x, y, label in known if label), None) if window is None else None
    return Question(graph, known, _seeds(graph, known), window, click)


def guesses_at(encoded: _Encoded, asked: Question, progress: Progress = SILENT) -> Guesses:
    """All that may be meant."""
    graph = asked.graph
    if asked.window is not None:
        first = np.unique(graph.labels, return_index=True)[1]
        known = encoded.regions[:, encoded.graph.labels.ravel()[first]]  # a node of the fine graph lies in one of the other
        return guess(graph, _box_windows(asked.window), BOX_BIASES, asked.seeds, progress, _within(graph, known, asked.window))
    windows = _click_windows(graph, [(x, y) for x, y, label in asked.known if label])
    return guess(graph, windows, CLICK_BIASES, asked.seeds, progress, encoded.regions)


def _within(graph: Graph, regions: np.ndarray, window: Window) -> np.ndarray:
    """Those that lie in the window and fill a fifth of it, bool [r, n]."""
    x, y = graph.center.T
    outside = (x < window.left) | (x >= window.right) | (y < window.top) | (y >= window.bottom)
    enough = regions @ graph.area > 0.2 * (window.right - window.left) * (window.bottom - window.top)
    return regions[enough & ~regions[:, outside].any(1)]


def _shrunk(pixels: np.ndarray, side: int) -> np.ndarray:
    """`pixels` with a long side of at most `side`; always an array of its own."""
    import cv2

    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels.copy()
    return cv2.resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)


def _seeds(graph: Graph, known: Pixels) -> Seeds:
    """The nodes under the points. A node with both kinds stays open; the pixels decide there."""
    inside = {int(graph.labels[y, x]) for x, y, label in known if label}
    outside = {int(graph.labels[y, x]) for x, y, label in known if not label}
    return Seeds(np.array(sorted(inside), int), np.array(sorted(outside - inside), int))


def _click_windows(graph: Graph, points: list[tuple[int, int]]) -> list[Window]:
    """Boxes of several sizes, shapes and offsets that hold all positive points."""
    width, height = graph.size
    side = np.sqrt(width * height)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    result = {}
    shapes = [(scale, aspect, 0.5, 0.5) for scale, aspect in product((0.12, 0.2, 0.3, 0.42, 0.58, 0.75, 1.0), (0.45, 1.0, 2.2))]
    shapes += [(scale, 1.0, u, v) for scale, u, v in product((0.2, 0.42, 0.7), (0.2, 0.8), (0.2, 0.8))]
    shapes += [(scale, 0.45, 0.5, v) for scale, v in product((0.42, 0.7), (0.2, 0.8))]
    shapes += [(scale, 2.2, u, 0.5) for scale, u in product((0.42, 0.7), (0.2, 0.8))]
    for scale, aspect, u, v in shapes:
        w, h = side * scale * aspect**0.5, side * scale / aspect**0.5
        left, top, right, bottom = x - u * w, y - v * h, x + (1 - u) * w, y + (1 - v) * h
        window = Window(
            max(0.0, min(left, min(xs) - 2)), max(0.0, min(top, min(ys) - 2)),
            min(float(width), max(right, max(xs) + 3)), min(float(height), max(bottom, max(ys) + 3)),
        )  # fmt: skip
        result[window] = None
    return list(result)


def _box_windows(box: Window) -> list[Window]:
    """The box, and a little less of it, for boxes are drawn generously."""
    result = []
    for margin in (0.0, 0.04, 0.08):
        dx, dy = margin * (box.right - box.left), margin * (box.bottom - box.top)
        result.append(Window(box.left + dx, box.top + dy, box.right - dx, box.bottom - dy))
    return result


def _with_previous(graph: Graph, guesses: Guesses, ranks: np.ndarray, seeds: Seeds, logits: np.ndarray) -> tuple[Guesses, np.ndarray]:
    """The guesses ranked by their nearness to the answer that `logits` come from, and that answer itself where it obeys the points."""
    import cv2

    stretched = cv2.resize(np.asarray(logits, np.float32).reshape(logits.shape[-2:]), graph.size, interpolation=cv2.INTER_LINEAR)
    before = np.bincount(graph.labels.ravel(), stretched.ravel(), graph.count) > 0
    if not before.any():
        return guesses, ranks
    obeys = before[seeds.inside].all() and not before[seeds.outside].any()
    all_guesses = Guesses(np.concatenate([guesses.masks, before[None]]), np.append(guesses.votes, np.float32(1)))
    nearness = overlaps(graph, all_guesses)[-1]
    ranks = np.append(ranks, ranks.max(initial=0.0)) + 8 * (nearness - 1)
    return (all_guesses, ranks) if obeys else (guesses, ranks[:-1])


def _fallback(graph: Graph, seeds: Seeds, window: Window | None) -> np.ndarray:
    mask = np.zeros(graph.count, bool)
    mask[seeds.inside] = True
    if window is not None and not mask.any():
        x, y = graph.center.T
        mask = (x >= window.left) & (x < window.right) & (y >= window.top) & (y < window.bottom)
        mask[seeds.outside] = False
    return mask


def _logits(mask: np.ndarray) -> np.ndarray:
    """float32 [1, 256, 256], -8..8, from bool [h, w]."""
    import cv2

    soft = cv2.resize(mask.astype(np.float32), (LOGITS, LOGITS), interpolation=cv2.INTER_LINEAR)
    return (16 * cv2.GaussianBlur(soft, (0, 0), 1.0) - 8)[None]


def _obey(mask: np.ndarray, prompts: Prompts) -> None:
    """Make `mask`, bool [H, W], our own, obey to the pixel: empty outside the box, points as they were labelled (the last wins)."""
    import cv2

    height, width = mask.shape
    if prompts.box is not None:
        left, top, right, bottom = prompts.box
        columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
        mask[(rows < top) | (rows > bottom)] = False
        mask[:, (columns < left) | (columns > right)] = False
    radius = max(1, round(max(height, width) / WORK))
    for point in prompts.points:
        spot = np.zeros((2 * radius + 1, 2 * radius + 1), np.uint8)
        cv2.circle(spot, (radius, radius), radius, 1, -1)
        x, y = int(point.x), int(point.y)
        top, left = max(0, y - radius), max(0, x - radius)
        part = mask[top : y + radius + 1, left : x + radius + 1]
        part[spot[top - y + radius :, left - x + radius :][: part.shape[0], : part.shape[1]] > 0] = bool(point.label)
    for point in prompts.points:  # discs of neighbouring points may have met
        mask[int(point.y), int(point.x)] = bool(point.label)
