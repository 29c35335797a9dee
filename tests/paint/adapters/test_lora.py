"""LoRAs, as numbers: every layout changes the networks as adding B A to copies of their weights would, and leaves nothing behind."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.adapters.lora_prompt import lora_uses
from clickpaint.paint.checkpoint.opening import open_checkpoint
from clickpaint.paint.diffusion.prompt import without_networks
from tests.toys import checkpoint as toy
from tests.toys import controlnet as families
from tests.toys import lora as toys
from tests.toys.tensor_source import TensorSource


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


def close(tensors, expected, atol=2e-5):
    assert len(tensors) == len(expected)
    for one, other in zip(tensors, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=atol)


def far(tensors, expected):
    return all(float((one - other).abs().max()) > 1e-2 for one, other in zip(tensors, expected, strict=True))


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


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_trainers_names_mean_what_diffusers_converter_makes_of_them(checkpoint, family):
    from diffusers.loaders import lora_conversion_utils as converters

    if family == "sdxl":
        file = toy.state_dict(family="sdxl", vocabulary=512, dtype=torch.float32)
        checkpoint = open_checkpoint(TensorSource("sdxl", lambda: file))
    names = [
        name for name, module in checkpoint.unet.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)) and ".attentions." in name
    ]  # fmt: skip
    low = toys.pairs({name: checkpoint.unet.get_submodule(name) for name in names})
    spoken = {checkpoint.layout.key(f"{name}.weight").removesuffix(".weight") if family == "sdxl" else name: low[name] for name in low}
    texts = ("te1", "te2") if family == "sdxl" else ("te",)
    written = toys.kohya("lora_unet", spoken, 2.0)
    for number, text in enumerate(texts):
        written |= toys.kohya(f"lora_{text}_text_model", toys.pairs(text_layers(checkpoint, number), seed=number), 2.0)
    converted = dict(written)
    if family == "sdxl":
        config = SimpleNamespace(layers_per_block=checkpoint.unet.config["layers_per_block"])
        converted = converters._maybe_map_sgm_blocks_to_diffusers(converted, config)
    converted, alphas = converters._convert_non_diffusers_lora_to_diffusers(converted)
    assert set(alphas.values()) == {2.0} and not any("input_blocks" in key for key in converted)
    ours, theirs = (Lora.of(tensors, "one").changes(checkpoint, 1.0, 1.0) for tensors in (written, converted))
    assert ours[1] == theirs[1] == [] and ours[0].keys() == theirs[0].keys() and len(ours[0]) == len(names) + 2 * len(texts)
    for module, change in ours[0].items():
        torch.testing.assert_close(change.up, 2 / 4 * theirs[0][module].up)  # alpha by the rank, which diffusers keeps apart
        torch.testing.assert_close(change.down, theirs[0][module].down)


EACH = dict.fromkeys(toys.LAYERS, 16)
SAID = {
    "as diffusers writes it": ({"lora_adapter_metadata": '{"unet.r": 4, "unet.lora_alpha": 8, "unet.use_rslora": true}'}, None),
    "within each other": ({"lora_adapter_metadata": '{"unet": {"r": 4, "lora_alpha": 8, "use_rslora": true}}'}, None),
    "PEFT's configuration in an entry": ({"adapter_config": '{"peft_type": "LORA", "lora_alpha": 8, "use_rslora": true}'}, None),
    "a network's configuration": ({"unet": '{"lora_alpha": 8, "use_rslora": true}'}, None),
    "entries of their own": ({"unet.lora_alpha": "8", "unet.use_rslora": "True", "text_encoder.lora_alpha": "1000"}, None),
    "entries for all": ({"lora_alpha": "8.0", "use_rslora": "true"}, None),
    "a file beside": ({}, {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_rslora": True}),
    "a pattern": ({"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 1, "unet.alpha_pattern": EACH})}, None),
    "a pattern in an entry": ({"unet.alpha_pattern": json.dumps(EACH), "unet.lora_alpha": "1"}, None),
    "short patterns": (
        {"alpha_pattern": json.dumps({**dict.fromkeys(("to_q", "to_k", "to_v", "to_out.0"), 16), r"(proj_in|proj)": 16, r"conv\d?": 16})},
        None,
    ),
    "entries for layers": ({f"alpha_pattern.{name}": "16" for name in toys.LAYERS}, None),
    "alphas of layers": ({f"unet.{name}.alpha": "16" for name in toys.LAYERS}, None),
    "a broken entry beside": ({"lora_adapter_metadata": "{", "unet.lora_alpha": "16", "unet.alpha_pattern": '{"(": 3, "x": "much"}'}, None),
}  # fmt: skip


@pytest.mark.parametrize("said", SAID)
def test_what_is_said_about_strength_counts_wherever_it_is_said(checkpoint, tmp_path, said):
    metadata, configuration = SAID[said]  # 8 / sqrt(4) or 16 / 4
    unet = toys.pairs(unet_layers(checkpoint))
    save_file(toys.peft("unet", unet), tmp_path / "adapter_model.safetensors", metadata)
    if configuration is not None:
        (tmp_path / "adapter_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    changes, unknown = Lora.read(tmp_path / "adapter_model.safetensors").changes(checkpoint, 1.0, 1.0)
    assert unknown == [] and len(changes) == len(unet)
    for name, module in unet_layers(checkpoint).items():
        torch.testing.assert_close(changes[module].up, 4 * unet[name][1])


def test_a_configuration_that_lies_beside_many_files_is_nobodys(checkpoint, tmp_path):
    unet = toys.pairs(unet_layers(checkpoint))
    for name in ("one", "other"):
        save_file(toys.peft("unet", unet), tmp_path / f"{name}.safetensors")
    for said in ('{"lora_alpha": 400}', "{"):
        (tmp_path / "adapter_config.json").write_text(said, encoding="utf-8")
        changes, _ = Lora.read(tmp_path / "one.safetensors").changes(checkpoint, 1.0, 1.0)
        torch.testing.assert_close(changes[unet_layers(checkpoint)[toys.LAYERS[0]]].up, unet[toys.LAYERS[0]][1])


def further_layouts(checkpoint, unet, text):
    """The same LoRA as ComfyUI, LyCORIS and PEFT write it."""
    original = {checkpoint.layout.key(f"{name}.weight").removesuffix(".weight"): low for name, low in unet.items()}

    def dotted(prefix, low, down="lora_down.weight", up="lora_up.weight"):
        return {f"{prefix}{name}.{role}": tensor for name, pair in low.items() for role, tensor in zip((down, up), pair, strict=True)}

    yield "ComfyUI", dotted("diffusion_model.", original) | dotted("text_encoders.clip_l.transformer.text_model.", text)
    yield "ComfyUI, whole names", dotted("model.diffusion_model.", original) | dotted("clip_l.transformer.text_model.", text)
    yield "ComfyUI, PEFT's roles", dotted("diffusion_model.", original, "lora_A.weight", "lora_B.weight") | dotted("text_encoder.", text)
    yield "LyCORIS alone", toys.kohya("lycoris", unet) | toys.kohya("lora_te_text_model", text)
    named = ("lora_A.my-style.weight", "lora_B.my-style.weight")
    yield "a named adapter", dotted("base_model.model.unet.", unet, *named) | dotted("base_model.model.text_model.", text, *named)


def test_further_layouts_are_the_same_as_merging_into_a_copy(checkpoint):
    unet, text = toys.pairs(unet_layers(checkpoint)), toys.pairs(text_layers(checkpoint))
    expected = Lora.of(toys.kohya("lora_unet", unet) | toys.kohya("lora_te_text_model", text), "one").changes(checkpoint, 0.5, 0.5)[0]
    for title, file in further_layouts(checkpoint, unet, text):
        changes, unknown = Lora.of(file, title).changes(checkpoint, 0.5, 0.5)
        assert unknown == [] and changes.keys() == expected.keys(), title
        assert all(torch.equal(change.up, expected[module].up) for module, change in changes.items()), title


def test_several_adapters_in_one_file_are_not_mixed(checkpoint):
    unet = toys.pairs(unet_layers(checkpoint))
    file = {
        key.replace(".weight", f".{name}.weight"): tensor for name in ("ink", "wash") for key, tensor in toys.peft("unet", unet).items()
    }
    with pytest.raises(InvalidInput, match="holds several adapters in one file: ink, wash"):
        Lora.of(file, "two")


@pytest.mark.parametrize("naming", ["diffusers", "original"])
def test_norms_and_their_differences_count(checkpoint, naming):
    norms = {
        name: module for name, module in checkpoint.unet.named_modules()
        if isinstance(module, (torch.nn.LayerNorm, torch.nn.GroupNorm)) and ("mid_block" in name or name == "conv_norm_out")
    }  # fmt: skip
    text = {"encoder.layers.0.layer_norm1": checkpoint.text_encoders[0].inner.get_submodule("encoder.layers.0.layer_norm1")}
    assert len(norms) > 8
    generator = torch.Generator().manual_seed(9)
    file, kept = {}, {}
    before = answers(checkpoint)
    for prefix, name, module in [("lora_unet_", *one) for one in norms.items()] + [("lora_te_text_model_", *one) for one in text.items()]:
        spoken = name
        if naming == "original" and prefix == "lora_unet_":
            spoken = checkpoint.layout.key(f"{name}.weight").removesuffix(".weight")
        weight, bias = (0.5 * torch.randn(module.weight.shape, generator=generator) for _ in range(2))
        roles = ("w_norm", "b_norm") if len(file) % 4 else ("diff", "diff_b")
        file |= {f"{prefix}{spoken.replace('.', '_')}.{role}": value for role, value in zip(roles, (weight, bias), strict=True)}
        kept[module] = module.weight, module.bias
        module.weight, module.bias = (
            torch.nn.Parameter(own + 0.5 * more, False) for own, more in zip(kept[module], (weight, bias), strict=True)
        )
    expected = answers(checkpoint)
    for module, own in kept.items():
        module.weight, module.bias = own
    assert far(before, expected)
    with applied(checkpoint, [(Lora.of(file, "norms"), 0.5)]) as notes:
        assert notes == []
        close(answers(checkpoint), expected, atol=2e-4)
    assert all(torch.equal(one, other) for one, other in zip(answers(checkpoint), before, strict=True))


@torch.no_grad()
def test_a_difference_of_the_token_embedding_counts(checkpoint):
    embedding = checkpoint.text_encoders[0].token_embedding
    delta = torch.zeros_like(embedding.weight)
    delta[7] = 1.0
    ids = torch.tensor([[7, 8]])
    lora = Lora.of({"text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.diff": delta}, "words")
    plain = embedding(ids)
    with applied(checkpoint, [(lora, 0.5)]):
        torch.testing.assert_close(embedding(ids) - plain, torch.tensor([[[0.5], [0.0]]]).expand(1, 2, 768))


@torch.no_grad()
def test_pefts_dora_of_a_convolution_is_of_its_outputs(checkpoint):
    name = toys.LAYERS[7]  # 32 channels in and out, so that the shapes alone do not tell
    module = checkpoint.unet.get_submodule(name)
    down, up = toys.pairs({name: module})[name]
    magnitude = torch.linspace(0.5, 2, 32)
    directed = toys.merged(module.weight, down, up, 1.0)
    wanted = directed * (magnitude / directed.flatten(1).norm(dim=1))[:, None, None, None]
    for shape in ((32,), (1, 32, 1, 1)):
        file = toys.peft("unet", {name: (down, up)}) | {f"unet.{name}.lora_magnitude_vector.default.weight": magnitude.reshape(shape)}
        change = Lora.of(file, "dora").changes(checkpoint, 1.0, 1.0)[0][module]
        torch.testing.assert_close(module.weight + change.whole, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_bias_of_pefts_second_matrix_counts(checkpoint):
    name = toys.LAYERS[1]
    module, bias = checkpoint.unet.get_submodule(name), torch.linspace(-1, 1, 32)
    file = toys.peft("unet", toys.pairs({name: module})) | {f"unet.{name}.lora_B.bias": bias}
    change = Lora.of(file, "biased", {"unet.lora_alpha": "2"}).changes(checkpoint, 0.5, 0.5)[0][module]
    torch.testing.assert_close(change.bias, 0.5 * 2 / 4 * bias)


def test_an_inpainting_checkpoints_first_layer_takes_what_was_trained_on_four_channels():
    inpainting = families.checkpoint(in_channels=9)
    module = inpainting.unet.conv_in
    generator = torch.Generator().manual_seed(1)
    down, up = torch.randn(4, 4, 3, 3, generator=generator), torch.randn(32, 4, 1, 1, generator=generator)
    other = SimpleNamespace(unet=inpainting.unet, layout=inpainting.layout, text_encoders=())
    change = Lora.of(toys.kohya("lora_unet", {"conv_in": (down, up)}), "one").changes(other, 1.0, 1.0)[0][module]
    x = torch.randn(1, 9, 8, 8, generator=generator)
    expected = torch.nn.functional.conv2d(torch.nn.functional.conv2d(x[:, :4], down, padding=1), up)
    torch.testing.assert_close(change.answer(module, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("base_model.model.unet.mid_block.attentions.0.proj_in.lora_E.default", "an AdaLoRA"),
        ("unet.mid_block.attentions.0.proj_in.vera_lambda_b", "a VeRA"),
        ("unet.mid_block.attentions.0.proj_in.oft_r.default", "an OFT in PEFT's layout"),
        ("unet.mid_block.attentions.0.proj_in.ia3_l.default", "an IA3 in PEFT's layout"),
        ("lora_unet_mid_block_attentions_0_proj_in.bias_values", "a LyCORIS with a sparse remainder"),
        ("diffusion_model.middle_block.1.proj_in.set_weight", "a file of whole weights in place of changes"),
        ("lora_unet_mid_block_attentions_0_proj_in.lora_new.weight", "has tensors that are not known here: lora_new"),
    ],
)
def test_what_could_be_applied_by_half_is_refused_as_what_it_is(checkpoint, key, what):
    file = toys.kohya("lora_unet", toys.pairs(unet_layers(checkpoint)))
    with pytest.raises(InvalidInput, match=what):
        Lora.of({**file, key: torch.zeros(4)}, "odd")


def test_what_says_nothing_about_any_layer_is_reported(checkpoint):
    file = toys.kohya("lora_unet", toys.pairs(unet_layers(checkpoint))) | {"first_stage_model.quant_conv.bias": torch.zeros(8)}
    with applied(checkpoint, [(Lora.of(file, "odd"), 1.0)]) as notes:
        assert notes == [
            "1 tensors of the LoRA odd are of no kind that is known here and were left out, for example first_stage_model.quant_conv.bias."
        ]


def test_half_a_pair_is_damage(checkpoint):
    file = toys.kohya("lora_unet", toys.pairs(unet_layers(checkpoint)))
    for role in ("up", "down"):
        rest = {key: tensor for key, tensor in file.items() if f"proj_in.lora_{role}" not in key}
        with pytest.raises(InvalidInput, match=f"The LoRA torn is damaged or cut off: down_blocks_0_attentions_0_proj_in has no {role}"):
            Lora.of(rest, "torn").changes(checkpoint, 1.0, 1.0)


LAYER = "down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lora_up.weight": lambda up: up * float("nan")}, f"damaged or cut off: some numbers of {LAYER} are not finite"),
        ({"lora_down.weight": lambda down: down / 0}, "are not finite"),
        ({"alpha": lambda _: torch.tensor(float("inf"))}, "are not finite"),
        ({"alpha": lambda _: torch.zeros(0)}, f"a tensor of {LAYER} is empty"),
        ({"lora_up.weight": lambda up: up[:, :0], "lora_down.weight": lambda down: down[:0]}, "is empty"),
        ({"lora_down.weight": lambda down: down[:3]}, "do not fit each other"),
        ({"lora_up.weight": lambda up: up[:, 0], "lora_down.weight": lambda down: down[0]}, "do not fit each other"),
    ],
)
def test_tensors_that_would_spoil_the_picture_are_refused(checkpoint, changed, message):
    file = toys.kohya("lora_unet", toys.pairs(unet_layers(checkpoint)), 4.0)
    file |= {f"lora_unet_{LAYER}.{role}": change(file[f"lora_unet_{LAYER}.{role}"]) for role, change in changed.items()}
    with pytest.raises(InvalidInput, match=message) as refused, applied(checkpoint, [(Lora.of(file, "odd"), 1.0)]):
        pass
    assert "mat1" not in str(refused.value)


def test_what_torch_says_about_shapes_reaches_nobody(checkpoint):
    layer, weight = f"lora_unet_{LAYER}", unet_layers(checkpoint)[toys.LAYERS[1]].weight
    file = {f"{layer}.hada_w{n}_{side}": torch.ones(weight.shape[0], 4) for n in (1, 2) for side in "ab"}
    with pytest.raises(InvalidInput, match=r"the tensors of its .* do not fit each other") as refused:
        Lora.of(file, "odd").changes(checkpoint, 1.0, 1.0)
    assert "mat1" not in str(refused.value) and "size of tensor" not in str(refused.value)


def test_other_files_are_called_by_their_names():
    for key, what in (("control_model.zero_convs.0.0.weight", "a ControlNet"), ("emb_params", "a textual inversion embedding")):
        with pytest.raises(InvalidInput, match=f"file is no LoRA but {what}"):
            Lora.of({key: torch.zeros(4)}, "file")


def test_dyn_takes_the_first_ranks_as_the_web_ui_does(checkpoint):
    unet = toys.pairs(unet_layers(checkpoint))
    lora = Lora.of(toys.kohya("lora_unet", unet, 2.0), "one")
    for written in ("<lora:one:1:dyn=2>", "<lora:one:1:1:2>"):
        (use,) = lora_uses(without_networks(written)[1])
        changes, _ = lora.changes(checkpoint, 1.0, 1.0, use)
        for name, module in unet_layers(checkpoint).items():
            down, up = unet[name]
            assert torch.equal(changes[module].down, down[:2]) and torch.equal(changes[module].up, 0.5 * up[:, :2])


@pytest.mark.parametrize("count", [17, 26])
def test_lbw_weighs_the_blocks(checkpoint, count):
    unet, text = toys.pairs(unet_layers(checkpoint)), toys.pairs(text_layers(checkpoint))
    lora = Lora.of(toys.kohya("lora_unet", unet) | toys.kohya("lora_te_text_model", text), "one")
    weights = [0.25, *(0.01 * number for number in range(1, count))]
    (use,) = lora_uses(without_networks(f"<lora:one:0.5:lbw={','.join(map(str, weights))}>")[1])
    # IN01, IN02, IN04, MID, OUT03, OUT11 and the downsampling IN03, which 17 weights leave out
    places = {17: [1, 2, 3, 7, 7, 8, 16, None], 26: [2, 3, 5, 13, 13, 17, 25, 4]}[count]
    changes, _ = lora.changes(checkpoint, 1.0, 1.0, use)
    for place, (name, module) in zip(places, unet_layers(checkpoint).items(), strict=True):
        if place is None:
            assert module not in changes
        else:
            torch.testing.assert_close(changes[module].up, 0.5 * weights[place] * unet[name][1])
    for name, module in text_layers(checkpoint).items():
        torch.testing.assert_close(changes[module].up, 0.5 * 0.25 * text[name][1])
