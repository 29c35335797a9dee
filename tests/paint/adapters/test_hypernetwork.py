"""Hypernetworks: the web UI's files, its arithmetic, and nothing left of them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch.nn.functional import layer_norm, leaky_relu, linear

from clickpaint.errors import ClickpaintError, CorruptModel, InvalidInput
from clickpaint.paint.adapters.hypernetwork import hypernetwork_uses, hypernetworks_applied, read_hypernetwork
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.diffusion.prompt import without_networks
from clickpaint.paint.diffusion.sampling import Tools, text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.weights.cache import ModelCache
from tests.paint.diffusion.toys import random_checkpoint
from tests.toys import hypernetwork as toys

WIDE = {"structure": (1, 2, 1.5, 1), "activation_func": "leakyrelu", "is_layer_norm": True, "activate_output": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "hypernetworks").mkdir()
    torch.save(toys.content([32]), folder / "hypernetworks" / "plain.pt")
    torch.save(toys.content([32, 768], dropouts=(0, 0.3, 0.3, 0), **WIDE), folder / "hypernetworks" / "wide.pt")
    torch.save(toys.content([320]), folder / "hypernetworks" / "large.pt")
    return folder


def painted(folder, prompt):
    toolbox = Toolbox(lambda kind: [folder / kind], ModelCache(lambda: 1 << 30), lambda unit, job: job.pixels)
    options = grouped(prompt=prompt, steps=2, sampler="DDIM")
    return text_to_image(random_checkpoint(), options, (64, 64), seed=1, tools=Tools(adapted=toolbox.adapted))[0].pixels


def test_keys_and_values_are_made_as_the_web_ui_makes_them(folder):
    """x + weight · linear(x), one network after the other; dropouts do nothing."""
    unet = random_checkpoint().unet
    first, second = (read_hypernetwork(folder / "hypernetworks" / f"{name}.pt") for name in ("plain", "wide"))
    plain, wide = (torch.load(folder / "hypernetworks" / f"{name}.pt", weights_only=True)[32] for name in ("plain", "wide"))
    x = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(4))

    def one(t, x):
        return linear(linear(x, t["linear.0.weight"], t["linear.0.bias"]), t["linear.1.weight"], t["linear.1.bias"])

    def other(t, x):
        for place in (0, 4, 8):
            x = linear(x, t[f"linear.{place}.weight"], t[f"linear.{place}.bias"])
            after = place + 1
            if place < 8:
                x, after = leaky_relu(x), place + 2
            x = layer_norm(x, x.shape[-1:], t[f"linear.{after}.weight"], t[f"linear.{after}.bias"])
        return x

    layers = [unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0." + name) for name in ("attn1", "attn2")]
    with torch.inference_mode(), hypernetworks_applied(random_checkpoint(), [(first, 0.8), (second, -0.5)]):
        for layer in layers:
            for projection, half in ((layer.to_k, 0), (layer.to_v, 1)):
                changed = x + 0.8 * one(plain[half], x)
                changed = changed - 0.5 * other(wide[half], changed)
                assert torch.allclose(projection(x), linear(changed, projection.weight), atol=1e-5)
            assert torch.equal(layer.to_q(x), linear(x, layer.to_q.weight))
    assert not any(module._forward_pre_hooks for module in unet.modules())


def test_a_hypernetwork_in_the_prompt_acts_as_strongly_as_asked(folder):
    plain = painted(folder, "a house")
    weak, strong = (painted(folder, f"a house <hypernet:plain:{weight}>").astype(int) for weight in (0.2, 1))
    assert np.array_equal(painted(folder, "a house <hypernet:plain:0>"), plain)
    assert 0 < np.abs(weak - plain).sum() < np.abs(strong - plain).sum()
    assert np.array_equal(painted(folder, "a house <hypernet:plain>"), strong) and np.array_equal(painted(folder, "a house"), plain)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("<hypernet:plain:much>", "no number"), ("<hypernet:large:1>", "another family"), ("<hypernet:plane:1>", "Similar: plain")],
)
def test_what_cannot_be_is_said(folder, prompt, said):
    with pytest.raises(InvalidInput, match=said):
        painted(folder, prompt)


def test_weights_are_read_from_the_prompt():
    assert hypernetwork_uses(without_networks("<hypernet:a> <hypernet:b:-0.5> x")[1]) == [("a", 1.0), ("b", -0.5)]


class Evil:
    def __reduce__(self):
        return print, ("code",)


@pytest.mark.parametrize(
    "held",
    [
        {32: {"linear.0.weight": torch.ones(1)}}, {"weight": torch.ones(1)}, toys.content([32], activation_func="multiheadattention"),
        toys.content([32]) | {"layer_structure": [1, 9000, 1]}, toys.content([32]) | {"layer_structure": [1, 3, 1]},
        toys.content([32]) | {"activation_func": ["relu"]},
    ],
)  # fmt: skip
def test_other_files_are_refused_in_a_sentence(tmp_path, held):
    torch.save(held, tmp_path / "x.pt")
    with pytest.raises(ClickpaintError, match=r"x\.pt"):
        read_hypernetwork(tmp_path / "x.pt")


def test_no_code_runs(tmp_path, capsys):
    torch.save({32: Evil()}, tmp_path / "x.pt", pickle_module=pickle)
    with pytest.raises(CorruptModel, match="never run"):
        read_hypernetwork(tmp_path / "x.pt")
    assert not capsys.readouterr().out
