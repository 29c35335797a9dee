"""Files of the flow-matching families: known by their tensors, shared without a copy, and the same networks as diffusers makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report, open_any
from clickpaint.paint.flow import registry
from clickpaint.paint.flow.base import Asked
from clickpaint.paint.flow.packing import places
from clickpaint.paint.flow.qwen_vae import wan_key
from clickpaint.paint.flow.qwen_vision import _patches
from clickpaint.paint.flow.registry import FAMILIES
from tests.toys import flow as toy
from tests.toys.tensor_source import TensorSource

torchvision.available()


def opened(tensors, name="toy.safetensors") -> Any:
    return open_any(TensorSource(name, lambda: tensors))


def converted(checkpoint, tensors, convert: str) -> Any:
    """The transformer as diffusers makes it of the same tensors."""
    import inspect

    from diffusers.loaders import single_file_utils

    prefix = "model.diffusion_model."
    own = {key.removeprefix(prefix): tensor.clone() for key, tensor in tensors.items() if key.startswith(prefix)}
    made = type(checkpoint.transformer)(**checkpoint.kind.config).eval()
    if not convert:  # it has diffusers' own names
        made.load_state_dict(own, strict=True)
        return made
    function = getattr(single_file_utils, convert)
    code = inspect.getsource(function).replace("inner_dim = 3072", f"inner_dim = {WIDTH}")  # which it takes for granted
    scope = dict(vars(single_file_utils))
    exec(code, scope)
    made.load_state_dict(scope[convert](own), strict=True)
    return made


WIDTH = 64
"""Of the toys whose converters know but one."""


FILES = {
    "flux": (toy.flux_file, "Flux dev", "convert_flux_transformer_checkpoint_to_diffusers"),
    "z_image": (toy.z_image_file, "Z-Image", "convert_z_image_transformer_checkpoint_to_diffusers"),
    "qwen_image": (toy.qwen_image_file, "Qwen-Image", ""),
    "chroma": (toy.chroma_file, "Chroma", "convert_chroma_transformer_checkpoint_to_diffusers"),
    "flux2": (toy.flux2_file, "Flux.2 Klein", "convert_flux2_transformer_checkpoint_to_diffusers"),
    "sd3": (toy.sd3_file, "Stable Diffusion 3.5", "convert_sd3_transformer_checkpoint_to_diffusers"),
}


def answers(checkpoint, transformer) -> torch.Tensor:
    """What a transformer answers to latents that differ everywhere."""
    generator = torch.Generator().manual_seed(5)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    family, config = FAMILIES[checkpoint.kind.family], checkpoint.kind.config
    added = {"pooled": drawn(1, config["pooled_projection_dim"])} if "pooled_projection_dim" in config else {}
    context = drawn(1, 7, family.text_width(checkpoint.kind))
    with torch.no_grad():
        return family.ask(Asked(transformer, drawn(1, family.channels, 8, 12), 0.5, context, added, checkpoint.kind.distilled))


@pytest.mark.parametrize("family", FILES)
def test_every_weight_lies_in_the_files_memory_and_answers_as_diffusers_own(family):
    make, title, convert = FILES[family]
    tensors = make()
    checkpoint = opened(tensors)
    assert (checkpoint.kind.family, checkpoint.kind.title) == (family, title)
    for row in alias_report(checkpoint, tensors):
        assert row.tensors > 10, row
        assert (row.aliased_tensors, row.aliased_bytes) == (row.tensors, row.bytes), row
    ours = answers(checkpoint, checkpoint.transformer)
    theirs = answers(checkpoint, converted(checkpoint, tensors, convert))
    assert ours.std() > 1e-3 and (ours - theirs).abs().max() < 1e-5


KINDS = {
    "z_image_turbo_bf16.safetensors": (toy.z_image_file, "Z-Image Turbo"),
    "qwen_image_edit_2509_fp8.safetensors": (toy.qwen_image_file, "Qwen-Image-Edit"),
    "flux-2-klein-base-4b.safetensors": (toy.flux2_file, "Flux.2 Klein base"),
    "flux1-schnell.safetensors": (lambda: toy.flux_file(guided=False), "Flux schnell"),
    "flux1-kontext-dev.safetensors": (toy.flux_file, "Flux Kontext"),
    "flux1-fill-dev.safetensors": (lambda: toy.flux_file(384), "Flux Fill"),
    "sd3.5_large_turbo.safetensors": (toy.sd3_file, "Stable Diffusion 3.5 Turbo"),
}


@pytest.mark.parametrize("name", KINDS)
def test_brothers_are_told_apart_by_their_shapes_or_their_files_names(name):
    make, title = KINDS[name]
    kind = registry.identify(make(), name)
    assert kind is not None and kind.title == title
    assert kind.instructs == (any(word in title for word in ("Kontext", "Edit", "Klein"))) and kind.sees_hole == ("Fill" in title)


def test_a_flux_for_control_maps_is_refused_by_name():
    with pytest.raises(InvalidInput, match="takes a control map beside the latents"):
        registry.identify(toy.flux_file(128), "flux1-depth-dev.safetensors")


def test_text_encoders_answer_as_transformers_own_do():
    """What they lose without memory, their positions, is made anew; T5's layers are not asked for their types."""
    from transformers import Qwen3Model, T5EncoderModel

    for make, name, kind, prefix in (
        (toy.flux_file, "t5", T5EncoderModel, "text_encoders.t5xxl.transformer."),
        (toy.z_image_file, "qwen3", Qwen3Model, "text_encoders.qwen3_4b.transformer.model."),
    ):
        tensors = make()
        ours = opened(tensors).texts[name].model
        theirs = kind(ours.config).eval()
        own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
        assert theirs.load_state_dict(own, strict=False).unexpected_keys == []
        ids = torch.arange(1, 20)[None]
        with torch.no_grad():
            expected, found = theirs(ids).last_hidden_state, ours(ids).last_hidden_state
        assert expected.std() > 0.1 and (expected - found).abs().max() < 1e-5, name
    assert torch.isclose(ours.rotary_emb.inv_freq[1], torch.tensor(1e6 ** (-2 / 16)))


def test_t5_in_half_precision_does_not_overflow_on_the_cpu():
    tensors = {key: tensor.half() if key.startswith("text_encoders.t5xxl") else tensor for key, tensor in toy.flux_file().items()}
    key = "text_encoders.t5xxl.transformer.encoder.block.0.layer.1.DenseReluDense.wi_0.weight"
    tensors[key] = tensors[key] * 5000  # float16 ends at 65504
    with Checkpoints().using(TensorSource("toy", lambda: tensors), "cpu") as checkpoint, torch.no_grad():
        assert checkpoint.texts["t5"].model(torch.arange(1, 20)[None]).last_hidden_state.isfinite().all()


def test_the_vae_of_qwen_image_has_its_makers_keys():
    from diffusers import AutoencoderKLQwenImage
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

    model = AutoencoderKLQwenImage(base_dim=8)
    assert {wan_key(name) for name in model.state_dict()} == toy.qwen_vae().keys()
    found = convert_wan_vae_to_diffusers(dict(toy.qwen_vae()))
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, toy.qwen_vae()[wan_key(name)]) for name, tensor in found.items())


@pytest.mark.parametrize("size", [(56, 84), (61, 100), (20, 30)])
def test_qwen_is_shown_pictures_as_transformers_shows_them(size):
    import numpy as np
    from transformers import Qwen2VLImageProcessor

    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ours, grid = _patches(pixels)
    theirs = Qwen2VLImageProcessor(min_pixels=56 * 56, max_pixels=12845056)(pixels, return_tensors="pt")
    assert torch.equal(grid, theirs["image_grid_thw"]) and ours.shape == theirs["pixel_values"].shape
    assert (ours - theirs["pixel_values"]).abs().max() < (1e-4 if size == (56, 84) else 0.1)  # they scale in other ways


def test_qwen_sees_as_transformers_own_does():
    from transformers import Qwen2_5_VLModel

    tensors, prefix = toy.qwen_image_file(), "text_encoders.qwen25_7b.transformer."
    ours = opened(tensors, "qwen_image_edit.safetensors").texts["qwen_vl"].model
    theirs = Qwen2_5_VLModel(ours.config).eval()
    own = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    own = {key.replace("model.", "language_model.", 1) if key.startswith("model.") else key: tensor for key, tensor in own.items()}
    assert theirs.load_state_dict(own, strict=True)
    image = 300
    ours.config.image_token_id = theirs.config.image_token_id = image
    ids = torch.tensor([[1, 2, *[image] * 4, 5, 6]])
    patches = torch.randn(16, 3 * 2 * 14 * 14, generator=torch.Generator().manual_seed(0))
    pictures = {"pixel_values": patches, "image_grid_thw": torch.tensor([[1, 4, 4]])}
    with torch.no_grad():
        expected, found = (model(ids, mm_token_type_ids=(ids == image).int(), **pictures).last_hidden_state for model in (theirs, ours))
    assert expected.std() > 0.1 and (expected - found).abs().max() < 1e-5


def test_what_some_call_weight_and_others_scale_is_found():
    tensors = {key.replace("_norm.scale", "_norm.weight"): tensor for key, tensor in toy.flux_file().items()}
    assert any(key.endswith("query_norm.weight") for key in tensors)
    rows = alias_report(opened(tensors), tensors)
    assert all(row.aliased_tensors == row.tensors for row in rows)


def test_timesteps_and_places_are_told_apart_in_half_precision():
    asked = Asked(None, torch.zeros(2, 16, 4, 4, dtype=torch.bfloat16), 0.7535, torch.zeros(2, 1, 8, dtype=torch.bfloat16))
    assert torch.equal(asked.everywhere(753.5), torch.tensor([753.5, 753.5]))
    assert places(300, 2, 0, asked.sample)[-1].tolist() == [0, 299, 1]
