"""Fills a hole with patches from around it; needs nothing but numpy and OpenCV.

Coarse to fine, alternating between searching every patch's nearest neighbour and letting the neighbours vote (Wexler,
Shechtman, Irani 2007, "Space-Time Completion of Video"), with the search of Barnes et al. 2009 ("PatchMatch"), in a form
that numpy can do for all patches at once: distances are taken between the patches' principal components, and all patches
look at their neighbours' matches at the same time. From Newson et al. 2014 ("Video Inpainting of Complex Scenes") come the
texture channels, without which wide holes turn flat.

Votes settle the structure, but a mean of patches has no grain. So each scale ends with every pixel copied from its one match, of
which as many as possible go together with their neighbours', and the copies joined by their gradients (see `seamless`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from clickpaint.erase import seamless
from clickpaint.erase.patch_pyramid import RADIUS, SEARCH_PIXELS, SECOND_SEARCH_PIXELS, Level, pyramid, upsampled, within
from clickpaint.erase.structure import structure
from clickpaint.progress import Progress

COMPONENTS = 24
LAYOUT = (1.8, 0.4)
"""What it costs to take a patch from elsewhere: standard deviations of the picture per length of its longer side, along y
and along x. A photograph is more alike along its rows: road continues as road, a skyline as a skyline. Little along x: it would
be lowest at the rim, and a rim's column repeated all over its row is a streak."""
LAYOUT_FADES = 0.5
"""By how much that counts less on every level from the third: what lies where is settled by then, and grain repeats in rows."""
CONFIDENCE = 1.3
"""By how much a vote weighs less per pixel further inside the hole."""
COHERENCE = 4
"""How often each patch looks around for a displacement that many of its neighbours share."""
AGREEMENT = 1.5
"""What agreeing with all neighbours is worth: a distance larger by the factor exp(AGREEMENT). More of it means larger pieces, whose
texture is whole, and that fit less well."""
TRUST = 0.0004
"""How much the copies' colours count against their gradients at full resolution: a difference at a seam or at the rim fades over
1 / sqrt(TRUST) = 50 pixels. Less of it lets a shadow at the rim darken a wide hole altogether, more of it shows seams."""
_AROUND = [(-1, 0), (1, 0), (0, -1), (0, 1), (-2, -2), (-2, 2), (2, -2), (2, 2), (-4, 0), (4, 0), (0, -4), (0, 4)]
_CHUNK = 1024
_SAMPLES = 4000
_STEPS = [(dy, dx) for dy in range(-RADIUS, RADIUS + 1) for dx in range(-RADIUS, RADIUS + 1)]


@dataclass(eq=False)
class _Axes:
    """The main axes of a picture's patches.

    Attributes:
        mean: the mean patch.
        vectors: [side² · channels, n].
        spread: what a unit of place costs: the patches' standard deviation, or less.
    """

    mean: np.ndarray
    vectors: np.ndarray
    spread: float


def fill(crop: np.ndarray, hole: np.ndarray, progress: Progress, seed: int = 0, grain: float = 1.0) -> np.ndarray | None:
    """`crop` (uint8 [h, w, 3]) with `hole` (bool [h, w]) filled; None if not a single patch around it is whole.

    grain: 0..1, from the structure alone (see `structure`) to all that was copied with it.

    The same input and seed give the same result. Raises `Interrupted` within a fraction of a second.
    """
    levels = pyramid(crop, hole, progress)
    if not levels:
        return None
    plain = crop.astype(np.float32)
    whole = _copied(plain, levels, SEARCH_PIXELS, seed, progress if grain == 1 else progress.part(0, 0.6))
    if grain < 1:
        again = [replace(level) for level in levels]
        second = _copied(plain, again, SECOND_SEARCH_PIXELS, seed + 1, progress.part(0.6, 0.9))
        sure = structure(whole, second, hole, progress.part(0.9, 1))
        whole = sure + grain * (whole - sure)
    return np.where(hole[..., None], np.clip(np.rint(whole), 0, 255).astype(np.uint8), crop)


def _copied(picture: np.ndarray, levels: list[Level], most: int, seed: int, progress: Progress) -> np.ndarray:
    """`picture` (float32 [h, w, 3]) with its hole filled from around it.

    most: `Level.searched`.
    """
    rng = np.random.default_rng(seed)
    first, hole = levels[0], levels[-1].hole
    first.channels = seamless.membrane(first.channels, first.hole, progress)
    matches = np.zeros(first.hole.size, np.int64)
    matches[first.targets] = rng.choice(first.known, len(first.targets))
    for number, level in enumerate(levels):
        share = progress.part(number / (len(levels) + 1), (number + 1) / (len(levels) + 1))
        if number > 0:
            matches = upsampled(matches, levels[number - 1], level, rng)
            if not level.searched(most):
                continue
        trust = min(TRUST * 4.0 ** (len(levels) - 1 - number), 1.0)  # the same distance in this level's pixels
        if number > 0:
            _join(level, matches, trust, share)
        axes = _components(level, layout=LAYOUT_FADES ** max(number - 1, 0))
        table = np.zeros((level.hole.size, axes.vectors.shape[1] + 2), np.float32)
        table[level.known] = _features(level, level.known, axes)
        rounds = max(2, 10 - 3 * number)
        for turn in range(rounds):
            share.report(turn / rounds, "Matching patches")
            matches, distances = _search(level, axes, table, matches, rng, share)
            if number > 0 and turn == rounds - 1:
                matches = _coherent(level, axes, table, matches, share)
                _join(level, matches, trust, share)
            else:
                _vote(level, matches, distances, 0.25 if turn == rounds - 1 else 0.5, share)
        matches = _coherent(level, axes, table, matches, share)
    share = progress.part(len(levels) / (len(levels) + 1), 1)
    share.report(0, "Joining patches")
    rows, columns = np.divmod(matches.reshape(hole.shape), hole.shape[1])
    return seamless.merged(picture, hole, rows, columns, TRUST, share)


def _join(level: Level, matches: np.ndarray, trust: float, progress: Progress) -> None:
    """Fill the level with the pixels that its matches stand for."""
    rows, columns = np.divmod(matches.reshape(level.hole.shape), level.hole.shape[1])
    level.channels = np.clip(seamless.merged(level.channels, level.hole, rows, columns, trust, progress), 0, 255)


def _coherent(level: Level, axes: _Axes, table: np.ndarray, matches: np.ndarray, progress: Progress) -> np.ndarray:
    """The matches with fewer seams: each patch may take a neighbour's displacement, and prefers what many around it have.

    After Ashikhmin 2001, "Synthesizing Natural Textures".
    """
    height, width = level.hole.shape
    wanted = _features(level, level.targets, axes)
    usable = level.sources.reshape(-1)
    rows, columns = level.places
    own = np.arange(len(rows), dtype=np.int32)
    around = np.stack([np.where(index >= 0, index, own) for index in (level.beside(dy, dx) for dy, dx in _AROUND)])
    # Rows and columns of a displacement in one number, so that equality is of both.
    nearest = matches[level.targets]
    match_rows, match_columns = np.divmod(nearest.astype(np.int32), np.int32(width))
    shift = ((match_rows - rows) << 16) + (match_columns - columns)
    distance = ((wanted - table.take(nearest, axis=0)) ** 2).sum(axis=1)
    floor = np.quantile(distance, 0.25) + 1e-3
    worth = np.exp(-AGREEMENT * np.arange(len(around) + 1, dtype=np.float32) / len(around))

    for _ in range(COHERENCE):
        progress.check()
        offers = shift[around]
        best = (distance + floor) * worth[(offers == shift).sum(axis=0)]
        shift, distance = shift.copy(), distance.copy()
        for offer in offers:
            where = np.flatnonzero(offer != shift)
            new = offer[where]
            down = (new + 0x8000) >> 16
            new_rows, new_columns = rows[where] + down, columns[where] + (new - (down << 16))
            inside = within(new_rows, new_columns, height, width)
            flat = new_rows * width + new_columns
            inside[inside] = usable[flat[inside]]
            where, flat, new = where[inside], flat[inside], new[inside]
            difference = wanted.take(where, axis=0) - table.take(flat, axis=0)
            far = np.einsum("nd,nd->n", difference, difference)
            cost = (far + floor) * worth[(offers.take(where, axis=1) == new).sum(axis=0)]
            better = cost < best[where]
            where = where[better]
            best[where], shift[where], distance[where] = cost[better], new[better], far[better]
    down = (shift + 0x8000) >> 16
    result = matches.copy()
    result[level.targets] = (rows + down) * width + columns + (shift - (down << 16))
    return result


def _patches(channels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The patches around the flat indices `where`, [n, side² · channels]; over the border the picture's edge repeats."""
    width = channels.shape[1]
    padded = np.pad(channels, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
    rows, columns = np.divmod(where, width)
    side = 2 * RADIUS + 1
    # A patch's row is one piece of memory, all channels together.
    lines = np.lib.stride_tricks.sliding_window_view(padded.reshape(len(padded), -1), (side, side * channels.shape[2]))
    return lines[rows, columns * channels.shape[2]].reshape(len(where), -1)


def _components(level: Level, layout: float) -> _Axes:
    """The principal components of the sources' patches. layout: how much their place counts."""
    sample = _patches(level.channels, level.known[:: -(-len(level.known) // _SAMPLES)])
    mean = sample.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(sample - mean, rowvar=False, dtype=np.float32) if len(sample) > 1 else np.eye(len(mean)))
    return _Axes(mean, vectors[:, ::-1][:, :COMPONENTS].astype(np.float32), layout * float(np.sqrt(sample.var(axis=0).sum())))


def _features(level: Level, where: np.ndarray, axes: _Axes) -> np.ndarray:
    """The patches around `where` by their principal components and their place, so that squared distance counts both."""
    features = np.empty((len(where), axes.vectors.shape[1] + 2), np.float32)
    middle = axes.mean @ axes.vectors
    for start in range(0, len(where), 16 * _CHUNK):
        part = slice(start, start + 16 * _CHUNK)
        features[part, :-2] = _patches(level.channels, where[part]) @ axes.vectors - middle
        features[part, -2:] = _place(level.hole.shape, where[part]) * axes.spread
    return features


def _place(shape: tuple[int, ...], where: np.ndarray) -> np.ndarray:
    """(y, x) of flat indices in units in which one costs as much as one standard deviation of the picture; float32 [n, 2]."""
    return (np.stack(np.divmod(where, shape[1]), axis=1) * (np.array(LAYOUT) / max(shape))).astype(np.float32)


def _search(
    level: Level, axes: _Axes, table: np.ndarray, matches: np.ndarray, rng: np.random.Generator, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Better matches for the level as it is filled now, and their squared distances, both [h · w]. table: all features."""
    height, width = level.hole.shape
    targets = level.targets
    wanted = _features(level, targets, axes)
    usable = level.sources.reshape(-1)
    nearest = matches[targets]
    match_rows, match_columns = np.divmod(nearest.astype(np.int32), np.int32(width))
    best = ((wanted - table.take(nearest, axis=0)) ** 2).sum(axis=1)

    def offer(new_rows: np.ndarray, new_columns: np.ndarray, of: np.ndarray | None = None) -> None:
        inside = within(new_rows, new_columns, height, width)
        where = np.flatnonzero(inside if of is None else inside & of)
        new_rows, new_columns = new_rows[where], new_columns[where]
        flat = new_rows * width + new_columns
        keep = usable[flat]
        where, flat = where[keep], flat[keep]
        difference = wanted.take(where, axis=0) - table.take(flat, axis=0)
        distance = np.einsum("nd,nd->n", difference, difference)
        better = distance < best[where]
        where = where[better]
        best[where] = distance[better]
        match_rows[where], match_columns[where] = new_rows[keep][better], new_columns[keep][better]

    for step in (4, 2, 1, 1):
        progress.check()
        for dy, dx in ((0, -step), (0, step), (-step, 0), (step, 0)):
            index = level.beside(dy, dx)
            offer(match_rows[index] - dy, match_columns[index] - dx, index >= 0)
        reach = max(height, width)
        while reach >= 1:
            shift = rng.integers(-reach, reach + 1, (2, len(targets)), np.int32)
            offer(match_rows + shift[0], match_columns + shift[1])
            reach //= 3
    result, distances = np.zeros(height * width, np.int64), np.zeros(height * width, np.float32)
    result[targets] = match_rows * width + match_columns
    distances[targets] = best
    return result, distances


def _vote(level: Level, matches: np.ndarray, distances: np.ndarray, tolerance: float, progress: Progress) -> None:
    """Set every hole pixel to the mean of what the patches over it say, the sure ones weighing more.

    tolerance: the share of the patches that are good; distances beyond theirs hardly count.
    """
    import cv2

    height, width = level.hole.shape
    depth = cv2.distanceTransform(level.hole.astype(np.uint8), cv2.DIST_L2, 3).reshape(-1)
    weights = CONFIDENCE ** -np.minimum(depth, 60)
    spread = np.quantile(distances[level.targets], tolerance) + 1e-3
    weights = weights * np.exp(-distances / (2 * spread))
    weights = weights.astype(np.float32) + 1e-12
    pixels = np.flatnonzero(level.hole)
    own = level.at(pixels)
    matches, weights = matches[level.targets], weights[level.targets]
    flat = level.channels.reshape(height * width, -1)
    total = np.zeros((len(pixels), flat.shape[1]), np.float32)
    weight = np.zeros(len(pixels), np.float32)
    for dy, dx in _STEPS:
        progress.check()
        over = level.beside(dy, dx)[own]
        share = weights[over] * (over >= 0)
        over = np.where(over >= 0, over, own)
        total += flat.take(matches[over] - np.where(over == own, 0, dy * width + dx), axis=0) * share[:, None]
        weight += share
    flat[pixels] = total / weight[:, None]
