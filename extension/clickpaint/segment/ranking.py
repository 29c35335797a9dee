"""Which guess looks most like the thing that was meant."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from clickpaint.segment.hypotheses import Guesses, Window, overlaps
from clickpaint.segment.ranking_fit import BOX, CLICK
from clickpaint.segment.superpixels import Graph, chi_square


def looks(graph: Graph, guesses: Guesses, click: tuple[float, float] | None = None, window: Window | None = None) -> np.ndarray:
    """What can be seen of each guess, float32 [g, f]: its outline, its inside, its shape and place, and where the click or the box lies.

    Compare Alexe et al. 2012, "Measuring the objectness of image windows", and the region features of Carreira and Sminchisescu 2012: an
    outline along strong edges that crosses no plain surface, colours unlike those around and along the picture's border, no strong edges
    inside, being compact, being what many cuts agree on.
    """
    masks = guesses.masks.astype(np.float32)
    width, height = graph.size
    area = masks @ graph.area
    at_i, at_j = guesses.masks[:, graph.i], guesses.masks[:, graph.j]
    split, within = (at_i != at_j).astype(np.float32), (at_i & at_j).astype(np.float32)
    outline, inner = np.maximum(split @ graph.length, 1e-6), np.maximum(within @ graph.length, 1.0)
    border = masks @ graph.border
    left, top = (np.where(guesses.masks, side, np.inf).min(1) for side in graph.extent[:, :2].T)
    right, bottom = (np.where(guesses.masks, side, -np.inf).max(1) for side in graph.extent[:, 2:].T)
    own, ring = masks @ graph.histogram, _around(graph, masks) @ graph.histogram
    rim = graph.border @ (graph.histogram / graph.area[:, None])
    colour = own / area[:, None]
    columns = [
        split @ (graph.length * graph.strength) / outline,
        split @ (graph.length * (graph.strength < 0.3)) / outline,
        split @ (graph.length * (graph.strength > 0.55)) / outline,
        split @ (graph.length * graph.along) / outline,
        within @ (graph.length * graph.strength) / inner,
        within @ (graph.length * (graph.strength > 0.55)) / inner,
        chi_square(colour, ring / np.maximum(ring.sum(1, keepdims=True), 1e-6)) ** 2,
        chi_square(colour, (rim / max(rim.sum(), 1e-6))[None]) ** 2,
        4 * np.sqrt(area) / (outline + border),
        area / ((right - left) * (bottom - top)),
        np.abs(np.log((right - left) / (bottom - top))),
        border / (outline + border),
        (left <= 1) * 1.0 + (right >= width - 1) + (top <= 1) + (bottom >= height - 1),
        np.log(area / (width * height)),
        np.log(area / (width * height)) ** 2,
        masks @ (graph.area * graph.center[:, 1]) / area / height,
        np.abs(masks @ (graph.area * graph.center[:, 0]) / area / width - 0.5),
        (overlaps(graph, guesses) > 0.8) @ guesses.votes / guesses.votes.sum(),
    ]
    if window is not None:
        w, h = window.right - window.left, window.bottom - window.top
        gaps = ((left - window.left) / w, (top - window.top) / h, (window.right - right) / w, (window.bottom - bottom) / h)
        columns += [
            np.clip(np.max(gaps, axis=0), 0, 1), np.clip(np.sum(gaps, axis=0), 0, 2),
            (right - left) * (bottom - top) / (w * h), area / (w * h), np.log(np.full(len(area), w * h / (width * height))),
        ]  # fmt: skip
    elif click is not None:
        away = np.hypot(*(graph.center - click).T)
        off = np.maximum(
            np.abs(click[0] - (left + right) / 2) / (right - left), np.abs(click[1] - (top + bottom) / 2) / (bottom - top)
        )  # fmt: skip
        columns += [np.minimum(np.where(guesses.masks, max(width, height), away).min(1) / np.sqrt(area), 0.5), np.minimum(off, 1)]
    return np.stack([np.asarray(column, np.float32) for column in columns], 1)


class _Net(NamedTuple):
    """A network of one hidden layer: rank = out · tanh(looks · hidden + bias)."""

    hidden: np.ndarray
    bias: np.ndarray
    out: np.ndarray


@cache
def _net(kind: str) -> _Net:
    numbers = CLICK if kind == "click" else BOX
    table = np.array(numbers, np.float32)
    return _Net(table[:, :-2].T, table[:, -2], table[:, -1])


def rank(graph: Graph, guesses: Guesses, click: tuple[float, float] | None = None, window: Window | None = None) -> np.ndarray:
    """How much each guess looks like what a click at `click` or a box `window` means, float [g]; see `confidence`.

    Several points without one of their own to go by count as a click anywhere within.
    """
    net = _net("box" if window is not None else "click")
    seen = looks(graph, guesses, click, window)
    if window is None and click is None:
        seen = np.concatenate([seen, np.full((len(seen), 2), (0.2, 0.2), np.float32)], 1)
    return np.tanh(seen @ net.hidden + net.bias) @ net.out


def confidence(rank: float) -> float:
    """The IoU, 0..1, that guesses of this rank had on average in the pictures the ranking was fitted to."""
    return float(1 / (1 + np.exp(-rank)))


def pick(graph: Graph, guesses: Guesses, ranks: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """The likeliest guess, the likeliest clearly smaller and the likeliest clearly larger one, with scores 0..1, best first.

    The likeliest is the one with the largest expected IoU if each guess is right with a probability by its rank.
    """
    if not len(ranks):
        return []
    chance = np.exp(2 * (ranks - ranks.max()))
    expected = overlaps(graph, guesses) @ (chance / chance.sum())
    area = guesses.masks @ graph.area
    best = int(expected.argmax())
    chosen = [(best, confidence(ranks[best]))]
    for others in (area < 0.6 * area[best], area > 1.6 * area[best]):
        if others.any():
            other = int(np.where(others, ranks, -np.inf).argmax())
            chosen.append((other, min(confidence(ranks[other]), chosen[0][1])))
    return [(guesses.masks[k], score) for k, score in sorted(chosen, key=lambda guess: -guess[1])]


def _around(graph: Graph, masks: np.ndarray) -> np.ndarray:
    """How much of each node belongs to the two rows of nodes around each mask, float32 [g, n]."""
    links = graph.neighbours()
    reach = masks.T
    for _ in range(2):
        reach = np.minimum(links @ reach + reach, 1)
    return reach.T - masks
