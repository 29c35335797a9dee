"""The checkpoints that the stand-alone host finds, and the one it takes."""

from __future__ import annotations

import json
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.errors import CorruptModel, InvalidInput, NotFound
from clickpaint.hosts.checkpoint_files import LocalCheckpoints
from clickpaint.hosts.embedded import EmbeddedHost

torch = pytest.importorskip("torch")
from tests.toys import checkpoint as toy  # noqa: E402


@pytest.fixture(scope="module")
def weights():
    return toy.state_dict(4, vocabulary=64), toy.state_dict(9, vocabulary=64)


def save(weights: dict, file: Path) -> Path:
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in weights.items()}, str(file))
    return file


def test_without_one_the_host_says_where_it_goes(tmp_path):
    host = EmbeddedHost(tmp_path, environment={})
    can = host.capabilities()
    assert not can.paint and str(tmp_path / "models" / "Stable-diffusion") in can.reason and host.checkpoint() is None


def test_all_are_listed_and_one_is_chosen(tmp_path, weights):
    folder = tmp_path / "models" / "Stable-diffusion"
    save(weights[0], folder / "b.safetensors")
    save(weights[1], folder / "sub" / "a.safetensors")
    host = EmbeddedHost(tmp_path, environment={})
    can = host.capabilities()
    assert (can.paint, can.own_sampler, can.checkpoint, can.native_size) == (True, False, "b.safetensors", 512)
    assert can.checkpoints == ("b.safetensors", "sub/a.safetensors")
    first = host.checkpoint()
    assert first is not None and first is host.checkpoint() and first.name == "b.safetensors"
    host.choose_checkpoint("a")
    assert host.capabilities().checkpoint == "sub/a.safetensors"
    kind = host.checkpoints.kind()
    assert kind is not None and kind.in_channels == 9
    with pytest.raises(NotFound, match=r"a\.safetensors"):
        host.choose_checkpoint("c")
    assert host.capabilities().checkpoint == "sub/a.safetensors"


def test_one_can_be_given_by_its_path(tmp_path, weights):
    file = save(weights[0], tmp_path / "elsewhere" / "mine.safetensors")
    host = EmbeddedHost(tmp_path / "data", environment={}, overrides={"checkpoint": str(file)})
    assert host.capabilities().checkpoint == "mine.safetensors"


def test_a_pickled_checkpoint_is_known_too(tmp_path, weights):
    torch.save({"state_dict": weights[1]}, tmp_path / "old.ckpt")
    kind = LocalCheckpoints([tmp_path]).kind()
    assert kind is not None and kind.in_channels == 9


def test_what_is_no_checkpoint_is_refused_and_says_what_it_is(tmp_path):
    save({"lora_unet_x.lora_down.weight": torch.zeros(4, 4)}, tmp_path / "style.safetensors")
    checkpoints = LocalCheckpoints([tmp_path])
    with pytest.raises(InvalidInput, match="a LoRA"):
        checkpoints.choose("style")
    host = EmbeddedHost(tmp_path, environment={}, overrides={"checkpoint": str(tmp_path / "style.safetensors")})
    assert not host.capabilities().paint and "LoRA" in host.capabilities().reason


@pytest.mark.parametrize(
    "data",
    [b"", b"12345", struct.pack("<Q", 1 << 60), struct.pack("<Q", 4) + b"nope", struct.pack("<Q", 2) + b"[]",
     struct.pack("<Q", 9) + json.dumps({"a": 1}).encode() + b"  "],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, data):
    (tmp_path / "broken.safetensors").write_bytes(data)
    with pytest.raises(CorruptModel, match="broken"):
        LocalCheckpoints([tmp_path]).kind()


@pytest.mark.parametrize(
    ("kind", "name"), [("safetensors", "a.ckpt"), ("zip", "a.safetensors"), ("pickle", "a.safetensors"), ("safetensors", "a.SFT")]
)
def test_a_checkpoint_under_another_formats_ending_is_one(tmp_path, weights, kind, name):
    if kind == "safetensors":
        save(weights[1], tmp_path / name)
    else:
        torch.save({"state_dict": weights[1]}, tmp_path / name, _use_new_zipfile_serialization=kind == "zip")
    known = LocalCheckpoints([tmp_path])
    checkpoint_kind, source = known.kind(), known.source()
    assert checkpoint_kind is not None and checkpoint_kind.in_channels == 9
    assert source is not None and source.tensors().keys() == weights[1].keys()


def test_bad_files_among_many_stop_neither_the_list_nor_the_first_that_can_be_used(tmp_path, weights):
    (tmp_path / "a.safetensors").write_bytes(b"<html>log in</html>")
    (tmp_path / "b.ckpt").write_bytes(b"PK\3\4")
    save({"emb_params": torch.zeros(1, 768)}, tmp_path / "c.safetensors")
    (tmp_path / "d.safetensors").symlink_to(tmp_path / "nowhere")
    save(weights[0], tmp_path / "e.safetensors")
    save(weights[0], tmp_path / "e.vae.safetensors")
    known = LocalCheckpoints([tmp_path])
    assert list(known.files()) == ["a.safetensors", "b.ckpt", "c.safetensors", "e.safetensors"]
    assert known.current() == ("e.safetensors", tmp_path / "e.safetensors")
    with pytest.raises(CorruptModel, match=r"a\.safetensors cannot be read as weights: it is a web page"):
        known.choose("a")
    assert known.current() == ("e.safetensors", tmp_path / "e.safetensors")


def test_checkpoints_with_one_name_are_all_listed_and_each_can_be_chosen(tmp_path, weights):
    first, second = save(weights[0], tmp_path / "mine" / "a.safetensors"), save(weights[1], tmp_path / "theirs" / "a.safetensors")
    known = LocalCheckpoints([tmp_path / "mine", tmp_path / "theirs"])
    assert known.files() == {"a.safetensors": first, "theirs/a.safetensors": second}
    for name, file in (("theirs/a.safetensors", second), ("a", first), ("Theirs\\A [0123456789]", second), ("A.safetensors", first)):
        known.choose(name)
        current = known.current()
        assert current is not None and current[1] == file, name


def test_a_file_that_goes_takes_its_tensors_along(tmp_path, weights):
    first, second = save(weights[0], tmp_path / "a.safetensors"), save(weights[0], tmp_path / "b.safetensors")
    checkpoints = LocalCheckpoints([tmp_path])
    source = checkpoints.source()
    assert source is not None and source.path == first
    first.unlink()
    source = checkpoints.source()
    assert source is not None and source.path == second


def test_a_web_ui_that_keeps_a_pipeline_of_diffusers_is_taken_by_it():
    from types import SimpleNamespace

    from clickpaint.hosts.webui.loaded_checkpoint import WebUISource, source_of
    from clickpaint.paint.checkpoint.pipeline import PipelineSource

    pipeline = SimpleNamespace(unet=SimpleNamespace(down_blocks=()), vae=SimpleNamespace(quant_conv=None), text_encoder=object())
    latent_diffusion = SimpleNamespace(model=SimpleNamespace(diffusion_model=SimpleNamespace(input_blocks=())))
    first = source_of(pipeline, None)
    assert isinstance(first, PipelineSource) and source_of(pipeline, first) is first
    other = source_of(latent_diffusion, first)
    assert isinstance(other, WebUISource) and source_of(latent_diffusion, other) is other
    assert isinstance(source_of(None, None), WebUISource)


def grown(tensors):
    """Nested modules with these tensors as their parameters, by their names."""
    import torch

    root = torch.nn.Module()
    for key, tensor in tensors.items():
        *places, leaf = key.split(".")
        owner = root
        for place in places:
            if place not in owner._modules:
                owner.add_module(place, torch.nn.Module())
            owner = owner._modules[place]
        own = isinstance(tensor, torch.nn.Parameter)
        owner.register_parameter(leaf, tensor if own else torch.nn.Parameter(tensor, requires_grad=False))
    return root


def as_forge_holds_low_bits(tensors):
    """Some layers as Forge has them: of a GGUF file, in four bits of bitsandbytes, and in eight bits with a scale beside them."""
    import torch

    class Ternary:
        """Stands for what Forge's gguf package unpacks with."""

        @staticmethod
        def dequantize_pytorch(parameter):
            return (parameter.data.half() * 0.05).reshape([int(side) for side in parameter.shape])

    class ParameterGGUF(torch.nn.Parameter):
        def __new__(cls, data, shape=None):
            made = super().__new__(cls, data, requires_grad=False)
            made.gguf_cls, made.real_shape = Ternary, shape if shape is None else tuple(map(np.uint64, shape))  # as gguf reads them
            return made

        @property
        def shape(self):
            return self.real_shape

        def copy_with_data(self, data):
            return ParameterGGUF(data, self.real_shape)

        def to(self, *args, **kwargs):
            return self.copy_with_data(self.data.to(*args, **kwargs))

    class Params4bit(torch.nn.Parameter):
        pass

    def in_four_bits(key):
        codes = torch.randint(0, 256, (tensors[key].numel() // 2, 1), generator=generator, dtype=torch.uint8)
        made: Any = Params4bit(codes, requires_grad=False)
        scales = torch.full((tensors[key].numel() // 64,), 0.1)
        state = {"code": torch.linspace(-1, 1, 16), "absmax": scales, "blocksize": 64, "shape": tensors[key].shape, "nested": False}
        made.bnb_quantized, made.quant_state = True, types.SimpleNamespace(**state)
        return made

    generator = torch.Generator().manual_seed(0)
    first, second, third = (f"double_blocks.0.img_{layer}" for layer in ("attn.qkv", "mlp.0", "mlp.2"))
    shape = tensors[f"{first}.weight"].shape
    values = torch.randint(-1, 2, (shape.numel() // 32, 32), generator=generator).to(torch.int8)
    eight = tensors[f"{third}.weight"] / 0.001
    packed = {f"{first}.weight": ParameterGGUF(values, shape), f"{second}.weight": in_four_bits(f"{second}.weight")}
    packed |= {f"{third}.weight": eight.to(torch.float8_e4m3fn), f"{third}.scale_weight": torch.tensor(0.001)}
    numbers = packed[f"{second}.weight"].data.flatten()
    four = torch.stack([numbers >> 4, numbers & 15], -1).reshape(tensors[f"{second}.weight"].shape).float() / 7.5 - 1
    meant = {f"{first}.weight": values.reshape(shape) * 0.05, f"{second}.weight": four * 0.1}
    meant[f"{third}.weight"] = eight.to(torch.float8_e4m3fn).float() * 0.001
    return packed, meant


def test_what_forge_holds_in_low_bits_is_what_it_stands_for(monkeypatch):
    """Also where a layer of its is three of ours. Eight bits without the scale beside them would be another network."""
    import torch

    from clickpaint.errors import HostUnsupported
    from clickpaint.hosts.webui import loaded_checkpoint, low_bits
    from clickpaint.paint.checkpoint.opening import open_any
    from tests.paint.flow.test_opening import answers
    from tests.toys import flow as toy
    from tests.toys.tensor_source import TensorSource

    whole, prefix = toy.flux_file(), "model.diffusion_model."
    own = {key.removeprefix(prefix): tensor for key, tensor in whole.items() if key.startswith(prefix)}
    packed, meant = as_forge_holds_low_bits(own)
    blocks = next(low_bits.HostBlocks(parameter) for parameter in packed.values() if hasattr(parameter, "gguf_cls"))
    assert {type(side) for side in blocks.shape} == {int}, "with numpy 1, unsigned sides divide to fractions"
    rest = {key: tensor for key, tensor in whole.items() if not key.startswith(prefix)}
    modules = {"model.diffusion_model": grown(own | packed), "": grown(rest)}
    monkeypatch.setattr(
        loaded_checkpoint, "loaded_model", lambda: types.SimpleNamespace(sd_checkpoint_info=types.SimpleNamespace(name_for_extra="x"))
    )
    monkeypatch.setattr(loaded_checkpoint, "_modules", lambda model: modules)
    tensors = {key.lstrip("."): tensor for key, tensor in loaded_checkpoint.WebUISource().tensors().items()}
    ours = open_any(TensorSource("flux1-dev", lambda: tensors))
    plain = open_any(TensorSource("flux1-dev", lambda: whole | {prefix + key: tensor.float() for key, tensor in meant.items()}))
    wanted, before = answers(plain, plain.transformer), answers(ours, ours.transformer.float())
    assert torch.allclose(before, wanted, atol=0.02 * float(wanted.std()))
    modules[""] = grown(rest | {"vae.odd": torch.zeros(4, dtype=torch.int8)})
    with pytest.raises(HostUnsupported, match="holds the checkpoint's weights as int8"):
        loaded_checkpoint.WebUISource().tensors()


@pytest.mark.parametrize("engine", ["Flux", "ZImage", "Wan"])
def test_what_forge_has_loaded_of_todays_models_is_painted_with_where_it_lies(engine, tmp_path, monkeypatch):
    from clickpaint.errors import HostUnsupported
    from clickpaint.hosts.webui import loaded_checkpoint
    from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report
    from clickpaint.paint.diffusion.sampling import paint_with
    from tests.paint.diffusion.toys import job, picture, square
    from tests.toys import flow as toy

    whole = {"Flux": toy.flux_file, "ZImage": toy.z_image_file, "Wan": toy.flux_file}[engine]()
    parts = {
        prefix: grown({key.removeprefix(f"{prefix}."): tensor for key, tensor in whole.items() if key.startswith(f"{prefix}.")})
        for prefix in ("model.diffusion_model", "vae", "text_encoders")
    }
    if engine == "Wan":
        parts["model.diffusion_model"] = grown({"patch_embedding.weight": whole["vae.encoder.conv_in.weight"]})
    objects = types.SimpleNamespace(
        unet=types.SimpleNamespace(model=types.SimpleNamespace(diffusion_model=parts["model.diffusion_model"])),
        vae=types.SimpleNamespace(first_stage_model=parts["vae"]),
        clip=types.SimpleNamespace(cond_stage_model=parts["text_encoders"]),
    )
    info = types.SimpleNamespace(name_for_extra="flux1-dev" if engine == "Flux" else "z_image")
    model = types.SimpleNamespace(forge_objects=objects, sd_checkpoint_info=info)
    monkeypatch.setattr(loaded_checkpoint, "loaded_model", lambda: model)
    monkeypatch.setattr(loaded_checkpoint, "_load", lambda: model)
    monkeypatch.setattr(loaded_checkpoint, "_take_in_forge", lambda model: None)
    toy.t5_tokenizer(tmp_path / "backend" / "huggingface" / "flux" / "tokenizer_2")
    toy.qwen_tokenizer(tmp_path / "backend" / "huggingface" / "z_image" / "tokenizer")
    paths = types.SimpleNamespace(script_path=str(tmp_path), models_path=str(tmp_path / "models"))
    monkeypatch.setitem(sys.modules, "modules", types.SimpleNamespace(paths=paths))
    monkeypatch.setitem(sys.modules, "modules.paths", paths)
    source, held = loaded_checkpoint.WebUISource(), Checkpoints()
    if engine == "Wan":
        with pytest.raises(HostUnsupported, match="is not one that engines of Clickpaint's own can run"), held.using(source, "cpu"):
            pass
        return
    before = {key: tensor.clone() for key, tensor in source.tensors().items()}
    with held.using(source, "cpu") as checkpoint:
        for row in alias_report(checkpoint, source.tensors()):
            assert (row.aliased_tensors, row.aliased_bytes) == (row.tensors, row.bytes), row
        result = paint_with(checkpoint, job(picture(), square(), sampler="", steps=2, cfg_scale=1.0, negative_prompt=""))[0]
    assert result.pixels.std() > 3
    assert all(torch_equal(tensor, before[key]) for key, tensor in source.tensors().items())
    assert all(parameter.is_meta for module in checkpoint.modules() for parameter in module.parameters())


def torch_equal(one, other) -> bool:
    import torch

    return torch.equal(one, other)
