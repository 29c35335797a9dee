"""ControlNets at work: what they add in numbers, and pictures against diffusers' own pipelines and against their maps."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import InvalidInput, NotFound
from clickpaint.paint.adapters.control_influence import Control, ControlPart, control_image
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.diffusion.loop import Inputs, Moment
from clickpaint.paint.diffusion.sampling import Tools, paint_with, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit, PaintJob
from clickpaint.weights.cache import ModelCache
from tests.paint.diffusion.test_equality import apart, asked, pil, pipeline
from tests.paint.diffusion.toys import SIZE, job, picture, square, toy_checkpoint
from tests.toys import controlnet as toys


@functools.cache
def lively(in_channels: int = 4) -> Any:
    """The toy checkpoint with a U-Net in which every weight counts."""
    unet = toys.unet(in_channels=in_channels).requires_grad_(False)
    return replace(toy_checkpoint(in_channels), unet=unet)


def maps() -> dict[str, np.ndarray]:
    """Control maps of a scene with a box and a person, uint8 [SIZE, SIZE, 3]."""
    import cv2

    scene = np.full((SIZE, SIZE, 3), 40, np.uint8)
    scene[20:44, 12:50] = 200
    y = np.linspace(255, 0, SIZE).astype(np.uint8)
    pose = np.zeros((SIZE, SIZE, 3), np.uint8)
    cv2.line(pose, (32, 10), (32, 40), (255, 0, 0), 3)
    cv2.line(pose, (32, 40), (20, 60), (0, 255, 0), 3)
    return {
        "canny": cv2.cvtColor(cv2.Canny(scene, 100, 200), cv2.COLOR_GRAY2RGB),
        "depth": np.repeat(np.repeat(y[:, None], SIZE, 1)[..., None], 3, 2),
        "openpose": pose,
    }


USES = {
    "canny": [ControlUnit("canny", "control_v11p_sd15_canny")],
    "depth": [ControlUnit("depth", "control_v11f1p_sd15_depth", weight=0.8)],
    "inpaint": [ControlUnit("inpaint_only", "control_v11p_sd15_inpaint")],
    "canny + pose": [ControlUnit("canny", "control_v11p_sd15_canny", 0.7), ControlUnit("openpose", "control_v11p_sd15_openpose", 1.2)],
}
"""The four uses that are shown."""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A host's folders: random ControlNets for each use, and hand-set ones that let their maps through."""
    folder = tmp_path_factory.mktemp("ControlNet")
    names = sorted({unit.model for units in USES.values() for unit in units})
    for seed, name in enumerate(names, 1):
        save_file(toys.state_dict(seed=seed, scale=0.5), folder / f"{name}.safetensors")
    torch.save({"state_dict": toys.tracing()}, folder / "tracing.pth")
    return folder


@pytest.fixture
def toolbox(files):
    return Toolbox(lambda kind: [files], ModelCache(lambda: 1 << 32), lambda unit, job: maps()[unit.preprocessor])


def tools(toolbox) -> Tools:
    return Tools(control=toolbox.control)


def inputs(branches=("uncond", "cond"), batch=1, size=8, context=768):
    generator = torch.Generator().manual_seed(2)
    rows = batch * len(branches)
    return Inputs(branches, torch.randn(rows, 4, size, size, generator=generator), torch.randn(rows, 77, context, generator=generator))


def moment(index=0, count=10):
    return Moment(index / count, (index + 1) / count, torch.tensor(500), torch.tensor(400), None, [], 500)


@functools.cache
def controlnet(seed=1, **changes):
    return load_controlnet(toys.state_dict(seed=seed, scale=0.5), lively(), **changes)


MAP = control_image(picture())


def spoken(control: Control, asked: Inputs, when: Moment | None = None) -> Any:
    """All residuals in order, or None."""
    with torch.no_grad():
        residuals = ControlPart([control]).residuals(asked, when or moment())
    return None if residuals is None else [*residuals.down, residuals.mid]


def test_a_control_image_is_the_map_and_a_hole_is_minus_one():
    pixels, mask = picture(), square()
    image = control_image(pixels, mask)
    assert image.shape == (1, 3, SIZE, SIZE) and image.dtype == torch.float32
    values = image[0].permute(1, 2, 0).numpy()
    assert (values[mask] == -1).all()
    np.testing.assert_allclose(values[~mask] * 255, pixels[~mask], atol=1e-4)


def test_balanced_is_what_the_model_says_times_the_weight():
    model, asked = controlnet(), inputs()
    with torch.no_grad():
        down, mid = model(asked.sample, 500, asked.context, MAP.expand(2, -1, -1, -1), conditioning_scale=0.6, return_dict=False)
    for ours, theirs in zip(spoken(Control(model, MAP, 0.6), asked), [*down, mid], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_my_prompt_is_more_important_fades_with_depth():
    model, asked = controlnet(), inputs()
    plain, soft = spoken(Control(model, MAP), asked), spoken(Control(model, MAP, 0.5, mode="prompt"), asked)
    assert len(plain) == 13
    for index, (one, other) in enumerate(zip(plain, soft, strict=True)):
        torch.testing.assert_close(other, one * 0.5 * 0.825 ** (12 - index), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(soft[12], plain[12] * 0.5)


@pytest.mark.parametrize("branches", [("uncond", "cond"), ("cond", "image", "uncond"), ("cond",)])
def test_controlnet_is_more_important_speaks_to_the_prompts_side_alone(branches):
    model, asked = controlnet(), inputs(branches, batch=2)
    soft, one_sided = spoken(Control(model, MAP, mode="prompt"), asked), spoken(Control(model, MAP, mode="control"), asked)
    for one, other in zip(soft, one_sided, strict=True):
        for row, branch in enumerate(branch for branch in branches for _ in range(2)):
            expected = one[row] if branch == "cond" else torch.zeros_like(one[row])
            torch.testing.assert_close(other[row], expected, rtol=1e-4, atol=1e-5)
    assert spoken(Control(model, MAP, mode="control"), inputs(("uncond",))) is None


def test_shuffle_speaks_of_the_whole_picture_to_the_prompts_side():
    asked = inputs()
    plain, pooled = spoken(Control(controlnet(), MAP), asked), spoken(Control(controlnet(name="shuffle"), MAP), asked)
    for one, other in zip(plain, pooled, strict=True):
        assert other.shape == (2, one.shape[1], 1, 1) and not other[0].any()
        torch.testing.assert_close(other[1, :, 0, 0], one[1].mean((1, 2)), rtol=1e-3, atol=1e-5)


def test_sdxl_has_fewer_voices_and_hears_the_sizes():
    checkpoint = toys.checkpoint(toys.SDXL)
    model = load_controlnet(toys.state_dict(toys.SDXL), checkpoint)
    asked = replace(inputs(context=2048), added={"text_embeds": torch.randn(2, 64), "time_ids": torch.full((2, 6), 64.0)})
    residuals = spoken(Control(model, MAP, mode="prompt"), asked)
    plain = spoken(Control(model, MAP), asked)
    assert len(residuals) == 10
    torch.testing.assert_close(residuals[9], plain[9] * 0.825**3)
    other = spoken(Control(model, MAP), replace(asked, added={**asked.added, "time_ids": torch.full((2, 6), 512.0)}))
    assert float((other[9] - plain[9]).abs().max()) > 1e-3


def test_it_acts_from_start_to_end():
    control = Control(controlnet(), MAP, start=0.3, end=0.7)
    acting = [index for index in range(10) if spoken(control, inputs(), moment(index)) is not None]
    assert acting == [3, 4, 5, 6, 7]
    assert spoken(Control(controlnet(), MAP, weight=0), inputs()) is None


def test_several_add_up():
    first, second = Control(controlnet(1), MAP, 0.5), Control(controlnet(2), 1 - MAP, mode="control")
    with torch.no_grad():
        both = ControlPart([first, second]).residuals(inputs(), moment())
    assert both is not None
    for index, one in enumerate([*both.down, both.mid]):
        torch.testing.assert_close(one, spoken(first, inputs())[index] + spoken(second, inputs())[index])


def test_a_map_of_another_size_is_refused():
    with pytest.raises(InvalidInput, match="64 x 64 pixels, but 128 x 128 are painted"):
        spoken(Control(controlnet(), MAP), inputs(size=16))


def test_the_inpainting_checkpoints_further_channels_are_not_its_business(toolbox):
    # asked before any part adds channels, in whatever order the parts are
    units = USES["inpaint"]
    result = paint_with(lively(9), job(picture(), square(), control=tuple(units)), tools=tools(toolbox))[0].pixels
    plain = paint_with(lively(9), job(picture(), square()))[0].pixels
    assert np.abs(result.astype(int) - plain).max() > 8


def reference(toolbox, checkpoint, units):
    """diffusers' model of these units."""
    from diffusers import MultiControlNetModel

    models = [toolbox.controlnet(unit.model, checkpoint) for unit in units]
    return models[0] if len(models) == 1 else MultiControlNetModel(models)


def arguments(units, wanted: PaintJob, steps: int) -> dict[str, Any]:
    """The units as diffusers' pipelines take them; they let one act in a step that ends before `end`, we in one that begins before."""
    images = [
        control_image(wanted.pixels, wanted.mask) if unit.preprocessor.startswith("inpaint") else control_image(maps()[unit.preprocessor])
        for unit in units
    ]
    weights = {
        "controlnet_conditioning_scale": [float(unit.weight) for unit in units],
        "control_guidance_start": [unit.start for unit in units],
        "control_guidance_end": [min(unit.end + 1 / steps, 1.0) for unit in units],
    }
    single = len(units) == 1
    return {key: value[0] if single else value for key, value in {"images": images, **weights}.items()}


@pytest.mark.parametrize(("use", "sampler"), [*((use, "Euler a") for use in USES), ("canny", "DPM++ 2M")])
def test_each_use_paints_what_diffusers_pipeline_paints(use, sampler, toolbox, monkeypatch):
    checkpoint, units = lively(), USES[use]
    options = grouped(prompt="a red house", negative_prompt="blurry", steps=5, sampler=sampler, control=tuple(units))
    everywhere = np.ones((SIZE, SIZE), bool)
    wanted = PaintJob(np.full((SIZE, SIZE, 3), 128, np.uint8), everywhere, options, "latent nothing", 1.0, 3)
    ours = text_to_image(checkpoint, options, (SIZE, SIZE), seed=3, tools=tools(toolbox))[0].pixels
    pipe = pipeline("StableDiffusionControlNetPipeline", checkpoint, options, monkeypatch, controlnet=reference(toolbox, checkpoint, units))
    given = arguments(units, wanted, 5)
    assert apart(ours, pipe(image=given.pop("images"), **given, **asked(checkpoint, wanted))) <= 1
    without = text_to_image(checkpoint, replace(options, control=()), (SIZE, SIZE), seed=3)[0].pixels
    assert np.abs(ours.astype(int) - without).max() > 8


# What a ControlNet is shown and what the checkpoint's network is given beside the latents do not meet; where they could (the map with the
# hole, on nine channels) the test above looks. Each use is seen once, and each kind of checkpoint twice.
@pytest.mark.parametrize(("use", "channels"), [("canny", 4), ("depth", 9), ("inpaint", 4), ("canny + pose", 9)])
def test_each_use_fills_a_hole_as_diffusers_pipeline_does(use, channels, toolbox, monkeypatch):
    checkpoint, units = lively(channels), USES[use]
    wanted = job(picture(), square(), "original", 0.8, control=tuple(units))
    ours = paint_with(checkpoint, wanted, tools=tools(toolbox))[0].pixels
    model = reference(toolbox, checkpoint, units)
    pipe = pipeline("StableDiffusionControlNetInpaintPipeline", checkpoint, wanted.options, monkeypatch, controlnet=model)
    given = arguments(units, wanted, 6)
    theirs = pipe(
        image=pil(wanted.pixels), mask_image=pil(wanted.mask), control_image=given.pop("images"), strength=0.8, width=SIZE, height=SIZE,
        **given, **asked(checkpoint, wanted),
    )  # fmt: skip
    assert apart(ours, theirs) <= 1


def test_start_and_end_paint_what_diffusers_pipeline_paints(toolbox, monkeypatch):
    checkpoint, units = lively(), [ControlUnit("canny", "control_v11p_sd15_canny", 1.5, start=0.25, end=0.6)]
    wanted = job(picture(), np.ones((SIZE, SIZE), bool), "latent nothing", 1.0, steps=8, control=tuple(units))
    ours = paint_with(checkpoint, wanted, tools=tools(toolbox))[0].pixels
    model = reference(toolbox, checkpoint, units)
    pipe = pipeline("StableDiffusionControlNetPipeline", checkpoint, wanted.options, monkeypatch, controlnet=model)
    given = arguments(units, wanted, 8)
    assert apart(ours, pipe(image=given.pop("images"), **given, **asked(checkpoint, wanted))) <= 1


@pytest.mark.parametrize("names", [["canny"], ["depth"], ["canny", "openpose"]], ids=["canny", "depth", "canny + pose"])
def test_the_maps_shine_through_what_is_painted(names, toolbox):
    checkpoint, mask = toy_checkpoint(), square()
    plain = job(picture() // 4 + 96, mask, "latent noise", 1.0, steps=8, cfg_scale=1.0, negative_prompt="")
    units = tuple(ControlUnit(name, "tracing", weight=1 / len(names)) for name in names)
    with_maps = replace(plain, options=replace(plain.options, control=units))
    before, after = (paint_with(checkpoint, one, tools=tools(toolbox))[0].pixels.astype(int) for one in (plain, with_maps))
    cells = np.mean([maps()[name] for name in names], axis=0, dtype=float).reshape(8, 8, 8, 8, 3).mean((1, 3))
    hole = mask[::8, ::8]
    change = (after - before)[::8, ::8]
    # one channel may be as bright as it can be
    likeness = np.median([np.corrcoef(change[hole, channel], cells[hole, channel])[0, 1] for channel in range(3)])
    assert likeness > 0.6
    assert not change[~hole].any()  # around the hole nothing is painted


def test_the_inpainting_controlnet_sees_the_surroundings_and_nothing_in_the_hole(toolbox):
    mask, units = square(), (ControlUnit("inpaint_only", "control_v11p_sd15_inpaint"),)
    pixels = picture()
    inside, outside = pixels.copy(), pixels.copy()
    inside[mask] = 255 - inside[mask]
    outside[~mask] = 255 - outside[~mask]

    def said(seen):
        part = toolbox.control(lively(), job(seen, mask, control=units))[0]
        with torch.no_grad():
            return part.residuals(inputs(), moment()).mid

    assert torch.equal(said(pixels), said(inside))
    assert not torch.allclose(said(pixels), said(outside), atol=1e-3)


def test_units_are_found_by_name_and_held_in_the_cache(toolbox, files):
    checkpoint = lively()
    assert toolbox.controlnets() == sorted([*{unit.model for units in USES.values() for unit in units}, "tracing"])
    first = toolbox.controlnet("control_v11p_sd15_canny [d14c016b]", checkpoint)
    assert toolbox.controlnet("Control_v11p_sd15_canny", checkpoint) is first
    with pytest.raises(NotFound, match=r"no ControlNet 'control_v11p_sd15_cany'\. Similar: control_v11p_sd15_canny"):
        toolbox.controlnet("control_v11p_sd15_cany", checkpoint)
    with pytest.raises(NotFound):
        toolbox.controlnet(f"../{files.name}/tracing", checkpoint)
    with pytest.raises(InvalidInput, match="names no model"):
        toolbox.control(checkpoint, job(picture(), square(), control=(ControlUnit("canny", "None"),)))
    shown = toolbox.control(checkpoint, job(picture(), square(), control=(ControlUnit("none", "tracing"),)))[0]
    assert torch.equal(shown.controls[0].image, MAP)
