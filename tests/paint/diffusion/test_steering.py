"""What steers a sampling besides the prompt: scores and reference pictures, in numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickpaint.caption.classifier import Classifier
from clickpaint.caption.clip import Clip
from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.paint.agreement import LUMA
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.loop import Moment, clean
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.sampling import Tools, paint_with
from clickpaint.paint.diffusion.score_guidance import ScoreGuided
from clickpaint.paint.influence_options import GuideOptions
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from tests.caption import toys as captioners
from tests.paint.diffusion.test_frames import attentive_checkpoint
from tests.paint.diffusion.toys import SIZE, blocks, job, picture, random_checkpoint, square, toy_checkpoint


def bright(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.mean((1, 2, 3))


def painted(checkpoint, tools=None, **values):
    return paint_with(checkpoint, job(picture(), square(), steps=4, seed=5, **values), tools=tools)[0].pixels


def test_the_gradient_is_that_of_finite_differences_in_the_box_alone():
    checkpoint = random_checkpoint()
    mask = torch.zeros(1, 1, SIZE // 8, SIZE // 8)
    mask[..., 2:6, 3:7] = 1
    weights = torch.randn((3, 32, 32), generator=torch.Generator().manual_seed(1))
    guided = ScoreGuided(lambda pictures: (pictures * weights).mean((1, 2, 3)), 1.0, model_of(checkpoint), checkpoint.vae, mask)
    latents = 0.3 * torch.randn((2, 4, SIZE // 8, SIZE // 8), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        gradient = guided.gradient(latents)
    assert not gradient[..., :2, :].any() and not gradient[..., :3].any() and gradient[..., 2:6, 3:7].all()
    for place in ((0, 1, 3, 4), (1, 2, 5, 6)):
        step = torch.zeros_like(latents)
        step[place] = 0.01
        with torch.no_grad():
            above, below = (guided.value((latents + sign * step)[..., 2:6, 3:7])[place[0]] for sign in (1, -1))
        assert float(gradient[place]) == pytest.approx(float(above - below) / 0.02, rel=0.06, abs=5e-6)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_prediction_is_led_as_the_paper_says(kind):
    checkpoint = random_checkpoint()
    scheduler = samplers.scheduler("DDIM", "", {**checkpoint.scheduler_config, "prediction_type": kind}, 10)
    moment = Moment(0.4, 0.5, scheduler.timesteps[4], scheduler.timesteps[5], scheduler, (), float(scheduler.timesteps[4]))
    sample, prediction = (torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    guided = ScoreGuided(bright, 30.0, model_of(checkpoint), checkpoint.vae, torch.ones(1, 1, 4, 4))
    led = guided.prediction(prediction, sample, moment)
    level = scheduler.alphas_cumprod[int(moment.timestep)]
    noises = [(sample - level.sqrt() * clean(sample, answer, moment)) / (1 - level).sqrt() for answer in (prediction, led)]
    gradient = guided.gradient(clean(sample, prediction, moment)) / level.sqrt()  # of the noisy latents
    torch.testing.assert_close(noises[1], noises[0] - 30.0 * (1 - level).sqrt() * gradient, rtol=1e-3, atol=1e-5)


def test_a_score_rises_and_without_scale_nothing_changes():
    checkpoint = random_checkpoint()
    tools = Tools(score=bright)
    plain = painted(checkpoint)
    assert np.array_equal(painted(checkpoint, tools, guide="clip", guide_words="light", guide_scale=0), plain)
    lighter, darker = (
        painted(checkpoint, Tools(score=score), guide="clip", guide_words="light", guide_scale=3000)[square()].mean()
        for score in (bright, lambda pictures: -bright(pictures))
    )
    assert lighter > plain[square()].mean() + 5 and darker < plain[square()].mean() - 5
    with pytest.raises(HostUnsupported, match="Guidance"):
        painted(checkpoint, guide="clip", guide_words="light")


def test_clip_and_classifiers_have_gradients(tmp_path):
    transformers = captioners.library()
    captioners.clip(tmp_path / "clip")
    device, cache = Device(), ModelCache(lambda: 1 << 30)
    clip = Clip("clip", tmp_path / "clip", device, cache)
    pixels = captioners.photo(32, 32)
    pictures = (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255).requires_grad_()
    score = clip.score([("a red ball", 2.0), ("a dog", -1.0)])
    expected = clip.similarities([pixels], ["a red ball", "a dog"])[0] @ [2, -1]
    assert score(pictures).item() == pytest.approx(float(expected), abs=2e-3)
    assert clip.score(picture=pixels)(pictures).item() == pytest.approx(1, abs=1e-3)
    assert torch.autograd.grad(score(pictures).sum(), pictures)[0].abs().max() > 0

    config = transformers.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8,
        id2label={0: "cat", 1: "dog"}, label2id={"cat": 0, "dog": 1},
    )  # fmt: skip
    captioners._saved(
        tmp_path / "vit", captioners.seeded(transformers.ViTForImageClassification, config), transformers.ViTImageProcessor(size=32)
    )
    classifier = Classifier("vit", tmp_path / "vit", device, cache)
    dog, cat = (classifier.score(label)(pictures) for label in ("Dog", "0"))
    assert (dog.exp() + cat.exp()).item() == pytest.approx(1, abs=1e-5)
    assert torch.autograd.grad(dog.sum(), pictures)[0].abs().max() > 0
    with pytest.raises(InvalidInput, match="knows no class 'bird'"):
        classifier.score("bird")


def test_phrases_have_weights():
    guide = GuideOptions("clip", "stormy; people:-0.5; at 12:30 exactly")
    assert guide.phrases() == (("stormy", 1.0), ("people", -0.5), ("at 12:30 exactly", 1.0))
    for words in ("", "x:99"):
        with pytest.raises(InvalidInput):
            GuideOptions("clip", words)
    with pytest.raises(InvalidInput, match="no picture"):
        GuideOptions("picture")


def test_a_reference_is_looked_at_as_far_as_it_is_said():
    checkpoint = attentive_checkpoint()
    reference = np.random.default_rng(3).integers(0, 256, (96, 48, 3), np.uint8)
    plain = painted(checkpoint)
    looked = {
        name: painted(checkpoint, reference_picture=reference, **values)
        for name, values in {
            "all": {}, "less": {"reference_weight": 0.3}, "never": {"reference_weight": 0.0}, "late": {"reference_start": 0.5},
            "faithful": {"reference_fidelity": 1.0}, "other": {"reference_picture": picture()},
        }.items()
        if name != "other"
    }  # fmt: skip
    other = painted(checkpoint, reference_picture=picture())
    assert np.array_equal(looked["never"], plain)
    results = [plain, *(looked[name] for name in ("all", "less", "late", "faithful")), other]
    assert len({result.tobytes() for result in results}) == len(results), "every control changes the result"
    attention = {name: type(module).__name__ for name, module in checkpoint.unet.attn_processors.items()}
    assert not [name for name in attention.values() if name == "function"], "the network has its own processors again"


def test_a_variation_looks_at_what_the_mask_shows():
    checkpoint = attentive_checkpoint()
    plain = painted(checkpoint, task="fill")
    shown = painted(checkpoint, task="vary")
    box = picture()[12:52, 20:60]  # the square, and an eighth of it on each side
    assert not np.array_equal(shown, plain)
    assert np.array_equal(shown, painted(checkpoint, task="fill", reference_picture=box))
    assert np.array_equal(painted(checkpoint, task="vary", reference_weight=0.0), plain)


def test_colours_are_painted_on_the_luminance_already_while_sampling():
    """Only nearly, for what the sampling cannot know is made exact afterwards."""
    checkpoint, inside = toy_checkpoint(), square()
    grey = np.repeat(blocks()[..., :1], 3, axis=2)

    def off(task):
        wish = job(grey, inside, strength=1.0, steps=4, seed=5, task=task)
        made = paint_with(checkpoint, wish)[0].pixels
        return float(np.abs(made @ np.array(LUMA) - grey[..., 0])[inside].mean()), made

    (plain, _), (kept, made) = off("fill"), off("colorize")
    assert kept < plain / 4 and np.ptp(made[inside].astype(int), axis=1).mean() > 2
