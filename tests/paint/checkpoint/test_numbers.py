"""What the networks compute: as diffusers' own conversion, as OpenCLIP's definition, as OpenAI's tokenizer."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.opening import open_checkpoint
from clickpaint.paint.checkpoint.tokens import tokenizer
from tests.toys import checkpoint as toy
from tests.toys.tensor_source import TensorSource

torchvision.available()

SMALL = 512


def shuffled(family: str) -> dict[str, torch.Tensor]:
    """A toy whose weights are all random, so that two tensors of one size cannot be mistaken for each other."""
    tensors = toy.state_dict(family=family, vocabulary=SMALL, dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    return {
        key: torch.randn(value.shape, generator=generator) * 0.05 if value.is_floating_point() else value for key, value in tensors.items()
    }


@pytest.mark.parametrize("family", toy.FAMILIES)
def test_every_tensor_lies_where_diffusers_own_conversion_puts_it(family):
    from diffusers.loaders import single_file_utils as theirs

    tensors = shuffled(family)
    checkpoint = open_checkpoint(TensorSource("toy", lambda: tensors, "epsilon"))
    unet = theirs.convert_ldm_unet_checkpoint(dict(tensors), dict(checkpoint.unet.config))
    vae = theirs.convert_ldm_vae_checkpoint(dict(tensors), dict(checkpoint.vae.config))
    for module, converted in ((checkpoint.unet, unet), (checkpoint.vae, vae)):
        own = module.state_dict()
        assert set(own) == set(converted)
        for name, tensor in own.items():
            assert torch.equal(tensor, converted[name]), name


def open_clip_by_definition(weights: dict[str, torch.Tensor], ids: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """(input and output of every layer, pooled and projected output) of OpenCLIP's text tower, with torch's own attention."""
    functional = torch.nn.functional
    x = weights["token_embedding.weight"][ids] + weights["positional_embedding"][: ids.shape[1]]
    width, length = x.shape[-1], x.shape[1]
    causal = torch.full((length, length), float("-inf")).triu(1)
    hidden = [x]
    for layer in range(toy.CLIP_LAYERS):
        own = {key.split(".", 3)[3]: value for key, value in weights.items() if key.startswith(f"transformer.resblocks.{layer}.")}
        y = functional.layer_norm(x, (width,), own["ln_1.weight"], own["ln_1.bias"]).transpose(0, 1)
        attended, _ = functional.multi_head_attention_forward(
            y, y, y, width, width // 64, own["attn.in_proj_weight"], own["attn.in_proj_bias"], None, None, False, 0.0,
            own["attn.out_proj.weight"], own["attn.out_proj.bias"], training=False, need_weights=False, attn_mask=causal,
        )  # fmt: skip
        x = x + attended.transpose(0, 1)
        y = functional.layer_norm(x, (width,), own["ln_2.weight"], own["ln_2.bias"])
        y = functional.gelu(functional.linear(y, own["mlp.c_fc.weight"], own["mlp.c_fc.bias"]))
        x = x + functional.linear(y, own["mlp.c_proj.weight"], own["mlp.c_proj.bias"])
        hidden.append(x)
    last = functional.layer_norm(x, (width,), weights["ln_final.weight"], weights["ln_final.bias"])
    return hidden, last[torch.arange(len(ids)), ids.argmax(-1)] @ weights["text_projection"]


@pytest.mark.parametrize(
    ("family", "number", "prefix"), [("sd2", 0, "cond_stage_model.model."), ("sdxl", 1, "conditioner.embedders.1.model.")]
)
def test_open_clip_computes_what_its_definition_says(family, number, prefix):
    tensors = toy.state_dict(family=family, dtype=torch.float32)
    tensors[f"{prefix}ln_final.weight"] *= torch.linspace(0.5, 2, len(tensors[f"{prefix}ln_final.weight"]))
    encoder = open_checkpoint(TensorSource("toy", lambda: tensors, "epsilon")).text_encoders[number]
    ids = torch.tensor(encoder.tokenizer(["a red house", "grass"], padding="max_length").input_ids)
    weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    hidden, pooled = open_clip_by_definition(weights, ids)
    ours, our_pooled = encoder.encode(ids, clip_skip=2)
    if family == "sd2":  # the last layer but one, normalised; no vector beside the time
        width = hidden[-2].shape[-1]
        wanted = torch.nn.functional.layer_norm(hidden[-2], (width,), weights["ln_final.weight"], weights["ln_final.bias"])
        assert our_pooled is None
    else:
        wanted = hidden[-2]
        assert our_pooled is not None
        torch.testing.assert_close(our_pooled, pooled, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(ours, wanted, atol=2e-5, rtol=1e-4)


def test_clip_skip_takes_an_earlier_layer_and_normalises_it():
    tensors = toy.state_dict(dtype=torch.float32)
    encoder = open_checkpoint(TensorSource("toy", lambda: tensors)).text_encoders[0]
    ids = torch.tensor([encoder.tokenizer("a red house", padding="max_length").input_ids])
    out = encoder.model(ids, output_hidden_states=True)
    for skip, wanted in ((1, out.last_hidden_state), (2, encoder.inner.final_layer_norm(out.hidden_states[-2]))):
        assert torch.equal(encoder.encode(ids, skip)[0], wanted)
    assert not torch.equal(encoder.encode(ids, 1)[0], encoder.encode(ids, 2)[0])


def openai() -> types.ModuleType:
    """`clip.simple_tokenizer` by itself: importing `clip` would import torchvision. ftfy mends broken text, of which there is none here."""
    package = importlib.util.find_spec("clip")
    if package is None or not package.submodule_search_locations:
        pytest.skip("needs clip-anytorch, which the stand-alone program installs")
    file = Path(package.submodule_search_locations[0]) / "simple_tokenizer.py"
    spec = importlib.util.spec_from_file_location("openai_simple_tokenizer", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    fake = types.ModuleType("ftfy")
    fake.fix_text = lambda text: text  # type: ignore[attr-defined]
    before = sys.modules.get("ftfy")
    sys.modules["ftfy"] = fake
    try:
        spec.loader.exec_module(module)
    finally:
        if before is None:
            del sys.modules["ftfy"]
        else:
            sys.modules["ftfy"] = before
    return module


TEXTS = [
    "a photo of an astronaut riding a horse on mars", "masterpiece, best quality, (highly detailed:1.2), 8k, 35mm f/1.8",
    "it's THE cat's pyjamas; they'll've",
    "Ünïcödé café naïve Straße", "你好 世界，红色的房子", "дом у реки", "🙂🏠 emoji", "supercalifragilisticexpialidocious",
    "x" * 200, "1234567890 3.14159",
    "   spaces \t and\nlines  ", "under_score-and-dash/and\\slash", "", "éé", "<lora:x:1> {a|b} [c] $%^&*~`", "don't 'quote' \"double\"",
]  # fmt: skip


def test_the_tokenizer_answers_as_openais():
    reference = openai().SimpleTokenizer()
    own = tokenizer()
    for text in TEXTS:
        assert own(text, add_special_tokens=False).input_ids == reference.encode(text), text
    assert own("cat").input_ids == [49406, *reference.encode("cat"), 49407]
    assert (own.bos_token_id, own.eos_token_id, own.pad_token_id, tokenizer("!").pad_token_id, len(own)) == (49406, 49407, 49407, 0, 49408)
    assert own.decode(reference.encode("a red house"), skip_special_tokens=True).strip() == "a red house"
