"""A picture as a graph of superpixels: a few hundred patches, their colours, and how strong the edge between two of them is."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

COLOURS = 40
"""Size of the picture's own palette, over which all colour histograms are taken."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Superpixels (nodes, n of them) and the pairs of them that touch (links, m of them).

    Attributes:
        labels: int32 [h, w], the node of every pixel, 0..n-1, every node 4-connected.
        area: float32 [n], pixels.
        center: float32 [n, 2], (x, y).
        extent: float32 [n, 4], (left, top, right, bottom), right and bottom exclusive.
        border: float32 [n], pixels that lie on the picture's border.
        histogram: float32 [n, k], palette counts, each row sums to area.
        i, j: int [m], the two nodes of a link, i < j.
        length: float32 [m], pixels of common boundary.
        along: float32 [m], the mean edge along that boundary, 0..1.
        strength: float32 [m], that edge and the difference of colours in one, 0 (no edge at all) .. 1.
    """

    labels: np.ndarray
    area: np.ndarray
    center: np.ndarray
    extent: np.ndarray
    border: np.ndarray
    histogram: np.ndarray
    i: np.ndarray
    j: np.ndarray
    length: np.ndarray
    along: np.ndarray
    strength: np.ndarray

    @staticmethod
    def strengths(share: np.ndarray, i: np.ndarray, j: np.ndarray, along: np.ndarray) -> np.ndarray:
        """`strength` from the nodes' colour shares, float32 [n, k], and the edges along their links."""
        return (0.5 * along + 0.5 * chi_square(share[i], share[j])).astype(np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.labels.shape[1], self.labels.shape[0]

    @property
    def count(self) -> int:
        """How many superpixels."""
        return len(self.area)

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def neighbours(self) -> object:
        """The links as a symmetric scipy.sparse matrix [n, n] of ones."""
        from scipy import sparse

        ones = np.ones(2 * len(self.i), np.float32)
        return sparse.csr_matrix((ones, (np.r_[self.i, self.j], np.r_[self.j, self.i])), (self.count, self.count))

    def parts(self, chosen: np.ndarray, open_links: np.ndarray | None = None) -> np.ndarray:
        """The connected parts of `chosen`, bool [n], by the links `open_links`, bool [m] (None: all): int [n], -1 outside `chosen`."""
        from scipy import sparse
        from scipy.sparse.csgraph import connected_components

        keep = chosen[self.i] & chosen[self.j]
        if open_links is not None:
            keep &= open_links
        links = sparse.coo_matrix((np.ones(int(keep.sum()), np.int8), (self.i[keep], self.j[keep])), (self.count, self.count))
        return np.where(chosen, connected_components(links, directed=False)[1], -1)


def build_graph(pixels: np.ndarray, count: int = 700) -> Graph:
    """The graph of `pixels`, uint8 [h, w, 3] RGB, with about `count` superpixels. The same picture always gives the same graph."""
    import cv2

    height, width = pixels.shape[:2]
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 0.7)
    lab[..., 0] *= 0.6  # shading and shadows change lightness far more than hue
    centers, colour = _palette(lab)
    distance = ((centers[:, None] - centers[None]) ** 2).sum(-1)
    alike = np.exp(-distance / (2 * 6.0**2)).astype(np.float32)
    alike /= alike.sum(1, keepdims=True)
    edge = _edges(alike[colour])
    labels = _slic(lab, count)
    n = int(labels.max()) + 1
    flat = labels.ravel()

    area = np.bincount(flat, minlength=n).astype(np.float32)
    counts = np.bincount(flat * len(centers) + colour.ravel(), minlength=n * len(centers)).reshape(n, -1)
    histogram = counts.astype(np.float32) @ alike  # neighbouring colours count as partly equal
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    xs, ys = np.broadcast_to(x, labels.shape).ravel(), np.broadcast_to(y[:, None], labels.shape).ravel()
    center = np.stack([np.bincount(flat, xs, n), np.bincount(flat, ys, n)], 1) / area[:, None]
    extent = np.empty((n, 4), np.float32)
    extent[:, :2], extent[:, 2:] = np.inf, 0
    for column, values in ((0, xs), (1, ys)):
        np.minimum.at(extent[:, column], flat, values)
        np.maximum.at(extent[:, column + 2], flat, values + 1)
    border = sum(np.bincount(side, minlength=n) for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]))

    i, j, length, along = _links(labels, edge)
    return Graph(
        labels.astype(np.int32), area, center.astype(np.float32), extent, np.asarray(border, np.float32), histogram,
        i, j, length, along, Graph.strengths(histogram / area[:, None], i, j, along),
    )  # fmt: skip


def chi_square(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How much distributions differ, 0..1, float [m], from [m, k] (or one [k]) and [m, k] that each sum to 1 in a row."""
    return np.sqrt(0.5 * ((a - b) ** 2 / (a + b + 1e-6)).sum(-1))


def linked(
    a: np.ndarray, b: np.ndarray, count: int, length: np.ndarray, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each pair once, i < j, int [m], with the sum of its lengths and the mean, by length, of its edges, float32 [m].

    Args:
        a, b: int [*], labels below `count` that touch, in any order.
        length, along: [*].
    """
    pairs, index = np.unique(np.minimum(a, b).astype(np.int64) * count + np.maximum(a, b), return_inverse=True)
    total = np.bincount(index, length, len(pairs))
    mean = np.bincount(index, length * along, len(pairs)) / np.maximum(total, 1)
    return pairs // count, pairs % count, total.astype(np.float32), mean.astype(np.float32)


def _palette(lab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture's own colours, float32 [k, 3], k <= COLOURS, and the index of the nearest of them, int [h, w]."""
    import cv2

    points = lab.reshape(-1, 3)
    sample = points[:: max(1, len(points) // 12000)]
    centers = np.unique(sample, axis=0)
    if len(centers) > COLOURS:
        cv2.setRNGSeed(1)  # k-means++ draws its starting points
        stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 12, 0.5)
        centers = cv2.kmeans(sample, COLOURS, None, stop, 1, cv2.KMEANS_PP_CENTERS)[2]  # type: ignore
    nearest = ((centers**2).sum(1) - 2 * points @ centers.T).argmin(1)
    return centers, nearest.reshape(lab.shape[:2])


def _edges(shares: np.ndarray) -> np.ndarray:
    """How fast the local colour distribution changes, float32 [h, w], 0..1.

    `shares`, float32 [h, w, k], is the palette membership of each pixel. The change is measured in the Fisher metric of the blurred
    distribution (the differential form of the chi-square distance between half-discs of Martin et al. 2004), so the grain of grass,
    gravel or cloth, which is the same everywhere, is no edge. Two scales are averaged.
    """
    import cv2

    result = np.zeros(shares.shape[:2], np.float32)
    for sigma in (1.0, 2.5):
        xx, xy, yy = (np.zeros_like(result) for _ in range(3))
        for k in range(shares.shape[2]):
            blurred = cv2.GaussianBlur(np.ascontiguousarray(shares[..., k]), (0, 0), sigma)
            dx = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
            dy = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=1, scale=0.5)
            weight = 1 / (blurred + 1e-3)
            xx += dx * dx * weight
            xy += dx * dy * weight
            yy += dy * dy * weight
        change = sigma * np.sqrt((xx + yy) / 2 + np.sqrt(((xx - yy) / 2) ** 2 + xy**2))
        result += 0.5 * change / (change + 0.5)
    return result


def _slic(lab: np.ndarray, count: int, compactness: float = 10.0, rounds: int = 6) -> np.ndarray:
    """SLIC superpixels (Achanta et al. 2012), int [h, w], 4-connected, small scraps given to a neighbour.

    Written out here because OpenCV's is only in builds with the contrib modules, which a host need not have.
    """
    height, width = lab.shape[:2]
    step = max(2.0, float(np.sqrt(height * width / count)))
    rows, columns = max(1, round(height / step)), max(1, round(width / step))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    row = np.minimum((y * rows / height).astype(np.int64), rows - 1)
    column = np.minimum((x * columns / width).astype(np.int64), columns - 1)
    weight = compactness / step
    planes = [np.ascontiguousarray(plane) for plane in (lab[..., 0], lab[..., 1], lab[..., 2], x * weight, y * weight)]
    offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    near = []
    for dy, dx in offsets:
        outside = (row + dy < 0) | (row + dy >= rows) | (column + dx < 0) | (column + dx >= columns)
        near.append(np.where(outside, rows * columns, (row + dy) * columns + column + dx))  # one centre too many, infinitely far away
    labels = row * columns + column
    for _ in range(rounds):
        members = np.maximum(np.bincount(labels.ravel(), minlength=rows * columns), 1)
        best = np.full((height, width), np.inf, np.float32)
        means = [np.append(np.bincount(labels.ravel(), p.ravel(), rows * columns) / members, np.inf).astype(np.float32) for p in planes]
        for candidate in near:
            distance = np.zeros((height, width), np.float32)
            for plane, mean in zip(planes, means, strict=True):
                distance += (plane - mean[candidate]) ** 2
            closer = distance < best
            best[closer] = distance[closer]
            labels = np.where(closer, candidate, labels)
    return _tidy(labels, step * step / 5)


def _tidy(labels: np.ndarray, smallest: float) -> np.ndarray:
    """Split labels into their connected pieces; pieces below `smallest` pixels join the neighbour with the longest common boundary."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    shape, size = labels.shape, labels.size
    index = np.arange(size).reshape(shape)
    across, down = labels[:, :-1] == labels[:, 1:], labels[:-1] == labels[1:]
    a, b = np.r_[index[:, :-1][across], index[:-1][down]], np.r_[index[:, 1:][across], index[1:][down]]
    links = sparse.coo_matrix((np.ones(len(a), np.int8), (a, b)), (size, size))
    pieces = connected_components(links, directed=False)[1].reshape(shape)
    for _ in range(4):
        area = np.bincount(pieces.ravel())
        if not (area < smallest).any() or len(area) == 1:
            break
        i, j, length, _ = _links(pieces, np.zeros(shape, np.float32))
        owner, other, common = np.r_[i, j], np.r_[j, i], np.r_[length, length]
        order = np.lexsort((area[other], common))
        best = np.arange(len(area))
        best[owner[order]] = other[order]  # the last, longest one stays
        target = np.arange(len(area))
        moves = (area < smallest) & ((area[best] > area) | ((area[best] == area) & (best < target)))
        target[moves] = best[moves]
        for _ in range(5):
            target = target[target]
        pieces = np.unique(target[pieces], return_inverse=True)[1].reshape(shape)
    return pieces


def _links(labels: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of labels that touch: i, j (i < j), the length of their boundary in pixels, the mean of `edge` along it; each [m]."""
    firsts, seconds, values = [], [], []
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differ = labels[first] != labels[second]
        firsts.append(labels[first][differ])
        seconds.append(labels[second][differ])
        values.append(np.maximum(edge[first][differ], edge[second][differ]))
    along = np.concatenate(values)
    return linked(np.concatenate(firsts), np.concatenate(seconds), int(labels.max()) + 1, np.ones(len(along)), along)
