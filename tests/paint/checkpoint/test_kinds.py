"""What a file is: by its tensors, by what it says about itself, by a test of its UNet; and what is said of those that are none."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.checkpoint.kind import identify
from clickpaint.paint.checkpoint.meta import on_meta
from clickpaint.paint.checkpoint.networks import _dotless, split
from clickpaint.paint.checkpoint.opening import open_checkpoint
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.checkpoint.unet import read_layout
from tests.toys import checkpoint as toy
from tests.toys.tensor_source import TensorSource

torchvision.available()
from diffusers import UNet2DConditionModel  # noqa: E402 (a torchvision of another build would break it)

SMALL = 64


def opened(tensors, **wishes):
    return open_checkpoint(TensorSource("toy", lambda: tensors, **wishes))


def velocity() -> dict[str, torch.Tensor]:
    """A Stable Diffusion 2 whose UNet answers -1 to pure noise, as one that predicts v does."""
    tensors = toy.state_dict(family="sd2", vocabulary=SMALL, dtype=torch.float32)
    tensors["model.diffusion_model.out.2.bias"] -= 1
    return tensors


def test_the_unet_is_asked_what_it_predicts_as_the_web_ui_asks_it():
    kind = opened(velocity()).kind
    assert (kind.prediction, kind.native_size, kind.scheduler_config()["prediction_type"]) == ("v_prediction", 768, "v_prediction")
    kind = opened(toy.state_dict(family="sd2", vocabulary=SMALL, dtype=torch.float32)).kind
    assert (kind.prediction, kind.native_size) == ("epsilon", 512)


def test_who_knows_the_prediction_is_believed():
    assert opened(velocity(), prediction="epsilon").kind.prediction == "epsilon"
    tensors = toy.state_dict(family="sdxl", vocabulary=SMALL)
    assert opened(tensors | {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}).scheduler_config["rescale_betas_zero_snr"]
    assert opened(tensors | {"v_pred": torch.tensor([])}).kind.prediction == "v_prediction"
    assert opened(tensors).kind.prediction == "epsilon"


@pytest.mark.parametrize(
    ("yaml", "metadata", "expected"),
    [
        ('    parameterization: "v"\n', {}, "v_prediction"),
        ('{"parameterization": "v"}', {}, "v_prediction"),
        ('    parameterization: "eps"\n', {}, "epsilon"),
        (None, {"modelspec.prediction_type": "v"}, "v_prediction"),
        (None, {"modelspec.prediction_type": "epsilon"}, "epsilon"),
        (None, {}, None),
    ],
)
def test_what_a_file_says_about_its_prediction(tmp_path, yaml, metadata, expected):
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", metadata)
    if yaml is not None:
        (tmp_path / "model.yaml").write_text(yaml)
    assert FileSource(tmp_path / "model.safetensors").prediction == expected


FOREIGN = {
    "a LoRA": ["lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight"],
    "a ControlNet": ["control_model.input_blocks.0.0.weight", "control_model.zero_convs.0.0.weight"],
    "a VAE": ["encoder.conv_in.weight", "decoder.conv_in.weight"],
    "Stable Diffusion 3": ["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"],
    "Flux": ["double_blocks.0.img_attn.qkv.weight"],
    "diffusers' layout": ["down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"],
    "a textual inversion": ["emb_params"],
    "a text encoder": ["text_model.embeddings.token_embedding.weight"],
    "it has no model.diffusion_model.input_blocks.0.0.weight, but upscale.weight": ["upscale.weight"],
}


@pytest.mark.parametrize("what", FOREIGN)
def test_other_files_are_called_by_their_names(what):
    with pytest.raises(InvalidInput, match=what):
        opened({key: torch.zeros(1) for key in FOREIGN[what]})


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.output_blocks.3.0.out_layers.3.weight",
        "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_v.weight",
        "first_stage_model.decoder.mid.attn_1.q.bias",
        "first_stage_model.encoder.conv_in.weight",
        "cond_stage_model.model.transformer.resblocks.1.attn.in_proj_weight",
        "cond_stage_model.model.positional_embedding",
        "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight",
        "model.diffusion_model.input_blocks.4.0.in_layers.2.weight",
    ],
)
def test_a_missing_tensor_is_named(key):
    tensors = toy.state_dict(family="sd2", vocabulary=SMALL)
    del tensors[key]
    with pytest.raises(InvalidInput) as caught:
        opened(tensors, prediction="epsilon")
    expected = "token_embedding.weight" if key.endswith("positional_embedding") else key.removeprefix("model.diffusion_model.")
    assert expected in caught.value.message


def test_a_tensor_of_the_wrong_size_is_named():
    tensors = toy.state_dict(vocabulary=SMALL)
    tensors["model.diffusion_model.out.2.weight"] = torch.zeros(4, 32, 1, 1)
    with pytest.raises(InvalidInput, match=re.escape("model.diffusion_model.out.2.weight is 4x32x1x1 instead of 4x32x3x3")):
        opened(tensors)


def test_a_broken_file_is_told_from_a_missing_one(tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (tmp_path / "cut.ckpt").write_bytes(b"PK\x03\x04")
    for name in ("cut.safetensors", "cut.ckpt"):
        with pytest.raises(CorruptModel, match=name):
            open_checkpoint(FileSource(tmp_path / name))
    with pytest.raises(InvalidInput, match=r"none\.ckpt"):
        open_checkpoint(FileSource(tmp_path / "none.ckpt"))


@pytest.mark.parametrize("family", toy.FAMILIES)
def test_keys_of_a_moving_average_are_read_back(family):
    assert set(toy.unet(family=family)) <= set(_dotless().values())


REAL = {
    # tensors, parameters
    "sd1": (768, 0, (1, 1, 1, 0), 1, 320, (1, 2, 4, 4), False, 686, 859_520_964),
    "sd2": (1024, 0, (1, 1, 1, 0), 1, 320, (1, 2, 4, 4), True, 686, 865_910_724),
    "sdxl": (2048, 2816, (0, 2, 10), 10, 320, (1, 2, 4), True, 1680, 2_567_463_684),
    "sdxl_refiner": (1280, 2560, (0, 4, 4, 0), 4, 384, (1, 2, 4, 4), True, 1220, 2_259_526_660),
}


@pytest.mark.parametrize("name", REAL)
def test_at_full_size_every_tensor_has_its_place(name, monkeypatch):
    context, label, depths, middle, channels, mult, linear, count, parameters = REAL[name]
    monkeypatch.setitem(toy.FAMILIES, "full", toy.Family(context, channels, mult, depths, middle, linear, label, ()))
    monkeypatch.setattr(toy, "_identity", lambda *_, **__: None)  # there are no values
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in toy.unet(family="full").items()}
    kind, layout = identify(shapes), read_layout(shapes)
    assert kind.family == name
    with on_meta():
        unet = UNet2DConditionModel(**layout.config(kind.head_channels))
    assert {layout.key(key): tuple(value.shape) for key, value in unet.named_parameters()} == shapes
    assert (len(shapes), sum(value.numel() for value in unet.parameters())) == (count, parameters)


def test_parts_are_found_without_touching_tensors():
    class Shape:
        shape = (1,)

    parts = split({"model.diffusion_model.input_blocks.0.0.weight": Shape(), "betas": Shape()})
    assert parts.vae is None and parts.texts == [] and parts.markers == {"betas"}
