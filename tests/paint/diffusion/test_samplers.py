"""Samplers by name, and the noise levels that they visit."""

from __future__ import annotations

import contextlib
import inspect

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.samplers import SAMPLERS
from clickpaint.paint.diffusion.schedules import SCHEDULES
from tests.paint.diffusion.toys import random_checkpoint

CONFIG = random_checkpoint().scheduler_config


def schedules_of(name):
    for schedule in SCHEDULES:
        with contextlib.suppress(InvalidInput):
            samplers.resolve(name, schedule)
            yield schedule


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_every_sampler_finds_what_a_perfect_network_sees(name, prediction):
    """A network that always knows the clean latents leads there, from noise and from any strength."""
    for schedule in schedules_of(name):
        leads_to_what_a_perfect_network_sees(name, schedule, prediction)


def leads_to_what_a_perfect_network_sees(name, schedule, prediction):
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
        # these stop at the last level of noise before 0, as they always did
        wrong = 0.2 if name in ("DDIM", "PNDM", "DPM fast", "DPM adaptive", "LCM") else 0.02
        if schedule.startswith("Align Your Steps"):  # its last level lies below all that have a timestep, for which this network answers
            wrong = 0.2
        if name == "Predictor-corrector":  # with more noise than a level has, its answer errs by more
            wrong = 0.4
        assert (latents - clean).abs().max() < wrong, schedule


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


@pytest.mark.parametrize(("asked", "schedule", "sampler"), [
    ("", "", ("Euler a", "Uniform")), ("DPM++ 2M", "", ("DPM++ 2M", "Karras")), ("PLMS", "", ("PNDM", "Uniform")),
    ("dpm++ 2m sde", "automatic", ("DPM++ 2M SDE", "Exponential")), ("DPM++ 2M Karras", "", ("DPM++ 2M", "Karras")),
    ("DPM++ 2M SDE Karras", "", ("DPM++ 2M SDE", "Karras")), ("Euler", "Exponential", ("Euler", "Exponential")),
    ("k_euler_a", "", ("Euler a", "Uniform")), ("k_dpmpp_2m_ka", "", ("DPM++ 2M", "Karras")), ("k_dpm_ad", "", ("DPM adaptive", "Uniform")),
    ("k_dpmpp_2m_sde_exp", "", ("DPM++ 2M SDE", "Exponential")), ("sample_euler_ancestral", "", ("Euler a", "Uniform")),
    ("dpmpp_2s_ancestral", "karras", ("DPM++ 2S a", "Karras")), ("dpm_2_ancestral", "normal", ("DPM2 a", "Normal")),
    ("dpmpp_3m_sde_gpu", "sgm_uniform", ("DPM++ 3M SDE", "SGM Uniform")), ("dpmpp_2m", "ddim_uniform", ("DPM++ 2M", "DDIM")),
    ("uni_pc", "simple", ("UniPC", "Simple")), ("uni_pc_bh2", "", ("UniPC", "Uniform")), ("ddim", "ddim_uniform", ("DDIM", "Uniform")),
    ("DPM++ 2M SDE Turbo", "", ("DPM++ 2M SDE", "Turbo")), ("Euler A Turbo", "", ("Euler a", "Turbo")),
    ("Euler SGMUniform", "", ("Euler", "SGM Uniform")), ("DPM++ 2M AYS", "", ("DPM++ 2M", "Align Your Steps")),
    ("DPM++ 2S Ancestral Karras", "", ("DPM++ 2S a", "Karras")), ("DPM++ 2M Karras", "Simple", ("DPM++ 2M", "Simple")),
    (" DPM++ 2M ", "Use same scheduler", ("DPM++ 2M", "Karras")), ("Euler", "None", ("Euler", "Uniform")),
])  # fmt: skip
def test_names_are_those_that_users_know(asked, schedule, sampler):
    assert samplers.resolve(asked, schedule) == sampler


def test_strength_takes_the_last_steps():
    scheduler = samplers.scheduler("DDIM", "", CONFIG, 20)
    every = [int(t) for t in scheduler.timesteps]
    assert [int(t) for t in samplers.visited(scheduler, 20, 0.25)[0]] == every[-5:]
    assert [int(t) for t in samplers.visited(scheduler, 20, 0.001)[0]] == every[-1:]
    assert samplers.visited(scheduler, 20, 0.0) == ([], 0)


@pytest.mark.parametrize("name", ["DPM++ SDE", "DPM++ 2S a", "DPM++ 3M SDE", "DPM fast", "DPM adaptive", "Restart"])
def test_strength_takes_the_last_steps_of_our_solvers(name):
    every = [float(t) for t in samplers.scheduler(name, "Uniform", CONFIG, 8).timesteps]
    last = [float(t) for t in samplers.visited(samplers.scheduler(name, "Uniform", CONFIG, 8), 8, 0.5)[0]]
    assert last == every[-len(last) :] or name.startswith("DPM ")  # of these only the ends are given
    assert 0 < last[0] < every[0] * 0.6 and len(last) <= max(len(every) / 2, 1)
    assert samplers.visited(samplers.scheduler(name, "Uniform", CONFIG, 8), 8, 0.0) == ([], 0)


LISTED = {
    "A1111 1.10.1": (
        "DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 2M SDE Heun", "DPM++ 2S a", "DPM++ 3M SDE", "Euler a", "Euler", "LMS", "Heun",
        "DPM2",
        "DPM2 a", "DPM fast", "DPM adaptive", "Restart", "DDIM", "DDIM CFG++", "PLMS", "UniPC", "LCM",
    ),
    "Forge": ("HeunPP2", "IPNDM", "IPNDM_V", "DEIS", "Flux Realistic", "DDPM"),
}  # fmt: skip
"""What the samplers' lists of the web UIs hold; of Forge what the other has not."""
LISTED_SCHEDULES = (
    "Automatic", "Uniform", "Karras", "Exponential", "Polyexponential", "SGM Uniform", "KL Optimal", "Align Your Steps", "Simple",
    "Normal", "DDIM", "Beta", "Turbo", "Align Your Steps GITS", "Align Your Steps 11", "Align Your Steps 32",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for names in LISTED.values() for name in names])
def test_every_sampler_of_a_web_ui_works_or_says_why_not(name):
    if name in ("DDIM CFG++", "HeunPP2", "IPNDM", "IPNDM_V", "DEIS", "Flux Realistic"):
        with pytest.raises(InvalidInput, match=f"do not have the web UI's sampler {name.replace('+', '.')}.*Choose") as raised:
            samplers.resolve(name)
        assert str(raised.value).split("Choose ")[1].split(",")[0] in SAMPLERS
    else:
        samplers.scheduler(*samplers.resolve(name), CONFIG, 5)


@pytest.mark.parametrize("schedule", LISTED_SCHEDULES)
def test_every_schedule_of_a_web_ui_works_by_its_label_and_its_name(schedule):
    known = samplers.resolve("DPM++ 2S a", schedule)
    assert known == samplers.resolve("DPM++ 2S a", schedule.lower().replace(" ", "_"))
    assert known[1] == {"Automatic": "Karras"}.get(schedule, schedule)


def by_hand(schedule: str, steps: int, levels: np.ndarray) -> list[float]:
    """From what the web UIs' lists do, written anew: levels rise, one for each timestep."""
    if schedule == "Simple":
        return [levels[999 - int(step * 1000 / steps)] for step in range(steps)]
    if schedule == "Turbo":
        return [levels[round((steps - step) * 1000 / steps) - 1] for step in range(steps)]
    if schedule == "DDIM":
        return [levels[1 + step * (1000 // steps)] for step in reversed(range(steps))]
    if schedule == "KL Optimal":
        low, high = np.arctan(levels[0]), np.arctan(levels[999])
        return [np.tan(step / steps * low + (1 - step / steps) * high) for step in range(steps)]
    if schedule == "Polyexponential":
        return [levels[999] * (levels[0] / levels[999]) ** (step / (steps - 1)) for step in range(steps)]
    whole = {"Normal": steps - 1, "SGM Uniform": steps}[schedule]  # 10 steps: 999 / 9 is a whole number, 999 / 10 is not
    places = [999 - 999 * step / whole for step in range(steps)]
    return [levels[int(at)] ** (1 - at % 1) * levels[min(int(at) + 1, 999)] ** (at % 1) for at in places]


@pytest.mark.parametrize("schedule", ["Simple", "Turbo", "DDIM", "KL Optimal", "Polyexponential", "Normal", "SGM Uniform"])
def test_schedules_are_those_of_the_web_uis(schedule):
    scheduler = samplers.scheduler("DPM++ SDE", schedule, CONFIG, 10)
    levels = ((1 / scheduler.alphas_cumprod.double() - 1) ** 0.5).numpy()
    asked = [float(np.exp(np.interp(float(t), range(1000), np.log(levels)))) for t in scheduler.timesteps[::2]]
    assert asked == pytest.approx(by_hand(schedule, 10, levels), rel=1e-4)


def test_published_schedules_keep_their_levels_and_lie_between_them_else():
    from clickpaint.paint.diffusion import schedules

    trained = np.geomspace(0.029, 14.615, 1000)
    of_sd, of_sdxl = (schedules.levels("Align Your Steps", 11, trained, sdxl=sdxl) for sdxl in (False, True))
    assert of_sd[[0, 5, 10]] == pytest.approx([14.615, 1.396, 0.029]) and of_sdxl[5] == pytest.approx(0.862)
    twice = schedules.levels("Align Your Steps", 21, trained)
    assert twice[::2] == pytest.approx(of_sd) and twice[1] == pytest.approx((14.615 * 6.475) ** 0.5)
    assert schedules.levels("Align Your Steps 32", 32, trained)[31] == pytest.approx(0.015)
    assert schedules.levels("Align Your Steps GITS", 11, trained)[3] == pytest.approx(1.236)
    assert schedules.levels("Align Your Steps", 1, trained) == pytest.approx([14.615])
    beta = schedules.levels("Beta", 21, trained)
    assert beta[10] == pytest.approx((0.029 + 14.615) / 2) and (np.diff(beta) < 0).all()  # the distribution is symmetric
    assert beta[0] - beta[1] < (14.615 - 0.029) / 20 < beta[9] - beta[10]  # and thin in its middle


def test_an_adaptive_sampler_paints_each_picture_alone():
    """With a batch, what one picture needs would change the other."""
    from clickpaint.paint.diffusion.sampling import paint_with
    from tests.paint.diffusion.toys import job, picture, square

    options = {"sampler": "DPM adaptive", "steps": 4, "prompt": "a [red:blue:0.5] house"}
    both = paint_with(random_checkpoint(), job(picture(), square(), seed=5, count=2, **options))
    alone = paint_with(random_checkpoint(), job(picture(), square(), seed=6, **options))
    assert np.array_equal(both[1].pixels, alone[0].pixels) and not np.array_equal(both[0].pixels, both[1].pixels)
