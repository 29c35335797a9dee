"""Guesses at the object: many small graph cuts over superpixels.

The recipe is that of constrained parametric min-cuts (Carreira and Sminchisescu 2012): cut with many seeds, boxes and foreground biases,
then rank what came out (`ranking`). Each cut is GrabCut (Rother et al. 2004) with palette histograms instead of Gaussian mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clickpaint.progress import SILENT, Progress
from clickpaint.segment.superpixels import Graph

EDGE_DECAY = 0.25
"""Strength at which cutting through a boundary costs 1/e of cutting through plain colour."""

CHUNK = 54
"""How many cuts are solved side by side."""


class Window(NamedTuple):
    """Where one guess may lie, pixels of the graph: nothing outside is taken."""

    left: float
    top: float
    right: float
    bottom: float


class Bias(NamedTuple):
    """How one cut is biased.

    Attributes:
        smoothness: cost of a pixel of boundary.
        foreground: nats per pixel in favour of the object.
    """

    smoothness: float
    foreground: float


@dataclass(frozen=True, eq=False)
class Guesses:
    """What the object may be.

    Attributes:
        masks: bool [g, n], distinct.
        votes: float32 [g], how many cuts ended there.
    """

    masks: np.ndarray
    votes: np.ndarray


@dataclass(frozen=True, eq=False)
class Seeds:
    """Nodes that are known.

    Attributes:
        inside, outside: int [*].
    """

    inside: np.ndarray
    outside: np.ndarray


def guess(
    graph: Graph, windows: Sequence[Window], biases: Sequence[Bias], seeds: Seeds, progress: Progress = SILENT,
    known: np.ndarray | None = None,
) -> Guesses:  # fmt: skip
    """Cut once for every window and bias.

    Only parts that hold a seed (the large parts where there is none) are kept, and small holes are filled.

    Args:
        known: bool [r, n], regions to guess at besides; those that the seeds rule out do not count.
    """
    parts = []
    jobs = [(window, bias) for window in windows for bias in biases]
    for start in range(0, len(jobs), CHUNK):
        progress.check()
        chosen = cut_windows(graph, [job[0] for job in jobs[start : start + CHUNK]], [job[1] for job in jobs[start : start + CHUNK]], seeds)
        parts.append(_whole(graph, chosen[chosen.any(1)], seeds))
    if known is not None:
        parts.append(known[known[:, seeds.inside].all(1) & ~known[:, seeds.outside].any(1)])
    masks = np.concatenate([*parts, np.zeros((0, graph.count), bool)])
    masks = masks[masks.any(1)]
    _, first, votes = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True, return_counts=True)
    return Guesses(masks[first], votes.astype(np.float32))


def cut_windows(graph: Graph, windows: Sequence[Window], biases: Sequence[Bias], seeds: Seeds, rounds: int = 3) -> np.ndarray:
    """One object in each window, bool [g, n]: its colours against those of its surroundings, both learnt anew after each round.

    All windows go through each step together, for the many small steps would cost more than what they compute.
    """
    box = np.array(windows, np.float32).reshape(-1, 4)
    middle, size = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    smoothness, foreground = np.array(biases, np.float32).reshape(-1, 2).T
    known = np.zeros(graph.count, np.int8)
    known[seeds.inside], known[seeds.outside] = 1, -1
    free = ((_share_within(graph, box) > 0.5) & (known >= 0)) | (known > 0)
    margin = 0.35 * np.maximum(np.sqrt(size.prod(1)), 0.5 * size.max(1))[:, None]
    around = np.concatenate([box[:, :2] - margin, box[:, 2:] + margin], 1)
    context = _share_within(graph, around) + 0.15  # what is near says most about the background, the rest a little
    off = (graph.center[None] - middle[:, None]) / (size[:, None] / 2)
    inner = np.where(free, np.exp(-1.2 * (off**2).sum(2)), 0).astype(np.float32)  # things fill the middle of their box
    outer = np.where(free, 0, context)
    colours = (graph.histogram / graph.area[:, None]).T
    chosen = np.zeros(free.shape, bool)
    active = np.arange(len(box))
    for _ in range(rounds):
        gain = np.clip((_log_models(graph, inner) - _log_models(graph, outer)) @ colours, -3, 3) + foreground[active, None]
        gain *= graph.area
        gain[:, known > 0] = 1e5
        cut = min_cuts(graph, gain, free[active], smoothness[active])
        moving = (cut != chosen[active]).any(1) & cut.any(1)
        chosen[active] = cut
        active, cut = active[moving], cut[moving]
        if not len(active):
            break
        inner, outer = cut.astype(np.float32), np.where(cut, 0, np.where(free[active], 1, context[active]))
    return chosen


def min_cuts(graph: Graph, gain: np.ndarray, free: np.ndarray, smoothness: np.ndarray) -> np.ndarray:
    """For each row of `gain`, float [g, n], the nodes whose summed gain minus the cost of their outline is largest; bool [g, n].

    Nodes outside `free`, bool [g, n], are background. smoothness: float [g]. The rows are solved as one network, side by side.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    cost = graph.length * (np.exp(-graph.strength / EDGE_DECAY) + 0.02)
    place = np.cumsum(free).reshape(free.shape) - 1
    k = int(free.sum())
    at_i, at_j = free[:, graph.i], free[:, graph.j]
    row, link = np.nonzero(at_i & at_j)
    i, j = place[row, graph.i[link]], place[row, graph.j[link]]
    between = cost[link] * smoothness[row]
    row, link = np.nonzero(at_i ^ at_j)
    inner = np.where(free[row, graph.i[link]], graph.i[link], graph.j[link])
    # a link to the outside is cut whenever its inner node is chosen
    g = gain[free].astype(np.float64) - np.bincount(place[row, inner], cost[link] * smoothness[row], k)
    up, down = np.flatnonzero(g > 0), np.flatnonzero(g < 0)
    source, sink = k, k + 1
    rows = np.concatenate([i, j, np.full(len(up), source), down])
    columns = np.concatenate([j, i, up, np.full(len(down), sink)])
    capacity = np.concatenate([between, between, g[up], -g[down]])
    scaled = np.minimum(capacity * 100, 1e7).astype(np.int32)  # the solver wants integers
    network = sparse.csr_matrix((scaled, (rows, columns)), (k + 2, k + 2))
    rest = network - maximum_flow(network, source, sink).flow
    rest.data[rest.data < 0] = 0
    rest.eliminate_zeros()
    reached = breadth_first_order(rest, source, return_predecessors=False)
    on = np.zeros(k + 2, bool)
    on[reached] = True
    chosen = np.zeros(free.shape, bool)
    chosen[free] = on[:k]
    return chosen


def overlaps(graph: Graph, guesses: Guesses) -> np.ndarray:
    """The IoU of every guess with every other, float32 [g, g]."""
    masks = guesses.masks.astype(np.float32)
    common, area = (masks * graph.area) @ masks.T, masks @ graph.area
    return common / (area[:, None] + area[None] - common)


def _share_within(graph: Graph, boxes: np.ndarray) -> np.ndarray:
    """How much of each node's extent lies in each box, 0..1, float32 [g, n], from [g, 4] (left, top, right, bottom)."""
    left, top, right, bottom = graph.extent.T
    x = np.clip(np.minimum(right, boxes[:, 2:3]) - np.maximum(left, boxes[:, 0:1]), 0, None) / (right - left)
    return x * np.clip(np.minimum(bottom, boxes[:, 3:4]) - np.maximum(top, boxes[:, 1:2]), 0, None) / (bottom - top)


def _log_models(graph: Graph, weights: np.ndarray) -> np.ndarray:
    """Log-probability of every palette colour, [g, k], among the nodes as weighted, [g, n], kept finite by a little of the whole."""
    counts = weights @ graph.histogram
    overall = graph.histogram.sum(0) / graph.histogram.sum()
    return np.log(0.98 * counts / np.maximum(counts.sum(1, keepdims=True), 1e-6) + 0.02 * overall + 1e-12)


def _whole(graph: Graph, chosen: np.ndarray, seeds: Seeds) -> np.ndarray:
    """`chosen`, bool [g, n], without parts that hold no seed (or are small beside the largest, if there are no seeds) and small holes."""
    parts, areas = _parts(graph, chosen)
    if len(seeds.inside):
        keep = np.zeros(len(areas), bool)
        keep[parts[:, seeds.inside]] = True
    else:
        largest = np.zeros(len(chosen), np.float32)
        row, node = np.nonzero(chosen)
        np.maximum.at(largest, row, areas[parts[row, node]])
        keep = areas >= 0.2 * largest[_owner(parts, len(areas))]
    chosen = chosen & keep[parts]
    parts, areas = _parts(graph, ~chosen)
    border = np.bincount(parts.ravel(), np.where(chosen, 0, graph.border).ravel(), len(areas))
    small = areas < 0.15 * (chosen @ graph.area)[_owner(parts, len(areas))]
    closed = small & (border == 0) & (areas > 0)
    closed[parts[:, seeds.outside]] = False
    return chosen | closed[parts]


def _parts(graph: Graph, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected part of every node of every row, int [g, n], and every part's area; a node outside `chosen` is a part of its own."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    row, link = np.nonzero(chosen[:, graph.i] & chosen[:, graph.j])
    start = row * graph.count
    links = sparse.coo_matrix((np.ones(len(row), np.int8), (start + graph.i[link], start + graph.j[link])), (chosen.size, chosen.size))
    parts = connected_components(links, directed=False)[1].reshape(chosen.shape)
    return parts, np.bincount(parts.ravel(), np.where(chosen, graph.area, 0).ravel())


def _owner(parts: np.ndarray, count: int) -> np.ndarray:
    """The row that each part belongs to, int [count]."""
    owner = np.zeros(count, int)
    owner[parts.ravel()] = np.repeat(np.arange(len(parts)), parts.shape[1])
    return owner
