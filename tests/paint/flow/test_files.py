"""Files of the flow-matching families as people have them: whole, or a transformer with its text encoders and VAE beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from clickpaint.app.main import main
from clickpaint.errors import ClickpaintError
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.paint.checkpoint.gguf_file import read_gguf
from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report, open_any
from clickpaint.paint.checkpoint.packed_weights import packing_of, stored_bytes
from clickpaint.paint.checkpoint.source import FileSource
from tests.paint.diffusion.toys import picture
from tests.paint.flow.test_opening import answers
from tests.toys import flow as toy
from tests.toys.packed import in_eight_bits, in_four_bits, written_gguf
from tests.toys.tensor_source import TensorSource


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of models as ComfyUI has it: Stable Diffusion 3.5 in half precision, in parts."""
    base = tmp_path_factory.mktemp("home") / "models"
    for kind in ("Stable-diffusion", "text_encoders", "VAE"):
        (base / kind).mkdir(parents=True)
    toy.t5_tokenizer(base / "tokenizers" / "t5")
    whole = toy.sd3_file()

    def part(prefix: str) -> toy.Weights:
        return {key.removeprefix(prefix): tensor for key, tensor in whole.items() if key.startswith(prefix)}

    toy.save(base / "Stable-diffusion" / "sd3.5_medium.safetensors", part("model.diffusion_model."), torch.bfloat16)
    toy.save(base / "text_encoders" / "clip_l.safetensors", part("text_encoders.clip_l.transformer."), torch.float16)
    larger = {f"clip_g.{key}": tensor for key, tensor in part("text_encoders.clip_g.transformer.").items()}
    toy.save(base / "text_encoders" / "clip_g.safetensors", larger, torch.float16)
    toy.save(base / "text_encoders" / "t5xxl_fp16.safetensors", part("text_encoders.t5xxl.transformer."), torch.float16)
    toy.save(base / "VAE" / "ae.safetensors", {key: tensor * 0 for key, tensor in toy.vae().items()}, torch.bfloat16)  # Flux's
    toy.save(base / "VAE" / "sd3_vae.safetensors", toy.vae(), torch.bfloat16)
    return base


def fill(models: Path, folder: Path, *more: object, command: str = "fill") -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """(status, the picture, the mask, the result) of a fill on the command line."""
    pixels, mask = picture(128, 112), np.zeros((112, 128), bool)
    mask[40:80, 50:100] = True
    Image.fromarray(pixels).save(folder / "photo.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask.png")
    arguments = [command, folder / "photo.png", "--mask", folder / "mask.png", "-o", folder / "out.png", "--models-dir", models,
                 "--data-dir", folder, "--prompt", "a red house", "--steps", 2, "--resolution", 64, "--grow", 0, "--feather", 0,
                 "--seed", 3, "--device", "cpu", "--precision", "full", *more]  # fmt: skip
    status = main([str(argument) for argument in arguments])
    if status:
        return status, pixels, mask, pixels
    with Image.open(folder / "out.png") as result:
        return status, pixels, mask, np.asarray(result.convert("RGB"))


def test_a_transformer_that_comes_alone_paints_with_the_files_beside_it(models, tmp_path):
    status, pixels, mask, out = fill(models, tmp_path, "--cfg-scale", 2, "--distilled-cfg-scale", 4)
    assert status == 0
    assert np.array_equal(out[~mask], pixels[~mask])
    assert np.abs(out[mask].astype(int) - pixels[mask]).mean() > 3
    with Image.open(tmp_path / "out.png") as result:
        said = result.info["parameters"]
    assert "Sampler: Euler" in said and "CFG scale: 2" in said and "Distilled CFG Scale: 4" in said


def test_the_page_is_told_what_the_model_is(models, tmp_path):
    can = EmbeddedHost(tmp_path, models_dirs=[models], environment={}).capabilities()
    assert can.paint and can.family is not None and can.family.name == "Stable Diffusion 3.5"
    assert (can.distilled, can.family.guidance, can.preset.cfg_scale, can.preset.distilled_cfg_scale) == (True, "shift", 4.5, 3.0)


def test_half_precision_stays_in_the_file_and_is_widened_layer_by_layer_for_the_cpu(models, tmp_path):
    source = EmbeddedHost(tmp_path, models_dirs=[models], environment={}).checkpoint()
    assert source is not None
    with Checkpoints().using(source, "cpu") as checkpoint:
        assert (checkpoint.dtype, checkpoint.transformer.proj_out.weight.dtype) == (torch.float32, torch.bfloat16)
        assert {"clip_l", "clip_g", "t5"} == set(checkpoint.texts)
        own = load_file(models / "VAE" / "sd3_vae.safetensors")["decoder.conv_in.weight"]
        assert torch.equal(checkpoint.vae.decoder.conv_in.weight, own)


def test_what_is_missing_is_named_with_the_place_for_it(models, tmp_path):
    lean = tmp_path / "models"
    for kind in ("Stable-diffusion", "text_encoder", "VAE"):
        (lean / kind).mkdir(parents=True)
    for file in ("Stable-diffusion/sd3.5_medium.safetensors", "VAE/sd3_vae.safetensors"):
        (lean / file).symlink_to(models / file)
    host = EmbeddedHost(tmp_path, models_dirs=[lean], environment={})
    source = host.checkpoint()
    with pytest.raises(ClickpaintError, match="without its text encoder CLIP ViT-L/14") as caught, Checkpoints().using(source, "cpu"):
        pass
    assert str(lean / "text_encoder") in caught.value.message
    for file in sorted((models / "text_encoders").iterdir()):
        (lean / "text_encoder" / file.name).symlink_to(file)
    status, *_ = fill(lean, tmp_path)
    assert status == 2  # no tokenizer of T5


def test_four_bits_of_other_makers_are_refused_by_name(models, tmp_path):
    tensors = load_file(models / "Stable-diffusion" / "sd3.5_medium.safetensors")
    tensors["joint_blocks.0.x_block.attn.proj.qweight"] = torch.zeros(4, dtype=torch.uint8)
    (tmp_path / "models" / "Stable-diffusion").mkdir(parents=True)
    toy.save(tmp_path / "models" / "Stable-diffusion" / "nf4.safetensors", tensors)
    can = EmbeddedHost(tmp_path, environment={}).capabilities()
    assert not can.paint and "four bits" in can.reason


def test_an_edit_model_does_what_is_said_to_what_is_selected_and_to_nothing_else(tmp_path, monkeypatch):
    from clickpaint.paint import in_picture

    aligned: list[Any] = []
    monkeypatch.setattr(in_picture, "align", lambda *given, own=in_picture.align: aligned.append(given) or own(*given))
    base = tmp_path / "models"
    (base / "Stable-diffusion").mkdir(parents=True)
    toy.qwen_tokenizer(base / "tokenizers" / "qwen")
    toy.save(base / "Stable-diffusion" / "qwen_image_edit.safetensors", toy.qwen_image_file(), torch.bfloat16)
    can = EmbeddedHost(tmp_path, environment={}).capabilities()
    assert can.family is not None and can.family.instructs and can.family.name == "Qwen-Image-Edit"
    status, pixels, mask, out = fill(base, tmp_path, "--cfg-scale", 1, command="instruct")
    assert status == 0 and len(aligned) == 1
    assert np.array_equal(out[~mask], pixels[~mask])
    assert np.abs(out[mask].astype(int) - pixels[mask]).mean() > 3


PACKED = {
    "Q8_0": (8.6, 0.01, lambda path, weights: written_gguf(path.with_suffix(".gguf"), weights, "Q8_0")),
    "Q4_0": (4.6, 0.2, lambda path, weights: written_gguf(path.with_suffix(".gguf"), weights, "Q4_0")),
    "BF16": (16.1, 0.01, lambda path, weights: written_gguf(path.with_suffix(".gguf"), weights, "BF16")),
    "scaled fp8": (8.1, 0.06, lambda path, weights: toy.save(path, in_eight_bits(weights))),
    "NF4": (6, 0.2, lambda path, weights: toy.save(path, in_four_bits(weights, nested=False))),
    "NF4, nested": (15, 0.2, lambda path, weights: toy.save(path, in_four_bits(weights, nested=True))),
}
"""Bits a weight at most (tables count in toys), how much the answer may be off, of its standard deviation, and what writes a file."""


@pytest.fixture(scope="module")
def flux_folder(tmp_path_factory) -> tuple[Path, toy.Weights]:
    """Models with all that goes with a transformer of Flux, T5 in scaled eight bits, and that transformer's weights."""
    base = tmp_path_factory.mktemp("flux") / "models"
    for kind in ("Stable-diffusion", "text_encoders", "VAE"):
        (base / kind).mkdir(parents=True)
    toy.t5_tokenizer(base / "tokenizers" / "t5")
    toy.save(base / "text_encoders" / "clip_l.safetensors", toy.drawn(toy.clip(toy.CLIP_L), 2))
    toy.save(base / "text_encoders" / "t5xxl_fp8_scaled.safetensors", in_eight_bits(toy.drawn(toy.t5(), 4)))
    toy.save(base / "VAE" / "ae.safetensors", toy.vae())
    return base, toy.drawn(toy.flux(), 1)


@pytest.mark.parametrize("how", PACKED)
def test_packed_weights_stay_as_small_as_the_file_and_answer_as_what_they_stand_for(flux_folder, how, tmp_path):
    base, weights = flux_folder
    bits, share, write = PACKED[how]
    source = FileSource(write(tmp_path / "flux1-dev.safetensors", weights), folders=lambda kind: [base / (kind + "s"), base / kind])
    opened: Any = open_any(source)
    weight = opened.transformer.transformer_blocks[0].attn.to_q.weight
    assert stored_bytes(weight) < bits / 8 * weight.numel() and weight.shape == (64, 64)
    assert all(row.aliased_tensors == row.tensors for row in alias_report(opened, source.tensors()))
    assert packing_of(opened.texts["t5"].model.encoder.block[0].layer[0].SelfAttention.q.weight) is not None
    with Checkpoints().using(source, "cpu") as checkpoint:
        ours = answers(checkpoint, checkpoint.transformer)
    plain = open_any(TensorSource("flux1-dev", lambda: toy.flux_file()))
    wanted = answers(plain, plain.transformer)
    assert (ours - wanted).std() < share * wanted.std()


def test_a_gguf_file_paints_and_a_lora_acts_on_it(flux_folder, tmp_path):
    base, weights = flux_folder
    models = tmp_path / "models"
    models.mkdir()
    for kind in ("text_encoders", "VAE", "tokenizers"):
        (models / kind).symlink_to(base / kind)
    (models / "Stable-diffusion").mkdir()
    written_gguf(models / "Stable-diffusion" / "flux1-dev-Q8_0.gguf", weights, "Q8_0")
    (models / "Lora").mkdir()
    layer = "double_blocks.0.img_attn.qkv"
    pair = {
        f"lora_unet_{layer.replace('.', '_')}.lora_{side}.weight": torch.ones(*shape)
        for side, shape in (("down", (2, 64)), ("up", (192, 2)))
    }
    toy.save(models / "Lora" / "strong.safetensors", pair)
    status, pixels, mask, out = fill(models, tmp_path)
    assert status == 0 and np.array_equal(out[~mask], pixels[~mask]) and np.abs(out[mask].astype(int) - pixels[mask]).mean() > 3
    status, _, _, changed = fill(models, tmp_path, "--prompt", "a red house <lora:strong:1>")
    assert status == 0 and not np.array_equal(changed, out)


def test_text_encoders_of_llama_cpp_are_found_by_their_makers_names(tmp_path):
    names = {
        "enc.blk.0.attn_q.weight": "encoder.block.0.layer.0.SelfAttention.q.weight",
        "enc.blk.0.attn_rel_b.weight": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "enc.blk.0.ffn_gate.weight": "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
        "enc.output_norm.weight": "encoder.final_layer_norm.weight",
        "token_embd.weight": "shared.weight",
    }
    qwen = {
        "blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
        "blk.0.attn_q_norm.weight": "model.layers.0.self_attn.q_norm.weight",
        "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
        "blk.0.ffn_norm.weight": "model.layers.0.post_attention_layernorm.weight",
        "output_norm.weight": "model.norm.weight",
        "token_embd.weight": "model.embed_tokens.weight",
    }
    for number, table in enumerate((names, qwen)):
        path = written_gguf(tmp_path / f"{number}.gguf", {key: torch.ones(2, 32) for key in table}, "Q8_0")
        assert list(read_gguf(path)[0]) == list(table.values())


def test_a_gguf_file_is_refused_in_a_sentence_where_it_cannot_be_used(tmp_path, monkeypatch):
    (tmp_path / "models" / "Stable-diffusion").mkdir(parents=True)
    unet = written_gguf(tmp_path / "models" / "Stable-diffusion" / "sdxl.gguf", {"input_blocks.0.0.weight": torch.ones(2, 32)}, "Q8_0")
    can = EmbeddedHost(tmp_path, environment={}).capabilities()
    assert not can.paint and "only for the transformers of Flux" in can.reason
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ClickpaintError, match="need the package gguf"):
        read_gguf(unet)
    unet.write_bytes(unet.read_bytes()[:40])
    monkeypatch.undo()
    with pytest.raises(ClickpaintError, match="it is damaged"):
        read_gguf(unet)
