"""Superpixels joined pair by pair, the most alike first: a smaller graph, and the regions that came up on the way."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from clickpaint.segment.superpixels import Graph, chi_square, linked


class Taste(NamedTuple):
    """What makes two regions alike.

    Attributes:
        colour: 0..1, how much their colours count against the edge between them.
        size: the exponent with which the area of the smaller one counts: above 0 small ones are joined early.
    """

    colour: float
    size: float


TASTES = (Taste(0.5, 0.0), Taste(0.5, 0.3), Taste(0.8, 0.5), Taste(0.2, 0.2))


def contracted(graph: Graph, count: int) -> Graph:
    """`graph` with its most alike nodes joined until `count` are left: fine where the picture has edges, coarse where it is plain."""
    if graph.count <= count:
        return graph
    _, owner = _joined(graph, Taste(0.5, 0.15), count)
    node = np.unique(owner, return_inverse=True)[1]
    n = int(node.max()) + 1

    def summed(values: np.ndarray) -> np.ndarray:
        result = np.zeros((n, *values.shape[1:]), np.float64)
        np.add.at(result, node, values)
        return result.astype(np.float32)

    area, histogram = summed(graph.area), summed(graph.histogram)
    extent = np.empty((n, 4), np.float32)
    extent[:, :2], extent[:, 2:] = np.inf, 0
    np.minimum.at(extent[:, :2], node, graph.extent[:, :2])
    np.maximum.at(extent[:, 2:], node, graph.extent[:, 2:])
    a, b = node[graph.i], node[graph.j]
    between = a != b
    i, j, length, along = linked(a[between], b[between], n, graph.length[between], graph.along[between])
    return Graph(
        node.astype(np.int32)[graph.labels], area, summed(graph.center * graph.area[:, None]) / area[:, None], extent,
        summed(graph.border), histogram, i, j, length, along, Graph.strengths(histogram / area[:, None], i, j, along),
    )  # fmt: skip


def regions(graph: Graph) -> np.ndarray:
    """All regions that come up while the nodes are joined, once for each of `TASTES`: bool [r, n], distinct, more than one node each.

    Such a hierarchy is what Arbelaez et al. 2011 ("Contour detection and hierarchical image segmentation") call an ultrametric map.
    """
    masks = np.concatenate([_joined(graph, taste, 1)[0] for taste in TASTES] + [np.zeros((0, graph.count), bool)])
    _, first = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)
    return masks[np.sort(first)]


def _joined(graph: Graph, taste: Taste, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Every union on the way down to `count` regions, bool [*, n], and the region each node ends in, int [n]."""
    n = graph.count
    total = max(2 * n - 1, 1)
    histogram = np.zeros((total, graph.histogram.shape[1]), np.float32)
    area, mean_area = np.ones(total, np.float32), float(graph.area.mean())
    histogram[:n], area[:n] = graph.histogram, graph.area
    masks = np.zeros((total, n), bool)
    masks[np.arange(n), np.arange(n)] = True
    near: list[dict[int, tuple[float, float]]] = [{} for _ in range(total)]  # of a region: its neighbours' (length, length x edge)
    for i, j, length, along in zip(graph.i.tolist(), graph.j.tolist(), graph.length.tolist(), graph.along.tolist(), strict=True):
        near[i][j] = near[j][i] = (length, length * along)

    def costs(a: np.ndarray | int, b: np.ndarray, edge: np.ndarray) -> list[float]:
        colour = chi_square(
            histogram[a] / area[a, None] if isinstance(a, np.ndarray) else histogram[a] / area[a], histogram[b] / area[b, None]
        )
        cost = (1 - taste.colour) * edge + taste.colour * colour
        weighted: np.ndarray = cost * (np.minimum(area[a], area[b]) / mean_area) ** taste.size
        return [float(value) for value in weighted]

    queue = list(zip(costs(graph.i, graph.j, graph.along), graph.i.tolist(), graph.j.tolist(), strict=True))
    heapq.heapify(queue)
    alive = [index < n for index in range(total)]
    newest = n
    while queue and 2 * n - newest > count:
        _, i, j = heapq.heappop(queue)
        if not (alive[i] and alive[j]):
            continue
        alive[i] = alive[j] = False
        alive[newest] = True
        histogram[newest], area[newest] = histogram[i] + histogram[j], area[i] + area[j]
        masks[newest] = masks[i] | masks[j]
        del near[i][j], near[j][i]
        merged = near[i]
        for other, (length, edge) in near[j].items():
            before = merged.get(other, (0.0, 0.0))
            merged[other] = (before[0] + length, before[1] + edge)
        near[newest] = merged
        for other, value in merged.items():
            theirs = near[other]
            theirs.pop(i, None)
            theirs.pop(j, None)
            theirs[newest] = value
        if merged:
            others = np.fromiter(merged, int)
            edge = np.array([value[1] / value[0] for value in merged.values()])
            for cost, other in zip(costs(newest, others, edge), others.tolist(), strict=True):
                heapq.heappush(queue, (cost, other, newest))
        newest += 1
    owner = np.arange(n)
    for region in range(n, newest):
        if alive[region]:
            owner[masks[region]] = region
    return masks[n:newest], owner
