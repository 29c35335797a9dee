"""LoRAs, as numbers: every layout changes the networks as adding B A to copies of their weights would, and leaves nothing behind."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.lora import Lora, LoraUse, applied, lora_uses
from clickpaint.paint.checkpoint.opening import open_checkpoint
from clickpaint.paint.checkpoint.source import TensorSource
from clickpaint.paint.diffusion.prompt import without_networks
from tests.toys import checkpoint as toy
from tests.toys import controlnet as families
from tests.toys import lora as toys


@pytest.fixture(scope="module")
def checkpoint():
    """The toy checkpoint, with a U-Net in which every layer counts."""
    tensors = toy.state_dict(dtype=torch.float32)
    return replace(open_checkpoint(TensorSource("toy", lambda: tensors)), unet=families.unet())


def unet_layers(checkpoint) -> dict[str, Any]:
    return {name: checkpoint.unet.get_submodule(name) for name in toys.LAYERS}


def text_layers(checkpoint, number=0) -> dict[str, Any]:
    return {name: checkpoint.text_encoders[number].inner.get_submodule(name) for name in toys.TEXT_LAYERS}


def answers(checkpoint):
    """What the U-Net and the text encoders say."""
    generator = torch.Generator().manual_seed(4)
    context = torch.randn(1, 77, checkpoint.unet.config["cross_attention_dim"], generator=generator)
    with torch.no_grad():
        seen = checkpoint.unet(torch.randn(1, 4, 8, 8, generator=generator), torch.tensor(300), context).sample
        read = [encoder.encode(torch.arange(77)[None] + 320)[0] for encoder in checkpoint.text_encoders]
    return [seen, *read]


def with_merged(checkpoint, unet=(), text=()):
    """What a copy says whose weights the pairs were added to. unet, text: (pairs, factor) each."""
    other = replace(
        checkpoint,
        unet=copy.deepcopy(checkpoint.unet),
        text_encoders=tuple(replace(encoder, model=copy.deepcopy(encoder.model)) for encoder in checkpoint.text_encoders),
    )
    for pairs, scale, modules in [(*one, unet_layers(other)) for one in unet] + [(*one, text_layers(other)) for one in text]:
        for name, (down, up) in pairs.items():
            modules[name].weight = torch.nn.Parameter(toys.merged(modules[name].weight.detach(), down, up, scale), requires_grad=False)
    return answers(other)


def close(found, expected, atol=2e-5):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=atol)


def far(found, expected):
    return all(float((one - other).abs().max()) > 1e-2 for one, other in zip(found, expected, strict=True))


def layouts(unet, text):
    """The same LoRA in every layout, with a factor of 1."""
    yield "kohya", toys.kohya("lora_unet", unet) | toys.kohya("lora_te_text_model", text)
    yield "kohya, alpha = rank", toys.kohya("lora_unet", unet, 4.0) | toys.kohya("lora_te_text_model", text, 4.0)
    yield "peft", toys.peft("unet", unet) | toys.peft("text_encoder.text_model", text)
    yield (
        "peft, U-Net alone, saved by peft",
        {f"base_model.model.{key[5:]}": value for key, value in toys.peft("unet", unet).items()}
        | (toys.peft("text_encoder.text_model", text)),
    )
    yield (
        "diffusers 0.21",
        {
            key.replace("lora_A", "lora.down").replace("lora_B", "lora.up"): value
            for key, value in (toys.peft("unet", unet) | toys.peft("text_encoder.text_model", text)).items()
        },
    )


def test_every_layout_is_the_same_as_merging_into_a_copy(checkpoint, tmp_path):
    unet, text = toys.pairs(unet_layers(checkpoint)), toys.pairs(text_layers(checkpoint))
    expected = with_merged(checkpoint, [(unet, 1.0)], [(text, 1.0)])
    before = answers(checkpoint)
    assert far(before, expected)
    for title, file in layouts(unet, text):
        save_file({key: value.contiguous() for key, value in file.items()}, tmp_path / "one.safetensors")
        with applied(checkpoint, [(Lora.read(tmp_path / "one.safetensors"), 1.0)]) as notes:
            assert notes == [], title
            close(answers(checkpoint), expected)
    assert all(torch.equal(one, other) for one, other in zip(answers(checkpoint), before, strict=True))


def test_diffusers_first_layout_names_attention_its_own_way(checkpoint):
    layers = ("down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q", "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0")
    unet = toys.pairs({name: checkpoint.unet.get_submodule(name) for name in layers})
    text = toys.pairs({toys.TEXT_LAYERS[0]: text_layers(checkpoint)[toys.TEXT_LAYERS[0]]})
    file = {}
    for name, (down, up) in unet.items():
        block, _, layer = name.removesuffix(".0").rpartition(".")
        file |= {f"unet.{block}.processor.{layer}_lora.down.weight": down, f"unet.{block}.processor.{layer}_lora.up.weight": up}
    down, up = text[toys.TEXT_LAYERS[0]]
    place = "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora"
    file |= {f"{place}.down.weight": down, f"{place}.up.weight": up}
    expected = with_merged(checkpoint, [(unet, 1.0)], [(text, 1.0)])
    with applied(checkpoint, [(Lora.of(file, "old"), 1.0)]):
        close(answers(checkpoint), expected)


def test_the_original_names_of_layers_are_known(checkpoint):
    # trainers write SDXL's LoRAs so
    unet = toys.pairs(unet_layers(checkpoint))
    file = toys.kohya("lora_unet", {checkpoint.layout.key(f"{name}.weight").removesuffix(".weight"): low for name, low in unet.items()})
    assert "lora_unet_input_blocks_1_1_proj_in.lora_up.weight" in file
    expected = with_merged(checkpoint, [(unet, 1.0)])
    with applied(checkpoint, [(Lora.of(file, "sgm"), 1.0)]):
        close(answers(checkpoint), expected)


def test_weights_alpha_and_rank_multiply_and_the_networks_have_their_own(checkpoint, tmp_path):
    unet, text = toys.pairs(unet_layers(checkpoint)), toys.pairs(text_layers(checkpoint))
    lora = Lora.of(toys.kohya("lora_unet", unet, 2.0) | toys.kohya("lora_te_text_model", text, 8.0), "scaled")
    expected = with_merged(checkpoint, [(unet, 0.6 * 2 / 4)], [(text, -0.25 * 8 / 4)])
    with applied(checkpoint, [(lora, (0.6, -0.25))]):
        close(answers(checkpoint), expected)
    expected = with_merged(checkpoint, [(unet, 0.3)])
    with applied(checkpoint, [(lora, (0.6, 0.0))]):
        close(answers(checkpoint), expected)
    # diffusers keeps alpha beside the tensors
    save_file(toys.peft("unet", unet), tmp_path / "one.safetensors", {"lora_adapter_metadata": '{"unet.r": 4, "unet.lora_alpha": 6}'})
    expected = with_merged(checkpoint, [(unet, 1.5)])
    with applied(checkpoint, [(Lora.read(tmp_path / "one.safetensors"), 1.0)]):
        close(answers(checkpoint), expected)


def test_several_loras_add_up(checkpoint):
    first, second = toys.pairs(unet_layers(checkpoint)), toys.pairs(unet_layers(checkpoint), rank=7, seed=8)
    text = toys.pairs(text_layers(checkpoint))
    one = Lora.of(toys.kohya("lora_unet", first, 4.0) | toys.kohya("lora_te_text_model", text), "one")
    other = Lora.of(toys.peft("unet", second), "other")
    expected = with_merged(checkpoint, [(first, 0.8), (second, 0.5)], [(text, 0.8)])
    with applied(checkpoint, [(one, 0.8), (other, 0.5)]):
        close(answers(checkpoint), expected)


@torch.no_grad()
def test_each_kind_of_change_is_what_its_formula_says(checkpoint):
    generator = torch.Generator().manual_seed(6)

    def random(*shape):
        return torch.randn(*shape, generator=generator) * 0.3

    linear = checkpoint.unet.get_submodule(toys.LAYERS[1])  # 32 x 32
    kernel = checkpoint.unet.get_submodule(toys.LAYERS[7])  # 32 x 32 x 3 x 3, every second pixel
    key, conv = "lora_unet_" + toys.LAYERS[1].replace(".", "_"), "lora_unet_" + toys.LAYERS[7].replace(".", "_")
    a, b, c, d = random(32, 4), random(4, 32), random(32, 4), random(4, 32)
    p, q, middle = random(4, 32, 1, 1), random(32, 4, 1, 1), random(4, 4, 3, 3)
    small, big_a, big_b = random(4, 8), random(8, 2), random(2, 4)
    flat_a, flat_b = random(8, 2), random(2, 4 * 9)
    t, magnitude = random(4, 4, 3, 3), random(32).abs() + 0.5
    own = linear.weight.detach()
    directed = own + 0.5 * a @ b
    cases = [
        (linear, {"hada_w1_a": a, "hada_w1_b": b, "hada_w2_a": c, "hada_w2_b": d, "alpha": torch.tensor(2.0)}, (a @ b) * (c @ d) * 0.5),
        (linear, {"lokr_w1": small, "lokr_w2_a": big_a, "lokr_w2_b": big_b, "alpha": torch.tensor(1.0)},
         torch.kron(small, big_a @ big_b) * 0.5),
        (linear, {"lokr_w1": small, "lokr_w2": big_a @ big_b, "alpha": torch.tensor(1.0)}, torch.kron(small, big_a @ big_b)),
        (linear, {"diff": b.T @ b}, b.T @ b),
        (linear, {"lora_down": b, "lora_up": a, "alpha": torch.tensor(2.0), "dora_scale": magnitude},
         directed * magnitude[:, None] / directed.norm(dim=1, keepdim=True) - own),
        (linear, {"lora_down": b, "lora_up": a, "alpha": torch.tensor(2.0), "dora_scale": magnitude[None]},
         directed * magnitude[None] / directed.norm(dim=0, keepdim=True) - own),
        (kernel, {"lora_down": p, "lora_mid": middle, "lora_up": q},
         torch.einsum("or,rshw,si->oihw", q[:, :, 0, 0], middle, p[:, :, 0, 0])),
        (kernel, {"hada_t1": t, "hada_w1_a": b, "hada_w1_b": d, "hada_t2": middle, "hada_w2_a": d, "hada_w2_b": b},
         torch.einsum("ijhw,jr,ip->prhw", t, d, b) * torch.einsum("ijhw,jr,ip->prhw", middle, b, d)),
        (kernel, {"lokr_w1": small, "lokr_w2_a": flat_a, "lokr_w2_b": flat_b},
         torch.kron(small[:, :, None, None], (flat_a @ flat_b).reshape(8, 4, 3, 3))),
    ]  # fmt: skip
    for module, roles, delta in cases:
        named = {f"{key if module is linear else conv}.{role}": tensor for role, tensor in roles.items()}
        x = random(2, 32) if module is linear else random(2, module.in_channels, 5, 5)
        plain, kept = module(x), module.weight
        module.weight = torch.nn.Parameter(kept.detach() + 0.7 * delta, requires_grad=False)
        try:
            expected = module(x)
        finally:
            module.weight = kept
        assert float((expected - plain).abs().max()) > 1e-2, sorted(roles)
        with applied(checkpoint, [(Lora.of(named, "one"), 0.7)]):
            torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-5)


def test_a_bias_is_changed_too(checkpoint):
    for name in ("mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0", "up_blocks.3.resnets.2.conv1"):
        module = checkpoint.unet.get_submodule(name)
        added = torch.linspace(-1, 1, len(module.bias))
        kept = module.bias
        module.bias = torch.nn.Parameter(kept.detach() + added, requires_grad=False)
        expected = answers(checkpoint)
        module.bias = kept
        with applied(checkpoint, [(Lora.of({f"lora_unet_{name.replace('.', '_')}.diff_b": added}, "bias"), 1.0)]):
            close(answers(checkpoint), expected)


def test_half_precision_follows_the_checkpoint(checkpoint):
    half = replace(checkpoint, unet=copy.deepcopy(checkpoint.unet).to(torch.bfloat16), text_encoders=())
    lora = Lora.of(toys.kohya("lora_unet", toys.pairs(unet_layers(checkpoint))), "one")
    inputs = torch.randn(1, 4, 8, 8, dtype=torch.bfloat16), torch.tensor(5), torch.randn(1, 77, 768, dtype=torch.bfloat16)
    with torch.no_grad(), applied(half, [(lora, 1.0)]):
        assert half.unet(*inputs).sample.dtype == torch.bfloat16


def test_nothing_is_left_behind_whatever_happens(checkpoint):
    unet, text = toys.pairs(unet_layers(checkpoint)), toys.pairs(text_layers(checkpoint))
    lora = Lora.of(toys.kohya("lora_unet", unet) | toys.kohya("lora_te_text_model", text), "one")
    misfit = Lora.of(toys.kohya("lora_unet", {toys.LAYERS[1]: (torch.zeros(4, 64), torch.zeros(64, 4))}), "misfit")
    networks = [checkpoint.unet, *(encoder.model for encoder in checkpoint.text_encoders)]
    before, values = answers(checkpoint), [value.clone() for network in networks for value in network.parameters()]
    hooks = [dict(module._forward_hooks) for network in networks for module in network.modules()]  # transformers has some of its own
    places = [value.data_ptr() for network in networks for value in network.parameters()]
    with pytest.raises(KeyboardInterrupt), applied(checkpoint, [(lora, 1.0)]):
        answers(checkpoint)
        raise KeyboardInterrupt
    with pytest.raises(InvalidInput), applied(checkpoint, [(lora, 1.0), (misfit, 1.0)]):
        pytest.fail("the misfit was accepted")
    assert all(torch.equal(one, other) for one, other in zip(answers(checkpoint), before, strict=True))
    now = [value for network in networks for value in network.parameters()]
    assert [value.data_ptr() for value in now] == places
    assert all(torch.equal(one, other) for one, other in zip(now, values, strict=True))
    assert [dict(module._forward_hooks) for network in networks for module in network.modules()] == hooks


def test_another_familys_lora_is_refused_by_name(checkpoint):
    name = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    inner = checkpoint.unet.get_submodule(name).weight.shape[0]
    for width, family in ((1024, "Stable Diffusion 2"), (2048, "Stable Diffusion XL")):
        lora = Lora.of(toys.kohya("lora_unet", {name: (torch.zeros(4, width), torch.zeros(inner, 4))}), "style")
        with pytest.raises(InvalidInput) as raised, applied(checkpoint, [(lora, 1.0)]):
            pytest.fail("it was accepted")
        assert raised.value.message.startswith(
            f"The LoRA style was made for {family}, but the checkpoint is Stable Diffusion 1: its down_blo"
        )
    flux = Lora.of({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.zeros(4, 8),
                    "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": torch.zeros(8, 4)}, "flux")  # fmt: skip
    with pytest.raises(InvalidInput, match="none of its layers is there"), applied(checkpoint, [(flux, 1.0)]):
        pytest.fail("it was accepted")


def test_layers_that_are_not_there_are_reported_and_left_out(checkpoint):
    unet = toys.pairs(unet_layers(checkpoint))
    file = toys.kohya("lora_unet", unet) | toys.kohya("lora_unet", {"down_blocks.9.attentions.0.proj_in": unet[toys.LAYERS[0]]})
    expected = with_merged(checkpoint, [(unet, 1.0)])
    with applied(checkpoint, [(Lora.of(file, "odd"), 1.0)]) as notes:
        close(answers(checkpoint), expected)
    assert notes == [
        "1 of the 9 layers of the LoRA odd have no counterpart in the checkpoint and were left out, for example "
        "down_blocks_9_attentions_0_proj_in."
    ]


def test_what_is_no_lora_is_refused():
    with pytest.raises(InvalidInput, match="is no LoRA"):
        Lora.of({"model.diffusion_model.out.0.weight": torch.zeros(1)}, "base")


@pytest.mark.parametrize(
    ("written", "uses"),
    [
        ("<lora:a>", [LoraUse("a", 1.0, 1.0)]),
        ("x <lora:a:0.5>, <lyco:b c:-1>", [LoraUse("a", 0.5, 0.5), LoraUse("b c", -1.0, -1.0)]),
        ("<lora:a:0.2:0.8>", [LoraUse("a", unet=0.8, text=0.2)]),
        ("<lora:a:te=0.3:unet=0.9>", [LoraUse("a", unet=0.9, text=0.3)]),
        ("<lora:a:0.3:unet=0.9>", [LoraUse("a", unet=0.9, text=0.3)]),
        ("<lora:a:unet=0.9>", [LoraUse("a", unet=0.9, text=1.0)]),
        ("no network", []),
    ],
)
def test_prompts_ask_for_loras_as_in_the_web_ui(written, uses):
    assert lora_uses(without_networks(written)[1]) == tuple(uses)


def test_what_a_prompt_cannot_ask_for_is_said():
    for written, message in (("<lora:a:loud>", "The weight of <lora:a> is no number"), ("<hypernet:a:1>", "<hypernet:a> is not known")):
        with pytest.raises(InvalidInput, match=message):
            lora_uses(without_networks(written)[1])


@torch.no_grad()
def test_sdxls_two_text_encoders_and_original_names(checkpoint):
    file = toy.state_dict(family="sdxl", vocabulary=512, dtype=torch.float32)
    xl = open_checkpoint(TensorSource("sdxl", lambda: file))
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    module = xl.unet.get_submodule(layer)
    unet = toys.pairs({layer: module})
    texts = [toys.pairs(text_layers(xl, number), seed=number) for number in range(2)]
    ids = torch.arange(77)[None] + 100
    original = {xl.layout.key(f"{layer}.weight").removesuffix(".weight"): unet[layer]}
    kohya = toys.kohya("lora_unet", original) | toys.kohya("lora_te1_text_model", texts[0]) | toys.kohya("lora_te2_text_model", texts[1])
    peft = toys.peft("unet", unet) | toys.peft("text_encoder.text_model", texts[0]) | toys.peft("text_encoder_2.text_model", texts[1])
    assert any(key.startswith("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k") for key in kohya)
    x = torch.randn(1, 2048)
    plain = [module(x), *(encoder.encode(ids)[0] for encoder in xl.text_encoders)]
    expected = [torch.nn.functional.linear(x, toys.merged(module.weight, *unet[layer], 0.5))]
    for number, encoder in enumerate(xl.text_encoders):
        other = replace(encoder, model=copy.deepcopy(encoder.model))
        for name, (down, up) in texts[number].items():
            weight = other.inner.get_submodule(name).weight
            weight.data = toys.merged(weight.data, down, up, 0.5)
        expected.append(other.encode(ids)[0])
    assert far(plain, expected)
    for title, one in (("kohya", kohya), ("peft", peft)):
        with applied(xl, [(Lora.of(one, title), 0.5)]) as notes:
            assert notes == []
            close([module(x), *(encoder.encode(ids)[0] for encoder in xl.text_encoders)], expected)
    with pytest.raises(InvalidInput, match="made for Stable Diffusion XL, but the checkpoint is Stable Diffusion 1"):
        Lora.of(peft, "xl").changes(checkpoint, 1.0, 1.0)
