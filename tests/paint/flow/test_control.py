"""ControlNets of the flow-matching families: from files, and the same pictures as diffusers' pipelines with the same networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.checkpoint.opening import open_any
from clickpaint.paint.diffusion.loop import generators
from clickpaint.paint.diffusion.sampling import Tools, paint_with
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit, PaintJob
from clickpaint.weights.cache import ModelCache
from tests.paint.diffusion.toys import picture
from tests.paint.flow.test_pipelines import (
    DYNAMIC,
    SIZE,
    Toy,
    assert_same,
    decoded,
    flux_parts,
    pil,
    pipeline,
    qwen_scheduler,
    shown,
    texts,
)
from tests.toys import flow as toy

torchvision.available()
MAP = picture(SIZE, SIZE, 9)
AXES = {"attention_head_dim": 32, "num_attention_heads": 2, "axes_dims_rope": (4, 14, 14)}
FLUX = {**AXES, "in_channels": 64, "joint_attention_dim": toy.T5_WIDTH, "pooled_projection_dim": toy.CLIP_L, "guidance_embeds": True}
SD3 = {
    "num_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2, "pooled_projection_dim": toy.CLIP_L + toy.CLIP_G,
    "qk_norm": "rms_norm", "joint_attention_dim": toy.T5_WIDTH, "caption_projection_dim": 32, "pos_embed_max_size": 16,
}  # fmt: skip
LARGE = {"joint_attention_dim": None, "use_pos_embed": False, "pos_embed_type": None, "force_zeros_for_pooled_projection": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("control")
    toy.t5_tokenizer(base / "t5")
    toy.qwen_tokenizer(base / "qwen")
    return base


@pytest.fixture(scope="module")
def checkpoints(folder):
    made: dict[str, Any] = {}

    def get(name: str, make: Any) -> Any:
        if name not in made:
            tensors = make()
            made[name] = open_any(Toy(f"{name}.safetensors", tensors, folder))
        return made[name]

    return get


def control_net(kind: str, **config: Any) -> Any:
    """diffusers' ControlNet with weights that are nowhere zero."""
    import diffusers

    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(diffusers, kind)(**config).eval()
        for parameter in model.parameters():
            parameter.data = torch.randn_like(parameter) * 0.15 if parameter.ndim > 1 else torch.ones_like(parameter) * 0.1
    return model


def written(folder, name: str, tensors: Any) -> str:
    toy.save(folder / f"{name}.safetensors", tensors)
    return name


def tools(folder) -> Tools:
    box = Toolbox(lambda kind: [folder], ModelCache(lambda: 1 << 30), lambda unit, job: MAP)
    return Tools(control=box.control)


def job_with(*units: ControlUnit, cfg_scale: float = 1.0, distilled: float = 3.0, **more: Any) -> PaintJob:
    """A picture from nothing but the prompt and a control map."""
    negative = "blurry" if cfg_scale > 1 else ""
    options = grouped(prompt="a red house", negative_prompt=negative, steps=3, cfg_scale=cfg_scale, distilled_cfg_scale=distilled)
    grey, everywhere = np.full((SIZE, SIZE, 3), 128, np.uint8), np.ones((SIZE, SIZE), bool)
    return PaintJob(grey, everywhere, replace(options, control=units), "latent nothing", 1.0, 5, 1, maps=[None] * len(units), **more)


SHARED = {"num_inference_steps": 3, "height": SIZE, "width": SIZE, "output_type": "np"}
FLUX_NETS = {
    "union": ({"num_layers": 1, "num_single_layers": 1, "num_mode": 4}, "depth_zoe", 2),
    "plain": ({"num_layers": 1, "num_single_layers": 0}, "canny", None),
    "xlabs": ({"num_layers": 2, "num_single_layers": 0, "conditioning_embedding_channels": 16, "patch_size": 2}, "canny", None),
}


def as_xlabs(model: Any) -> dict[str, torch.Tensor]:
    """Under its makers' keys, q, k and v in one."""
    from clickpaint.paint.flow.flow_controlnets import CONTROL_FAMILIES

    own = CONTROL_FAMILIES["flux"].names({"double_blocks.0.img_attn.qkv.weight": (1, 1)})
    found: dict[str, list[torch.Tensor]] = {}
    for name, tensor in model.state_dict().items():
        found.setdefault(own.place(name).key, []).append(tensor)
    return {key: torch.cat(parts) for key, parts in found.items()}


@pytest.mark.parametrize("kind", FLUX_NETS)
def test_controlnets_of_flux_act_as_in_diffusers(kind, checkpoints, folder, monkeypatch):
    flux, (config, preprocessor, mode) = checkpoints("flux1-dev", toy.flux_file), FLUX_NETS[kind]
    model = control_net("FluxControlNetModel", **FLUX, **config)
    name = written(folder, f"flux-{kind}", as_xlabs(model) if kind == "xlabs" else model.state_dict())
    job = job_with(ControlUnit(preprocessor, name, 0.8))
    ours = paint_with(flux, job, tools=tools(folder))[0].pixels
    pipe = pipeline("FluxControlNetPipeline", monkeypatch, **flux_parts(flux, **DYNAMIC), controlnet=model)
    cond, _ = texts(flux, job)
    theirs = pipe(
        control_image=pil(MAP), control_mode=mode, controlnet_conditioning_scale=0.8, guidance_scale=3.0, generator=generators(5, 1)[0],
        prompt_embeds=cond.context, pooled_prompt_embeds=cond.added["pooled"], **SHARED,
    )  # fmt: skip
    assert_same(ours, shown(theirs))
    none = paint_with(flux, job_with(), tools=tools(folder))[0].pixels
    assert np.abs(ours.astype(int) - none).max() > 3
    silent = paint_with(flux, job_with(ControlUnit(preprocessor, name, 0.0)), tools=tools(folder))[0].pixels
    assert np.array_equal(silent, none)


@pytest.mark.parametrize("kind", ["InstantX", "Stability"])
def test_controlnets_of_stable_diffusion_3_act_as_in_diffusers(kind, checkpoints, folder, monkeypatch):
    import diffusers
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    sd3 = checkpoints("sd3.5", toy.sd3_file)
    config = SD3 if kind == "InstantX" else {**SD3, "qk_norm": None, **LARGE, "attention_head_dim": 64, "num_attention_heads": 1}
    if kind == "Stability":  # whose heads are 64 wide, as wide as a toy of that kind has to be
        sd3 = checkpoints("sd3.5_large", lambda: sd3_file_of_width_64())
    model = control_net("SD3ControlNetModel", **config)
    name = written(folder, f"sd3-{kind}", model.state_dict() if kind == "InstantX" else as_stability(model))
    job = job_with(ControlUnit("none_of_ours", name, 0.7), cfg_scale=2.0)
    job = replace(job, options=replace(job.options, sampling=replace(job.options.sampling, distilled_cfg_scale=None)))
    ours = paint_with(sd3, job, tools=tools(folder))[0].pixels
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
    parts = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "text_encoder_3", "tokenizer_3"))
    sd3.vae.register_to_config(shift_factor=0.0609, scaling_factor=1.5305)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe = diffusers.StableDiffusion3ControlNetPipeline(sd3.transformer, scheduler, sd3.vae, controlnet=model, **parts)
    pipe.set_progress_bar_config(disable=True)
    cond, uncond = texts(sd3, job)
    theirs = pipe(
        control_image=pil(MAP), controlnet_conditioning_scale=0.7, guidance_scale=2.0, generator=generators(5, 1)[0],
        prompt_embeds=cond.context, negative_prompt_embeds=uncond.context, pooled_prompt_embeds=cond.added["pooled"],
        negative_pooled_prompt_embeds=uncond.added["pooled"], **{**SHARED, "output_type": "latent"},
    ).images  # fmt: skip
    assert_same(ours, decoded(sd3, theirs))


def sd3_file_of_width_64() -> toy.Weights:
    out = {key: tensor for key, tensor in toy.sd3_file().items() if not key.startswith("model.diffusion_model.")}
    return out | toy.under("model.diffusion_model.", toy.drawn(toy.sd3(64, 64), 1))


def as_stability(model: Any) -> dict[str, torch.Tensor]:
    from clickpaint.paint.flow.flow_controlnets import CONTROL_FAMILIES

    own = CONTROL_FAMILIES["sd3"].names({"transformer_blocks.0.adaLN_modulation.1.weight": (1, 1)})
    found: dict[str, list[torch.Tensor]] = {}
    for name, tensor in model.state_dict().items():
        found.setdefault(own.place(name).key, []).append(tensor)
    return {key: torch.cat(parts) for key, parts in found.items()}


def test_a_controlnet_of_qwen_image_acts_as_in_diffusers_and_beside_what_an_edit_model_sees(checkpoints, folder, monkeypatch):
    qwen = checkpoints("qwen_image", toy.qwen_image_file)
    model = control_net("QwenImageControlNetModel", **AXES, num_layers=1, joint_attention_dim=toy.QWEN)
    name = written(folder, "qwen", model.state_dict())
    job = job_with(ControlUnit("canny", name, 0.9), distilled=0.0)  # with a negative prompt theirs asks for that with the prompt's words
    ours = paint_with(qwen, job, tools=tools(folder))[0].pixels
    pipe = pipeline(
        "QwenImageControlNetPipeline", monkeypatch, transformer=qwen.transformer, vae=qwen.vae, text_encoder=None, tokenizer=None,
        scheduler=qwen_scheduler(), controlnet=model,
    )  # fmt: skip
    cond, _ = texts(qwen, job)
    theirs = pipe(
        control_image=pil(MAP), controlnet_conditioning_scale=0.9, true_cfg_scale=1.0, generator=generators(5, 1)[0],
        prompt_embeds=cond.context, prompt_embeds_mask=torch.ones(cond.context.shape[:2], dtype=torch.long), **SHARED,
    )  # fmt: skip
    assert_same(ours, shown(theirs))
    edit = checkpoints("qwen_image_edit", toy.qwen_image_file)
    seeing = replace(
        job,
        options=replace(job.options, sampling=replace(job.options.sampling, cfg_scale=2.0)),
        masked_content="original",
        strength=0.7,
        pixels=picture(SIZE, SIZE, 2),
    )
    with_it = paint_with(edit, seeing, tools=tools(folder))[0].pixels
    without = paint_with(edit, replace(seeing, options=replace(seeing.options, control=()), maps=[]), tools=tools(folder))[0].pixels
    assert np.abs(with_it.astype(int) - without).max() > 3


def test_what_does_not_go_together_is_refused_by_name(checkpoints, folder):
    flux, klein = checkpoints("flux1-dev", toy.flux_file), checkpoints("flux-2-klein", toy.flux2_file)
    model = control_net("FluxControlNetModel", **FLUX, num_layers=1, num_single_layers=0, num_mode=2)
    own = written(folder, "own", model.state_dict())
    wide = {**SD3, "joint_attention_dim": 48}
    other = written(folder, "other", control_net("SD3ControlNetModel", **wide).state_dict())
    masked = dict(model.state_dict()) | {"controlnet_x_embedder.weight": torch.ones(64, 68)}
    narrow = control_net("FluxControlNetModel", **{**FLUX, "num_attention_heads": 1}, num_layers=1, num_single_layers=0)
    written(folder, "masked", masked), written(folder, "narrow", narrow.state_dict()), written(folder, "odd", {"a": torch.ones(2)})
    for checkpoint, unit, words in (
        (klein, ControlUnit("canny", own), "no ControlNets for Flux.2 Klein"),
        (flux, ControlUnit("canny", other), "was made for Stable Diffusion 3, but the checkpoint is Flux dev"),
        (flux, ControlUnit("canny", "narrow"), r"was made for Flux \(32\), but the checkpoint is Flux dev \(64\)"),
        (flux, ControlUnit("canny", "masked"), "takes a mask beside the map"),
        (flux, ControlUnit("canny", "odd"), "is no ControlNet that works here"),
        (flux, ControlUnit("lineart_realistic", own), "for several kinds of maps, and lineart_realistic is none"),
        (flux, ControlUnit("inpaint_only", own), "know no inpaint_only"),
        (flux, ControlUnit("canny", own, mode="control"), "know no control mode"),
    ):
        with pytest.raises(InvalidInput, match=words):
            paint_with(checkpoint, job_with(unit, distilled=0.0), tools=tools(folder))
