"""How the noise of a flow is spaced, and what takes its steps.

Latents are x = (1 - s) picture + s noise with s from 1 to 0; the network answers the slope, noise minus picture (rectified flow).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import samplers, schedules
from clickpaint.paint.diffusion.loop import noise

if TYPE_CHECKING:
    import torch

DEFAULT = "Euler"
AUTOMATIC = schedules.AUTOMATIC
SCHEDULES = (AUTOMATIC, "Uniform", "Simple", "Normal", "SGM Uniform", "DDIM", "Beta", "Karras", "Exponential")
"""Those that do not belong to the noise of Stable Diffusion; Automatic is the family's own."""


@dataclass(frozen=True)
class Spacing:
    """A family's own schedule, as diffusers' `FlowMatchEulerDiscreteScheduler` makes it.

    Attributes:
        shift: how much longer it stays at high noise, the same for all sizes; None where the size says it.
        options: of the scheduler, where the size says it.
        shift_at: the logarithm of the shift for (latent patches of the picture, steps), where the size says it.
        even: whether the steps go evenly from 1 to 1/steps before they are shifted.
        lowest: where they end before they are shifted, where they are not even in that way; None for the lowest of the training.
    """

    shift: float | None = 1.0
    options: tuple[tuple[str, Any], ...] = ()
    shift_at: Callable[[int, int], float] | None = None
    even: bool = False
    lowest: float | None = None

    def levels(self, steps: int, patches: int, shift: float | None = None) -> np.ndarray:
        """The levels to visit, float64 [steps], falling from 1; the 0 that the last step leads to is not among them.

        Args:
            patches: of the picture, as the transformer counts them.
            shift: the user's; None for the family's.
        """
        from diffusers import FlowMatchEulerDiscreteScheduler

        by_size = self.shift_at is not None and shift is None
        fixed = 1.0 if self.shift is None else self.shift
        options: dict[str, Any] = {"shift": fixed if shift is None else shift, **dict(self.options), "use_dynamic_shifting": by_size}
        known = inspect.signature(FlowMatchEulerDiscreteScheduler.__init__).parameters
        made = FlowMatchEulerDiscreteScheduler(**{key: value for key, value in options.items() if key in known})
        more: dict[str, Any] = {"mu": self.shift_at(patches, steps)} if by_size and self.shift_at is not None else {}
        if self.even:
            more["sigmas"] = np.linspace(1.0, 1 / steps, steps)
        elif self.lowest is not None:
            made.sigma_min = self.lowest
        made.set_timesteps(steps, **more)
        return made.sigmas[:-1].double().numpy()

    def factor(self, patches: int, steps: int, shift: float | None = None) -> float:
        """The shift that acts for a picture of so many patches. shift: that was asked for."""
        return shift or self.shift or (math.exp(self.shift_at(patches, steps)) if self.shift_at is not None else 1.0)

    def trained(self, patches: int, steps: int, shift: float | None) -> np.ndarray:
        """The thousand levels of the training, float64 [1000], rising: what other schedules are spaced over."""
        factor = self.factor(patches, steps, shift)
        even = np.arange(1, 1001) / 1000
        return factor * even / (1 + (factor - 1) * even)


def spaced(schedule: str, steps: int, trained: np.ndarray) -> np.ndarray:
    """The levels to visit of another schedule than the family's own; see `Spacing.levels` and `Spacing.trained`."""
    levels = schedules.levels(schedule, steps, trained)
    return levels[:steps].clip(trained[0], 1.0)


def by_size(base: float, most: float, longest: int, shortest: int = 256) -> Callable[[int, int], float]:
    """The logarithm of a shift that grows evenly with the patches: `base` at `shortest`, `most` at `longest` of them."""

    def shift_at(patches: int, steps: int) -> float:
        slope = (most - base) / (longest - shortest)
        return patches * slope + (base - slope * shortest)

    return shift_at


def resolve(sampler: str, schedule: str) -> tuple[str, str]:
    """(sampler, schedule) by their proper names. Raises `InvalidInput` for those that a flow cannot be sampled with."""
    name = samplers.proper_name(sampler or DEFAULT)
    if name not in _STEPS:
        raise InvalidInput(
            "The sampler {sampler} is not for flow-matching models.",
            "Choose one of {samplers}.",
            sampler=name,
            samplers=", ".join(SAMPLERS),
        )
    spacing = schedules.proper_name(schedule)
    if spacing not in SCHEDULES:
        raise InvalidInput(
            "The schedule {schedule} is not for flow-matching models.",
            "Choose one of {schedules}.",
            schedule=spacing,
            schedules=", ".join(SCHEDULES),
        )
    return name, spacing


@dataclass
class _Step:
    """What a step of a sampler knows: from `level` to `following`, and what earlier steps left."""

    level: float
    following: float
    draw: Callable[[], torch.Tensor]
    memory: dict[str, Any] = field(default_factory=dict)


def _euler(x: torch.Tensor, slope: torch.Tensor, step: _Step) -> torch.Tensor:
    return x + (step.following - step.level) * slope


def _euler_ancestral(x: torch.Tensor, slope: torch.Tensor, step: _Step) -> torch.Tensor:
    """Goes down further than it has to and adds new noise so that the level is right (in the form that ComfyUI takes for flows)."""
    if step.following == 0:
        return _euler(x, slope, step)
    down = step.following * step.following / step.level
    signal, wanted = 1 - down, 1 - step.following
    lower = x + (down - step.level) * slope
    up = math.sqrt(max(step.following**2 - (down * wanted / signal) ** 2, 0.0))
    return wanted / signal * lower + up * step.draw()


def _lcm(x: torch.Tensor, slope: torch.Tensor, step: _Step) -> torch.Tensor:
    """To the picture at once, and back to the next level with new noise; for models that were distilled for that."""
    clean = x - step.level * slope
    return clean if step.following == 0 else (1 - step.following) * clean + step.following * step.draw()


def _dpmpp_2m(x: torch.Tensor, slope: torch.Tensor, step: _Step) -> torch.Tensor:
    """DPM-Solver++(2M) (Lu et al., 2022b, algorithm 2) with the flow's signal 1 - s and noise s."""
    clean = x - step.level * slope
    before, step.memory["clean"] = step.memory.get("clean"), clean
    half, step.memory["half"] = step.memory.get("half"), _half_snr(step.level)
    if step.following == 0:
        return clean
    h = _half_snr(step.following) - _half_snr(step.level)
    wanted = clean
    if before is not None and half is not None and math.isfinite(half) and math.isfinite(h):
        ratio = (_half_snr(step.level) - half) / h
        wanted = clean + (clean - before) / (2 * ratio)
    return step.following / step.level * x - (1 - step.following) * math.expm1(-h) * wanted


def _half_snr(level: float) -> float:
    """The logarithm of signal over noise; -inf for nothing but noise."""
    return -math.inf if level >= 1 else math.log((1 - level) / level)


_STEPS: dict[str, Callable[[Any, Any, _Step], Any]] = {
    "Euler": _euler, "Euler a": _euler_ancestral, "DPM++ 2M": _dpmpp_2m, "LCM": _lcm,
}  # fmt: skip
SAMPLERS = tuple(_STEPS)


class FlowScheduler:
    """What the loop and the engines use like a scheduler of diffusers; for one sampling.

    Args:
        sampler: by its proper name.
        levels: float64 [steps], falling, without the 0 in the end.
        device: of the timesteps.
    """

    order = 1
    init_noise_sigma = 1.0

    def __init__(self, sampler: str, levels: np.ndarray, device: Any = "cpu") -> None:
        import torch

        self._step, self._memory = _STEPS[sampler], {}
        self._levels = [*map(float, levels), 0.0]
        self.config = SimpleNamespace(prediction_type="flow", num_train_timesteps=1000)
        self.timesteps = torch.tensor([1000 * level for level in self._levels[:-1]], dtype=torch.float32, device=device)

    @property
    def num_inference_steps(self) -> int:
        return len(self._levels) - 1

    def visited(self, strength: float) -> tuple[list[torch.Tensor], int]:
        """(timesteps of image to image, how many): the last `strength` of the steps, rounded up as diffusers' pipelines for flows do."""
        if strength <= 0:
            return [], 0
        count = self.num_inference_steps
        begin = min(int(max(count - min(count * strength, count), 0)), count - 1)
        return list(self.timesteps[begin:]), count - begin

    def scale_model_input(self, sample: torch.Tensor, timestep: Any) -> torch.Tensor:
        return sample

    def mixture(self, timestep: Any) -> tuple[float, float]:
        """How much of the picture and how much noise latents are made of at a timestep."""
        level = float(timestep) / 1000
        return 1 - level, level

    def add_noise(self, original: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """timesteps: [1]."""
        signal, share = self.mixture(timesteps[0])
        return signal * original + share * noise

    def clean(self, sample: torch.Tensor, prediction: torch.Tensor, timestep: Any) -> torch.Tensor:
        """What the network takes the latents to be without noise."""
        return sample - float(timestep) / 1000 * prediction

    def step(
        self, prediction: torch.Tensor, timestep: Any, sample: torch.Tensor,
        generator: torch.Generator | Sequence[torch.Generator] = (), return_dict: bool = False,
    ) -> tuple[torch.Tensor]:  # fmt: skip
        """(the latents at the next level)"""
        import torch

        sources = [generator] if isinstance(generator, torch.Generator) else generator
        place = int((self.timesteps == timestep).nonzero()[0, 0])
        step = _Step(self._levels[place], self._levels[place + 1], lambda: noise(sources, sample.shape[1:], sample.device), self._memory)
        return (self._step(sample, prediction, step),)
