"""Samplers and schedules under the names that users know, as diffusers' schedulers."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import schedules, solvers
from clickpaint.paint.diffusion.schedules import AUTOMATIC
from clickpaint.paint.diffusion.solvers import Solver, SolverScheduler


@dataclass(frozen=True)
class Sampler:
    """How a sampler is made.

    Attributes:
        kind: a scheduler's class in diffusers; "" where it is one of our solvers.
        options: for that class.
        solver: see `diffusion.solvers`.
        schedule: what "Automatic" means.
        spacing: what "Uniform" means to diffusers; the web UI's samplers from k-diffusion go from the first timestep to the last
            ("linspace").
        spaced: whether other schedules exist.
        twice: whether a step of diffusers' looks twice.
        whole: whether its timesteps must be whole numbers.
        skips_last: whether the last level before 0 is left out, of a schedule for one step more.
        ends_lowest: whether it goes to the lowest level of the training, whatever the schedule's last one is.
        adaptive: whether it chooses its own levels between the first and the last.
    """

    kind: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    solver: Solver | None = None
    schedule: str = "Uniform"
    spacing: str = "linspace"
    spaced: bool = True
    twice: bool = False
    whole: bool = False
    skips_last: bool = False
    ends_lowest: bool = False
    adaptive: bool = False


_LEADING: dict[str, Any] = {"spacing": "leading", "spaced": False}
_SAMPLERS = {
    "DPM++ 2M": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}, schedule="Karras"),
    "DPM++ SDE": Sampler(solver=solvers.dpmpp_sde, schedule="Karras"),
    "DPM++ 2M SDE": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, schedule="Exponential"),
    "DPM++ 2M SDE Heun": Sampler(
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}, schedule="Exponential"
    ),
    "DPM++ 2S a": Sampler(solver=solvers.dpmpp_2s_ancestral, schedule="Karras"),
    "DPM++ 3M SDE": Sampler(solver=solvers.dpmpp_3m_sde, schedule="Exponential", skips_last=True),
    "Euler a": Sampler("EulerAncestralDiscreteScheduler"),
    "Euler": Sampler("EulerDiscreteScheduler"),
    "LMS": Sampler("LMSDiscreteScheduler"),
    "Heun": Sampler("HeunDiscreteScheduler", twice=True),
    "DPM2": Sampler("KDPM2DiscreteScheduler", schedule="Karras", twice=True),
    "DPM2 a": Sampler("KDPM2AncestralDiscreteScheduler", schedule="Karras", twice=True),
    "DPM fast": Sampler(solver=solvers.dpm_fast, ends_lowest=True),
    "DPM adaptive": Sampler(solver=solvers.dpm_adaptive, ends_lowest=True, adaptive=True),
    "Restart": Sampler(solver=solvers.restart, schedule="Karras"),
    "Predictor-corrector": Sampler(solver=solvers.predictor_corrector),
    "UniPC": Sampler("UniPCMultistepScheduler"),
    "DDIM": Sampler("DDIMScheduler", **_LEADING),
    "DDPM": Sampler("DDPMScheduler", **_LEADING),
    "PNDM": Sampler("PNDMScheduler", {"skip_prk_steps": True}, **_LEADING),
    "LCM": Sampler("LCMScheduler", spacing="leading", whole=True),
}
SAMPLERS = tuple(_SAMPLERS)
DEFAULT = "Euler a"
_ALSO = {"PLMS": "PNDM", "uni_pc_bh2": "UniPC", "DPM ad": "DPM adaptive"}
"""Other names of the web UIs and of ComfyUI for the same."""

_SUFFIXES = {"ka": "Karras", "exp": "Exponential", "AYS": "Align Your Steps"} | {name: name for name in schedules.SCHEDULES}
"""What stands behind a sampler's name for its schedule: in the web UI before 1.9, in its short names, and in forks."""

_THEIRS = {
    "DDIM CFG++": "DDIM", "HeunPP2": "Heun", "IPNDM": "PNDM", "IPNDM_V": "PNDM", "DEIS": "DPM++ 2M", "Flux Realistic": "DPM++ 2S a",
}  # fmt: skip
"""Samplers that only a web UI has → the nearest of ours."""


def resolve(name: str, schedule: str = "") -> tuple[str, str]:
    """(sampler, schedule) by their proper names; "" for the defaults.

    Raises:
        InvalidInput: there is no such sampler or schedule, or the sampler has a spacing of its own.
    """
    sampler, included = _named(name or DEFAULT)
    if sampler is None:
        theirs = next((theirs for theirs in _THEIRS if _plain(theirs) == _plain(name)), None)
        if theirs is not None:
            raise InvalidInput(
                "Our engines do not have the web UI's sampler {sampler}.",
                "Choose {nearest}, or let the web UI paint.",
                sampler=theirs,
                nearest=_THEIRS[theirs],
            )
        raise InvalidInput("The sampler {name!r} is unknown here.", "Choose one of {samplers}.", name=name, samplers=", ".join(SAMPLERS))
    spacing = schedules.proper_name(schedule)
    if spacing == AUTOMATIC:
        spacing = included or _SAMPLERS[sampler].schedule
    if spacing == "DDIM" and not _SAMPLERS[sampler].spaced:
        spacing = "Uniform"  # which is what ComfyUI calls the spacing that these have
    if spacing != "Uniform" and not _SAMPLERS[sampler].spaced:
        raise InvalidInput(
            "The sampler {sampler} cannot be spaced by {schedule}.",
            "Choose the schedule Automatic, or another sampler.",
            sampler=sampler,
            schedule=spacing,
        )
    return sampler, spacing


def _named(name: str) -> tuple[str | None, str]:
    """(sampler by its proper name, the schedule that the name includes, "" for none); None where there is no such sampler."""
    asked = _plain(name)
    known = {_plain(spoken): sampler for spoken, sampler in [*((each, each) for each in SAMPLERS), *_ALSO.items()]}
    if asked in known:
        return known[asked], ""
    for suffix, schedule in _SUFFIXES.items():
        sampler = known.get(asked.removesuffix(_plain(suffix)))
        if sampler is not None and asked.endswith(_plain(suffix)):
            return sampler, "" if schedule == AUTOMATIC else schedule
    return None, ""


def _plain(name: str) -> str:
    """A sampler's name as the web UIs ("DPM++ 2S a", "k_dpmpp_2s_a"), k-diffusion ("sample_dpmpp_2s_ancestral") and ComfyUI
    ("dpmpp_2m_sde_gpu") write it, in one form."""
    name = re.sub(r"^(sample|k)_|_gpu$|^\[forge\]", "", name.strip().lower())
    return re.sub(r"[\s_-]", "", name.replace("++", "pp").replace("ancestral", "a"))


def proper_name(name: str) -> str:
    """The name under which a sampler is listed, of whichever of its names; one that is not known here as it is."""
    return _named(name)[0] or name


def adaptive(name: str) -> bool:
    """Whether a sampler chooses by what it sees how many steps it takes: then each picture is to be painted alone."""
    return _SAMPLERS[resolve(name)[0]].adaptive


def scheduler(name: str, schedule: str, config: Mapping[str, Any], steps: int, device: Any = "cpu", *, sdxl: bool = False) -> Any:
    """What takes a sampler's steps, set to `steps`: a scheduler of diffusers, or a `SolverScheduler`, which is used like one.

    Args:
        config: betas, prediction type and so on, as the checkpoint has them.
        sdxl: whether it is of that family; some schedules were optimised for it.

    Raises:
        InvalidInput: see `resolve`.
    """
    name, schedule = resolve(name, schedule)
    sampler = _SAMPLERS[name]
    if sampler.solver is None:
        return _of_diffusers(sampler, schedule, config, steps, device, sdxl)
    trained = _made("EulerDiscreteScheduler", config).alphas_cumprod
    levels = schedules.levels(schedule, steps + sampler.skips_last, _levels(trained), sdxl=sdxl)
    if sampler.skips_last:
        levels = levels[:-1]
    if sampler.ends_lowest and len(levels) > 1:
        levels[-1] = _levels(trained)[0]
    return SolverScheduler(sampler.solver, levels, trained, config["prediction_type"], adaptive=sampler.adaptive, device=device)


def _of_diffusers(sampler: Sampler, schedule: str, config: Mapping[str, Any], steps: int, device: Any, sdxl: bool) -> Any:
    options = {**config, "timestep_spacing": sampler.spacing, **sampler.options}
    if schedule == "SGM Uniform" and not sampler.whole:
        schedule, options["timestep_spacing"] = "Uniform", "trailing"
    # diffusers has more flags than this, but what it makes of them differs between its versions
    by_flag = schedule == "Karras" and "use_karras_sigmas" in _parameters(sampler.kind)
    made = _made(sampler.kind, {**options, "use_karras_sigmas": by_flag or (sampler.twice and schedule != "Uniform")})
    if schedule == "Uniform" or by_flag:
        made.set_timesteps(steps, device=device)
        return made
    levels = schedules.levels(schedule, steps, _levels(made.alphas_cumprod), sdxl=sdxl)
    if sampler.twice:  # it works out by itself what lies between the levels, which it takes from this method
        made._convert_to_karras = lambda *args, **named: levels
    made.set_timesteps(len(levels), device=device)
    if not sampler.twice:
        _space(made, levels, sampler.whole, device)
    return made


def _parameters(kind: str) -> Any:
    import diffusers

    return inspect.signature(getattr(diffusers, kind).__init__).parameters


def _made(kind: str, options: Mapping[str, Any]) -> Any:
    """diffusers' scheduler of this class with those of the options that it knows."""
    parameters = _parameters(kind)
    return copy.deepcopy(_fresh(kind, tuple(sorted((key, value) for key, value in options.items() if key in parameters))))


@functools.lru_cache(maxsize=32)
def _fresh(kind: str, options: tuple[tuple[str, Any], ...]) -> Any:
    """A scheduler of which only copies are used: some classes work out all thousand training steps, for half a second, when made."""
    import diffusers

    return getattr(diffusers, kind)(**dict(options))


def _levels(alphas_cumprod: Any) -> Any:
    """float64 [1000], rising; the last is finite where the training went up to nothing but noise, too."""
    import numpy as np

    return np.sqrt(1 / alphas_cumprod.double().clamp(min=2**-24).cpu().numpy() - 1)


def _space(scheduler: Any, levels: Any, whole: bool, device: Any) -> None:
    """Give a scheduler of diffusers these noise levels, and the timesteps that they belong to."""
    import numpy as np
    import torch

    timesteps = torch.from_numpy(schedules.timestep_at(levels, _levels(scheduler.alphas_cumprod)))
    scheduler.timesteps = timesteps.round().long().to(device) if whole else timesteps.float().to(device)
    scheduler.num_inference_steps = len(levels)
    if not whole:
        scheduler.sigmas = torch.from_numpy(np.append(levels, 0.0)).float()


def visited(scheduler: Any, steps: int, strength: float) -> tuple[list[Any], int]:
    """(timesteps of image to image, how many of `steps` they are): the last `strength`, 0..1, of all, at least one unless that is 0.

    The scheduler begins there from now on.
    """
    taken = min(max(int(steps * strength), 1), steps) if strength > 0 else 0
    if taken == 0:
        return [], 0
    if isinstance(scheduler, SolverScheduler):
        scheduler.last_steps(scheduler.num_inference_steps if taken == steps else taken)
        return scheduler.timesteps, taken
    begin = (scheduler.num_inference_steps - taken) * scheduler.order if taken < steps else 0
    if hasattr(scheduler, "get_lms_coefficient"):  # by the number of a step it counts on those before, which were not taken
        scheduler.sigmas, scheduler.timesteps, begin = scheduler.sigmas[begin:], scheduler.timesteps[begin:], 0
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    return list(scheduler.timesteps[begin:]), taken
