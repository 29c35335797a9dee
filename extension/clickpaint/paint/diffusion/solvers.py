"""Samplers that diffusers does not have, each after its paper, and what lets the loop use them like diffusers' schedulers.

A solver is a generator. It yields the latents and the noise level at which the network is to look at them, and gets back the latents
as they were looked at (what takes part in the sampling may have corrected them) and what the network takes them to be without noise.
Latents are x = clean + level * noise, as in Karras et al. (2022); a level of 0 is a finished picture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clickpaint.paint.diffusion.loop import noise
from clickpaint.paint.diffusion.schedules import karras, level_at, timestep_at

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

Looks = Generator[tuple["torch.Tensor", float], tuple["torch.Tensor", "torch.Tensor"], T]
"""Yields (latents, level), gets (latents as looked at, the same without noise), and returns T in the end."""

Draw = Callable[[], "torch.Tensor"]
"""Normal noise of the latents' shape, new at every call."""

Solver = Callable[["torch.Tensor", Sequence[float], Draw], Looks["torch.Tensor"]]
"""solver(latents at the first level, levels falling to 0, draw) → the latents in the end"""


def dpmpp_2s_ancestral(x: torch.Tensor, levels: Sequence[float], draw: Draw, eta: float = 1.0) -> Looks[torch.Tensor]:
    """DPM-Solver++(2S), algorithm 1 of Lu et al. (2022b) with the middle of each step as its second look, and ancestral noise.

    eta: share of the ancestral noise; 0 solves the differential equation.
    """
    for level, following in itertools.pairwise(levels):
        x, clean = yield x, level
        down, up = _ancestral(level, following, eta)
        if down == 0:
            x = clean
            continue
        middle = math.sqrt(level * down)
        _, halfway = yield _towards(clean, x, middle / level), middle
        x = _towards(halfway, x, down / level)
        if up:
            x = x + up * draw()
    return x


def dpmpp_sde(x: torch.Tensor, levels: Sequence[float], draw: Draw, eta: float = 1.0) -> Looks[torch.Tensor]:
    """DPM-Solver++ for the stochastic equation, its second look in the middle of each step (Lu et al., 2022b, section 5; in this form by
    Crowson). The noise of both looks is one Brownian path over the levels."""
    for level, following in itertools.pairwise(levels):
        x, clean = yield x, level
        if following == 0:
            x = clean
            continue
        middle = math.sqrt(level * following)
        first = draw() if eta else 0.0
        down, up = _ancestral(level, middle, eta)
        _, halfway = yield _towards(clean, x, down / level) + up * first, middle
        down, up = _ancestral(level, following, eta)
        x = _towards(halfway, x, down / level)
        if up:
            path = math.sqrt(level - middle) * first + math.sqrt(middle - following) * draw()
            x = x + up * path / math.sqrt(level - following)
    return x


def dpmpp_3m_sde(x: torch.Tensor, levels: Sequence[float], draw: Draw, eta: float = 1.0) -> Looks[torch.Tensor]:
    """DPM-Solver++(3M) for the stochastic equation: what the two steps before saw continues as a parabola (Lu et al., 2022b; in this
    form by Crowson, who takes half of its bend, as the paper's own code does: the error falls as that of the second order).

    eta: share of the noise; 0 solves the ordinary equation.
    """
    seen: list[tuple[float, torch.Tensor]] = []  # (length in the logarithm of the level, clean) of the steps before, the last first
    for level, following in itertools.pairwise(levels):
        x, clean = yield x, level
        if following == 0:
            x = clean
            continue
        step = math.log(level / following)
        h = step * (1 + eta)
        x = _towards(clean, x, math.exp(-h))
        phi_2 = math.expm1(-h) / h + 1
        phi_3 = phi_2 / h - 0.5
        if len(seen) == 1:
            x = x + phi_2 * (clean - seen[0][1]) * step / seen[0][0]
        elif seen:
            (last, before), (earlier, long_before) = seen
            slope, slope_before = (clean - before) * step / last, (before - long_before) * step / earlier
            bend = (slope - slope_before) * step / (last + earlier)
            x = x + phi_2 * (slope + bend * last / step) - phi_3 * bend
        if eta:
            x = x + following * math.sqrt(-math.expm1(-2 * step * eta)) * draw()
        seen = [(step, clean), *seen[:1]]
    return x


def dpm_fast(x: torch.Tensor, levels: Sequence[float], draw: Draw, eta: float = 1.0) -> Looks[torch.Tensor]:
    """DPM-Solver-fast, section 3.4 of Lu et al. (2022a): as many looks as there are levels, in steps of the third order that are even
    in the logarithm of the level. Of the levels only their number, the first and the last before 0 matter; noise of that one is left."""
    looks, first, last = len(levels) - 1, levels[0], levels[-2]
    if first == last:
        _, clean = yield x, first
        return clean
    orders = [3] * (looks // 3 - 1) + [2, 1] if looks % 3 == 0 else [3] * (looks // 3) + [looks % 3]
    stops = [float(stop) for stop in np.geomspace(first, last, len(orders) + 1)]
    for order, (level, following) in zip(orders, itertools.pairwise(stops), strict=True):
        down, up = _ancestral_above(level, following, last, eta)
        x, clean = yield x, level
        if order == 3:
            _, x = yield from _third_order(x, clean, level, down)
        elif order == 2:
            x = yield from _second_order(x, clean, level, down)
        else:
            x = _towards(clean, x, down / level)
        if up:
            x = x + up * draw()
    return x


def dpm_adaptive(x: torch.Tensor, levels: Sequence[float], draw: Draw, eta: float = 1.0) -> Looks[torch.Tensor]:
    """DPM-Solver-23, algorithm 4 of Lu et al. (2022a): steps of the third order, as long as the second order comes to nearly the same.

    Of the levels only the first and the last before 0 matter; noise of that one is left. What one picture of a batch needs would
    shorten the steps of all, so there should be but one.
    """
    relative, absolute, accepted, shortest = 0.05, 0.0078, 0.81, 0.005  # the last, so that it ends with any network
    level, last = levels[0], levels[-2]
    if level == last:
        _, clean = yield x, level
        return clean
    h, lower = 0.05, x
    while math.log(level / last) > 1e-5:
        x, clean = yield x, level
        while True:
            following = max(level * math.exp(-h), last)
            down, up = _ancestral_above(level, following, last, eta)
            second, third = yield from _third_order(x, clean, level, down)
            scale = (relative * second.abs().maximum(lower.abs())).clamp(min=absolute)
            error = float(((second - third) / scale).square().mean().sqrt())
            factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / (1.5 if eta else 3)) - 1)
            taken, h = h, max(h * factor, shortest)
            if factor >= accepted or taken <= shortest:
                break
        level, lower = following, second
        x = third + up * draw() if up else third
    return x


def restart(x: torch.Tensor, levels: Sequence[float], draw: Draw) -> Looks[torch.Tensor]:
    """Restart sampling (Xu et al., 2023): Heun's steps (algorithm 1 of Karras et al., 2022), and from a low level back to a higher one,
    with new noise, which makes good what went wrong between them. From 20 steps on, as the web UI has it."""
    way = _with_restarts(levels)
    reached = way[0][0]
    for level, following in way:
        if level > reached:
            x = x + math.sqrt(level**2 - reached**2) * draw()
        x, clean = yield x, level
        reached = following
        if following == 0:
            x = clean
            continue
        slope = (x - clean) / level
        ahead, clean = yield x + slope * (following - level), following
        x = x + (slope + (ahead - clean) / following) / 2 * (following - level)
    return x


_SIGNAL_TO_NOISE = 0.16
"""Of a corrector's step, as the paper has it for pictures."""


def predictor_corrector(x: torch.Tensor, levels: Sequence[float], draw: Draw, corrections: int = 1) -> Looks[torch.Tensor]:
    """Algorithm 2 of Song et al. (2021, "Score-based generative modeling through stochastic differential equations"), for variance that
    explodes: a step down of the reverse equation, then of Langevin's (their algorithm 4; NCSN, Song and Ermon,
    2019) at the level that was reached.

    corrections: Langevin's steps at each level.
    """
    for level, following in itertools.pairwise(levels):
        x, clean = yield x, level
        if following == 0:
            x = clean
            continue
        gap = level**2 - following**2
        x = x + gap * (clean - x) / level**2 + math.sqrt(gap) * draw()
        for _ in range(corrections):
            x, clean = yield x, following
            x = _langevin(x, clean, following, draw())
    return x


def _langevin(x: torch.Tensor, clean: torch.Tensor, level: float, noise: torch.Tensor) -> torch.Tensor:
    """One step whose size keeps noise and score at `_SIGNAL_TO_NOISE`, each picture by itself.

    Where latents have as much noise as their level says, that is 2 r² level²; no step is more than four times as long, so that latents
    with less noise, whose score is next to nothing, are not thrown anywhere."""
    score = (clean - x) / level**2
    lengths = [values.flatten(1).norm(dim=1) if values.ndim > 1 else values.norm() for values in (noise, score)]
    size = 2 * (_SIGNAL_TO_NOISE * lengths[0] / lengths[1].clamp(min=1e-12)) ** 2
    size = size.clamp(max=8 * (_SIGNAL_TO_NOISE * level) ** 2)
    size = size.reshape(-1, *[1] * (x.ndim - 1)) if x.ndim > 1 else size
    return x + size * score + (2 * size).sqrt() * noise


def _with_restarts(levels: Sequence[float]) -> list[tuple[float, float]]:
    """Steps (from, to): down Karras' spacing of the range of the levels, and once or twice from about 0.1 back up to about 2."""
    steps = len(levels) - 1
    if steps < 20:
        return list(itertools.pairwise(levels))
    length, times = (steps // 4, 2) if steps >= 36 else (9, 1)
    levels = [*karras(steps - length * times, levels[-2], levels[0]).tolist(), 0.0]
    low, high = (int(np.abs(np.subtract(levels, wanted)).argmin()) for wanted in (0.1, 2.0))
    way = list(itertools.pairwise(levels))
    if high >= low:
        return way
    between = karras(length + 1, levels[low], levels[high])[1:-1].tolist()
    again = list(itertools.pairwise([levels[high], *between, levels[low]]))  # the very levels: nothing is added where it goes on
    return [*way[:low], *again * times, *way[low:]]


def _towards(clean: torch.Tensor, x: torch.Tensor, share: float) -> torch.Tensor:
    """Latents of which `share` of the noise is left, where the clean ones stay what they are: the exact solution then."""
    return share * x + (1 - share) * clean


def _ancestral(level: float, following: float, eta: float) -> tuple[float, float]:
    """(level to go down to, noise to add then) so that both come to `following`."""
    up = min(following, eta * following * math.sqrt(1 - (following / level) ** 2))
    return math.sqrt(following**2 - up**2), up


def _ancestral_above(level: float, following: float, last: float, eta: float) -> tuple[float, float]:
    """As `_ancestral`, going down no further than to `last`."""
    down = max(_ancestral(level, following, eta)[0], last)
    return down, math.sqrt(max(following**2 - down**2, 0.0))


def _second_order(x: torch.Tensor, clean: torch.Tensor, level: float, following: float) -> Looks[torch.Tensor]:
    """DPM-Solver-2 (algorithm 1 of Lu et al., 2022a) from latents that were looked at."""
    h, eps = math.log(level / following), (x - clean) / level
    middle = level * math.exp(-h / 2)
    u, clean = yield x - middle * math.expm1(h / 2) * eps, middle
    return x - following * math.expm1(h) * ((u - clean) / middle)


def _third_order(
    x: torch.Tensor, clean: torch.Tensor, level: float, following: float
) -> Looks[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    """(second order, third order) of DPM-Solver-3 (algorithm 2 of Lu et al., 2022a) from latents that were looked at."""
    h, eps = math.log(level / following), (x - clean) / level
    r1, r2 = 1 / 3, 2 / 3
    level_1, level_2 = level * math.exp(-r1 * h), level * math.exp(-r2 * h)
    u1, clean_1 = yield x - level_1 * math.expm1(r1 * h) * eps, level_1
    change = (u1 - clean_1) / level_1 - eps
    straight = x - following * math.expm1(h) * eps
    second = straight - following / (2 * r1) * math.expm1(h) * change
    guess = x - level_2 * math.expm1(r2 * h) * eps - level_2 * (r2 / r1) * (math.expm1(r2 * h) / (r2 * h) - 1) * change
    u2, clean_2 = yield guess, level_2
    return second, straight - following / r2 * (math.expm1(h) / h - 1) * ((u2 - clean_2) / level_2 - eps)


class SolverScheduler:
    """A solver with the methods of diffusers' schedulers that the loop and the engines use; for one sampling.

    timesteps: those at which the network is asked, float32 without dimensions; of an adaptive solver only the first, to which each step
    adds the one that it leads to.
    """

    order = 1

    def __init__(
        self, solver: Solver, levels: np.ndarray, trained: Any, prediction: str, *, adaptive: bool = False, device: Any = "cpu"
    ) -> None:  # fmt: skip
        """
        Args:
            levels: float64, falling, without the 0 in the end.
            trained: `alphas_cumprod` of the training, float32 [1000].
            prediction: "epsilon" or "v_prediction".
            adaptive: whether the solver finds the levels between the first and the last by itself.
        """
        self.alphas_cumprod, self.config = trained, SimpleNamespace(prediction_type=prediction)
        self._solver, self.adaptive, self._device = solver, adaptive, device
        self._trained = np.sqrt(1 / trained.double().cpu().numpy() - 1)
        self._run: Looks[torch.Tensor] | None = None
        self._generators: Sequence[torch.Generator] = ()
        self._begin([*map(float, levels), 0.0])

    @property
    def num_inference_steps(self) -> int:
        return len(self._levels) - 1

    @property
    def init_noise_sigma(self) -> float:
        """Standard deviation of latents that are nothing but noise."""
        return self._levels[0]

    @property
    def share(self) -> float:
        """How much of the way is behind, even in the logarithm of the level: 0 at the first look, 1 in the end."""
        first, last = self._levels[0], self._levels[-2]
        if self._level == 0:
            return 1.0
        return 0.0 if first == last else math.log(first / self._level) / math.log(first / last)

    def last_steps(self, count: int) -> None:
        """Take but the last of the steps."""
        self._begin(self._levels[-count - 1 :])

    def scale_model_input(self, sample: torch.Tensor, timestep: Any) -> torch.Tensor:
        return sample / math.sqrt(self._level**2 + 1)

    def add_noise(self, original: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """timesteps: [1]."""
        return original + float(level_at(float(timesteps[0]), self._trained)) * noise

    def step(
        self, prediction: torch.Tensor, timestep: Any, sample: torch.Tensor,
        generator: torch.Generator | Sequence[torch.Generator] = (), return_dict: bool = False,
    ) -> tuple[torch.Tensor]:  # fmt: skip
        """(the latents that the network is to look at next, or that are the result)"""
        import torch

        self._generators = [generator] if isinstance(generator, torch.Generator) else generator
        if self._run is None:
            self._run = self._solver(sample, self._levels, lambda: noise(self._generators, sample.shape[1:], sample.device))
            next(self._run)
        try:
            latents, self._level = self._run.send((sample, self._clean(prediction, sample)))
        except StopIteration as end:
            self._level = 0.0
            return (end.value,)
        if self.adaptive:
            self.timesteps.append(self._timestep(self._level))
        return (latents,)

    def _begin(self, levels: list[float]) -> None:
        self._levels, self._level = levels, levels[0]
        self.timesteps = [self._timestep(level) for level in self._looks(levels)]

    def _looks(self, levels: list[float]) -> list[float]:
        """The levels at which the solver looks, in order: those do not depend on what it sees unless it is adaptive."""
        import torch

        nothing = torch.zeros(1)
        run = self._solver(nothing, levels, lambda: nothing)
        looks = [next(run)[1]]
        if not self.adaptive:
            try:
                while True:
                    looks.append(run.send((nothing, nothing))[1])
            except StopIteration:
                pass
        return looks

    def _timestep(self, level: float) -> torch.Tensor:
        import torch

        return torch.tensor(timestep_at(level, self._trained), dtype=torch.float32, device=self._device)

    def _clean(self, prediction: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        level = self._level
        if self.config.prediction_type == "v_prediction":
            return sample / (level**2 + 1) - prediction * level / math.sqrt(level**2 + 1)
        return sample - level * prediction
