"""Several frames in one sampling: Text2Video-Zero against diffusers' pipeline, and its parts in numbers."""

from __future__ import annotations

import copy
import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
import torch

from clickpaint.errors import InvalidInput
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import encode
from clickpaint.paint.diffusion.frame_sampling import FrameJob, Motion, paint_frames, text_to_frames
from clickpaint.paint.diffusion.frames import SmoothBackground, carried_noise, cells_along, moved
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.sampling import paint_with
from clickpaint.paint.flat_options import grouped
from tests.paint.diffusion.toys import SIZE, job, picture, random_checkpoint, square


@functools.cache
def attentive_checkpoint():
    """Random networks in which much depends on where a picture looks at itself."""
    plain = random_checkpoint()
    unet: Any = copy.deepcopy(plain.unet)
    for name, module in unet.named_modules():
        if name.endswith("attn1"):
            for layer in (module.to_q, module.to_k, module.to_v, module.to_out[0]):
                layer.weight.data *= 4
    return dataclasses.replace(plain, unet=unet)


def test_a_clip_is_that_of_diffusers_pipeline(monkeypatch):
    diffusers = pytest.importorskip("diffusers")
    if not hasattr(diffusers, "TextToVideoZeroPipeline"):
        pytest.skip("this diffusers has it no more")
    checkpoint, count, steps, motion = attentive_checkpoint(), 4, 6, Motion(across=-24, down=16, began=0.2, moves=0.5)
    options = grouped(prompt="a red house", negative_prompt="blurry", steps=steps, cfg_scale=6.0)
    ours = text_to_frames(checkpoint, options, (SIZE, SIZE), count, seed=3, motion=motion)

    scheduler = samplers.scheduler("DDIM", "", checkpoint.scheduler_config, steps)
    pipe = diffusers.TextToVideoZeroPipeline(
        vae=checkpoint.vae, text_encoder=None, tokenizer=None, unet=checkpoint.unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    texts = encode(checkpoint, "a red house", "blurry", size=(SIZE, SIZE), steps=steps)
    monkeypatch.setattr(pipe, "encode_prompt", lambda *_, **__: (texts.text("cond", 0).context, texts.text("uncond", 0).context))
    monkeypatch.setattr(pipe, "check_inputs", lambda *_: None)
    # Its motion field counts the pixels of a picture of 512, and says from where a frame takes what it shows.
    theirs = pipe(
        prompt="", video_length=count, height=SIZE, width=SIZE, num_inference_steps=steps, guidance_scale=6.0, output_type="np",
        motion_field_strength_x=24 * 512 / SIZE, motion_field_strength_y=-16 * 512 / SIZE, t1=steps - 1 - 1, t0=steps - 1 - 3,
        generator=generators(3, 1)[0],
    ).images  # fmt: skip
    assert len(ours) == len(theirs) == count
    assert np.abs(ours[1].astype(int) - ours[0]).max() > 3  # they differ from each other
    for a, b in zip(ours, theirs, strict=True):
        assert np.abs(a.astype(int) - (b * 255).round().astype(int)).max() <= 1


def test_a_scene_moves_to_where_the_motion_says_and_is_mirrored_at_the_border():
    latents = torch.arange(6.0).reshape(1, 1, 1, 6)
    assert moved(latents, 16, 0).flatten().tolist() == [1, 0, 0, 1, 2, 3]
    assert moved(latents, -8, 0).flatten().tolist() == [1, 2, 3, 4, 5, 5]
    assert moved(latents, 0, 8).flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_a_smooth_background_is_the_first_frames_moved_along_but_for_the_object():
    checkpoint, options = attentive_checkpoint(), grouped(prompt="a red house", steps=4)

    def clip(front: bool, **motion: float) -> list[np.ndarray]:
        seen = np.full((SIZE, SIZE), front)
        return text_to_frames(
            checkpoint, options, (SIZE, SIZE), 2, seed=3, motion=Motion(across=16, **motion), in_front=lambda pixels: seen
        )  # fmt: skip

    behind, free = clip(False, smooth=1.0), clip(False)
    assert all((a == b).all() for a, b in zip(clip(True, smooth=1.0), free, strict=True))  # all is object: nothing is smoothed
    latents = torch.randn((2, 4, 2, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros((1, 1, 2, 6), dtype=torch.bool)
    mask[..., 1] = True
    smoothed = SmoothBackground(mask, [(0, 0), (16, 0)], 0.6).after_step(latents, None)  # type: ignore[arg-type]
    assert (smoothed[0] == latents[0]).all() and (smoothed[1, ..., 3] == latents[1, ..., 3]).all()  # where the object has come to
    assert torch.allclose(smoothed[1, ..., 4], 0.6 * latents[0, ..., 2] + 0.4 * latents[1, ..., 4])
    inner = slice(24, 48)  # the decoder sees beyond the border elsewhere
    apart = [np.abs(each[1][:, inner].astype(int) - np.roll(each[0], 16, axis=1)[:, inner]).mean() for each in (behind, free)]
    assert apart[0] < 0.5 * apart[1]


def test_noise_goes_where_the_pixels_go_and_stays_normal():
    rows, columns = np.mgrid[:64, :96].astype(np.float32)
    places = np.dstack([columns - 16, rows])  # what was 16 pixels to the left
    cells = cells_along(places)
    assert (cells[:, :2] == -1).all() and (cells[:, 2:] == np.arange(8)[:, None] * 12 + np.arange(10)).all()
    first = torch.randn((1, 4, 8, 12), generator=torch.Generator().manual_seed(1))
    carried = carried_noise(cells, torch.Generator().manual_seed(2))(first)
    assert (carried[..., 2:] == first[..., :-2]).all() and 0.7 < float(carried[..., :2].std()) < 1.3
    assert len(set(carried.flatten().tolist())) == carried.numel()


def test_a_frame_is_the_same_whoever_is_painted_beside_it_and_the_network_is_left_as_it_was():
    checkpoint = attentive_checkpoint()
    before = dict(checkpoint.unet.attn_processors)
    frames = [FrameJob(job(picture(seed=number), square(), "latent noise", 1.0, sampler="Euler a")) for number in range(5)]
    together = paint_frames(checkpoint, frames)
    pair = paint_frames(checkpoint, [frames[0], frames[4]])
    assert np.abs(together[4].astype(int) - pair[1]).max() <= 1
    alone = paint_frames(checkpoint, [frames[0]])[0]
    assert np.abs(alone.astype(int) - together[0]).max() <= 1
    assert np.abs(alone.astype(int) - paint_with(checkpoint, frames[0].job)[0].pixels).max() <= 1
    by_itself = paint_frames(checkpoint, frames, across=False)
    assert np.abs(by_itself[4].astype(int) - paint_with(checkpoint, frames[4].job)[0].pixels).max() <= 1
    assert np.abs(by_itself[4].astype(int) - together[4]).max() > 2  # looking at the first frame changes something
    after = checkpoint.unet.attn_processors
    assert before.keys() == after.keys() and all(after[name] is before[name] for name in before)


def test_frames_that_look_at_the_first_one_with_its_noise_carried_along_flicker_less():
    """Warp error: how much what moves by 8 pixels from frame to frame changes besides."""
    checkpoint, width, shift = attentive_checkpoint(), 96, 8
    carried, alone, masks = [], [], []
    for number in range(4):
        mask = np.zeros((64, width), bool)
        mask[16:48, 8 + shift * number : 40 + shift * number] = True
        wanted = job(picture(width, seed=1), mask, "latent noise", 1.0, sampler="", steps=8)
        rows, columns = np.mgrid[:64, :width].astype(np.float32)
        carried.append(FrameJob(wanted, np.dstack([columns - shift * number, rows]) if number else None))
        alone.append(FrameJob(wanted))
        masks.append(mask)

    def warp_error(frames: list[np.ndarray]) -> float:
        after = zip(frames[1:], frames, masks[1:], strict=False)
        return float(np.mean([np.abs(now.astype(float) - np.roll(before, shift, axis=1))[mask].mean() for now, before, mask in after]))

    ours = warp_error(paint_frames(checkpoint, carried))
    assert ours < warp_error(paint_frames(checkpoint, carried, across=False))
    assert ours < 0.3 * warp_error(paint_frames(checkpoint, alone, across=False))  # as frame by frame


@pytest.mark.parametrize("channels", [9, 4])
def test_inpainting_networks_and_repaint_paint_frames_too(channels):
    checkpoint = random_checkpoint(channels)
    options = {} if channels == 9 else {"engine": "repaint", "sampler": "DDPM", "repaint_jump": 2, "repaint_resamples": 2}
    frames = [FrameJob(job(picture(seed=number), square(), "latent nothing", 1.0, **options)) for number in range(2)]
    painted = paint_frames(checkpoint, frames, across=False)
    for frame, pixels in zip(frames, painted, strict=True):
        assert np.abs(pixels.astype(int) - paint_with(checkpoint, frame.job)[0].pixels).max() <= 1


def test_what_a_clip_cannot_be_painted_with_is_said():
    checkpoint = random_checkpoint()
    with pytest.raises(InvalidInput, match="DDIM"):
        text_to_frames(checkpoint, grouped(sampler="Euler a"), (64, 64), 2, seed=0)
    with pytest.raises(InvalidInput, match="one result"):
        text_to_frames(checkpoint, grouped(batch_count=2), (64, 64), 2, seed=0)
    with pytest.raises(InvalidInput, match="at least 4 steps"):
        text_to_frames(checkpoint, grouped(steps=3), (64, 64), 2, seed=0)
    with pytest.raises(InvalidInput, match="prompt alone"):
        text_to_frames(random_checkpoint(9), grouped(), (64, 64), 2, seed=0)
