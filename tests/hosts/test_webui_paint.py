"""Painting through the stand-ins: what the web UI is asked for, what comes back, and that it does not notice afterwards."""

from __future__ import annotations

import base64
import copy
import dataclasses
import io
import time
import types

import numpy as np
import pytest
from PIL import Image

from clickpaint.control import registry
from clickpaint.errors import HostFailed, HostUnsupported, Interrupted, InvalidInput, OutOfMemory
from clickpaint.hosts.webui import img2img
from clickpaint.hosts.webui.host import WebUIHost
from clickpaint.hosts.webui.probe import loaded_model, native_size
from clickpaint.hosts.webui.runner import control_names, has_control, runner_for
from clickpaint.paint import flat_options
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit, PaintJob, PaintOptions
from clickpaint.progress import SILENT, Progress
from tests.hosts.standin import colour


def job(options: PaintOptions | None = None, *, content: str = "fill", strength: float = 1.0, seed: int = 3, count: int = 1) -> PaintJob:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    mask = np.zeros((24, 32), bool)
    mask[8:16, 8:24] = True
    return PaintJob(pixels, mask, options or grouped(steps=3), content, strength, seed, count)  # type: ignore[arg-type]


def state_of(web) -> dict:
    """Everything of the web UI that must be after a job what it was before."""
    runner = web.scripts.scripts_img2img
    return {
        "options": copy.deepcopy(web.shared.opts.data),
        "scripts": [(id(script), script.args_from, script.args_to) for script in runner.alwayson_scripts],
        "all scripts": [id(script) for script in runner.scripts],
        "inputs": [id(one) for one in runner.inputs],
        "callbacks": copy.copy(runner.callback_map),
        "titles": dict(runner.title_map),
        "history": web.shared.cmd_opts.no_prompt_history,
        "job": (web.shared.state.job, web.shared.state.job_count),
        "bars": id(web.shared.total_tqdm),
    }


def painted(web, wanted: PaintJob, progress: Progress = SILENT):
    before = state_of(web)
    with WebUIHost().exclusive():
        try:
            return WebUIHost().paint(wanted, progress)
        finally:
            assert state_of(web) == before
            assert web.closed == web.runs


def test_the_crop_is_painted_at_its_own_size_and_nothing_else_is_asked_for(web):
    options = grouped(
        prompt="a cat", negative_prompt="dog", styles=("Photo",), sampler="DPM++ 2M", scheduler="Karras", steps=3, cfg_scale=5.5
    )
    wanted = job(options, strength=0.5)
    results = painted(web, wanted)
    (p,) = web.runs
    assert (p.width, p.height, p.seed, p.n_iter, p.batch_size, p.steps, p.cfg_scale) == (32, 24, 3, 1, 1, 3, 5.5)
    assert (p.prompt, p.negative_prompt, p.styles, p.sampler_name, p.scheduler) == ("a cat", "dog", ["Photo"], "DPM++ 2M", "Karras")
    assert (p.inpaint_full_res, p.mask_blur_x, p.mask_blur_y, p.resize_mode, p.denoising_strength) == (False, 0, 0, 0, 0.5)
    assert p.do_not_save_samples and p.do_not_save_grid and p.is_api and p.user is None
    assert p.scripts.alwayson_scripts == [] and p.script_args == (0,)
    assert not web.wrote_history  # params.txt stays that of the page's last own generation
    assert np.array_equal(np.asarray(p.init_images[0]), wanted.pixels)
    assert np.array_equal(np.asarray(p.image_mask) > 0, wanted.mask)
    assert len(results) == 1 and results[0].seed == 3 and results[0].infotext.startswith("a cat\nSteps: 3, Seed: 3")
    assert np.array_equal(results[0].pixels[~wanted.mask], wanted.pixels[~wanted.mask])


@pytest.mark.parametrize(("content", "number"), [("fill", 0), ("original", 1), ("latent noise", 2), ("latent nothing", 3)])
def test_masked_content(web, content, number):
    painted(web, job(content=content))
    assert web.runs[0].inpainting_fill == number


def test_several_results_have_their_own_seeds_and_texts_and_no_grid_or_mask_among_them(web):
    web.shared.opts.data["return_mask"] = True
    wanted = job(seed=40, count=3)
    results = painted(web, wanted)
    assert [one.seed for one in results] == [40, 41, 42]
    for one in results:
        assert np.array_equal(one.pixels[10, 10], colour(one.seed).astype(np.uint8))
        assert f"Seed: {one.seed}" in one.infotext
    assert web.seen["return_mask"] is False and web.shared.opts.return_mask is True


def test_options_are_set_for_the_call_only(web):
    options = grouped(steps=1, clip_skip=2, token_merging_ratio=0.5, vae="good.safetensors")
    painted(web, job(options))
    assert (web.seen["CLIP_stop_at_last_layers"], web.seen["token_merging_ratio"]) == (2, 0.5)
    if web.flavor == "forge":
        assert web.seen["forge_additional_modules"] == ["models/VAE/good.safetensors"] and web.seen["sd_vae"] == "Automatic"
    else:
        assert web.seen["sd_vae"] == "good.safetensors"
    with pytest.raises(HostUnsupported, match=r"good\.safetensors"):
        painted(web, job(grouped(vae="none of that name")))


def test_an_option_that_was_never_stored_stays_so(web):
    """The web UI itself puts back only stored ones."""
    before = dict(web.shared.opts.data)
    del before["CLIP_stop_at_last_layers"], web.shared.opts.data["CLIP_stop_at_last_layers"]
    painted(web, job(grouped(steps=1, clip_skip=2)))
    assert web.seen["CLIP_stop_at_last_layers"] == 2
    assert web.shared.opts.data == before


def test_frozen_settings_are_left_alone(web):
    web.frozen = True
    assert len(painted(web, job())) == 1


@pytest.mark.parametrize(("options", "text"), [(grouped(sampler="No"), "Euler a"), (grouped(scheduler="No"), "Karras")])
def test_unknown_samplers_and_schedulers_are_told_with_those_that_there_are(web, options, text):
    with pytest.raises(HostUnsupported, match=text):
        painted(web, job(options))
    assert web.runs == []


def test_no_checkpoint(web):
    web.sd_models.checkpoints_list.clear()
    with pytest.raises(HostUnsupported, match="no checkpoint"):
        painted(web, job())
    assert not WebUIHost().capabilities().paint


def test_interrupting_ours_reaches_the_web_ui(web):
    steps = []

    def step(p):
        steps.append(p)
        time.sleep(0.02)

    web.on_step = step
    with pytest.raises(Interrupted):
        painted(web, job(grouped(steps=150)), Progress(interrupted=lambda: len(steps) > 3))
    assert web.shared.state.interrupted and len(steps) < 100


def test_the_web_uis_own_interrupt_reaches_us(web):
    web.on_step = lambda p: web.shared.state.interrupt()
    with pytest.raises(Interrupted):
        painted(web, job(count=2))
    web.on_step = lambda p: web.shared.state.stop_generating()
    assert len(painted(web, job(count=3))) == 1  # "after this picture": it is kept
    web.on_step = lambda p: None
    assert len(painted(web, job())) == 1  # and the next job starts afresh


def test_steps_are_reported(web):
    seen = []
    web.on_step = lambda p: time.sleep(0.03)
    painted(web, job(grouped(steps=12), count=2), Progress(seen.append))
    assert seen and seen[-1].total == 24 and all(0 <= one.fraction <= 1 for one in seen)
    assert [one.done for one in seen] == sorted(one.done for one in seen)


@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), OutOfMemory, "--medvram"),
        (MemoryError(), OutOfMemory, "--medvram"),
        ("nan", HostUnsupported, "--no-half-vae"),
        (KeyError("of a script"), HostFailed, "could not paint this: 'of a script' is missing"),
    ],
)
def test_failures_are_explained_and_leave_nothing_behind(web, failure, kind, text):
    web.failure = web.devices.NansException("all NaN") if failure == "nan" else failure
    with pytest.raises(kind, match=text) as caught:
        painted(web, job(grouped(steps=2, clip_skip=3)))
    assert caught.value.__cause__ is not caught.value
    assert web.shared.opts.CLIP_stop_at_last_layers == 1
    assert len(painted(web, job())) == 1


# scripts


def preprocessor(name: str) -> types.SimpleNamespace:
    return types.SimpleNamespace(label=name, do_not_need_model=name == "depth_midas")


class FakeState:
    """Of Forge: functions with names. Of sd-webui-controlnet: a dict of models, and preprocessors elsewhere."""

    def __init__(self, forge: bool) -> None:
        if forge:
            self.get_preprocessor = preprocessor
            self.get_all_preprocessor_names = lambda: ["None", "canny", "depth_midas"]
            self.get_all_controlnet_names = lambda: ["None", "control_canny [12ab34cd]"]
            self.controlnet_filename_dict = {"None": None}
        else:
            self.cn_models = {"None": None}
            self.cn_models_names = {"none": "None", "control_canny": "control_canny [12ab34cd]"}


def control_script(web):
    """Its functions' globals are those of a module that is not in `sys.modules`, as scripts are in the web UI."""
    labels = [preprocessor(name) for name in ("none", "canny", "depth_midas")]
    web.put_back = []
    kind = types.SimpleNamespace(get_sorted_preprocessors=lambda: labels, get_preprocessor=preprocessor)
    space = {
        "scripts": web.scripts,
        "global_state": FakeState(web.flavor == "forge"),
        **({} if web.flavor == "forge" else {"Preprocessor": kind}),
        "__name__": "controlnet.py",
        "put_back": web.put_back,
    }
    exec(
        "class Script(scripts.Script):\n"
        "    def title(self): return 'ControlNet'\n"
        "    def process(self, p, *units): p.extra_generation_params['units'] = units\n"
        "    def postprocess(self, p, processed, *units): put_back.append(len(processed.images))\n",
        space,
    )
    return space["Script"]


def soft_script(web):
    class Soft(web.scripts.Script):
        def title(self):
            return "Soft Inpainting"

        def process(self, p, enabled, power, scale):
            p.extra_generation_params["soft"] = (enabled, power, scale)

    return Soft


def stitch_script(web):
    """Forge Neo's, which keeps what it encoded last."""

    class ImageStitch(web.scripts.Script):
        cached_parameters = "the web UI's"

        def title(self):
            return "ImageStitch Integrated"

        def process(self, p, enabled, references, most):
            if ImageStitch.cached_parameters == (cache := [picture.size for picture, _ in references]):
                return
            ImageStitch.cached_parameters = cache
            assert enabled and most == 1024
            if any(picture.width == 3 for picture, _ in references):
                raise ValueError("too narrow")
            p.extra_generation_params["shown"] = [np.asarray(picture) for picture, _ in references]

    return ImageStitch


def test_reference_pictures_go_through_the_script_for_them_and_its_failure_is_told(web):
    shown = [np.full((5, 7, 3), 9, np.uint8), np.full((4, 4, 3), 8, np.uint8)]
    options = grouped(task="instruct", reference_picture=shown[0], further_references=(shown[1],), batch_count=2)
    web.add(Other, [1])
    with pytest.raises(HostUnsupported, match="no reference pictures"):
        painted(web, job(options))
    assert not WebUIHost().capabilities().references
    script = web.add(stitch_script(web), [False, None, 1024])
    kinds = [type(name, (), {"value": value}) for name, value in (("Checkbox", False), ("Gallery", None), ("Slider", 1024))]
    kinds[0] = type("InputAccordionImpl", (kinds[0],), {})  # as the web UI's accordions that switch something on are made
    web.scripts.scripts_img2img.inputs[script.args_from : script.args_to] = [kind() for kind in kinds]
    assert WebUIHost().capabilities().references
    for _ in range(2):  # what it kept of the one before is not taken for what was shown now
        painted(web, job(options, count=2))
        seen = web.runs[-1].extra_generation_params["shown"]
        assert all(np.array_equal(*pair) for pair in zip(seen, shown, strict=True))
        assert type(script).cached_parameters == "the web UI's"
    assert web.runs[-1].extra_generation_params["Clickpaint reference pictures"] == "2"
    with pytest.raises(HostFailed, match="too narrow"):
        painted(web, job(grouped(task="instruct", reference_picture=np.zeros((3, 3, 3), np.uint8))))
    web.reported.clear()


class Other:
    """An always-on script of somebody else that must not take part."""

    def __init__(self) -> None:
        self.args_from = self.args_to = 0

    def title(self):
        return "Other"

    def process(self, p, *args):
        raise AssertionError("a script that was not asked for ran")


def test_only_the_scripts_that_are_wanted_run_and_as_copies(web):
    web.add(Other, [1, 2])
    control = web.add(control_script(web), ["unit 0", "unit 1", "unit 2"])
    softening = web.add(soft_script(web), [False, 1.0, 0.5])
    options = grouped(steps=1, soft_inpainting=True, control=(ControlUnit("canny", "control_canny", weight=0.5, end=0.8),))
    soft = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
    painted(web, dataclasses.replace(job(options), soft=soft))
    (p,) = web.runs
    unit = p.extra_generation_params["units"][0]
    assert len(p.extra_generation_params["units"]) == 1
    assert (unit["module"], unit["model"], unit["weight"], unit["guidance_end"]) == ("canny", "control_canny [12ab34cd]", 0.5, 0.8)
    assert p.extra_generation_params["soft"] == (True, 1.0, 0.5)  # switched on, the rest as in the page
    assert np.abs(np.asarray(p.image_mask) - soft * 255.0).max() <= 0.5 and p.mask_blur_x == 0
    assert all(mine is not theirs for mine, theirs in zip(p.scripts.alwayson_scripts, (control, softening), strict=True))
    assert p.scripts is not web.scripts.scripts_img2img
    assert p.scripts.title_map.keys() == {"controlnet", "soft inpainting"}
    assert web.reported == []


def test_scripts_put_the_model_back_after_a_failure_too(web):
    web.add(control_script(web), ["unit 0"])
    web.failure = KeyError("of a script")
    with pytest.raises(HostFailed, match="of a script"):
        painted(web, job(grouped(steps=1, control=(ControlUnit("canny", "control_canny"),))))
    assert web.put_back == [0]


FLUX = {"controlnet_x_embedder.weight": (8, 8), "single_transformer_blocks.0.attn.to_q.weight": (8, 8)}
SD1 = {"control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768)}
XL = {"down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, 2048)}


@pytest.mark.parametrize(
    ("shapes", "engine", "text"),
    [
        (FLUX, "StableDiffusion", "made for Flux, but the checkpoint is Stable Diffusion 1"),
        (XL, "StableDiffusion", "made for Stable Diffusion XL, but the checkpoint is Stable Diffusion 1"),
        (SD1, "Flux", "made for Stable Diffusion 1, but the checkpoint is Flux"),
        (FLUX, "Flux2", "made for Flux, but the checkpoint is Flux.2 Klein"),
        (SD1, "StableDiffusion", ""),
        (FLUX, "Flux", ""),
        ({"a": (1,)}, "Flux", ""),
    ],
)
def test_a_controlnet_of_another_family_is_refused_before_anything_runs(web, tmp_path, monkeypatch, shapes, engine, text):
    import torch
    from safetensors.torch import save_file

    save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, tmp_path / "control_canny.safetensors")
    script = web.add(control_script(web), ["unit 0"])
    state = type(script).title.__globals__["global_state"]
    files = state.controlnet_filename_dict if web.flavor == "forge" else state.cn_models
    files["control_canny [12ab34cd]"] = str(tmp_path / "control_canny.safetensors")
    loaded = type(engine, (), {"forge_objects": object()})()
    monkeypatch.setattr("clickpaint.hosts.webui.probe.loaded_model", lambda: loaded)
    monkeypatch.setattr("clickpaint.hosts.webui.loaded_family.native_size", lambda model: 512)
    wanted = job(grouped(control=(ControlUnit("canny", "control_canny"),)))
    if not text:
        assert runner_for(wanted)
        return
    with pytest.raises(InvalidInput, match=text):
        runner_for(wanted)


def test_names_of_controlnet(web):
    assert not has_control()
    assert control_names() == ([], [])
    web.add(control_script(web), ["unit 0"])
    none = "None" if web.flavor == "forge" else "none"
    assert control_names()[0] == [none, "canny", "depth_midas"]
    assert "control_canny [12ab34cd]" in control_names()[1]
    assert WebUIHost().capabilities().controlnet


def test_units_that_the_web_ui_would_leave_out_without_a_word_are_refused(web):
    web.add(control_script(web), ["unit 0"])
    for unit, text in (
        (ControlUnit("cany", "control_canny"), "canny"),
        (ControlUnit("canny", "control_depth"), "control_canny"),
        (ControlUnit("canny", "None"), "needs a"),
    ):
        with pytest.raises(HostUnsupported, match=text):
            runner_for(job(grouped(control=(unit,))))
    _, arguments = runner_for(job(grouped(control=(ControlUnit("Depth_MiDaS", ""),))))
    assert (arguments[1]["module"], arguments[1]["model"]) == ("depth_midas", "None")


def test_sliders_and_finished_maps_reach_the_units(web):
    web.add(control_script(web), ["unit 0"])
    keys = [parameter.key for parameter in registry.info("canny").parameters]
    asked = ControlUnit("canny", "control_canny", values=tuple(zip(keys, (40.0, 90.0), strict=True)), resolution=384)
    drawn = np.zeros((64, 64, 3), np.uint8)
    drawn[10, 20] = 255
    made = job(grouped(control=(asked, ControlUnit("canny", "control_canny", map=drawn))))
    _, arguments = runner_for(dataclasses.replace(made, maps=(None, drawn)))
    first, second = arguments[1:]
    assert (first["threshold_a"], first["threshold_b"], first["processor_res"], first["pixel_perfect"]) == (40.0, 90.0, 384, False)
    assert "image" not in first and second["module"].lower() == "none"
    with Image.open(io.BytesIO(base64.b64decode(second["image"]))) as picture:
        assert np.array_equal(np.asarray(picture), drawn)


def test_scripts_that_are_missing_are_told(web):
    with pytest.raises(HostUnsupported, match="starting"):
        painted(web, job(grouped(soft_inpainting=True)))
    web.add(Other, [])
    for options in (grouped(soft_inpainting=True), grouped(control=(ControlUnit("canny", "x"),))):
        with pytest.raises(HostUnsupported, match="has no"):
            painted(web, job(options))


# what it is


def test_capabilities_and_folders(web, monkeypatch, tmp_path):
    host = WebUIHost()
    capabilities = host.capabilities()
    assert host.name == ("Forge" if web.flavor == "forge" else "A1111")
    assert capabilities.paint and not capabilities.controlnet and capabilities.reason == ""
    assert capabilities.samplers == ("Euler a", "DPM++ 2M") and capabilities.schedulers == ("Automatic", "Karras")
    assert capabilities.checkpoints == ("tiny [abc]",) and capabilities.checkpoint == "tiny [abc]" and capabilities.native_size == 512
    folders = host.folders("sam")
    assert folders[0].parts[-2:] == ("models_path", "sam") and any("sd-webui-segment-anything" in str(one) for one in folders)
    web.shared.opts.data["clickpaint_models_dir"] = str(tmp_path)
    assert host.folders("sam")[0] == tmp_path / "sam"
    hed = tmp_path / "sd-webui-controlnet" / "annotator" / "downloads" / "hed"
    faces = hed.parent / "insightface" / "models" / "antelopev2"
    hed.mkdir(parents=True)
    faces.mkdir(parents=True)
    monkeypatch.setattr(web.paths, "extensions_dir", str(tmp_path))
    assert {hed, faces} <= {*host.folders("control")} and hed not in host.folders("sam")


def test_native_sizes(web):
    def model(**known):
        predictor = types.SimpleNamespace(prediction_type=known.pop("forge", "epsilon"))
        unet = types.SimpleNamespace(model=types.SimpleNamespace(predictor=predictor))
        return types.SimpleNamespace(forge_objects=types.SimpleNamespace(unet=unet), **known)

    assert native_size(model(is_sd1=True)) == 512
    assert native_size(model(is_sd2=True)) == 512
    velocity = {"forge": "v_prediction"} if web.flavor == "forge" else {"parameterization": "v"}
    assert native_size(model(is_sd2=True, **velocity)) == 768
    assert native_size(model(is_sdxl=True)) == 1024
    assert native_size(model()) == 1024


def test_a_placeholder_is_no_model(web):
    web.sd_models.model_data.sd_model = type("FakeInitialModel", (), {})()
    assert loaded_model() is None
    assert WebUIHost().capabilities().checkpoint == ""


def test_the_preview_is_the_web_uis(web):
    web.shared.state.current_image = "picture"
    assert img2img.preview() == "picture"


def test_every_option_is_used():
    """A new option must be given to the web UI, or belong to what is done around it."""
    elsewhere = {
        "task", "seed", "denoising_strength", "masked_content", "batch_count", "grow", "feather", "resolution", "refine",
        "refine_strength", "expand", "control", "soft_inpainting", "engine", "image_cfg_scale", "repaint_jump", "repaint_resamples",
        "system", "jpeg_quality",
    } | {name for name in flat_options.DEFAULTS if flat_options.group_of(name) in ("guide", "reference", "edit")}  # fmt: skip
    here = {
        "prompt",
        "negative_prompt",
        "styles",
        "sampler",
        "scheduler",
        "steps",
        "cfg_scale",
        "clip_skip",
        "vae",
        "token_merging_ratio",
        "distilled_cfg_scale",
    }
    assert {*flat_options.DEFAULTS} == elsewhere | here


def test_without_a_chosen_schedule_the_web_ui_is_told_automatic(web):
    """It would take that by itself, but with a warning in its log at every painting."""
    painted(web, job())
    assert web.runs[-1].scheduler == "Automatic"
