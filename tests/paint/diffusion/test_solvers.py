"""Our solvers against what can be worked out by hand: pictures that are normally distributed, for which the exact network is a line,
the exact end of the differential equation a factor, and the exact end of the stochastic one a variance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from clickpaint.paint.diffusion import schedules, solvers
from clickpaint.paint.diffusion.solvers import Solver

torch = pytest.importorskip("torch")

SPREAD = 0.8
"""Standard deviation of the pictures."""

TRAINED = np.sqrt(1 / np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2) - 1)


def solved(solver: Solver, x: Any, levels: Sequence[float], draw: Callable[[], Any], seen: list[float] | None = None) -> Any:
    """Where the solver ends with the exact network."""
    run = solver(x, levels, draw)
    try:
        latents, level = next(run)
        while True:
            if seen is not None:
                seen.append(level)
            latents, level = run.send((latents, latents * SPREAD**2 / (SPREAD**2 + level**2)))
    except StopIteration as end:
        return end.value


def without_noise(solver: Any) -> Solver:
    return lambda x, levels, draw: solver(x, levels, draw, eta=0.0)


def spaced(steps: int, last: float = 0.03) -> list[float]:
    return [*schedules.karras(steps, last, 14.6).tolist(), 0.0]


def exact(start: float, end: float) -> float:
    """Factor between latents at two levels of the differential equation."""
    return math.sqrt((SPREAD**2 + end**2) / (SPREAD**2 + start**2))


def none() -> Any:
    raise AssertionError("noise is drawn")


@pytest.mark.parametrize(
    ("solver", "order", "end"),
    [
        (without_noise(solvers.dpmpp_2s_ancestral), 2, 0.0),
        (without_noise(solvers.dpmpp_sde), 2, 0.0),
        (without_noise(solvers.dpmpp_3m_sde), 2, 0.0),
        (without_noise(solvers.dpm_fast), 3, 0.03),
    ],
    ids=["DPM++ 2S a", "DPM++ SDE", "DPM++ 3M SDE", "DPM fast"],
)
def test_twice_the_steps_leave_the_error_that_the_order_promises(solver, order, end):
    """From a level so high that the lower orders of the first steps cost nothing there, evenly in the logarithm to 0.03; the last step,
    to 0, is as exact as its look."""
    errors = []
    for looks in (95, 191):  # 32 and 64 steps of DPM fast, the last of the second order, whose error alone is of the third
        levels = [*np.geomspace(1000, 0.03, looks + (end == 0)).tolist(), 0.0]
        solution = float(solved(solver, torch.ones(1, dtype=torch.float64), levels, none))
        last = exact(levels[0], 0.03) * (1.0 if end else SPREAD**2 / (SPREAD**2 + 0.03**2))
        errors.append(abs(solution / last - 1))
    assert errors[0] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15)


def test_the_restarts_come_back_to_where_they_began():
    """Without their noise: nothing else of them is random, and Heun's steps lead up as well as down."""
    seen: list[float] = []
    for steps, times in ((19, 0), (20, 1), (40, 2)):
        seen.clear()
        solution = float(solved(solvers.restart, torch.ones(1, dtype=torch.float64), spaced(steps), lambda: torch.zeros(1), seen))
        returns = sum(after > before + 1 for before, after in itertools.pairwise(seen))
        assert returns == times and len(seen) == 2 * steps - 1
        if not times:
            assert solution == pytest.approx(exact(14.6, 0.0), rel=2e-2)


@pytest.mark.parametrize(
    ("solver", "steps", "end", "wrong"),
    [
        (solvers.dpmpp_2s_ancestral, 40, 0.0, 0.02), (solvers.dpmpp_sde, 40, 0.0, 0.02), (solvers.dpmpp_3m_sde, 40, 0.0, 0.02),
        (solvers.dpm_fast, 60, 0.03, 0.03), (solvers.restart, 60, 0.0, 0.03),
    ],
    ids=["DPM++ 2S a", "DPM++ SDE", "DPM++ 3M SDE", "DPM fast", "Restart"],
)  # fmt: skip
def test_noise_that_is_added_leaves_the_spread_of_the_pictures(solver, steps, end, wrong):
    """All is linear in the first latents and in each noise: with one of them 1 and all others 0 in each row, the end of a row is its
    factor, and the squares of the factors add up to the variance. Nothing is left to chance."""
    counted: list[int] = []
    solved(solver, torch.zeros(1, 1, dtype=torch.float64), spaced(steps), lambda: counted.append(1) or torch.zeros(1, 1))
    rows = len(counted) + 1
    assert rows > 1
    number = iter(range(1, rows))

    def draw() -> Any:
        noise = torch.zeros(rows, 1, dtype=torch.float64)
        noise[next(number)] = 1
        return noise

    first = torch.zeros(rows, 1, dtype=torch.float64)
    first[0] = math.sqrt(SPREAD**2 + 14.6**2)
    factors = solved(solver, first, spaced(steps), draw)
    assert float(factors.square().sum().sqrt()) == pytest.approx(math.sqrt(SPREAD**2 + end**2), rel=wrong)
    assert float(factors[0].abs()) < 0.5 * SPREAD  # and most of it is not what it began with


def test_an_adaptive_solver_takes_the_steps_that_it_needs():
    source = torch.Generator().manual_seed(1)
    first = torch.randn(400, generator=source, dtype=torch.float64) * math.sqrt(SPREAD**2 + 14.6**2)
    seen: list[float] = []
    solution = solved(without_noise(solvers.dpm_adaptive), first, spaced(3), none, seen)
    assert torch.allclose(solution, first * exact(14.6, 0.03), rtol=5e-2)  # what it allows itself in a step
    assert 15 < len(seen) < 60  # whatever number of steps is asked for
    noisy = solved(solvers.dpm_adaptive, first, spaced(3), lambda: torch.randn(400, generator=source, dtype=torch.float64))
    assert float(noisy.std()) == pytest.approx(math.sqrt(SPREAD**2 + 0.03**2), rel=0.1)  # 400 of them: 3.5 % is one deviation


def test_an_adaptive_solver_ends_with_any_network():
    """With one whose answers are nothing but noise, no step is ever good."""
    source, looks = torch.Generator().manual_seed(1), 0
    run = solvers.dpm_adaptive(torch.ones(8), spaced(3), lambda: torch.randn(8, generator=source))
    with pytest.raises(StopIteration):
        latents, _ = next(run)
        while looks < 20_000:
            looks += 1
            latents, _ = run.send((latents, 50 * torch.randn(8, generator=source)))
    assert looks < 20_000


def test_one_level_alone_goes_to_what_the_network_sees():
    for solver in (
        solvers.dpmpp_2s_ancestral, solvers.dpmpp_sde, solvers.dpmpp_3m_sde, solvers.dpm_fast, solvers.dpm_adaptive, solvers.restart
    ):  # fmt: skip
        solution = float(solved(solver, torch.ones(1, dtype=torch.float64), [2.0, 0.0], none))
        assert solution == pytest.approx(SPREAD**2 / (SPREAD**2 + 4))


def test_the_two_noises_of_a_step_are_one_path():
    """DPM++ SDE: what is added in the middle of a step is part of what is added in its end."""
    noise = iter([torch.ones(1), torch.zeros(1)])
    run = solvers.dpmpp_sde(torch.zeros(1), [4.0, 1.0, 0.0], lambda: next(noise))
    next(run)
    middle, level = run.send((torch.zeros(1), torch.zeros(1)))
    assert level == pytest.approx(2.0) and float(middle) == pytest.approx(2 * math.sqrt(1 - (2 / 4) ** 2))
    end, _ = run.send((middle, torch.zeros(1)))
    part = math.sqrt((4 - 2) / (4 - 1))  # of the path's length
    assert float(end) == pytest.approx(math.sqrt(1 - (1 / 4) ** 2) * part)


def test_predictor_and_corrector_end_with_the_pictures_variance():
    source = torch.Generator().manual_seed(1)
    first = 14.6 * torch.randn((1, 4000), generator=source, dtype=torch.float64)
    levels = [*np.geomspace(14.6, 0.05, 120).tolist(), 0.0]
    end = solved(solvers.predictor_corrector, first, levels, lambda: torch.randn(first.shape, generator=source, dtype=torch.float64))
    assert float(end.std()) == pytest.approx(SPREAD, rel=0.05)


def test_a_step_of_the_reverse_equation_is_that_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    theirs = diffusers.ScoreSdeVeScheduler(num_train_timesteps=10, snr=0.16, sigma_min=0.1, sigma_max=10.0)
    theirs.set_timesteps(10)
    theirs.set_sigmas(10)
    levels = [float(level) for level in theirs.discrete_sigmas.flip(0)]
    x = levels[0] * torch.randn((1, 3, 4, 4), generator=torch.Generator().manual_seed(2))
    clean = x / 3
    noises = [torch.randn(x.shape, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)]
    drawn = iter(noises)
    run = solvers.predictor_corrector(x, levels, lambda: next(drawn))
    next(run)
    predicted, level = run.send((x, clean))
    assert level == levels[1]
    gap = levels[0] ** 2 - levels[1] ** 2
    mean = theirs.step_pred((clean - x) / levels[0] ** 2, theirs.timesteps[0], x).prev_sample_mean
    torch.testing.assert_close(predicted, mean + math.sqrt(gap) * noises[0], rtol=1e-3, atol=1e-3)
    score = (predicted / 3 - predicted) / levels[1] ** 2
    corrected, _ = run.send((predicted, predicted / 3))
    theirs_corrected = theirs.step_correct(score, predicted, generator=torch.Generator().manual_seed(4)).prev_sample
    torch.testing.assert_close(corrected, theirs_corrected, rtol=1e-4, atol=1e-4)
