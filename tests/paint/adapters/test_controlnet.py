"""ControlNet files: every layout and family that is known becomes the same model as diffusers makes of it, everything else a sentence."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import CorruptModel, InvalidInput
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from tests.toys import controlnet as toys

FAMILIES = {"sd1": toys.SD1, "sd2": toys.SD2, "sdxl": toys.SDXL}


def inputs(family, size=8, batch=2):
    """What a U-Net and its ControlNet are asked, at `size` latents."""
    generator = torch.Generator().manual_seed(5)
    asked: dict[str, Any] = {
        "sample": torch.randn(batch, 4, size, size, generator=generator),
        "timestep": torch.tensor(400),
        "encoder_hidden_states": torch.randn(batch, 77, family.context, generator=generator),
        "controlnet_cond": torch.rand(batch, 3, 8 * size, 8 * size, generator=generator),
    }
    if family.added:
        asked["added_cond_kwargs"] = {"text_embeds": torch.randn(batch, 64, generator=generator), "time_ids": torch.full((batch, 6), 64.0)}
    return asked


def answers(model, family, **changes):
    with torch.no_grad():
        down, middle = model(**inputs(family), **changes, return_dict=False)
    return [*down, middle]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_original_layout_becomes_what_diffusers_makes_of_it(family):
    family = FAMILIES[family]
    checkpoint, tensors = toys.checkpoint(family), toys.state_dict(family)
    from diffusers import ControlNetModel
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    reference = ControlNetModel.from_unet(checkpoint.unet, load_weights_from_unet=False).eval()
    converted = convert_controlnet_checkpoint(dict(tensors), reference.config)
    missing, unexpected = reference.load_state_dict(converted, strict=False)
    assert not unexpected
    # diffusers' converter does not know these two layers of an SDXL ControlNet in the original layout
    names = {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
    for key in missing:
        layer, _, kind = key.rpartition(".")
        reference.get_parameter(key).data = tensors[f"control_model.{names[layer]}.{kind}"]
    ours = load_controlnet(tensors, checkpoint)
    assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == {
        key: tuple(value.shape) for key, value in reference.state_dict().items()
    }
    answer, expected = answers(ours, family), answers(reference, family)
    assert len(answer) == len(expected) == 3 * len(family.mult) + 1
    for one, other in zip(answer, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layout_and_every_kind_of_file_gives_the_same_model(family, tmp_path):
    family = FAMILIES[family]
    checkpoint, tensors = toys.checkpoint(family), toys.state_dict(family)
    model = load_controlnet(tensors, checkpoint)
    bare = {key.partition(".")[2]: value for key, value in tensors.items()}
    save_file(bare, tmp_path / "bare.safetensors")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, tmp_path / "diffusers.safetensors")
    # control_sd15_canny.pth of 2023 is a whole checkpoint with the ControlNet in it
    torch.save({"state_dict": {**tensors, "model.diffusion_model.out.2.bias": torch.zeros(4)}}, tmp_path / "whole.pth")
    for name in ("bare.safetensors", "diffusers.safetensors", "whole.pth"):
        opened = load_controlnet(tmp_path / name, checkpoint)
        assert opened.config == model.config, name
        assert all(torch.equal(value, opened.get_parameter(key)) for key, value in model.named_parameters()), name


def test_the_models_parameters_are_the_files_tensors():
    tensors = toys.state_dict()
    model = load_controlnet(tensors, toys.checkpoint())
    assert {value.data_ptr() for value in model.parameters()} == {value.data_ptr() for value in tensors.values()}
    assert not any(value.requires_grad for value in model.parameters())


def test_what_no_tensor_says_comes_from_the_checkpoint():
    model = load_controlnet(toys.state_dict(toys.SDXL), toys.checkpoint(toys.SDXL))
    assert model.config["attention_head_dim"] == toys.SDXL.heads
    assert model.config["addition_embed_type"] == "text_time"
    assert not model.config["global_pool_conditions"]
    assert load_controlnet(toys.state_dict(), toys.checkpoint(), "control_v11e_sd15_shuffle").config["global_pool_conditions"]


def test_a_folder_or_what_lies_in_it_says_what_a_file_called_as_all_are_cannot(tmp_path):
    path = tmp_path / "control_v11e_sd15_shuffle" / "diffusion_pytorch_model.safetensors"
    path.parent.mkdir()
    save_file(toys.state_dict(prefix=""), path)
    pooled = [load_controlnet(path, toys.checkpoint()).config["global_pool_conditions"]]
    for said in ("{", "[]", '{"global_pool_conditions": true}', '{"global_pool_conditions": false}'):
        (path.parent / "config.json").write_text(said, encoding="utf-8")
        pooled.append(load_controlnet(path, toys.checkpoint()).config["global_pool_conditions"])
    assert pooled == [True, True, True, True, False]


def test_a_model_without_transformers_is_known():
    # diffusers/controlnet-canny-sdxl-1.0-small has none of them
    plain = toys.Family(2048, (1, 2, 4), (0, 0, 0), 0, (2, 4, 8), linear=True, added=112, added_time=8)
    tensors = {key: value for key, value in toys.state_dict(plain).items() if "middle_block.1." not in key and "middle_block.2." not in key}
    model = load_controlnet(tensors, toys.checkpoint(toys.SDXL))
    assert [tuple(one.shape) for one in answers(model, plain)] == [
        tuple(one.shape) for one in answers(load_controlnet(toys.state_dict(toys.SDXL), toys.checkpoint(toys.SDXL)), toys.SDXL)
    ]


@pytest.mark.parametrize("in_channels", [4, 9])
def test_differences_are_added_to_the_checkpoint(in_channels):
    checkpoint, whole = toys.checkpoint(in_channels=in_channels), toys.state_dict()
    base = {key: value[:, :4] if key == "conv_in.weight" else value for key, value in checkpoint.unet.state_dict().items()}
    model = load_controlnet(whole, checkpoint)
    difference = {key: value - base[key] if key in base else value for key, value in model.state_dict().items()}
    again = load_controlnet({**difference, "difference": torch.tensor(1.0)}, checkpoint)
    for key, value in again.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[key], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("made_for", "used_with"), list(permutations(FAMILIES, 2)))
def test_another_familys_controlnet_is_refused_by_name(made_for, used_with):
    names = {"sd1": "Stable Diffusion 1", "sd2": "Stable Diffusion 2", "sdxl": "Stable Diffusion XL"}
    with pytest.raises(InvalidInput) as raised:
        load_controlnet(toys.state_dict(FAMILIES[made_for]), toys.checkpoint(FAMILIES[used_with]), "canny")
    assert raised.value.message == f"canny was made for {names[made_for]}, but the checkpoint is {names[used_with]}."


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("adapter.body.0.block1.weight", "T2I-Adapter"),
        ("body.0.in_conv.weight", "T2I-Adapter"),
        ("ip_adapter.1.to_k_ip.weight", "IP-Adapter"),
        ("image_proj.proj.weight", "IP-Adapter"),
        ("lora_controlnet", "Control-LoRA"),
        ("lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.conditioning1.0.weight", "LLLite"),
        ("task_embedding", "union ControlNet"),
        ("controlnet_blocks.0.weight", "Flux"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", "LoRA"),
        ("first_stage_model.encoder.conv_in.weight", "but a checkpoint"),
        ("some.layer.weight", "something else"),
    ],
)
def test_what_is_no_controlnet_is_called_what_it_is(key, what):
    beside = {"controlnet_cond_embedding.conv_in.weight": torch.zeros(16, 3, 3, 3)} if what == "union ControlNet" else {}
    with pytest.raises(InvalidInput, match=what):
        load_controlnet({key: torch.zeros(1), **beside}, toys.checkpoint(), "file")


def test_a_damaged_file_says_which_layer(tmp_path):
    for key in ("middle_block.1.proj_in.weight", "zero_convs.4.0.bias", "input_hint_block.4.weight"):
        tensors = toys.state_dict(prefix="")
        del tensors[key]
        with pytest.raises(InvalidInput) as raised:
            load_controlnet(tensors, toys.checkpoint(), "canny")
        assert raised.value.message == f"canny: The file is damaged or cut off: {key} is missing."
    smaller = toys.state_dict(toys.Family(768, (1, 2, 2, 2), (1, 1, 1, 0), 1, 8), prefix="")
    with pytest.raises(InvalidInput, match=r"canny: .* instead of 128"):
        load_controlnet(smaller, toys.checkpoint(), "canny")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(CorruptModel, match=r"torn\.pth cannot be read"):
        load_controlnet(tmp_path / "torn.pth", toys.checkpoint())
