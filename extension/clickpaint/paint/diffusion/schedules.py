"""How the noise levels of a sampling are spaced, under the names that A1111 and Forge list.

A level is the noise's standard deviation over that of the picture, as Karras et al. (2022) count it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput

AUTOMATIC = "Automatic"

Spacing = Callable[[int, np.ndarray, bool], Any]
"""spacing(steps, trained float64 [1000] rising levels of the training's timesteps, whether it is SDXL) → the levels to visit, falling"""


def proper_name(name: str) -> str:
    """The schedule that is called so, whatever the case, with or without spaces; "" is the automatic one.

    Raises:
        InvalidInput: there is none.
    """
    known = {_plain(schedule): schedule for schedule in SCHEDULES} | {_plain(spoken): schedule for spoken, schedule in _ALSO.items()}
    if _plain(name or AUTOMATIC) not in known:
        raise InvalidInput(
            "The schedule {name!r} is unknown here.", "Choose one of {schedules}.", name=name, schedules=", ".join(SCHEDULES)
        )
    return known[_plain(name or AUTOMATIC)]


def levels(schedule: str, steps: int, trained: np.ndarray, *, sdxl: bool = False) -> np.ndarray:
    """The noise levels at which a network is asked, float64, falling; the 0 that the last step leads to is not among them. As many as
    `steps`, of the schedule "DDIM" sometimes one more.

    Args:
        schedule: by its proper name, not the automatic one.
        trained: float64 [1000], the rising levels of the timesteps that the network was trained at.
        sdxl: whether it is of that family; what was optimised for it differs from the rest.
    """
    return np.array(_SPACINGS[schedule](steps, trained, sdxl), np.float64)


def karras(count: int, low: float, high: float) -> np.ndarray:
    """Equation 5 of Karras et al. (2022) with rho 7, from high to low."""
    ramp, rho = np.linspace(0, 1, count), 7.0
    return (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho


def level_at(timesteps: Any, trained: np.ndarray) -> Any:
    """The level of timesteps, which need not be whole; between two of them it is even in the logarithm."""
    return np.exp(np.interp(timesteps, np.arange(len(trained)), np.log(trained)))


def timestep_at(level: Any, trained: np.ndarray) -> Any:
    """The timesteps of levels, not rounded: the inverse of `level_at`; the nearest for a level that no timestep has."""
    return np.interp(np.log(level), np.log(trained), np.arange(len(trained)))


def _uniform(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    return level_at(np.linspace(len(trained) - 1, 0, steps), trained)


def _sgm_uniform(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    return level_at(np.linspace(len(trained) - 1, 0, steps + 1)[:-1], trained)


def _karras(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    return karras(steps, trained[0], trained[-1])


def _exponential(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    return np.exp(np.linspace(np.log(trained[-1]), np.log(trained[0]), steps))


def _kl_optimal(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    """Theorem 3.1 of Sabour et al. (2024), "Align Your Steps": evenly in the arctangent. The web UIs end at the lowest level and leave its
    noise in the picture; here that last step goes to 0 instead."""
    low, high = np.arctan(trained[0]), np.arctan(trained[-1])
    return np.tan(high + np.arange(steps) / steps * (low - high))


def _simple(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    return [trained[-1 - int(step * len(trained) / steps)] for step in range(steps)]


def _ddim(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    return trained[1 :: max(len(trained) // steps, 1)][::-1]


def _beta(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    """Lee et al. (2024), "Beta Sampling is All You Need", as the web UIs take it: of the levels, with alpha and beta 0.6."""
    from scipy.stats import beta

    return trained[0] + beta.ppf(np.linspace(1, 0, steps), 0.6, 0.6) * (trained[-1] - trained[0])


def _turbo(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
    timesteps = np.arange(steps, 0, -1) * len(trained) / steps - 1
    return trained[timesteps.round().astype(int).clip(0, len(trained) - 1)]


def _published(table: Mapping[bool, tuple[float, ...]]) -> Spacing:
    """Levels that were optimised for a number of steps, brought to another number evenly in the logarithm."""

    def spacing(steps: int, trained: np.ndarray, sdxl: bool) -> Any:
        optimal = np.log(table[sdxl])
        return np.exp(np.interp(np.linspace(0, 1, steps), np.linspace(0, 1, len(optimal)), optimal))

    return spacing


# Of Sabour et al. (2024), as they are published on their page, and of Chen et al. (2024), "On the Trajectory Regularity"; SDXL's: True.
_AYS_11 = {
    False: (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    True: (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
}
_AYS_32 = {
    False: (
        14.615, 11.23951352, 8.64363081, 6.64729424, 5.57250862, 4.71648546, 3.99196065, 3.51956090, 3.13490466, 2.79228788, 2.48773628,
        2.21663865, 1.97508351, 1.77931720, 1.61475335, 1.46540953, 1.31484900, 1.16642497, 1.03475547, 0.91573744, 0.80748169, 0.71202361,
        0.62173900, 0.53065202, 0.45290960, 0.37491455, 0.27461819, 0.20115290, 0.14105873, 0.06682881, 0.03166121, 0.015,
    ),
    True: (
        14.615, 11.14916180, 8.50522127, 6.48827151, 5.43707402, 4.60398619, 3.89854704, 3.27407457, 2.74396527, 2.29968659, 1.95448514,
        1.67108715, 1.42878152, 1.23181009, 1.06789649, 0.92579443, 0.80290886, 0.69660121, 0.60436903, 0.52852552, 0.46773344, 0.41393379,
        0.36258186, 0.31008517, 0.26518925, 0.22326461, 0.17653877, 0.13959192, 0.10587381, 0.05519369, 0.02877334, 0.015,
    ),
}  # fmt: skip
_GITS = {
    False: (14.615, 4.617, 2.507, 1.236, 0.702, 0.402, 0.240, 0.156, 0.104, 0.094, 0.029),
    True: (14.615, 4.734, 2.567, 1.529, 0.987, 0.652, 0.418, 0.268, 0.179, 0.127, 0.029),
}

_SPACINGS: Mapping[str, Spacing] = {
    "Uniform": _uniform,
    "Karras": _karras,
    "Exponential": _exponential,
    "Polyexponential": _exponential,  # with rho 1, as the web UIs have it unless a setting says otherwise
    "SGM Uniform": _sgm_uniform,
    "KL Optimal": _kl_optimal,
    "Align Your Steps": _published(_AYS_11),
    "Simple": _simple,
    "Normal": _uniform,  # which differs where a setting narrows the range of levels
    "DDIM": _ddim,
    "Beta": _beta,
    "Turbo": _turbo,
    "Align Your Steps GITS": _published(_GITS),
    "Align Your Steps 11": _published(_AYS_11),
    "Align Your Steps 32": _published(_AYS_32),
}
SCHEDULES = (AUTOMATIC, *_SPACINGS)
_ALSO = {"DDIM Uniform": "DDIM", "AYS": "Align Your Steps", "None": AUTOMATIC, "Use same scheduler": AUTOMATIC}
"""Other names of the web UIs and of ComfyUI for the same."""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter not in " _-")
