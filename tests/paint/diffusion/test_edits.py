"""Edits by words: against diffusers' pipelines on the same networks and noise, and their papers' equations in numbers."""

from __future__ import annotations

import functools
import sys
from typing import Any

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.paint import in_picture
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import encode, words_of
from clickpaint.paint.diffusion.cross_attention import Exchange, PromptToPrompt
from clickpaint.paint.diffusion.engines.base import Scene
from clickpaint.paint.diffusion.engines.inverting import ddim_inverted, ddpm_inverted, sampled, timesteps_of
from clickpaint.paint.diffusion.inversion import Listening, Replaying
from clickpaint.paint.diffusion.latents import Coder
from clickpaint.paint.diffusion.loop import ClassifierFree, Moment, generators
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.sampling import paint_with, text_to_image
from clickpaint.paint.diffusion.seeing_words import difference, word_maps
from clickpaint.paint.diffusion.word_alignment import aligned, changed, strengths
from clickpaint.paint.diffusion.words_mask import area_of
from clickpaint.paint.edit_options import WordEdit
from clickpaint.paint.paint_job import PaintJob
from tests.paint.diffusion.toys import SIZE, blocks, job, picture, random_checkpoint, square, toy_checkpoint

torch = pytest.importorskip("torch")
EVERYWHERE = np.ones((SIZE, SIZE), bool)
FROM, TO = "a photo of a cat on a bed", "a photo of a dog on a bed"


@functools.cache
def deep_checkpoint():
    """As `random_checkpoint`, with a level of attention at a quarter of the latents' sides, where words are looked for."""
    import dataclasses

    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng():
        torch.manual_seed(3)
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(32, 32, 64), layers_per_block=1, attention_head_dim=8, cross_attention_dim=32,
            down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        for name, parameter in unet.named_parameters():  # as drawn, the words would hardly be seen
            if "attn2" in name:
                parameter.data *= 6
    return dataclasses.replace(random_checkpoint(), unet=unet.eval().requires_grad_(False))


def edit(method: str, pixels: np.ndarray | None = None, mask: np.ndarray = EVERYWHERE, strength: float = 0.75, **options: Any) -> PaintJob:
    given = {"prompt": TO, "source_prompt": FROM, "negative_prompt": "", "steps": 5, **options}
    return job(picture() if pixels is None else pixels, mask, strength=strength, task="edit", edit_method=method, **given)


def painted(checkpoint, wanted: PaintJob) -> np.ndarray:
    return paint_with(checkpoint, wanted)[0].pixels


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def scene_of(checkpoint, wanted: PaintJob) -> Scene:
    scheduler = samplers.scheduler("DDIM", "", checkpoint.scheduler_config, wanted.options.sampling.steps)
    model = model_of(checkpoint)
    return Scene(checkpoint, model, wanted, scheduler, generators(wanted.seed, 1), Coder(checkpoint, model))


def test_an_inverted_picture_comes_back_within_one_level():
    checkpoint, wanted = toy_checkpoint(), edit("p2p", blocks(), strength=1.0, steps=4)
    with torch.inference_mode():
        scene = scene_of(checkpoint, wanted)
        timesteps, guidance = timesteps_of(scene), ClassifierFree(3.0)
        texts = scene.conditioning(len(timesteps), FROM)

        noised = ddpm_inverted(scene, timesteps)
        listening = Listening(scene.scheduler, noised)
        sampled(scene, listening, timesteps, noised.at(int(timesteps[0])), texts, guidance)
        replaying = Replaying(scene.scheduler, listening.maps)
        back = sampled(scene, replaying, timesteps, noised.at(int(timesteps[0])), texts, guidance)
        assert apart(scene.coder.decode(back), blocks()) <= 1

        def missed(looks: int) -> int:
            """How far DDIM's own steps come from the picture, which was inverted with so many looks a level."""
            rising = ddim_inverted(scene, timesteps, FROM, looks)
            start = rising.at(int(timesteps[0]))
            return apart(scene.coder.decode(sampled(scene, scene.scheduler, timesteps, start, texts, ClassifierFree(1.0))), blocks())

        assert 3 * missed(6) < missed(1)
    for inversion in ("ddim", "ddpm"):  # what the steps miss is made good
        assert apart(painted(checkpoint, edit("p2p", blocks(), prompt=FROM, inversion=inversion, steps=4)), blocks()) <= 1


def pipeline(name: str, checkpoint, **parts: Any):
    import diffusers

    kind = getattr(diffusers, name)
    scheduler = samplers.scheduler("DDIM", "", checkpoint.scheduler_config, 5)
    made = kind(vae=checkpoint.vae, unet=checkpoint.unet, scheduler=scheduler, safety_checker=None, feature_extractor=None, **parts)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_diffedit_gives_the_mask_and_the_picture_of_diffusers(prediction, monkeypatch):
    import diffusers

    checkpoint, pixels = random_checkpoint(4, prediction), picture()
    wanted = edit("diffedit", pixels, strength=0.8, negative_prompt="blurry", mask_ratio=1.5)
    ours = paint_with(checkpoint, wanted)[0]
    inverse = diffusers.DDIMInverseScheduler.from_config(checkpoint.scheduler_config, timestep_spacing="leading")
    pipe = pipeline(
        "StableDiffusionDiffEditPipeline", checkpoint, text_encoder=None, tokenizer=None, inverse_scheduler=inverse,
        requires_safety_checker=False,
    )  # fmt: skip
    distribution = sys.modules["diffusers.models.autoencoders.vae"].DiagonalGaussianDistribution
    monkeypatch.setattr(distribution, "sample", lambda self, generator=None: self.mode())  # its draw would change the noise
    texts = encode(checkpoint, TO, "blurry", size=(SIZE, SIZE), steps=5, further={"source": FROM})
    target, source, negative = (texts.text(branch, 0).context for branch in ("cond", "source", "uncond"))
    from PIL import Image

    shown = Image.fromarray(pixels)
    mask = pipe.generate_mask(
        shown, target_prompt_embeds=target, target_negative_prompt_embeds=negative, source_prompt_embeds=source,
        source_negative_prompt_embeds=negative, num_inference_steps=5, guidance_scale=7.0, generator=generators(5, 1)[0],
        mask_thresholding_ratio=1.5, output_type="np",
    )  # fmt: skip
    assert 0.05 < mask.mean() < 0.95
    np.testing.assert_array_equal(ours.area, mask[0].repeat(8, 0).repeat(8, 1))
    latents = pipe.invert(
        image=shown, prompt_embeds=source, num_inference_steps=5, inpaint_strength=0.8, guidance_scale=1.0
    ).latents  # fmt: skip
    theirs = pipe(
        prompt_embeds=target, negative_prompt_embeds=negative, mask_image=mask[0].astype(np.float32), image_latents=latents,
        num_inference_steps=5, inpaint_strength=0.8, guidance_scale=7.0, output_type="np",
    )  # fmt: skip
    assert apart(ours.pixels, (theirs.images[0] * 255).round()) <= 1 and ours.pixels.std() > 3


def test_leditspp_gives_the_picture_of_diffusers(monkeypatch):
    checkpoint, pixels = deep_checkpoint(), picture()
    edits = (WordEdit("a red dog", 4.0, 0.6), WordEdit("cat", -3.0, 0.8))
    wanted = edit("ledits", pixels, edits=edits, strength=5 / 6, steps=6)
    ours = painted(checkpoint, wanted)
    encoder = checkpoint.text_encoders[0]
    pipe = pipeline("LEditsPPPipelineStableDiffusion", checkpoint, text_encoder=encoder.model, tokenizer=encoder.tokenizer)
    from PIL import Image

    def embedded(text: str) -> Any:
        return encode(checkpoint, text, "", size=(SIZE, SIZE), steps=6).text("cond" if text else "uncond", 0).context

    def encode_prompt(**asked: Any) -> Any:
        texts = asked.get("editing_prompt") or []
        texts = [texts] if isinstance(texts, str) else texts
        counts = [len(encoder.tokenizer(text).input_ids) - 2 for text in texts]
        return torch.cat([embedded(text) for text in texts]) if texts else None, embedded(""), counts

    def invert_prompt(**asked: Any) -> Any:
        return embedded(""), None, None

    processors = dict(checkpoint.unet.attn_processors)
    monkeypatch.setattr(pipe, "encode_prompt", invert_prompt)
    add_noise = pipe.scheduler.add_noise  # which the pipeline gives a level that is no whole number
    monkeypatch.setattr(pipe.scheduler, "add_noise", lambda known, noise, level: add_noise(known, noise, level.long()))
    pipe.invert(Image.fromarray(pixels), num_inversion_steps=5, skip=0.21, generator=generators(5, 1)[0])
    monkeypatch.setattr(pipe, "encode_prompt", encode_prompt)
    theirs = pipe(
        editing_prompt=[change.text for change in edits], edit_guidance_scale=[4.0, 3.0], edit_threshold=[0.6, 0.8],
        reverse_editing_direction=[False, True], output_type="np",
    )  # fmt: skip
    assert apart(ours, (theirs.images[0] * 255).round()) <= 1 and apart(ours, pixels) > 20
    checkpoint.unet.set_attn_processor(processors)


def exchange_of(before: str, after: str, weights: Any = (), local: bool = False) -> Exchange:
    source, target = (words_of(deep_checkpoint(), text) for text in (before, after))
    gone, new = ([place for word in words for place in word.places] for words in changed(source, target))
    mapper, shares = aligned(source, target, 77)
    tensors = (torch.from_numpy(values) for values in (mapper, shares, strengths(target, weights, 77)))
    return Exchange(*tensors, 1.0, 1.0, gone, new, local)


def test_a_word_in_its_own_place_and_a_weight_of_one_change_no_bit():
    checkpoint = deep_checkpoint()
    target = words_of(checkpoint, TO)
    shares = torch.rand(2, 3, 16, 77, generator=torch.Generator().manual_seed(0)).softmax(-1)
    assert torch.equal(exchange_of(FROM, FROM).exchanged(shares, torch.zeros_like(shares)), shares)
    assert torch.equal(exchange_of(FROM, FROM, [(("bed",), 1.0)]).exchanged(shares, torch.zeros_like(shares)), shares)
    swapped = exchange_of(FROM, TO).exchanged(shares, torch.zeros_like(shares))
    assert torch.equal(swapped, shares)  # "dog" looks where "cat" did
    heavier = exchange_of(FROM, TO, [(("bed",), 2.5)]).exchanged(shares, torch.zeros_like(shares))
    bed = target[-1].places
    assert torch.equal(heavier[..., bed], 2.5 * shares[..., bed])
    longer = words_of(checkpoint, "a photo of a fat cat on a bed")
    refined = exchange_of(FROM, "a photo of a fat cat on a bed").exchanged(shares, torch.full_like(shares, 7.0))
    (fat,) = longer[4].places
    assert torch.equal(refined[..., fat], torch.full_like(refined[..., fat], 7.0))  # a new word has its own
    assert torch.equal(refined[..., fat + 1 : fat + 5], shares[..., fat : fat + 4])

    plain = painted(checkpoint, edit("p2p", prompt=FROM, inversion="seed"))
    fill = painted(checkpoint, job(picture(), EVERYWHERE, prompt=FROM, negative_prompt="", steps=5))
    assert np.array_equal(plain, fill)
    assert not np.array_equal(fill, painted(checkpoint, edit("p2p", inversion="seed")))


@pytest.mark.parametrize("method", ["p2p", "ledits", "diffedit", "sdedit"])
def test_nothing_changes_outside_of_the_mask_nor_where_diffedit_sees_no_difference(method):
    checkpoint, pixels = toy_checkpoint(), blocks()
    areas = []

    def run(wanted: PaintJob, progress: Any) -> Any:
        results = paint_with(checkpoint, wanted)
        areas.append(results[0].area)
        inside = np.abs(results[0].pixels.astype(int) - wanted.pixels).max(2) > 1
        assert method == "diffedit" or not inside[~wanted.mask].any()  # of whose latents another level is held, as diffusers does
        return results

    options = edit(method, pixels, steps=4, mask_ratio=1.9, grow=0, feather=0, resolution=SIZE).options
    for mask in (square(), None):
        result = in_picture.paint(pixels, mask, options, run, native=SIZE).results[0]
        differs = (result.placed_in(pixels) != pixels).any(2)
        may = square() if mask is not None else areas[-1] > 0 if method == "diffedit" else EVERYWHERE
        assert differs.any() and not differs[~may].any()
    assert (areas[-1] is not None) == (method == "diffedit") and (method != "diffedit" or 0 < areas[-1].mean() < 1)


def test_every_control_of_an_edit_changes_the_result():
    checkpoint = deep_checkpoint()
    p2p = painted(checkpoint, edit("p2p"))
    for option in ({"cross_steps": 0.0}, {"self_steps": 1.0}, {"word_weights": (("bed", 4.0),)}, {"inversion": "ddim"}):
        assert not np.array_equal(p2p, painted(checkpoint, edit("p2p", **option))), option
    ledits = [painted(checkpoint, edit("ledits", edits=(WordEdit("dog", *more),))) for more in ((5, 0.5), (-5, 0.5), (5, 0.9))]
    assert len({picture.tobytes() for picture in ledits}) == 3
    assert not np.array_equal(painted(checkpoint, edit("ledits")), ledits[0])


def test_the_local_blend_keeps_what_the_changed_words_do_not_look_at():
    influence = PromptToPrompt(exchange_of("a cat", "a dog", local=True), (16, 16))
    look = torch.zeros(1, 2, 16, 77)
    look[:, :, 5, 2] = 1.0  # the word swapped is seen in the second row and column of 4 x 4
    influence._watch(look, torch.zeros_like(look))
    latents = torch.stack([torch.ones(4, 16, 16), torch.zeros(4, 16, 16)])
    moment = Moment(0.5, 0.6, torch.tensor(500), None, None, [], 500)
    edited, source = influence.after_step(latents, moment)
    assert edited[:, :12, :12].all() and not edited[:, 12:].any() and not edited[:, :, 12:].any() and not source.any()


def test_the_maps_of_words_are_the_mean_attention_to_them():
    checkpoint = deep_checkpoint()
    words = word_maps(checkpoint, picture(128, 128), "a cat on a bed", resolution=128)
    assert [word.text for word in words] == ["a", "cat", "on", "a", "bed"] and all(word.seen.shape == (4, 4) for word in words)
    assert all(word.seen.max() == 1 for word in words) and np.ptp(words[1].seen) > 0.05
    assert not np.allclose(words[1].seen, words[4].seen, atol=0.01)
    seen = difference(checkpoint, picture(128, 128), "a cat", "a dog", resolution=128)
    assert seen.shape == (16, 16) and 0.5 < seen.max() <= 1 and 0 < area_of(seen, (128, 128)).mean() < 1


def test_what_cannot_be_is_said():
    with pytest.raises(InvalidInput, match="what the picture shows"):
        edit("p2p", source_prompt="")
    with pytest.raises(InvalidInput, match="Prompt-to-Prompt"):
        edit("sdedit", word_weights=(("bed", 2.0),))
    for wanted, message in (
        (edit("p2p", word_weights=(("horse", 2.0),)), "horse"),
        (edit("p2p", sampler="Euler a"), "Euler a"),
        (edit("ledits", source_prompt="[a cat:a dog:0.5]"), "changes during"),
    ):
        with pytest.raises(InvalidInput, match=message):
            painted(deep_checkpoint(), wanted)


def test_prompts_of_different_lengths_are_edited_and_sdxl_too():
    long = "a photo of a dog" + ", on a very long bed" * 16
    for checkpoint, prompt in ((deep_checkpoint(), long), (random_checkpoint(family="sdxl"), TO)):
        ours = painted(checkpoint, edit("p2p", prompt=prompt, steps=2))
        assert ours.std() > 3 and np.array_equal(ours, painted(checkpoint, edit("p2p", prompt=prompt, steps=2)))


def test_processors_are_the_very_ones_afterwards():
    checkpoint = deep_checkpoint()
    before = dict(checkpoint.unet.attn_processors)
    painted(checkpoint, edit("p2p", steps=2))
    after = checkpoint.unet.attn_processors
    assert all(after[name] is processor for name, processor in before.items())
    assert np.array_equal(*(text_to_image(checkpoint, edit("p2p").options, (SIZE, SIZE), seed=3)[0].pixels for _ in range(2)))
