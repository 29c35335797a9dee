"""Samplers by name, and the noise levels that they visit."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.samplers import SAMPLERS, SCHEDULES
from tests.paint.diffusion.toys import random_checkpoint

CONFIG = random_checkpoint().scheduler_config


def pairs():
    for name in SAMPLERS:
        for schedule in SCHEDULES:
            try:
                samplers.resolve(name, schedule)
            except InvalidInput:
                continue
            yield name, schedule


@pytest.mark.parametrize(("name", "schedule"), pairs())
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_every_sampler_finds_what_a_perfect_network_sees(name, schedule, prediction):
    """A network that always knows the clean latents leads there, from noise and from any strength."""
    import torch

    source = torch.Generator().manual_seed(0)
    clean = torch.randn(1, 4, 8, 8, generator=source)
    for strength in (1.0, 0.4):
        scheduler = samplers.scheduler(name, schedule, {**CONFIG, "prediction_type": prediction}, 10)
        timesteps, taken = samplers.visited(scheduler, 10, strength)
        assert taken == (10 if strength == 1 else 4)
        latents = scheduler.add_noise(clean, torch.randn(1, 4, 8, 8, generator=source), timesteps[0].reshape(1))
        assert (latents / scheduler.init_noise_sigma - clean).abs().max() > 0.3
        for t in timesteps:
            sample = scheduler.scale_model_input(latents, t)
            level = scheduler.alphas_cumprod[round(float(t))]
            answer = (sample - level.sqrt() * clean) / (1 - level).sqrt()
            if prediction == "v_prediction":
                answer = (level.sqrt() * sample - clean) / (1 - level).sqrt()
            extra = {"generator": source} if "generator" in inspect.signature(scheduler.step).parameters else {}
            latents = scheduler.step(answer, t, latents, **extra, return_dict=False)[0]
        # DDIM and PNDM stop at the first level of noise, as they always did
        assert (latents - clean).abs().max() < (0.2 if name in ("DDIM", "PNDM") else 0.02)


@pytest.mark.parametrize("name", ["Euler a", "Euler", "DPM++ 2M", "Heun"])
@pytest.mark.parametrize("schedule", ["Karras", "Exponential"])
def test_schedules_are_spaced_by_their_formulas(name, schedule):
    import math

    scheduler = samplers.scheduler(name, schedule, CONFIG, 8)
    levels = np.unique(scheduler.sigmas.numpy().round(5))[::-1]
    levels = levels[levels > 0]
    low, high = (math.sqrt((1 - a) / a) for a in (float(scheduler.alphas_cumprod[0]), float(scheduler.alphas_cumprod[-1])))
    by_hand = [(high ** (1 / 7) + i / 7 * (low ** (1 / 7) - high ** (1 / 7))) ** 7 for i in range(8)]
    if schedule == "Exponential":
        by_hand = [high * (low / high) ** (i / 7) for i in range(8)]
    assert levels == pytest.approx(by_hand, rel=2e-3)


@pytest.mark.parametrize(("asked", "schedule", "found"), [
    ("", "", ("Euler a", "Uniform")), ("DPM++ 2M", "", ("DPM++ 2M", "Karras")), ("PLMS", "", ("PNDM", "Uniform")),
    ("dpm++ 2m sde", "automatic", ("DPM++ 2M SDE", "Exponential")), ("DPM++ 2M Karras", "", ("DPM++ 2M", "Karras")),
    ("DPM++ 2M SDE Karras", "", ("DPM++ 2M SDE", "Karras")), ("Euler", "Exponential", ("Euler", "Exponential")),
])  # fmt: skip
def test_names_are_those_that_users_know(asked, schedule, found):
    assert samplers.resolve(asked, schedule) == found


def test_strength_takes_the_last_steps():
    scheduler = samplers.scheduler("DDIM", "", CONFIG, 20)
    every = [int(t) for t in scheduler.timesteps]
    assert [int(t) for t in samplers.visited(scheduler, 20, 0.25)[0]] == every[-5:]
    assert [int(t) for t in samplers.visited(scheduler, 20, 0.001)[0]] == every[-1:]
    assert samplers.visited(scheduler, 20, 0.0) == ([], 0)
