"""Guesses at the object: many small graph cuts over superpixels, ranked by how much each looks like a thing.

The recipe is that of constrained parametric min-cuts (Carreira and Sminchisescu 2012): cut with many seeds, boxes and foreground biases,
then rank what came out. Each cut is GrabCut (Rother et al. 2004) with palette histograms instead of Gaussian mixtures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.segment.superpixels import Graph

EDGE_DECAY = 0.25
"""Strength at which cutting through a boundary costs 1/e of cutting through plain colour."""


class Window(NamedTuple):
    """Where one guess may lie, pixels of the graph: nothing outside is taken."""

    left: float
    top: float
    right: float
    bottom: float


class Bias(NamedTuple):
    """How one cut is biased. smoothness: cost of a pixel of boundary; foreground: nats per pixel in favour of the object."""

    smoothness: float
    foreground: float


@dataclass(frozen=True, eq=False)
class Guesses:
    """masks: bool [g, n], distinct. votes: float32 [g], how many cuts ended there."""

    masks: np.ndarray
    votes: np.ndarray


@dataclass(frozen=True, eq=False)
class Seeds:
    """Nodes that are known. inside, outside: int [*]."""

    inside: np.ndarray
    outside: np.ndarray


def guess(graph: Graph, windows: Iterable[Window], biases: Iterable[Bias], seeds: Seeds, progress: Progress = SILENT) -> Guesses:
    """Cut once for every window and bias. Only parts that hold a seed (the large parts where there is none) are kept, small holes are filled."""
    found: dict[bytes, list] = {}
    biases = tuple(biases)
    for window in windows:
        progress.check()
        for bias in biases:
            mask = _whole(graph, cut_window(graph, window, bias, seeds), seeds)
            if mask.any():
                found.setdefault(mask.tobytes(), [mask, 0])[1] += 1
    if not found:
        return Guesses(np.zeros((0, graph.count), bool), np.zeros(0, np.float32))
    return Guesses(np.array([mask for mask, _ in found.values()]), np.array([votes for _, votes in found.values()], np.float32))


def cut_window(graph: Graph, window: Window, bias: Bias, seeds: Seeds, rounds: int = 3) -> np.ndarray:
    """One object in `window`, bool [n]: its colours against those of its surroundings, both learnt anew after each round (Rother et al. 2004)."""
    width, height = window.right - window.left, window.bottom - window.top
    known_in, known_out = np.zeros((2, graph.count), bool)
    known_in[seeds.inside] = True
    known_out[seeds.outside] = True
    free = (_share_within(graph, window) > 0.5) | known_in
    margin = 0.35 * max(np.sqrt(width * height), 0.5 * max(width, height))
    around = Window(window.left - margin, window.top - margin, window.right + margin, window.bottom + margin)
    context = _share_within(graph, around) + 0.15  # what is near says most about the background, the rest a little
    off = (graph.center - [(window.left + window.right) / 2, (window.top + window.bottom) / 2]) / [width / 2, height / 2]
    inner = np.where(free & ~known_out, np.exp(-1.2 * (off**2).sum(1)), 0.0)  # things fill the middle of their box
    outer = np.where(free & ~known_out, 0.0, context)
    colours = graph.histogram / graph.area[:, None]
    overall = graph.histogram.sum(0) / graph.histogram.sum()
    chosen = np.zeros(graph.count, bool)
    for _ in range(rounds):
        gain = np.clip(colours @ (_log_model(graph, inner, overall) - _log_model(graph, outer, overall)), -3, 3) + bias.foreground
        gain *= graph.area
        gain[known_out], gain[known_in] = -1e5, 1e5
        before, chosen = chosen, min_cut(graph, gain, free, bias.smoothness)
        if not chosen.any() or (chosen == before).all():
            break
        inner, outer = chosen.astype(np.float64), np.where(chosen, 0.0, np.where(free, 1.0, context))
    return chosen


def min_cut(graph: Graph, gain: np.ndarray, free: np.ndarray, smoothness: float) -> np.ndarray:
    """The nodes, bool [n], whose summed `gain` minus the cost of their outline is largest; nodes outside `free` are background."""
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    cost = graph.length * smoothness * np.exp(-graph.strength / EDGE_DECAY) + 0.02 * smoothness * graph.length
    nodes = np.flatnonzero(free)
    k = len(nodes)
    place = np.full(graph.count, -1)
    place[nodes] = np.arange(k)
    i, j = place[graph.i], place[graph.j]
    within, leaving = (i >= 0) & (j >= 0), (i >= 0) ^ (j >= 0)
    g = gain[nodes].astype(np.float64)
    g -= np.bincount(np.maximum(i, j)[leaving], cost[leaving], k)  # a link to the outside is cut whenever its inner node is chosen
    up, down = np.flatnonzero(g > 0), np.flatnonzero(g < 0)
    source, sink = k, k + 1
    rows = np.r_[i[within], j[within], np.full(len(up), source), down]
    columns = np.r_[j[within], i[within], up, np.full(len(down), sink)]
    capacity = np.r_[cost[within], cost[within], g[up], -g[down]]
    scaled = np.minimum(capacity * 100, 1e8).astype(np.int32)  # the solver wants integers
    network = sparse.csr_matrix((scaled, (rows, columns)), (k + 2, k + 2))
    rest = network - maximum_flow(network, source, sink).flow
    rest.data[rest.data < 0] = 0
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, source, return_predecessors=False)
    chosen = np.zeros(graph.count, bool)
    chosen[nodes[reached[reached < k]]] = True
    return chosen


def rank(graph: Graph, guesses: Guesses, click: tuple[float, float] | None = None, window: Window | None = None) -> np.ndarray:
    """How much each guess looks like a whole thing, float [g], higher is better.

    What counts (compare Alexe et al. 2012, "Measuring the objectness of image windows"): an outline that follows strong edges and crosses
    no plain surface, colours unlike those around it, a size that things have, not leaning on the picture's border, being compact, the
    click in its middle, filling the given box from side to side, and being what many cuts agree on.
    """
    import cv2

    masks = guesses.masks.astype(np.float32)
    area = masks @ graph.area
    split = guesses.masks[:, graph.i] != guesses.masks[:, graph.j]
    outline = np.maximum(split @ graph.length, 1e-6)
    edge = split @ (graph.length * graph.strength) / outline
    plain = split @ (graph.length * (graph.strength < 0.3)) / outline
    border = masks @ graph.border
    leaning = border / (outline + border)

    links = graph.neighbours()
    reach = masks.T
    for _ in range(2):
        reach = np.minimum(links @ reach + reach, 1)
    own, ring = masks @ graph.histogram, np.maximum(reach.T - masks, 0) @ graph.histogram
    own /= own.sum(1, keepdims=True)
    ring /= np.maximum(ring.sum(1, keepdims=True), 1e-6)
    contrast = 0.5 * ((own - ring) ** 2 / (own + ring + 1e-6)).sum(1)

    left, top = (np.where(guesses.masks, graph.extent[:, c], np.inf).min(1) for c in (0, 1))
    right, bottom = (np.where(guesses.masks, graph.extent[:, c], -np.inf).max(1) for c in (2, 3))
    corners = graph.extent[:, [[0, 1], [0, 3], [2, 1], [2, 3]]]
    hulls = [cv2.contourArea(cv2.convexHull(corners[mask].reshape(-1, 2))) for mask in guesses.masks]
    solid = np.minimum(area / np.maximum(hulls, 1), 1)

    overlap = (masks * graph.area) @ masks.T
    alike = overlap / (area[:, None] + area[None] - overlap) > 0.8
    agreed = alike @ guesses.votes / guesses.votes.sum()

    score = edge - 0.35 * plain + 0.18 * contrast + 0.15 * solid + 0.8 * agreed
    if window is None:
        width, height = graph.size
        size = np.log(area / (width * height))
        score = score + 0.09 * np.minimum(size, np.log(0.12)) - 0.11 * np.maximum(size - np.log(0.4), 0) - 0.36 * leaning
    else:
        filled = (right - left) * (bottom - top) / ((window.right - window.left) * (window.bottom - window.top))
        score = score + 0.8 * filled
    if click is not None:
        middle = masks @ (graph.center * graph.area[:, None]) / area[:, None]
        score = score - 0.31 * np.hypot(*(middle - click).T) / np.sqrt(area)
    return score


def _share_within(graph: Graph, window: Window) -> np.ndarray:
    """How much of each node's extent lies in the window, 0..1, float [n]."""
    left, top, right, bottom = graph.extent.T
    across = np.clip(np.minimum(right, window.right) - np.maximum(left, window.left), 0, None) / (right - left)
    return across * np.clip(np.minimum(bottom, window.bottom) - np.maximum(top, window.top), 0, None) / (bottom - top)


def _log_model(graph: Graph, weights: np.ndarray, overall: np.ndarray) -> np.ndarray:
    """Log-probability of every palette colour among the nodes as weighted; a little of the whole picture keeps it finite."""
    counts = weights @ graph.histogram
    return np.log(0.98 * counts / max(counts.sum(), 1e-6) + 0.02 * overall + 1e-12)


def _whole(graph: Graph, chosen: np.ndarray, seeds: Seeds) -> np.ndarray:
    """Without parts that hold no seed (or are small beside the largest one, where there are no seeds), and without small holes."""
    if not chosen.any():
        return chosen
    parts = graph.parts(chosen)
    if len(seeds.inside):
        chosen = np.isin(parts, parts[seeds.inside]) & chosen
    else:
        areas = np.bincount(parts[chosen], graph.area[chosen], graph.count)
        chosen = chosen & (areas[parts] >= 0.2 * areas.max())
    holes = graph.parts(~chosen)
    areas = np.bincount(holes[~chosen], graph.area[~chosen], graph.count)
    closed = np.bincount(holes[~chosen], graph.border[~chosen], graph.count) == 0
    closed &= areas < 0.15 * graph.area[chosen].sum()
    closed[holes[seeds.outside]] = False
    return chosen | (closed[holes] & ~chosen)
