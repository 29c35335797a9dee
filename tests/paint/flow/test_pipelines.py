"""Painting with the flow-matching families against diffusers' own pipelines: the same networks and noise give the same picture."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.errors import InvalidInput
from clickpaint.paint import flat_options
from clickpaint.paint.checkpoint.opening import open_any
from clickpaint.paint.diffusion.engines.base import Scene
from clickpaint.paint.diffusion.influences import Resampled
from clickpaint.paint.diffusion.loop import Moment, generators
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.sampling import paint_with
from clickpaint.paint.flow.schedule import FlowScheduler
from tests.paint.diffusion.toys import job, picture
from tests.toys import flow as toy
from tests.toys.tensor_source import TensorSource

torchvision.available()
SIZE = 64


class Toy(TensorSource):
    """Tensors with a folder of tokenizers."""

    def __init__(self, name, tensors, folder) -> None:
        super().__init__(name, lambda: tensors)
        self.folders = lambda kind: [folder]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    toy.t5_tokenizer(folder / "t5")
    toy.qwen_tokenizer(folder / "qwen")
    return folder


def mask() -> np.ndarray:
    """In whole tokens of 16 x 16 pixels."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[16:48, 16:64] = True
    return mask


def wanted(**options: Any):
    guided = options.get("cfg_scale", 1.0) > 1  # otherwise a negative prompt is not asked for
    usual = {"strength": 0.75, "sampler": "", "steps": 4, **({} if guided else {"negative_prompt": ""})}
    return job(picture(SIZE, SIZE), mask(), "original", **{**usual, **options})


def texts(checkpoint, job):
    """Prompt and negative prompt as ours."""
    model = model_of(checkpoint)
    scene = Scene(checkpoint, model, job, None, (), None)  # type: ignore[arg-type]
    found = model.conditioning(job.options, scene, 4, {})
    return found.text("cond", 0), found.text("uncond", 0)


def pipeline(name: str, monkeypatch, **parts: Any):
    """diffusers' pipeline, which takes the mean of what the VAE encodes; with a sample its noise would be another one."""
    import diffusers

    kind = getattr(diffusers, name)
    module = sys.modules[kind.__module__]
    monkeypatch.setattr(module, "retrieve_latents", lambda out, generator=None, sample_mode="": out.latent_dist.mode())
    made = kind(**parts)
    made.set_progress_bar_config(disable=True)
    return made


def pil(pixels: np.ndarray):
    from PIL import Image

    return Image.fromarray(pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint8) * 255)


def decoded(checkpoint, latents) -> np.ndarray:
    from clickpaint.paint.diffusion.latents import Coder

    with torch.inference_mode():
        return Coder(checkpoint, model_of(checkpoint)).decode(latents)


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.std() > 3 and ours.shape == theirs.shape
    assert int(np.abs(ours.astype(int) - theirs.astype(int)).max()) <= 1


@pytest.fixture(scope="module")
def sd3(tokenizers):
    tensors = toy.sd3_file()
    return open_any(Toy("sd3.5_toy.safetensors", tensors, tokenizers))


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_stable_diffusion_3_inpaints_as_diffusers(sd3, strength, monkeypatch):
    from diffusers import FlowMatchEulerDiscreteScheduler

    asked = wanted(strength=strength, cfg_scale=3.0)
    ours = paint_with(sd3, replace(asked, strength=strength))[0].pixels
    cond, uncond = texts(sd3, asked)
    pipe = pipeline(
        "StableDiffusion3InpaintPipeline", monkeypatch, transformer=sd3.transformer, vae=sd3.vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        **dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3")),
    )  # fmt: skip
    pipe.vae.register_to_config(shift_factor=0.0609, scaling_factor=1.5305)
    latents = pipe(
        image=pil(asked.pixels), mask_image=pil(asked.mask), height=SIZE, width=SIZE, strength=strength, num_inference_steps=4,
        guidance_scale=3.0, generator=generators(asked.seed, 1)[0], output_type="latent",
        prompt_embeds=cond.context, negative_prompt_embeds=uncond.context, pooled_prompt_embeds=cond.added["pooled"],
        negative_pooled_prompt_embeds=uncond.added["pooled"],
    ).images  # fmt: skip
    assert_same(ours, decoded(sd3, latents))  # the pipeline itself forgets to shift the latents back before it decodes them


DYNAMIC = {"use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096}
NO_TEXTS = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))


def flux_parts(checkpoint, **schedule: Any) -> dict[str, Any]:
    from diffusers import FlowMatchEulerDiscreteScheduler

    checkpoint.vae.register_to_config(shift_factor=0.1159, scaling_factor=0.3611)
    scheduler = FlowMatchEulerDiscreteScheduler(**(schedule or DYNAMIC))
    return {"transformer": checkpoint.transformer, "vae": checkpoint.vae, "scheduler": scheduler, **NO_TEXTS}


def asked_of(checkpoint, asked, **more: Any) -> dict[str, Any]:
    """The arguments that Flux's pipelines share."""
    cond, _ = texts(checkpoint, asked)
    return {
        "image": pil(asked.pixels), "mask_image": pil(asked.mask), "height": SIZE, "width": SIZE, "strength": asked.strength,
        "num_inference_steps": 4, "generator": generators(asked.seed, 1)[0], "output_type": "np",
        "prompt_embeds": cond.context, "pooled_prompt_embeds": cond.added["pooled"], **more,
    }  # fmt: skip


def shown(theirs) -> np.ndarray:
    return (theirs.images[0] * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def flux(tokenizers):
    tensors = toy.flux_file()
    return open_any(Toy("flux1-dev.safetensors", tensors, tokenizers))


def test_flux_dev_inpaints_as_diffusers_also_with_a_true_negative_prompt(flux, monkeypatch):
    asked = wanted(cfg_scale=2.0, distilled_cfg_scale=4.0)
    pipe = pipeline("FluxInpaintPipeline", monkeypatch, **flux_parts(flux))
    _, uncond = texts(flux, asked)
    negative = {"negative_prompt_embeds": uncond.context, "negative_pooled_prompt_embeds": uncond.added["pooled"], "true_cfg_scale": 2.0}
    assert_same(paint_with(flux, asked)[0].pixels, shown(pipe(**asked_of(flux, asked, guidance_scale=4.0, **negative))))


def test_flux_schnell_inpaints_as_diffusers(tokenizers, monkeypatch):
    tensors = toy.flux_file(guided=False)
    schnell = open_any(Toy("flux1-schnell.safetensors", tensors, tokenizers))
    asked = wanted()
    pipe = pipeline("FluxInpaintPipeline", monkeypatch, **flux_parts(schnell, shift=1.0))
    assert_same(paint_with(schnell, asked)[0].pixels, shown(pipe(**asked_of(schnell, asked))))


def test_flux_fill_sees_the_hole_as_diffusers(tokenizers, monkeypatch):
    tensors = toy.flux_file(384)
    fill = open_any(Toy("flux1-fill-dev.safetensors", tensors, tokenizers))
    asked = replace(wanted(), mask=np.roll(mask(), 3, 0), strength=1.0)  # it sees single pixels
    pipe = pipeline("FluxFillPipeline", monkeypatch, **flux_parts(fill))
    theirs = pipe(**asked_of(fill, asked, guidance_scale=30.0))
    assert_same(paint_with(fill, asked)[0].pixels, shown(theirs))


def test_kontext_sees_the_picture_as_diffusers(tokenizers, monkeypatch):
    tensors = toy.flux_file()
    kontext = open_any(Toy("flux1-kontext-dev.safetensors", tensors, tokenizers))
    asked = wanted()
    parts = flux_parts(kontext) | dict.fromkeys(("image_encoder", "feature_extractor"))
    pipe = pipeline("FluxKontextInpaintPipeline", monkeypatch, **parts)
    theirs = pipe(**asked_of(kontext, asked, guidance_scale=2.5, _auto_resize=False))
    assert_same(paint_with(kontext, asked)[0].pixels, shown(theirs))
    this = picture(SIZE, SIZE // 2, 5)  # put into there: it is what is looked at then
    theirs = pipe(**asked_of(kontext, asked, guidance_scale=2.5, _auto_resize=False, image_reference=pil(this)))
    ours = paint_with(kontext, wanted(reference_picture=this))[0].pixels
    assert_same(ours, shown(theirs))


def test_kontext_follows_an_instruction_in_the_whole_picture(tokenizers):
    tensors = toy.flux_file()
    kontext = open_any(Toy("flux1-kontext-dev.safetensors", tensors, tokenizers))
    everywhere = np.ones((SIZE, SIZE), bool)
    jobs = [replace(wanted(task="instruct"), mask=everywhere, pixels=picture(SIZE, SIZE, seed)) for seed in (0, 1)]
    results = [paint_with(kontext, job)[0] for job in jobs]
    assert not np.array_equal(results[0].pixels, results[1].pixels)  # it sees the picture, though it begins with nothing but noise
    assert not np.array_equal(paint_with(kontext, with_references(jobs[0]))[0].pixels, results[0].pixels)
    assert places_of(kontext, lambda: paint_with(kontext, with_references(jobs[0]))) == [(0, 0, 0), (1, 0, 0), (1, 4, 0), (1, 0, 4)]


def with_references(job, *sizes: tuple[int, int]):
    """The job with pictures of other sizes to look at."""
    pictures = [picture(*size) for size in sizes or ((64, 32), (48, 64))]
    options = flat_options.changed(job.options, reference_picture=pictures[0], further_references=tuple(pictures[1:]))
    return replace(job, options=options)


def places_of(checkpoint, work) -> list[tuple[int, ...]]:
    """Where the first token of each picture lies, in the first call of the transformer."""
    looks: list[torch.Tensor] = []
    handle = checkpoint.transformer.register_forward_pre_hook(lambda module, args, named: looks.append(named["img_ids"]), with_kwargs=True)
    try:
        work()
    finally:
        handle.remove()
    sizes, first = [16, 16, 8, 12], 0
    found = []
    for size in sizes[: 4 if len(looks[0]) == sum(sizes) else 2]:
        found.append(tuple(looks[0][first].int().tolist()))
        first += size
    return found


def test_repaint_goes_back_to_exactly_the_noise_of_the_earlier_level(flux):
    noise = torch.randn(1, 16, 64, 64, generator=torch.Generator().manual_seed(0))
    scheduler = FlowScheduler("Euler", np.array([1.0, 0.75, 0.5, 0.25]))
    part = Resampled(torch.zeros(1, 16, 64, 64), torch.ones(1, 1, 64, 64, dtype=torch.bool), scheduler.timesteps)
    moment = Moment(0.25, 0.5, scheduler.timesteps[1], scheduler.timesteps[1], scheduler, generators(7, 1), float(scheduler.timesteps[1]))
    back = part.after_step(0.5 * 2.0 + 0.5 * noise, moment)  # a picture of nothing but twos at the level 0.5, on its way back to 0.75
    assert abs(float(back.mean()) - 0.25 * 2.0) < 0.01 and abs(float(back.std()) - 0.75) < 0.01
    result = paint_with(flux, wanted(engine="repaint", repaint_jump=2, repaint_resamples=2))[0]
    assert result.pixels.std() > 3
    with pytest.raises(InvalidInput, match="RePaint cannot use the sampler"):
        paint_with(flux, wanted(engine="repaint", sampler="DPM++ 2M"))


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "LCM"])
def test_every_sampler_comes_to_a_picture(flux, sampler):
    assert paint_with(flux, wanted(sampler=sampler, scheduler="Beta", steps=6))[0].pixels.std() > 3


def test_z_image_inpaints_as_diffusers(tokenizers, monkeypatch):
    from diffusers import FlowMatchEulerDiscreteScheduler

    tensors = toy.z_image_file()
    z_image = open_any(Toy("z_image.safetensors", tensors, tokenizers))
    asked = wanted(cfg_scale=2.0)
    cond, uncond = texts(z_image, asked)
    z_image.vae.register_to_config(shift_factor=0.1159, scaling_factor=0.3611)
    pipe = pipeline(
        "ZImageInpaintPipeline", monkeypatch, transformer=z_image.transformer, vae=z_image.vae, text_encoder=None, tokenizer=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip
    theirs = pipe(
        image=pil(asked.pixels), mask_image=pil(asked.mask), height=SIZE, width=SIZE, strength=asked.strength, num_inference_steps=4,
        guidance_scale=1.0,  # which counts from 0 there
        generator=generators(asked.seed, 1)[0], output_type="np", prompt_embeds=[cond.context[0]],
        negative_prompt_embeds=[uncond.context[0]],
    )  # fmt: skip
    assert_same(paint_with(z_image, asked)[0].pixels, shown(theirs))
    words = z_image.texts["qwen3"].find("Qwen").encode("a red house", add_special_tokens=False).ids
    assert cond.context.shape == (1, len(words) + 19, toy.QWEN)  # with <|im_start|>user\n and so on, letter by letter


def qwen_scheduler():
    from diffusers import FlowMatchEulerDiscreteScheduler

    sizes = {"base_shift": 0.5, "max_shift": 0.9, "base_image_seq_len": 256, "max_image_seq_len": 8192}
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02, **sizes)


@pytest.mark.parametrize("name", ["QwenImageInpaintPipeline", "QwenImageEditInpaintPipeline"])
def test_qwen_image_inpaints_and_edits_as_diffusers(name, tokenizers, monkeypatch):
    edits = "Edit" in name
    tensors = toy.qwen_image_file()
    qwen = open_any(Toy("qwen_image_edit.safetensors" if edits else "qwen_image.safetensors", tensors, tokenizers))
    asked = wanted(cfg_scale=2.0)
    cond, uncond = texts(qwen, asked)
    pipe = pipeline(
        name, monkeypatch, transformer=qwen.transformer, vae=qwen.vae, text_encoder=None, tokenizer=None, scheduler=qwen_scheduler(),
        **({"processor": None} if edits else {}),
    )  # fmt: skip
    if edits:  # it would paint everything at a million pixels
        monkeypatch.setattr(sys.modules[type(pipe).__module__], "calculate_dimensions", lambda area, ratio: (SIZE, SIZE, None))

    def mask_of(text):
        return torch.ones(text.context.shape[:2], dtype=torch.long)

    theirs = pipe(
        image=pil(asked.pixels), mask_image=pil(asked.mask), height=SIZE, width=SIZE, strength=asked.strength, num_inference_steps=4,
        true_cfg_scale=2.0, generator=generators(asked.seed, 1)[0], output_type="np", prompt_embeds=cond.context,
        prompt_embeds_mask=mask_of(cond), negative_prompt_embeds=uncond.context, negative_prompt_embeds_mask=mask_of(uncond),
    )  # fmt: skip
    assert_same(paint_with(qwen, asked)[0].pixels, shown(theirs))
    if edits:
        qwen_edit_plus(qwen, monkeypatch)
    words = len("a red house") + 2 + 1 + 10  # <|im_end|>, a new line, <|im_start|>, "assistant" and a new line, letter by letter
    assert cond.context.shape[1] == words + (2 + 4 if edits else 0)  # the picture of 56 x 56 pixels is four tokens, between two


def qwen_edit_plus(qwen, monkeypatch) -> None:
    """Several pictures, of which the prompt knows the numbers, in the pipeline that takes them."""
    everywhere = np.ones((SIZE, SIZE), bool)
    asked = with_references(replace(wanted(task="instruct", cfg_scale=2.0), mask=everywhere))
    cond, uncond = texts(qwen, asked)
    pipe = pipeline(
        "QwenImageEditPlusPipeline", monkeypatch, transformer=qwen.transformer, vae=qwen.vae, text_encoder=None, tokenizer=None,
        processor=None, scheduler=qwen_scheduler(),
    )  # fmt: skip
    module = sys.modules[type(pipe).__module__]
    sides = {2.0: (64, 32), 0.75: (48, 64), 1.0: (SIZE, SIZE)}
    monkeypatch.setattr(module, "calculate_dimensions", lambda area, ratio: sides[ratio])
    further = asked.options.reference.pictures
    theirs = pipe(
        image=[pil(pixels) for pixels in (asked.pixels, *further)], height=SIZE, width=SIZE, num_inference_steps=4, true_cfg_scale=2.0,
        generator=generators(asked.seed, 1)[0], output_type="np", prompt_embeds=cond.context,
        prompt_embeds_mask=torch.ones(cond.context.shape[:2], dtype=torch.long), negative_prompt_embeds=uncond.context,
        negative_prompt_embeds_mask=torch.ones(uncond.context.shape[:2], dtype=torch.long),
    )  # fmt: skip
    assert_same(paint_with(qwen, asked)[0].pixels, shown(theirs))
    looked_at = 3 * (2 + len("Picture 1: ")) + sum(side // 28 * (other // 28) for side, other in ((384, 384), (544, 256), (320, 448)))
    assert cond.context.shape[1] >= looked_at


@pytest.fixture(scope="module")
def klein(tokenizers):
    tensors = toy.flux2_file()
    return open_any(Toy("flux-2-klein-4b.safetensors", tensors, tokenizers))


def test_klein_inpaints_as_diffusers(klein, monkeypatch):
    from diffusers import FlowMatchEulerDiscreteScheduler

    asked = wanted(cfg_scale=2.0, negative_prompt="")
    cond, uncond = texts(klein, asked)
    pipe = pipeline(
        "Flux2KleinInpaintPipeline", monkeypatch, transformer=klein.transformer, vae=klein.vae, text_encoder=None, tokenizer=None,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    )  # fmt: skip
    theirs = pipe(
        image=pil(asked.pixels), mask_image=pil(asked.mask), strength=asked.strength, num_inference_steps=4, guidance_scale=2.0,
        generator=generators(asked.seed, 1)[0], output_type="np", prompt_embeds=cond.context, negative_prompt_embeds=uncond.context,
    )  # fmt: skip
    assert_same(paint_with(klein, asked)[0].pixels, shown(theirs))
    assert cond.context.shape == (1, 512, 3 * toy.QWEN)

    several = with_references(
        replace(wanted(task="instruct", cfg_scale=2.0, negative_prompt=""), mask=np.ones((SIZE, SIZE), bool)), (96, 64), (64, 80)
    )
    whole = pipeline(
        "Flux2KleinPipeline", monkeypatch, transformer=klein.transformer, vae=klein.vae, text_encoder=None, tokenizer=None,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    )  # fmt: skip
    pictures = [pil(pixels) for pixels in (several.pixels, *several.options.reference.pictures)]
    theirs = whole(
        image=pictures, height=SIZE, width=SIZE, num_inference_steps=4, guidance_scale=2.0, generator=generators(asked.seed, 1)[0],
        output_type="np", prompt_embeds=cond.context, negative_prompt_embeds=uncond.context,
    )  # fmt: skip
    assert_same(paint_with(klein, several)[0].pixels, shown(theirs))


def test_frames_of_a_clip_begin_with_the_noise_carried_along(klein):
    from clickpaint.paint.diffusion.frame_sampling import FrameJob, paint_frames

    plain = replace(wanted(sampler="", cfg_scale=2.0), masked_content="latent noise", strength=1.0)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    still = np.dstack([columns, rows])
    first, same, moved = paint_frames(klein, [FrameJob(plain), FrameJob(plain, still), FrameJob(plain, still + np.float32(16))])
    assert np.abs(first.astype(int) - same).max() <= 1 and np.abs(first.astype(int) - moved)[plain.mask].max() > 3


def test_who_asks_for_a_picture_from_nothing_has_nothing_to_be_seen(klein):
    from clickpaint.paint.diffusion.sampling import text_to_image

    looks = []
    tokens = lambda module, args, named: looks.append(named["hidden_states"].shape[1])  # noqa: E731
    handle = klein.transformer.register_forward_pre_hook(tokens, with_kwargs=True)
    try:
        text_to_image(klein, wanted().options, (SIZE, SIZE), seed=1)
        paint_with(klein, replace(wanted(task="instruct"), mask=np.ones((SIZE, SIZE), bool)))
    finally:
        handle.remove()
    assert looks == [16] * 4 + [32] * 4  # tokens: with the picture twice as many


def test_chroma_inpaints_as_diffusers(tokenizers, monkeypatch):
    from diffusers import FlowMatchEulerDiscreteScheduler

    tensors = toy.chroma_file()
    chroma = open_any(Toy("chroma.safetensors", tensors, tokenizers))
    asked = wanted(cfg_scale=3.0, negative_prompt="a bad house")  # the pipeline wants both to be of one length
    cond, uncond = texts(chroma, asked)
    chroma.vae.register_to_config(shift_factor=0.1159, scaling_factor=0.3611)
    chroma.transformer.register_to_config(guidance_embeds=False)  # which the pipeline asks for, and the transformer does not have
    pipe = pipeline(
        "ChromaInpaintPipeline", monkeypatch, transformer=chroma.transformer, vae=chroma.vae, text_encoder=None, tokenizer=None,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0, use_beta_sigmas=True),
    )  # fmt: skip
    theirs = pipe(
        image=pil(asked.pixels), mask_image=pil(asked.mask), height=SIZE, width=SIZE, strength=asked.strength, num_inference_steps=4,
        guidance_scale=3.0, generator=generators(asked.seed, 1)[0], output_type="np", prompt_embeds=cond.context,
        prompt_attention_mask=torch.ones(cond.context.shape[:2]), negative_prompt_embeds=uncond.context,
        negative_prompt_attention_mask=torch.ones(uncond.context.shape[:2]),
    )  # fmt: skip
    assert_same(paint_with(chroma, asked)[0].pixels, shown(theirs))
    assert cond.context.shape[1] == len("▁a▁red▁house") + 2  # letter by letter, with the end and one that fills it up


def test_what_acted_is_written_and_other_ways_to_paint_are_refused_by_name(flux, klein):
    said = paint_with(flux, wanted())[0].infotext
    assert "CFG scale: 1, Distilled CFG Scale: 3.5" in said and "Sampler: Euler, Schedule type: Automatic" in said
    assert "CFG scale: 1, Seed" in paint_with(klein, wanted())[0].infotext
    by_words = {"task": "edit", "edit_method": "diffedit", "source_prompt": "a tree"}
    for refused, options in (
        ("depth", {"engine": "depth"}), ("instructions", {"task": "instruct"}), ("DDIM is not for flow-matching", {"sampler": "DDIM"}),
        ("Align Your Steps", {"scheduler": "Align Your Steps"}), ("needs a checkpoint of Stable Diffusion", by_words),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=refused):
            paint_with(flux, wanted(**options))
