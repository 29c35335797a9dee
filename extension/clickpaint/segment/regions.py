"""Everything in a picture, in superpixels: the likeliest things of a grid of clicks, then what they leave over."""

from __future__ import annotations

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.segment.hypotheses import Bias, Seeds, Window, guess
from clickpaint.segment.ranking import pick, rank
from clickpaint.segment.superpixels import Graph

_GRID = 7
_BIASES = (Bias(16, 0.0), Bias(32, 0.3))
_SAME = 0.7
_PLAIN = 0.35
"""Links weaker than this do not divide what is left over."""


def find_regions(graph: Graph, known: np.ndarray, progress: Progress = SILENT) -> list[tuple[np.ndarray, float]]:
    """Distinct regions that cover nearly the whole graph: masks, bool [n], with scores 0..1, best first.

    Args:
        known: bool [r, n], regions to choose from besides those that the clicks give.
    """
    width, height = graph.size
    guessed: list[tuple[np.ndarray, float]] = []
    points = [((column + 0.5) * width / _GRID, (row + 0.5) * height / _GRID) for row in range(_GRID) for column in range(_GRID)]
    for index, (x, y) in enumerate(points):
        progress.report(index / len(points), "Looking for everything", done=index, total=len(points))
        seeds = Seeds(graph.labels[int(y), int(x)][None], np.zeros(0, int))
        guesses = guess(graph, _windows(graph, x, y), _BIASES, seeds, progress, known)
        if len(guesses.masks):
            guessed += pick(graph, guesses, rank(graph, guesses, (x, y)))
    kept = _distinct(graph, sorted(guessed, key=lambda region: -region[1]), 0.0)
    covered = np.any([mask for mask, _ in kept], axis=0) if kept else np.zeros(graph.count, bool)
    rest = graph.parts(~covered, graph.strength < _PLAIN)
    parts = [rest == part for part in np.unique(rest[rest >= 0])]
    left_over = sorted(((mask, 0.1) for mask in parts), key=lambda region: -float(region[0] @ graph.area))
    return kept + _distinct(graph, left_over, 0.001 * width * height)


def _windows(graph: Graph, x: float, y: float) -> list[Window]:
    """Boxes of several sizes and shapes around (x, y)."""
    width, height = graph.size
    side = np.sqrt(width * height)
    result = {}
    for scale in (0.15, 0.3, 0.5, 0.75):
        for aspect in (0.5, 1.0, 2.0):
            w, h = side * scale * aspect**0.5, side * scale / aspect**0.5
            window = Window(max(0.0, x - w / 2), max(0.0, y - h / 2), min(float(width), x + w / 2), min(float(height), y + h / 2))
            result[window] = None
    return list(result)


def _distinct(graph: Graph, regions: list[tuple[np.ndarray, float]], smallest: float) -> list[tuple[np.ndarray, float]]:
    """Without those below `smallest` pixels and those that are nearly one already kept."""
    kept: list[tuple[np.ndarray, float]] = []
    for mask, score in regions:
        area = float(mask @ graph.area)
        if area < smallest:
            continue
        if all((mask & other) @ graph.area < _SAME * ((mask | other) @ graph.area) for other, _ in kept):
            kept.append((mask, score))
    return kept
