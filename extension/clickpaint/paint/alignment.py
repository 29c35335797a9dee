"""The answer of a model that paints the whole picture anew, brought back into register with the picture and to its colours.

Models that edit by instruction (Kontext, Qwen-Image-Edit, Klein) see the picture and paint another one: a little shifted, zoomed and
recoloured also where nothing was to change. What was to stay tells how: the two pictures are aligned there by an affine motion
(enhanced correlation coefficient, Evangelidis and Psarakis 2008, which does not see brightness and contrast), then the colours are
fitted there, and what is left of a difference at the rim of the changed area is spread smoothly into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_COARSEST = 64
"""Pixels of the shorter side at which the search begins."""
_FINEST = 1 << 20
"""Pixels at which it ends: more of them would not place it better."""
_FARTHEST = 0.12
"""Of the diagonal: what moved farther was not moved by the model's habit, but by the instruction."""
_LEAST_KEPT = 0.02
"""Share of the picture that has to stay for anything to be learned from it."""
_ALIKE = 0.6
"""Correlation below which the two pictures have too little in common to be aligned."""
_MISFIT, _MISFIT_LEVELS = 4.0, 4.0
"""Times the median, and grey levels: pixels that differ more are not what they were."""
_ITERATIONS = 100
_RIM = 0.02
"""Of the diagonal: how far from the changed area the difference at its rim is looked at, and how smoothly it goes on inside."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """What was done to an answer.

    Attributes:
        pixels: uint8 [h, w, 3], the answer in register with the picture.
        motion: float64 [2, 3], from (x, y, 1) in the picture to (x, y) in the answer; identity where nothing could be found.
        correlation: of the two where nothing was to change, -1..1, before the colours were fitted.
    """

    pixels: np.ndarray
    motion: np.ndarray
    correlation: float


def align(answer: np.ndarray, picture: np.ndarray, free: np.ndarray, *, colours: bool = True) -> Alignment:
    """The answer, in register with the picture.

    Args:
        answer: uint8 [h, w, 3], what the model painted.
        picture: uint8 [h, w, 3], what it was shown.
        free: bool [h, w], where the answer may differ. Where it may everywhere, the pictures are aligned as wholes and the colours stay.
        colours: whether to bring the colours back as well.
    """
    import cv2

    kept = ~free
    everything = kept.mean() < _LEAST_KEPT
    motion, correlation = _motion(_grey(picture), _grey(answer), np.ones_like(free) if everything else kept)
    if not np.array_equal(motion, _IDENTITY):
        size = answer.shape[1], answer.shape[0]
        answer = cv2.warpAffine(
            answer, motion, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
        )  # fmt: skip
    if colours and not everything and correlation > _ALIKE:
        answer = _recoloured(answer, picture, kept)
    return Alignment(answer, motion, correlation)


_IDENTITY = np.eye(2, 3)


def _grey(pixels: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _motion(picture: np.ndarray, answer: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, float]:
    """The affine motion from the picture to the answer, [2, 3], and their correlation under it; from coarse to fine."""
    import cv2

    height, width = picture.shape
    finest = min(1.0, (_FINEST / (height * width)) ** 0.5)
    scales = [finest]
    while min(height, width) * scales[-1] / 2 >= _COARSEST:
        scales.append(scales[-1] / 2)
    motion, correlation = _IDENTITY.copy(), 0.0
    for scale in reversed(scales):
        size = max(round(width * scale), 8), max(round(height * scale), 8)
        small = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (picture, answer)]
        mask = cv2.resize(kept.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        sides = size[0] / width, size[1] / height
        fit = _refined(small[0], small[1], mask, _scaled(motion, sides))
        if fit is None:
            continue  # too little to see at this size
        if scale == finest:  # once more without what the edit changed beyond its area, or came in at the borders
            fit = _refined(small[0], small[1], mask & _fitting(small[0], small[1], mask, fit[0]), fit[0]) or fit
        motion, correlation = _scaled(fit[0], (1 / sides[0], 1 / sides[1])), fit[1]
    if correlation > _ALIKE and _small(motion, width, height):
        return motion, correlation
    return _IDENTITY.copy(), _correlation(picture, answer, kept)


def _fitting(picture: np.ndarray, answer: np.ndarray, mask: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """uint8 [h, w], 1 where the aligned answer's structure differs least from the picture's."""
    import cv2

    size = picture.shape[1], picture.shape[0]
    moved = cv2.warpAffine(
        answer, motion, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT, borderValue=-1e4
    )
    inside = (mask > 0) & (moved > -1e3)
    gain, offset = np.polyfit(moved[inside], picture[inside], 1)
    error = cv2.GaussianBlur(np.abs(gain * moved + offset - picture), (0, 0), 2.0)  # single pixels differ at every edge
    return (inside & (error <= max(_MISFIT * float(np.median(error[inside])), _MISFIT_LEVELS))).astype(np.uint8)


def _correlation(picture: np.ndarray, answer: np.ndarray, kept: np.ndarray) -> float:
    first, second = picture[kept] - picture[kept].mean(), answer[kept] - answer[kept].mean()
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / length if length > 0 else 0.0


def _refined(picture: np.ndarray, answer: np.ndarray, mask: np.ndarray, motion: np.ndarray) -> tuple[np.ndarray, float] | None:
    import cv2

    criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, 1e-8
    try:
        correlation, found = cv2.findTransformECC(
            picture, answer, motion.astype(np.float32), cv2.MOTION_AFFINE, criteria, inputMask=mask, gaussFiltSize=5
        )
    except cv2.error:  # it does not converge: nothing to hold on to
        return None
    return found.astype(np.float64), float(correlation)


def _scaled(motion: np.ndarray, sides: tuple[float, float]) -> np.ndarray:
    """The motion of pictures whose sides are multiplied by these; pixels are counted from the middle of the first one."""
    across = np.array([[sides[0], 0, sides[0] / 2 - 0.5], [0, sides[1], sides[1] / 2 - 0.5], [0, 0, 1]])
    whole = np.vstack([motion, [0, 0, 1]])
    return (across @ whole @ np.linalg.inv(across))[:2]


def _small(motion: np.ndarray, width: int, height: int) -> bool:
    corners = np.array([(0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1)], np.float64)
    moved = corners @ motion.T - corners[:, :2]
    return bool(np.hypot(*moved.T).max() <= _FARTHEST * np.hypot(width, height))


def _recoloured(answer: np.ndarray, picture: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The answer in the picture's colours: an affine map of colours, fitted where nothing was to change and to most of it (what a shadow
    or a reflection changed is not to count), and what remains at the rim of the changed area, spread into it."""
    import cv2

    height, width = kept.shape
    reach = max(_RIM * float(np.hypot(width, height)), 2.0)
    near = kept & (cv2.distanceTransform(kept.astype(np.uint8), cv2.DIST_L2, 3) <= 4 * reach)
    where = near if near.sum() >= 64 else kept
    colour = np.concatenate([answer[where].astype(np.float64), np.ones((int(where.sum()), 1))], axis=1)
    wanted = picture[where].astype(np.float64)
    weight = np.ones(len(colour))
    matrix = np.zeros((4, 3))
    for _ in range(6):  # iteratively reweighted least squares with Cauchy's weights
        rows = colour * weight[:, None]
        ridge = 1e-3 * len(colour) * np.eye(4)  # in a patch of one colour, the map stays near the identity
        target = np.eye(4, 3)
        matrix = np.linalg.solve(rows.T @ colour + ridge, rows.T @ wanted + ridge @ target)
        error = np.abs(colour @ matrix - wanted).mean(axis=1)
        weight = 1 / (1 + (error / max(2.0 * float(np.median(error)), 1.0)) ** 2)
    mapped = answer.astype(np.float32) @ matrix[:3].astype(np.float32) + matrix[3].astype(np.float32)

    # What is left: averaged over the kept pixels around each place, those that fit counting most.
    rest = picture.astype(np.float32) - mapped
    trust = kept.astype(np.float32) / (1 + (np.abs(rest).mean(axis=2) / 8) ** 2)
    total = np.full((height, width), 1e-6, np.float32)
    spread = np.zeros_like(rest)
    for sigma, share in ((reach / 2, 1.0), (2 * reach, 1e-2), (8 * reach, 1e-4)):  # far from the rim, the wider ones alone are felt
        total += share * cv2.GaussianBlur(trust, (0, 0), sigma)
        spread += share * cv2.GaussianBlur(rest * trust[..., None], (0, 0), sigma)
    return np.rint(mapped + spread / total[..., None]).clip(0, 255).astype(np.uint8)
