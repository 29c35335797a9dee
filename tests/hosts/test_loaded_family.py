"""What the loaded model is, and that a painting starts with what the web UI's own preset for it says."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from clickpaint.errors import HostFailed
from clickpaint.hosts.model_family import ModelFamily, Preset
from clickpaint.hosts.webui.host import WebUIHost
from clickpaint.hosts.webui.loaded_family import family_of, preset_for
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import PaintJob
from clickpaint.progress import SILENT


def engine(kind: str, **flags):
    """A model as Forge and its forks hold one: they differ by the class of the engine and by its flags."""
    predictor = types.SimpleNamespace(prediction_type="epsilon")
    unet = types.SimpleNamespace(model=types.SimpleNamespace(predictor=predictor))
    title = types.SimpleNamespace(title=f"{kind} [abc]")
    return type(kind, (), {"forge_objects": types.SimpleNamespace(unet=unet), "sd_checkpoint_info": title, **flags})()


@pytest.mark.parametrize(
    ("model", "name", "size", "guidance"),
    [
        (engine("StableDiffusion", is_sd1=True), "Stable Diffusion 1", 512, ""),
        (engine("StableDiffusion2", is_sd2=True), "Stable Diffusion 2", 512, ""),
        (engine("StableDiffusionXL"), "Stable Diffusion XL", 1024, ""),
        (engine("Flux", use_distilled_cfg_scale=True), "Flux", 1024, "distilled CFG"),
        (engine("Flux", use_distilled_cfg_scale=False), "Flux", 1024, ""),
        (engine("ZImage", use_shift=True), "Z-Image", 1024, "shift"),
        (engine("OfTomorrow", use_shift=True), "OfTomorrow", 1024, "shift"),
    ],
)
def test_an_engine_is_known_by_its_class_and_its_flags(web, model, name, size, guidance):
    if web.flavor != "forge":
        pytest.skip("engines are Forge's")
    family = family_of(model)
    assert (family.name, family.native_size, family.guidance, family.instructs) == (name, size, guidance, False)


def test_neo_tells_the_models_that_take_instructions(web, monkeypatch):
    switches = {"kontext": True, "edit": True}
    monkeypatch.setitem(sys.modules, "backend", types.ModuleType("backend"))
    monkeypatch.setitem(sys.modules, "backend.args", types.SimpleNamespace(dynamic_args=switches))
    assert family_of(engine("Flux", use_distilled_cfg_scale=True)).name == "Flux Kontext"
    assert family_of(engine("QwenImage")).instructs and not family_of(engine("Chroma")).instructs
    switches.update(kontext=False)
    assert not family_of(engine("Flux")).instructs


def painted(web, **options):
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    job = PaintJob(np.zeros((16, 16, 3), np.uint8), mask, grouped(steps=2, **options), "fill", 0.5, 3)
    with WebUIHost().exclusive():
        WebUIHost().paint(job, SILENT)
    return web.runs[-1]


def test_a_painting_starts_with_the_preset_and_what_the_user_says_goes_before(web, monkeypatch):
    if web.flavor != "forge":
        family = WebUIHost().capabilities().family
        assert family is not None and family.name == "Stable Diffusion 1" and preset_for(family) == Preset()
        assert painted(web).cfg_scale == 7.0 and not hasattr(web.runs[-1], "distilled_cfg_scale")
        return
    monkeypatch.setattr(web.sd_models.model_data, "sd_model", engine("Flux", use_distilled_cfg_scale=True))
    loaded = []
    monkeypatch.setattr(web.sd_models, "forge_model_reload", lambda: loaded.append(True))
    for name, value in {"flux_i2i_cfg": 1.5, "flux_i2i_d_cfg": 3.0, "flux_i2i_sampler": "DPM++ 2M", "flux_i2i_scheduler": "Karras"}.items():
        monkeypatch.setattr(type(web.shared.opts), name, value, raising=False)
    assert WebUIHost().capabilities().preset == Preset("DPM++ 2M", "Karras", 1.5, 3.0)
    p = painted(web)
    assert (p.cfg_scale, p.distilled_cfg_scale, p.sampler_name, p.scheduler) == (1.5, 3.0, "DPM++ 2M", "Karras")
    assert loaded  # before the preset was looked for
    p = painted(web, cfg_scale=2.0, distilled_cfg_scale=6.0, sampler="Euler a", scheduler="Automatic")
    assert (p.cfg_scale, p.distilled_cfg_scale, p.sampler_name, p.scheduler) == (2.0, 6.0, "Euler a", "Automatic")


def test_without_a_preset_the_makers_recommendation_counts(web):
    assert preset_for(ModelFamily("Chroma", cfg_scale=4.0, presets=("no_such",))) == Preset(cfg_scale=4.0)


def test_an_edit_model_is_shown_the_crop_and_leaves_no_picture_behind(web, monkeypatch):
    if web.flavor != "forge":
        pytest.skip("engines are Forge's")
    model = engine("Flux", use_distilled_cfg_scale=True, ref_latents=["of the page"])
    switches = {"kontext": True, "edit": False, "ref_latents": ["of the last generation"]}
    monkeypatch.setitem(sys.modules, "backend", types.ModuleType("backend"))
    monkeypatch.setitem(sys.modules, "backend.args", types.SimpleNamespace(dynamic_args=switches))
    monkeypatch.setattr(web.sd_models.model_data, "sd_model", model)
    monkeypatch.setattr(web.shared, "sd_model", model)
    seen = []

    def step(p):
        seen.append(
            (p.image_mask, p.denoising_strength, list(switches["ref_latents"]), list(model.ref_latents), p.cached_c is type(p).cached_c)
        )
        model.ref_latents.append("ours")
        switches["ref_latents"] = ["ours"]

    web.on_step = step
    mask = np.zeros((16, 16), bool)
    mask[4:12, 4:12] = True
    job = PaintJob(np.zeros((16, 16, 3), np.uint8), mask, grouped(task="instruct", steps=2, prompt="make it red"), "original", 0.5, 3)
    with WebUIHost().exclusive():
        WebUIHost().paint(job, SILENT)
    assert seen[0] == (None, 1.0, [], [], False)
    assert (model.ref_latents, switches["ref_latents"]) == (["of the page"], ["of the last generation"])


class Shifted:
    """The schedule of a flow, as Forge Neo has it."""

    prediction_type, shift = "const", 3.0

    def set_parameters(self, *, shift):
        self.shift = shift


def test_the_shift_of_a_painting_is_not_that_of_the_next_generation(web, monkeypatch):
    if web.flavor != "forge":
        pytest.skip("engines are Forge's")
    model = engine("ZImage", use_shift=True)
    predictor = model.forge_objects.unet.model.predictor = Shifted()
    monkeypatch.setattr(web.sd_models.model_data, "sd_model", model)
    web.on_step = lambda p: predictor.set_parameters(shift=p.distilled_cfg_scale)
    assert painted(web, distilled_cfg_scale=6.0).distilled_cfg_scale == 6.0
    assert predictor.shift == 3.0


def test_a_checkpoint_that_cannot_be_loaded_is_said(web, monkeypatch):
    if web.flavor != "forge":
        pytest.skip("A1111 loads at its start")

    def fails():
        raise ValueError("Failed to recognize model type!")

    monkeypatch.setattr(web.sd_models, "forge_model_reload", fails)
    with pytest.raises(HostFailed, match="could not load its checkpoint: Failed to recognize model type"):
        painted(web)
