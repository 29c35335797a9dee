"""Files of the flow-matching families as people have them: whole, or a transformer with its text encoders and VAE beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from clickpaint.app.main import main
from clickpaint.errors import ClickpaintError
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.paint.checkpoint.opening import Checkpoints
from tests.paint.diffusion.toys import picture
from tests.toys import flow as toy


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


def test_four_bits_are_refused_by_name(models, tmp_path):
    tensors = load_file(models / "Stable-diffusion" / "sd3.5_medium.safetensors")
    tensors["joint_blocks.0.x_block.attn.proj.weight.quant_state.bitsandbytes__nf4"] = torch.zeros(4, dtype=torch.uint8)
    (tmp_path / "models" / "Stable-diffusion").mkdir(parents=True)
    toy.save(tmp_path / "models" / "Stable-diffusion" / "nf4.safetensors", tensors)
    can = EmbeddedHost(tmp_path, environment={}).capabilities()
    assert not can.paint and "four bits" in can.reason


def test_an_edit_model_does_what_is_said_to_what_is_selected_and_to_nothing_else(tmp_path):
    base = tmp_path / "models"
    (base / "Stable-diffusion").mkdir(parents=True)
    toy.qwen_tokenizer(base / "tokenizers" / "qwen")
    toy.save(base / "Stable-diffusion" / "qwen_image_edit.safetensors", toy.qwen_image_file(), torch.bfloat16)
    can = EmbeddedHost(tmp_path, environment={}).capabilities()
    assert can.family is not None and can.family.instructs and can.family.name == "Qwen-Image-Edit"
    status, pixels, mask, out = fill(base, tmp_path, "--cfg-scale", 1, command="instruct")
    assert status == 0
    assert np.array_equal(out[~mask], pixels[~mask])
    assert np.abs(out[mask].astype(int) - pixels[mask]).mean() > 3
