"""What engines do to pictures, in numbers: the hand-set checkpoint's VAE keeps blocks of 8 x 8 pixels exactly as they are."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clickpaint.errors import CorruptModel, HostUnsupported, Interrupted, InvalidInput, OutOfMemory
from clickpaint.paint.diffusion.engines.registry import engine_for
from clickpaint.paint.diffusion.influences import walk
from clickpaint.paint.diffusion.latents import filled, latent_mask
from clickpaint.paint.diffusion.loop import Part
from clickpaint.paint.diffusion.sampling import Tools, paint_with, text_to_image
from clickpaint.paint.flat_options import changed, grouped
from clickpaint.paint.in_picture import paint
from clickpaint.paint.paint_job import ControlUnit
from clickpaint.progress import Progress
from tests.paint.diffusion.toys import SIZE, blocks, job, picture, random_checkpoint, square, toy_checkpoint

EVERYWHERE = np.ones((SIZE, SIZE), bool)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max(initial=0))


def test_the_toy_answers_the_same_as_if_it_computed_its_zeros(monkeypatch):
    import copy

    import torch

    from tests.toys import skipping

    toy, latents = toy_checkpoint(), torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    block = copy.deepcopy(toy.unet.mid_block.resnets[0])
    assert skipping.adds_nothing(block)

    def answers() -> list[torch.Tensor]:
        return [toy.unet(latents, 500, latents.new_ones(1, 77, 768)).sample, toy.vae.decode(latents[:, :, :2, :2]).sample]

    with torch.inference_mode():
        block.conv2.bias += 1  # type: ignore[operator]
        assert not skipping.adds_nothing(block)
        quick = answers()
        monkeypatch.setattr(skipping, "adds_nothing", lambda block: False)
        assert all(torch.equal(one, other) for one, other in zip(answers(), quick, strict=True))


@pytest.mark.parametrize(("engine", "channels"), [("inpaint", 4), ("repaint", 4), ("inpaint", 5), ("repaint", 9)])
@pytest.mark.parametrize("sampler", ["DDIM", "DDPM"])
def test_what_is_known_is_kept_to_the_last_block(engine, channels, sampler):
    wanted = job(
        blocks(), square(), "fill", engine="auto" if channels == 5 else engine, sampler=sampler, repaint_resamples=2, repaint_jump=2
    )
    tools = Tools(depth=lambda pixels: pixels[..., 0].astype(np.float32))
    result = paint_with(toy_checkpoint(channels), wanted, tools=tools)[0].pixels
    assert apart(result[~wanted.mask], wanted.pixels[~wanted.mask]) <= 1
    assert apart(result[wanted.mask], wanted.pixels[wanted.mask]) > 20


@pytest.mark.parametrize("sampler", ["DPM++ SDE", "DPM++ 2S a", "DPM++ 3M SDE", "DPM fast", "DPM adaptive", "Restart"])
def test_our_solvers_keep_what_is_known_and_paint_the_rest(sampler):
    """Whatever their looks in between are corrected to; from a soft mask, too."""
    wanted = job(blocks(), square(), "fill", sampler=sampler, steps=20 if sampler == "Restart" else 6)
    result = paint_with(toy_checkpoint(), wanted)[0].pixels
    assert apart(result[~wanted.mask], wanted.pixels[~wanted.mask]) <= 1
    assert apart(result[wanted.mask], wanted.pixels[wanted.mask]) > 20
    half = np.where(square(), np.float32(0.5), np.float32(0))
    softly = paint_with(toy_checkpoint(), replace(wanted, soft=half))[0].pixels
    assert apart(softly[~wanted.mask], wanted.pixels[~wanted.mask]) <= 1 and apart(softly, result) > 0


@pytest.mark.parametrize("task", ["fill", "replace"])
def test_fill_changes_only_the_mask_and_replace_only_its_complement(task):
    pixels, mask = picture(96, 96), np.zeros((96, 96), bool)
    mask[30:61, 20:50] = True
    options = grouped(task=task, grow=0, feather=0, steps=4, sampler="DDIM", seed=1, refine=False)
    canvas = paint(pixels, mask, options, lambda job, progress: paint_with(toy_checkpoint(), job, progress=progress), native=64)
    result = next(canvas.pictures())
    painted = mask if task == "fill" else ~mask
    assert np.array_equal(result[~painted], pixels[~painted])
    assert (result[painted] != pixels[painted]).any(-1).mean() > 0.9


def test_an_instruction_needs_no_mask_and_heeds_one():
    checkpoint, pixels = random_checkpoint(8), picture()

    def run(job, progress):
        return paint_with(checkpoint, job, progress=progress)

    options = grouped(task="instruct", prompt="make it snow", steps=3, sampler="DDIM", seed=1, grow=0, feather=0)
    whole = paint(pixels, None, options, run, native=64)
    assert (next(whole.pictures()) != pixels).any(-1).mean() > 0.9 and whole.mask.all()
    inside = next(paint(pixels, square(), options, run, native=64).pictures())
    assert np.array_equal(inside[~square()], pixels[~square()])
    assert (inside[square()] != pixels[square()]).any(-1).mean() > 0.9


def test_an_instruction_stays_closer_to_the_picture_with_a_larger_image_scale():
    """By the formula of the guidance; with random weights closeness itself means nothing."""
    from clickpaint.paint.diffusion.loop import Instructed

    answers = {"cond": 5.0, "image": 3.0, "uncond": 1.0}
    assert Instructed(2.0, 1.5).combine(answers) == 1.0 + 1.5 * (3.0 - 1.0) + 2.0 * (5.0 - 3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", ["DDIM", "Euler a", "DPM++ 2M SDE", "DDPM", "DPM++ SDE", "Restart"])
@pytest.mark.parametrize("content", ["original", "latent noise"])
def test_a_seed_gives_the_same_picture_alone_and_in_a_batch(sampler, content):
    checkpoint = random_checkpoint()
    wanted = job(picture(), square(), content, count=2, sampler=sampler)
    batch = paint_with(checkpoint, wanted)
    again = paint_with(checkpoint, wanted)
    assert [result.seed for result in batch] == [5, 6]
    for number, (result, same) in enumerate(zip(batch, again, strict=True)):
        single = paint_with(checkpoint, replace(wanted, seed=wanted.seed + number, count=1))[0]
        assert np.array_equal(result.pixels, same.pixels)
        assert apart(result.pixels, single.pixels) <= 1
        assert f"Seed: {wanted.seed + number}," in result.infotext == single.infotext
    assert apart(batch[0].pixels, batch[1].pixels) > 10


def test_interrupting_takes_at_most_one_look_of_the_network(monkeypatch):
    checkpoint, looks = random_checkpoint(), []
    forward = checkpoint.unet.forward

    def counted(*arguments, **named):
        looks.append(len(arguments[0]))
        return forward(*arguments, **named)

    monkeypatch.setattr(checkpoint.unet, "forward", counted)
    with pytest.raises(Interrupted):
        paint_with(checkpoint, job(picture(), square(), steps=50), progress=Progress(interrupted=lambda: len(looks) >= 3))
    assert looks == [2, 2, 2]


def test_progress_and_previews_come_with_every_step():
    seen, shown = [], []
    paint_with(random_checkpoint(), job(picture(), square(), strength=0.5), progress=Progress(seen.append), preview=shown.append)
    assert [(step.done, step.total) for step in seen if step.unit == "step"] == [(0, 3), (1, 3), (2, 3)]
    fractions = [step.fraction for step in seen]
    assert fractions == sorted(fractions) and fractions[-1] <= 1
    assert [(view.shape, view.dtype) for view in shown] == [((8, 8, 3), np.uint8)] * 3


def test_the_preview_comes_to_what_the_result_shows():
    shown = []
    result = paint_with(toy_checkpoint(), job(blocks(), square(), steps=8), preview=shown.append)[0].pixels
    # the toy's latents are colours, which the table for real ones mixes: as it does those of the result
    from clickpaint.paint.diffusion.latents import Coder
    from clickpaint.paint.diffusion.stable_diffusion import StableDiffusion, approximate

    expected = approximate(Coder(toy_checkpoint(), StableDiffusion(toy_checkpoint())).encode(result), "sd1")
    painted = square()[::8, ::8]
    assert apart(shown[-1][painted], expected[painted]) < apart(shown[0][painted], expected[painted]) or apart(shown[-1], expected) <= 3


class Memory:
    """A network that runs out of memory as long as `enough` does not hold for a call."""

    def __init__(self, monkeypatch, checkpoint, enough) -> None:
        self.freed, forward = 0, checkpoint.unet.forward

        def limited(sample, *arguments, **named):
            if not enough(checkpoint, sample):
                raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
            return forward(sample, *arguments, **named)

        monkeypatch.setattr(checkpoint.unet, "forward", limited)

    def free(self) -> None:
        self.freed += 1


def sliced(checkpoint) -> bool:
    return any("Sliced" in type(processor).__name__ for processor in checkpoint.unet.attn_processors.values())


@pytest.mark.parametrize(("enough", "freed"), [(lambda c, sample: len(sample) == 1, 1), (lambda c, sample: sliced(c), 2)])
def test_short_memory_is_met_with_smaller_steps_and_leaves_no_trace(enough, freed, monkeypatch):
    checkpoint = random_checkpoint()
    wanted = job(picture(), square(), count=2)
    expected = paint_with(checkpoint, wanted)
    before = {name: type(processor) for name, processor in checkpoint.unet.attn_processors.items()}
    with monkeypatch.context() as patch:
        memory = Memory(patch, checkpoint, enough)
        results = paint_with(checkpoint, wanted, tools=Tools(free=memory.free))
    assert memory.freed == freed
    assert [apart(one.pixels, other.pixels) for one, other in zip(results, expected, strict=True)] <= [1, 1]
    assert {name: type(processor) for name, processor in checkpoint.unet.attn_processors.items()} == before
    assert not checkpoint.vae.use_tiling


def test_no_memory_at_all_is_said():
    with pytest.MonkeyPatch.context() as patch, pytest.raises(OutOfMemory, match="lower resolution"):
        Memory(patch, random_checkpoint(), lambda checkpoint, sample: False)
        paint_with(random_checkpoint(), job(picture(), square()))
    assert not sliced(random_checkpoint())


def test_a_network_that_answers_with_nan_is_named(monkeypatch):
    checkpoint = random_checkpoint()
    forward = checkpoint.unet.forward
    monkeypatch.setattr(checkpoint.unet, "forward", lambda *a, **k: (forward(*a, **k)[0] * float("nan"),))
    with pytest.raises(CorruptModel, match=r"random\.safetensors answers with NaN in float32"):
        paint_with(checkpoint, job(picture(), square()))


def test_a_vae_that_overflows_in_half_precision_works_in_float32():
    import copy

    import torch

    from clickpaint.paint.diffusion.latents import Coder
    from clickpaint.paint.diffusion.stable_diffusion import StableDiffusion

    whole = random_checkpoint()
    vae: Any = copy.deepcopy(whole.vae).half()
    half = dataclasses.replace(whole, vae=vae)

    def too_large(module, inputs, out):
        return out * 1e4 * 1e4 / 1e8  # infinite on the way in float16 alone

    vae.decoder.conv_out.register_forward_hook(too_large)
    latents = torch.randn(1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert not torch.isfinite(vae.decode(latents.half()).sample).all()
        assert apart(Coder(half, StableDiffusion(half)).decode(latents), Coder(whole, StableDiffusion(whole)).decode(latents)) <= 1
    assert vae.dtype == torch.float16


def test_masked_content():
    pixels, mask = blocks(), square()
    start = {}
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.diffusion.latents import Coder
    from clickpaint.paint.diffusion.loop import generators
    from clickpaint.paint.diffusion.stable_diffusion import StableDiffusion

    checkpoint = toy_checkpoint()
    model = StableDiffusion(checkpoint)
    hole = latent_mask(mask, checkpoint.device) > 0
    for content in ("original", "fill", "latent noise", "latent nothing"):
        scene = Scene(checkpoint, model, job(pixels, mask, content), None, generators(1, 2), Coder(checkpoint, model))
        start[content] = scene.start
        assert (scene.start[:1].where(~hole, 0) - scene.known.where(~hole, 0)).abs().max() < 1e-5
    assert (start["latent nothing"].where(hole, 0) == 0).all()
    drawn = start["latent noise"][:, :, hole[0, 0]]
    assert 0.7 < drawn.std() < 1.3 and not (drawn[0] == drawn[1]).any()
    inside = filled(pixels, mask)[mask].astype(int)
    around = pixels[~mask]
    assert (inside.min(0) >= around.min(0)).all() and (inside.max(0) <= around.max(0)).all()
    assert np.array_equal(filled(pixels, mask)[~mask], around)


def test_fill_takes_the_colours_from_close_by():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:] = (200, 0, 0), (0, 0, 200)
    mask = np.zeros((64, 64), bool)
    mask[16:48, 8:56] = True
    painted = filled(pixels, mask)
    assert painted[32, 10, 0] > 150 > 50 > painted[32, 10, 2]
    assert painted[32, 53, 2] > 150 > 50 > painted[32, 53, 0]


def test_a_soft_mask_lets_go_of_the_picture_by_and_by():
    """Differential Diffusion: what is to change little is held longer."""
    import torch

    from clickpaint.paint.diffusion import samplers
    from clickpaint.paint.diffusion.influences import Known
    from clickpaint.paint.diffusion.loop import Moment

    scheduler = samplers.scheduler("DDIM", "", toy_checkpoint().scheduler_config, 8)
    mask = torch.tensor([0, 1 / 8, 1 / 2, 1]).view(1, 1, 1, 4)
    part = Known(torch.zeros(1, 4, 1, 4), mask, torch.zeros(2, 4, 1, 4))
    steps = [*scheduler.timesteps, None]
    moments = [Moment(i / 8, (i + 1) / 8, steps[i], steps[i + 1], scheduler, [], float(steps[i])) for i in range(8)]
    held = [part.after_step(torch.ones(2, 4, 1, 4), moment) == 0 for moment in moments]
    assert torch.stack(held).float().sum(0)[0, 0, 0].tolist() == [8, 7, 4, 0]


def test_a_soft_mask_reaches_the_sampling():
    pixels = blocks()
    soft = np.repeat(np.linspace(0, 1, SIZE // 8, dtype=np.float32), 8)[None].repeat(SIZE, 0)
    hard = job(pixels, soft > 0, strength=1.0, steps=8)
    gentle, full = (paint_with(toy_checkpoint(), each)[0].pixels for each in (replace(hard, soft=soft), hard))
    assert apart(gentle[:, :8], pixels[:, :8]) <= 1
    assert apart(gentle[:, 8:40], full[:, 8:40]) > 3


def test_the_mask_of_latents_covers_that_of_pixels():
    import torch

    mask = np.zeros((16, 24), bool)
    mask[7, 8] = True
    device = torch.device("cpu")
    assert latent_mask(mask, device).tolist() == [[[[0, 1, 0], [0, 0, 0]]]]
    assert latent_mask(mask.astype(np.float32), device)[0, 0, 0, 1] == 1 / 64


def test_repaint_goes_back_as_its_paper_says():
    assert walk(4, 1, 1) == [0, 1, 2, 3]
    # levels counted from the cleanest: 5 4 3 | back to 4 | ... , each stretch of two painted twice
    assert [5 - look for look in walk(6, 2, 2)] == [5, 4, 3, 4, 3, 2, 1, 2, 1, 0]
    # the paper's own: 250 steps, 10 back, 10 times
    assert len(walk(250, 10, 10)) == 250 + 24 * 9 * 10
    assert walk(3, 10, 2) == [0, 1, 0, 1, 2]  # no further back than to the start


def test_repaint_brings_back_the_right_noise():
    """With a picture that is all known, each level has the variance that it should have."""
    import torch

    from clickpaint.paint.diffusion import samplers
    from clickpaint.paint.diffusion.influences import Resampled
    from clickpaint.paint.diffusion.loop import Moment, generators

    scheduler = samplers.scheduler("DDPM", "", toy_checkpoint().scheduler_config, 10)
    levels = scheduler.timesteps
    part = Resampled(torch.full((1, 4, 64, 64), 0.5), torch.zeros(1, 1, 64, 64, dtype=torch.bool), levels)
    for following in (levels[8], levels[3]):  # the next level, and back by five
        moment = Moment(0.7, 0.8, levels[7], following, scheduler, generators(0, 1), float(levels[7]))
        latents = part.after_step(torch.zeros(1, 4, 64, 64), moment)
        level = scheduler.alphas_cumprod[following]
        assert abs(latents.mean() - 0.5 * level.sqrt()) < 0.03
        assert abs(latents.var() - (1 - level)) < 0.03


@pytest.mark.parametrize(("channels", "options", "name"), [
    (4, {}, "inpaint"), (9, {}, "inpaint"), (5, {}, "depth"), (8, {"task": "instruct"}, "instruct"),
    (4, {"control": (ControlUnit("canny", "x"),)}, "controlnet"), (4, {"engine": "repaint"}, "repaint"),
    (5, {"control": (ControlUnit("canny", "x"),)}, "depth"),
])  # fmt: skip
def test_the_engine_follows_checkpoint_and_options(channels, options, name):
    assert engine_for(random_checkpoint(channels).kind, grouped(**options)).name == name


@pytest.mark.parametrize(("channels", "options", "sentence"), [
    (8, {}, "only follows instructions"), (4, {"task": "instruct"}, "follows no instructions"), (4, {"engine": "depth"}, "knows no depth"),
    (4, {"engine": "controlnet"}, "No ControlNet"), (4, {"engine": "repaint", "sampler": "Euler a"}, "RePaint cannot use"),
    (4, {"engine": "repaint", "task": "instruct"}, "cannot follow"), (8, {"engine": "instruct"}, "only follows"),
    (4, {"sampler": "No"}, "sampler 'No'"),
    (4, {"scheduler": "No"}, "schedule 'No'"), (4, {"sampler": "DDIM", "scheduler": "Karras"}, "spaced"),
])  # fmt: skip
def test_what_does_not_go_together_is_refused(channels, options, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        paint_with(random_checkpoint(channels), replace(job(picture(), square()), options=grouped(**{"steps": 1, **options})))


@pytest.mark.parametrize(("channels", "options", "sentence"), [
    (5, {}, "depth"), (4, {"control": (ControlUnit("canny", "x"),)}, "ControlNet"), (4, {"prompt": "a <lora:x:1>"}, "LoRA"),
])  # fmt: skip
def test_a_missing_tool_is_named(channels, options, sentence):
    with pytest.raises(HostUnsupported, match=sentence):
        paint_with(random_checkpoint(channels), job(picture(), square(), **{"steps": 1, **options}))


def test_parts_and_networks_take_part(caplog):
    from contextlib import contextmanager

    checkpoint, asked, seen = random_checkpoint(), [], []

    class Watching(Part):
        def residuals(self, inputs, moment):
            seen.append((inputs.branches, tuple(inputs.sample.shape), moment.share, moment.share_after))
            return

    @contextmanager
    def adapted(checkpoint, networks):
        asked.extend(networks)
        yield ["One layer of old is not known."]

    wanted = job(picture(), square(), prompt="a house <lora:old:0.5>", control=(ControlUnit("canny", "x"),), strength=0.5)
    tools = Tools(control=lambda checkpoint, job: [Watching()], adapted=adapted)
    result = paint_with(checkpoint, wanted, tools=tools)[0]
    assert [(network.kind, network.name, network.arguments) for network in asked] == [("lora", "old", ("0.5",))]
    assert "One layer of old is not known." in caplog.text
    assert seen == [(("uncond", "cond"), (2, 4, 8, 8), i / 3, (i + 1) / 3) for i in range(3)]
    without = paint_with(checkpoint, replace(wanted, options=changed(wanted.options, prompt="a house ", control=())))[0]
    assert np.array_equal(result.pixels, without.pixels)


def test_residuals_reach_the_network_and_add_up():
    from clickpaint.paint.diffusion.loop import Residuals

    class Pushing(Part):
        def __init__(self, strength: float) -> None:
            self.strength = strength

        def residuals(self, inputs, moment):
            import torch

            rows = len(inputs.sample)
            sides = ((32, 8), (32, 8), (32, 4), (64, 4))
            return Residuals(
                tuple(torch.full((rows, c, s, s), self.strength) for c, s in sides), torch.full((rows, 64, 4, 4), self.strength)
            )

    checkpoint = random_checkpoint()
    wanted = job(picture(), square(), control=(ControlUnit("canny", "x"),))

    def with_parts(*strengths: float) -> np.ndarray:
        return paint_with(checkpoint, wanted, tools=Tools(control=lambda *_: [Pushing(each) for each in strengths]))[0].pixels

    plain = paint_with(checkpoint, replace(wanted, options=replace(wanted.options, control=())))[0].pixels
    assert np.array_equal(with_parts(0.0), plain)
    assert apart(with_parts(0.3), plain) > 3
    assert apart(with_parts(0.1, 0.2), with_parts(0.3)) <= 1


def test_prompts_of_different_lengths_are_asked_for_one_by_one():
    checkpoint = random_checkpoint()
    long = ", ".join(["a very long prompt of many words"] * 14)
    result = paint_with(checkpoint, job(picture(), square(), prompt=long, steps=2))[0]
    again = paint_with(checkpoint, job(picture(), square(), prompt="short", negative_prompt=long, steps=2))[0]
    assert apart(result.pixels, again.pixels) > 0


def test_the_infotext_is_the_web_uis():
    wanted = job(picture(), square(), "fill", sampler="DPM++ 2M", clip_skip=2, engine="inpaint")
    result = paint_with(random_checkpoint(), wanted)[0]
    assert result.infotext == (
        "a red house\nNegative prompt: blurry\n"
        "Steps: 6, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 64x64, Model: random, Denoising strength: 0.75, "
        "Clip skip: 2, Masked content: fill, Clickpaint: fill, Clickpaint masked content: fill, Clickpaint engine: inpaint"
    )


def test_arguments_and_weights_are_left_as_they_are():
    checkpoint = random_checkpoint(9)
    weights = {name: value.clone() for name, value in checkpoint.unet.state_dict().items()}
    wanted = job(picture(), square(), "fill")
    pixels, mask = wanted.pixels.copy(), wanted.mask.copy()
    paint_with(checkpoint, wanted)
    assert np.array_equal(wanted.pixels, pixels) and np.array_equal(wanted.mask, mask)
    assert all((weights[name] == value).all() for name, value in checkpoint.unet.state_dict().items())


def test_no_strength_changes_nothing():
    pixels = blocks()
    assert apart(paint_with(toy_checkpoint(), job(pixels, square(), strength=0.0))[0].pixels, pixels) <= 1


@pytest.mark.parametrize("channels", [8, 9])
def test_text_to_image_needs_no_picture(channels):
    options = grouped(prompt="a house", steps=2)
    if channels == 8:
        with pytest.raises(InvalidInput, match="only follows"):
            text_to_image(random_checkpoint(8), options, (64, 64), seed=1)
    else:
        assert text_to_image(random_checkpoint(9), options, (64, 48), seed=1)[0].pixels.shape == (48, 64, 3)
