"""What a prompt asks for, from a host's folders to the picture: LoRAs and learned words."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import CorruptModel, NotFound
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.diffusion.prompt import without_networks
from clickpaint.paint.diffusion.sampling import Tools, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.weights.cache import ModelCache
from tests.paint.diffusion.toys import toy_checkpoint
from tests.toys import controlnet as families
from tests.toys import lora as toys


@pytest.fixture(scope="module")
def checkpoint():
    return replace(toy_checkpoint(), unet=families.unet().requires_grad_(False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, checkpoint):
    folder = tmp_path_factory.mktemp("models")
    unet = toys.pairs({name: checkpoint.unet.get_submodule(name) for name in toys.LAYERS})
    text = toys.pairs({name: checkpoint.text_encoders[0].inner.get_submodule(name) for name in toys.TEXT_LAYERS})
    (folder / "Lora").mkdir()
    save_file(toys.kohya("lora_unet", unet, 4.0) | toys.kohya("lora_te_text_model", text, 4.0), folder / "Lora" / "style.safetensors")
    (folder / "embeddings").mkdir()
    encoder = checkpoint.text_encoders[0]
    tokens = encoder.tokenizer("red house", add_special_tokens=False)["input_ids"]
    save_file({"emb_params": encoder.token_embedding.weight[tokens].clone()}, folder / "embeddings" / "redhouse.safetensors")
    return folder


@pytest.fixture(scope="module")
def toolbox(folder):
    return Toolbox(lambda kind: [folder / kind], ModelCache(lambda: 1 << 30), lambda unit, job: job.pixels)


def painted(checkpoint, toolbox, prompt):
    options = grouped(prompt=prompt, steps=3, sampler="DDIM")
    tools = Tools(adapted=toolbox.adapted, words=toolbox.words(checkpoint, prompt))
    return text_to_image(checkpoint, options, (64, 64), seed=1, tools=tools)[0].pixels


def apart(one, other):
    return int(np.abs(one.astype(int) - other).max())


def test_a_lora_in_the_prompt_paints_as_one_merged_into_a_copy_and_leaves_no_trace(checkpoint, toolbox, folder):
    from clickpaint.paint.adapters.lora import Lora

    before = painted(checkpoint, toolbox, "a house")
    painted_pixels = painted(checkpoint, toolbox, "a house <lora:style:0.5:0.8>")
    merged = copy.deepcopy(checkpoint.unet), copy.deepcopy(checkpoint.text_encoders[0].model)
    other = replace(checkpoint, unet=merged[0], text_encoders=(replace(checkpoint.text_encoders[0], model=merged[1]),))
    inner = other.text_encoders[0].inner
    for (network, layer), said in Lora.read(folder / "Lora" / "style.safetensors").layers.items():
        roles = said.tensors
        names, modules, scale = (toys.LAYERS, merged[0], 0.8) if network == "unet" else (toys.TEXT_LAYERS, inner, 0.5)
        module = modules.get_submodule(next(name for name in names if name.replace(".", "_") == layer))
        with torch.no_grad():
            module.weight.copy_(toys.merged(module.weight, roles["down"], roles["up"], scale))
    expected = painted(other, toolbox, "a house")
    assert apart(painted_pixels, expected) <= 1 < 8 < apart(painted_pixels, before)
    assert np.array_equal(painted(checkpoint, toolbox, "a house"), before)
    with pytest.raises(NotFound, match="There is no LoRA 'styl'"):
        painted(checkpoint, toolbox, "a house <lora:styl>")


def test_a_learned_word_is_its_vectors(checkpoint, toolbox):
    expected = painted(checkpoint, toolbox, "a (red house:1.2), old")
    assert np.array_equal(painted(checkpoint, toolbox, "a (RedHouse:1.2), old"), expected)
    assert apart(painted(checkpoint, toolbox, "a (house:1.2), old"), expected) > 1
    assert toolbox.words(checkpoint, "a house", "blurry") == {}
    assert [len(one) for one in toolbox.words(checkpoint, "a house", "redhouse")["redhouse"]] == [2]


@pytest.fixture
def shelf(tmp_path, folder):
    """A toolbox of its own, whose LoRAs and embeddings a test puts there."""
    for kind in ("Lora", "embeddings"):
        (tmp_path / kind).mkdir()
    return Toolbox(lambda kind: [tmp_path / kind], ModelCache(lambda: 1 << 30), lambda unit, job: job.pixels), tmp_path


def test_a_lora_is_meant_by_its_trainers_name_too(checkpoint, shelf):
    toolbox, base = shelf
    low = toys.pairs({toys.LAYERS[1]: checkpoint.unet.get_submodule(toys.LAYERS[1])})
    save_file(toys.kohya("lora_unet", low), base / "Lora" / "renamed.safetensors", {"ss_output_name": "wxStyle"})
    (base / "Lora" / "torn.safetensors").write_bytes(b"<html>")
    (base / "Lora" / "older.pt").write_bytes(b"PK\3\4")
    networks = without_networks("<lora:wxStyle:1>")[1], without_networks("<lora:renamed:1>")[1], without_networks("<lora:WXSTYLE:1>")[1]
    for asked in networks:
        with toolbox.adapted(checkpoint, asked) as notes:
            assert notes == []
    (base / "Lora" / "b").mkdir()
    save_file(toys.kohya("lora_unet", low), base / "Lora" / "b" / "other.safetensors", {"ss_output_name": "wxStyle"})
    with pytest.raises(NotFound, match="Several LoRAs call themselves 'wxStyle': renamed, other"), toolbox.adapted(checkpoint, networks[0]):
        pass
    save_file(toys.kohya("lora_unet", low), base / "Lora" / "wxstyle.safetensors")  # a file's own name comes first
    with toolbox.adapted(checkpoint, networks[0]) as notes:
        assert notes == []


@pytest.mark.parametrize("layout", ["string_to_param.*", "emb_params"])
def test_an_embedding_that_a_lora_brings_along_is_a_word_where_the_lora_is_asked_for(checkpoint, shelf, layout):
    toolbox, base = shelf
    low = toys.pairs({toys.LAYERS[1]: checkpoint.unet.get_submodule(toys.LAYERS[1])})
    vectors = torch.randn(2, 768, generator=torch.Generator().manual_seed(1))
    save_file({**toys.kohya("lora_unet", low), f"bundle_emb.my-word.{layout}": vectors}, base / "Lora" / "pivotal.safetensors")
    assert toolbox.words(checkpoint, "a my-word zebra") == {}
    conditioning = toolbox.words(checkpoint, "a my-word zebra <lora:pivotal:1>", "blurry")
    assert conditioning.keys() == {"my-word"} and torch.equal(conditioning["my-word"][0], vectors)
    assert toolbox.words(checkpoint, "a zebra <lora:pivotal:1>") == {}
    with toolbox.adapted(checkpoint, without_networks("<lora:pivotal:1>")[1]) as notes:
        assert notes == []
    # one in the folder comes first, as in the web UI
    save_file({"emb_params": vectors[:1].clone()}, base / "embeddings" / "My-Word.safetensors")
    conditioning = toolbox.words(checkpoint, "a my-word zebra <lora:pivotal:1>")
    assert [len(one[0]) for one in conditioning.values()] == [1]


def test_what_is_wrong_with_a_lora_is_said_where_it_is_asked_for_and_not_before(checkpoint, shelf):
    toolbox, base = shelf
    (base / "Lora" / "torn.safetensors").write_bytes(b"<html>")
    assert toolbox.words(checkpoint, "a <lora:torn:1> <lora:missing:1> zebra") == {}
    with pytest.raises(CorruptModel, match="a web page"), toolbox.adapted(checkpoint, without_networks("<lora:torn>")[1]):
        pass


def test_controlnets_of_one_name_are_told_apart_and_each_is_found(shelf):
    toolbox, base = shelf
    for name in ("canny", "depth"):
        (base / "ControlNet" / name).mkdir(parents=True)
        (base / "ControlNet" / name / "diffusion_pytorch_model.safetensors").write_bytes(b"x")
    (base / "ControlNet" / "control_v11p_sd15_inpaint.PTH").write_bytes(b"x")
    assert toolbox.controlnets() == [
        "control_v11p_sd15_inpaint", "canny/diffusion_pytorch_model", "depth/diffusion_pytorch_model",
    ]  # fmt: skip
