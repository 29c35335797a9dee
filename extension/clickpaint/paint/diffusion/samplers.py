"""Samplers and schedules under the names that users know, as diffusers' schedulers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clickpaint.errors import InvalidInput

AUTOMATIC = "Automatic"
SCHEDULES = (AUTOMATIC, "Uniform", "Karras", "Exponential", "SGM Uniform")
"""How the noise levels are spaced."""


@dataclass(frozen=True)
class Sampler:
    """kind: a scheduler's class in diffusers. options: for it. schedule: what "Automatic" means. spacing: what "Uniform" means; the
    web UI's samplers from k-diffusion go from the first timestep to the last ("linspace"). spaced: whether other schedules exist. twice:
    whether a step looks twice."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "Uniform"
    spacing: str = "linspace"
    spaced: bool = True
    twice: bool = False


_LEADING: dict[str, Any] = {"spacing": "leading", "spaced": False}
_SAMPLERS = {
    "DPM++ 2M": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}, "Karras"),
    "DPM++ 2M SDE": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, "Exponential"),
    "DPM++ 2M SDE Heun": Sampler(
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}, "Exponential"
    ),
    "Euler a": Sampler("EulerAncestralDiscreteScheduler"),
    "Euler": Sampler("EulerDiscreteScheduler"),
    "LMS": Sampler("LMSDiscreteScheduler"),
    "Heun": Sampler("HeunDiscreteScheduler", twice=True),
    "DPM2": Sampler("KDPM2DiscreteScheduler", schedule="Karras", twice=True),
    "DPM2 a": Sampler("KDPM2AncestralDiscreteScheduler", schedule="Karras", twice=True),
    "UniPC": Sampler("UniPCMultistepScheduler"),
    "DDIM": Sampler("DDIMScheduler", **_LEADING),
    "DDPM": Sampler("DDPMScheduler", **_LEADING),
    "PNDM": Sampler("PNDMScheduler", {"skip_prk_steps": True}, **_LEADING),
    "LCM": Sampler("LCMScheduler", **_LEADING),
}
SAMPLERS = tuple(_SAMPLERS)
DEFAULT = "Euler a"
_ALSO = {"PLMS": "PNDM"} | {f"{name} {spacing}": name for name in SAMPLERS for spacing in ("Karras", "Exponential")}
"""Names of the web UI for the same, those of before 1.9 with the schedule in them."""


def resolve(name: str, schedule: str = "") -> tuple[str, str]:
    """(sampler, schedule) by their proper names; "" for the defaults.

    Raises:
        InvalidInput: there is no such sampler or schedule, or the sampler has a spacing of its own.
    """
    by_name = {known.lower(): known for known in (*SAMPLERS, *_ALSO)}
    found = by_name.get((name or DEFAULT).lower())
    if found is None:
        raise InvalidInput(f"The sampler {name!r} is unknown here.", f"Choose one of {', '.join(SAMPLERS)}.")
    wanted = {known.lower(): known for known in SCHEDULES}.get((schedule or AUTOMATIC).lower())
    if wanted is None:
        raise InvalidInput(f"The schedule {schedule!r} is unknown here.", f"Choose one of {', '.join(SCHEDULES)}.")
    sampler = _ALSO.get(found, found)
    if wanted == AUTOMATIC:
        wanted = next((each for each in ("Karras", "Exponential") if found.endswith(f" {each}")), _SAMPLERS[sampler].schedule)
    if wanted != "Uniform" and not _SAMPLERS[sampler].spaced:
        raise InvalidInput(f"The sampler {sampler} cannot be spaced by {wanted}.", "Choose the schedule Automatic, or another sampler.")
    return sampler, wanted


def scheduler(name: str, schedule: str, config: Mapping[str, Any], steps: int, device: Any = "cpu") -> Any:
    """diffusers' scheduler for a sampler, set to `steps`.

    Args:
        config: betas, prediction type and so on, as the checkpoint has them.

    Raises:
        InvalidInput: see `resolve`.
    """
    import diffusers

    name, schedule = resolve(name, schedule)
    sampler = _SAMPLERS[name]
    kind = getattr(diffusers, sampler.kind)
    known = inspect.signature(kind.__init__).parameters
    flag = f"use_{schedule.lower()}_sigmas"
    wanted = {
        **config,
        "timestep_spacing": "trailing" if schedule == "SGM Uniform" else sampler.spacing,
        **sampler.options,
        flag: True,
    }
    # diffusers cannot space Euler a, and 0.31 fails to space others exponentially
    by_hand = schedule == "Exponential" or (schedule == "Karras" and flag not in known)
    if by_hand and not sampler.twice:
        del wanted[flag]
    made = kind(**{key: value for key, value in wanted.items() if key in known})
    made.set_timesteps(steps, device=device)
    if by_hand and not sampler.twice:
        _space(made, schedule, steps, device)
    return made


def _space(scheduler: Any, schedule: str, steps: int, device: Any) -> None:
    """Give a scheduler the noise levels of a schedule, and the timesteps they belong to."""
    import numpy as np
    import torch

    levels = ((1 - scheduler.alphas_cumprod) / scheduler.alphas_cumprod).sqrt().cpu().numpy()
    sigmas = spaced(schedule, float(levels[0]), float(levels[-1]), steps)
    timesteps = np.interp(np.log(sigmas), np.log(levels), np.arange(len(levels)))
    scheduler.sigmas = torch.from_numpy(np.append(sigmas, 0.0)).float()
    scheduler.timesteps = torch.from_numpy(timesteps).float().to(device)


def spaced(schedule: str, low: float, high: float, steps: int) -> Any:
    """Noise levels from high to low, float64 [steps]: by equation 5 of Karras et al. (2022) with rho 7, or evenly in the logarithm."""
    import numpy as np

    ramp = np.linspace(0, 1, steps)
    if schedule == "Karras":
        rho = 7.0
        return (high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    return np.exp(np.log(high) + ramp * (np.log(low) - np.log(high)))


def visited(scheduler: Any, steps: int, strength: float) -> tuple[list[Any], int]:
    """The timesteps of image to image, and how many of `steps` they are: the last `strength` of all, at least one
    unless that is 0.

    The scheduler is told where it begins.
    """
    taken = min(max(int(steps * strength), 1), steps) if strength > 0 else 0
    begin = (steps - taken) * scheduler.order
    if hasattr(scheduler, "get_lms_coefficient"):  # by the number of a step it counts on those before, which were not taken
        scheduler.sigmas, scheduler.timesteps, begin = scheduler.sigmas[begin:], scheduler.timesteps[begin:], 0
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return list(scheduler.timesteps[begin:]), taken
