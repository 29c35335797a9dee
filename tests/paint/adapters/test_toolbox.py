"""What a prompt asks for, from a host's folders to the picture: LoRAs and learned words."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import NotFound
from clickpaint.paint.adapters.toolbox import Toolbox
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
    found = painted(checkpoint, toolbox, "a house <lora:style:0.5:0.8>")
    merged = copy.deepcopy(checkpoint.unet), copy.deepcopy(checkpoint.text_encoders[0].model)
    other = replace(checkpoint, unet=merged[0], text_encoders=(replace(checkpoint.text_encoders[0], model=merged[1]),))
    inner = other.text_encoders[0].inner
    for (network, layer), roles in Lora.read(folder / "Lora" / "style.safetensors").layers.items():
        names, modules, scale = (toys.LAYERS, merged[0], 0.8) if network == "unet" else (toys.TEXT_LAYERS, inner, 0.5)
        module = modules.get_submodule(next(name for name in names if name.replace(".", "_") == layer))
        with torch.no_grad():
            module.weight.copy_(toys.merged(module.weight, roles["down"], roles["up"], scale))
    expected = painted(other, toolbox, "a house")
    assert apart(found, expected) <= 1 < 8 < apart(found, before)
    assert np.array_equal(painted(checkpoint, toolbox, "a house"), before)
    with pytest.raises(NotFound, match="There is no LoRA 'styl'"):
        painted(checkpoint, toolbox, "a house <lora:styl>")


def test_a_learned_word_is_its_vectors(checkpoint, toolbox):
    expected = painted(checkpoint, toolbox, "a (red house:1.2), old")
    assert np.array_equal(painted(checkpoint, toolbox, "a (RedHouse:1.2), old"), expected)
    assert apart(painted(checkpoint, toolbox, "a (house:1.2), old"), expected) > 1
    assert toolbox.words(checkpoint, "a house", "blurry") == {}
    assert [len(one) for one in toolbox.words(checkpoint, "a house", "redhouse")["redhouse"]] == [2]
