"""Every weight lies in its source's memory: all kinds, types, EMA, prefixes, separate VAE files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report, open_checkpoint
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.checkpoint.streaming import streamed
from tests.toys import checkpoint as toy
from tests.toys.tensor_source import TensorSource

KINDS = [
    *(("sd1", channels) for channels in (4, 5, 8, 9)), *(("sd2", channels) for channels in (4, 5, 9)),
    ("sdxl", 4), ("sdxl", 9), ("sdxl_refiner", 4),
]  # fmt: skip
SMALL = 64  # words


def source(tensors: dict[str, torch.Tensor], name: str = "toy") -> TensorSource:
    return TensorSource(name, lambda: tensors)


def assert_all_aliased(checkpoint, tensors) -> None:
    rows = alias_report(checkpoint, tensors)
    assert {row.module for row in rows} >= {"unet", "vae", "text encoder 1"}
    for row in rows:
        assert row.tensors > 30, row
        assert (row.aliased_tensors, row.aliased_bytes) == (row.tensors, row.bytes), row


@pytest.mark.parametrize(("family", "channels"), KINDS)
def test_every_kind_is_recognised_and_shares_all_its_memory(family, channels):
    tensors = toy.state_dict(channels, family=family, vocabulary=SMALL)
    checkpoint = open_checkpoint(source(tensors))
    assert (checkpoint.kind.family, checkpoint.kind.in_channels, checkpoint.kind.prediction) == (family, channels, "epsilon")
    assert checkpoint.kind.native_size == (1024 if family.startswith("sdxl") else 512)
    assert len(checkpoint.text_encoders) == len(toy.FAMILIES[family].texts)
    assert_all_aliased(checkpoint, tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_type_stays_as_it_is(dtype):
    tensors = toy.state_dict(dtype=dtype, vocabulary=SMALL)
    checkpoint = open_checkpoint(source(tensors))
    assert (checkpoint.dtype, checkpoint.vae.dtype, checkpoint.text_encoders[0].model.dtype) == (dtype,) * 3
    assert_all_aliased(checkpoint, tensors)


def computed(checkpoint) -> list[torch.Tensor]:
    """An answer of each network."""
    with torch.no_grad():
        hidden, _ = checkpoint.text_encoders[0].encode(torch.arange(20)[None])
        latents = torch.linspace(-1, 1, 64).reshape(1, 4, 4, 4).repeat(1, 1, 2, 2)
        answer = checkpoint.unet(latents.to(checkpoint.unet.dtype), torch.tensor([5]), hidden.to(checkpoint.unet.dtype)).sample
        return [hidden, answer, checkpoint.vae.decode(latents.to(checkpoint.vae.dtype)).sample]


def test_tensors_of_a_type_of_their_own_are_shared_too_and_converted_while_they_compute():
    """As Forge has text encoders, with embeddings in float32 before layers in float16; and stray normalisations in the UNet."""
    half = toy.state_dict(dtype=torch.bfloat16, vocabulary=SMALL)
    plain = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in half.items()}
    smaller = [key for key in plain if key.startswith("cond_stage_model.") and "embeddings." not in key]
    smaller += [key for key in plain if key.startswith("model.") and ("norm1" in key or ".out.0." in key)]
    mixed = plain | {key: half[key] for key in smaller}
    with Checkpoints().using(source(plain), "cpu") as checkpoint:
        expected = computed(checkpoint)
    with Checkpoints().using(source(mixed), "cpu") as checkpoint:
        assert checkpoint.dtype == torch.float32
        outputs = computed(checkpoint)
        assert_all_aliased(checkpoint, mixed)
    assert all(torch.equal(one, other) for one, other in zip(outputs, expected, strict=True))


def test_eight_bit_weights_are_shared_and_computed_with_in_a_larger_type():
    plain = toy.state_dict(dtype=torch.float32, vocabulary=SMALL)
    packed = {
        key: tensor.to(torch.float8_e4m3fn) if tensor.dim() > 1 and tensor.is_floating_point() else tensor for key, tensor in plain.items()
    }
    unpacked = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in packed.items()}
    with Checkpoints().using(source(unpacked), "cpu") as checkpoint:
        expected = computed(checkpoint)
    with Checkpoints().using(source(packed), "cpu") as checkpoint:
        assert checkpoint.dtype == checkpoint.unet.dtype == checkpoint.vae.dtype == torch.float32
        outputs = computed(checkpoint)
    assert all(torch.equal(one, other) for one, other in zip(outputs, expected, strict=True))


def test_a_text_encoder_in_half_precision_answers_beside_a_network_in_float32():
    """As Forge has them with a network in eight bits before it first used them; autocast leaves normalisation alone."""
    plain = toy.state_dict(dtype=torch.float32, vocabulary=SMALL)
    mixed = {
        key: tensor.half() if key.startswith("cond_stage_model.") and tensor.is_floating_point() else tensor
        for key, tensor in plain.items()
    }
    with Checkpoints().using(source(mixed), "cpu") as checkpoint, torch.autocast("cpu", torch.bfloat16):
        hidden, _ = checkpoint.text_encoders[0].encode(torch.tensor([[1, 2, 3]]))
    assert torch.isfinite(hidden).all() and hidden.std() > 0


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_the_moving_average_serves_only_where_the_plain_weights_are_missing(family):
    beside = toy.state_dict(family=family, vocabulary=SMALL, averaged="beside", dtype=torch.float32)
    only = toy.state_dict(family=family, vocabulary=SMALL, averaged="only", dtype=torch.float32)
    plain, averaged = open_checkpoint(source(beside)), open_checkpoint(source(only))
    assert_all_aliased(plain, {key: tensor for key, tensor in beside.items() if not key.startswith("model_ema.")})
    assert_all_aliased(averaged, only)
    twice = averaged.unet.state_dict()
    for name, tensor in plain.unet.state_dict().items():
        assert torch.equal(twice[name], 2 * tensor), name


PREFIXES = {
    "as it is": (),
    "in a trainer's module": (("", "module."),),
    "bare": (("model.diffusion_model.", ""), ("first_stage_model.", "vae.")),
    "before text_model": (("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer."),),
    "hijacked": (("cond_stage_model.", "cond_stage_model.wrapped."), ("token_embedding.", "token_embedding.wrapped.")),
}


@pytest.mark.parametrize("family", ["sd1", "sd2"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_stands_before_the_keys_does_not_matter(family, prefix):
    tensors = toy.state_dict(family=family, vocabulary=SMALL)
    for old, new in PREFIXES[prefix]:
        tensors = {key.replace(old, new, 1): tensor for key, tensor in tensors.items()}
    checkpoint = open_checkpoint(source(tensors))
    assert checkpoint.kind.family == family
    assert_all_aliased(checkpoint, tensors)


def test_text_encoders_in_transformers_layout_serve_as_well():
    """As Forge keeps OpenCLIP's: taken apart and transposed."""
    original = toy.state_dict(family="sdxl", vocabulary=SMALL)
    expected = open_checkpoint(source(original))
    second = expected.text_encoders[1].model
    converted = {key: tensor for key, tensor in original.items() if not key.startswith("conditioner.embedders.1.")}
    converted |= {f"conditioner.embedders.1.transformer.{key}": tensor for key, tensor in second.state_dict().items()}
    checkpoint = open_checkpoint(source(converted))
    assert_all_aliased(checkpoint, converted)
    ids = torch.arange(20)[None]
    for ours, wanted in zip(checkpoint.text_encoders[1].encode(ids), expected.text_encoders[1].encode(ids), strict=True):
        assert torch.equal(ours, wanted)


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae.", "in diffusers' layout"])
def test_a_vae_of_its_own_takes_the_place_of_the_checkpoints(tmp_path, prefix):
    tensors = toy.state_dict(vocabulary=SMALL)
    save_file(tensors, tmp_path / "model.safetensors")
    other = {f"{prefix}{key}": value.bfloat16() for key, value in toy.vae().items()}
    if prefix.startswith("in"):
        other = {key: value.bfloat16() for key, value in open_checkpoint(source(tensors)).vae.state_dict().items()}
    save_file(other, tmp_path / "other.vae.safetensors")
    opened = FileSource(tmp_path / "model.safetensors", vae=tmp_path / "other.vae.safetensors")
    checkpoint = open_checkpoint(opened)
    assert (checkpoint.vae.dtype, checkpoint.dtype) == (torch.bfloat16, torch.float16)
    assert_all_aliased(checkpoint, opened.tensors())


@pytest.mark.parametrize("name", ["model.safetensors", "model.ckpt", "old.ckpt"])
def test_files_are_mapped_into_memory_and_read_alike(tmp_path, name):
    tensors = toy.state_dict(vocabulary=SMALL)
    if name.endswith(".ckpt"):
        torch.save({"state_dict": tensors, "global_step": 7}, tmp_path / name, _use_new_zipfile_serialization=name != "old.ckpt")
    else:
        save_file(tensors, tmp_path / name)
    opened = FileSource(tmp_path / name)
    checkpoint = open_checkpoint(opened)
    assert_all_aliased(checkpoint, opened.tensors())
    read = opened.tensors()
    assert all(torch.equal(read[key], tensor) for key, tensor in tensors.items())


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Code:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"state_dict": {"a": torch.zeros(1)}, "code": Code()}, tmp_path / "evil.ckpt")
    with pytest.raises(Exception, match="cannot be read as weights"):
        open_checkpoint(FileSource(tmp_path / "evil.ckpt"))


def test_a_change_in_place_is_seen_and_a_replacement_makes_the_next_use_new():
    tensors = toy.state_dict(vocabulary=SMALL)
    held, lent = Checkpoints(), source(tensors)
    first = held.get(lent)
    assert held.get(lent) is first
    key = "model.diffusion_model.out.2.weight"
    tensors[key].add_(1)
    assert torch.equal(first.unet.conv_out.weight, tensors[key])
    tensors[key] = tensors[key].clone()
    second = held.get(lent)
    assert second.unet.conv_out.weight.data_ptr() == tensors[key].data_ptr()
    assert second.unet is first.unet  # the modules serve again
    assert_all_aliased(second, tensors)


def test_another_kind_gets_other_modules():
    tensors = toy.state_dict(vocabulary=SMALL)
    held, lent = Checkpoints(), source(tensors)
    first = held.get(lent)
    tensors.clear()
    tensors.update(toy.state_dict(9, family="sd2", vocabulary=SMALL))
    second = held.get(lent)
    assert second.unet is not first.unet
    assert (second.kind.family, second.kind.in_channels) == ("sd2", 9)
    assert_all_aliased(second, tensors)


def test_nothing_is_held_between_uses():
    tensors = toy.state_dict(vocabulary=SMALL)
    held, lent = Checkpoints(), source(tensors)
    with held.using(lent, "cpu") as outer:
        with held.using(lent, "cpu") as inner:
            assert inner is outer
        assert_all_aliased(outer, tensors)
    modules = (outer.unet, outer.vae, outer.text_encoders[0].model)
    assert all(parameter.is_meta for module in modules for parameter in module.parameters())
    with held.using(lent, "cpu") as again:
        assert again.unet is outer.unet
        assert_all_aliased(again, tensors)


def test_the_source_is_never_written_to_nor_made_to_want_gradients():
    tensors = {
        key: torch.nn.Parameter(value) if value.is_floating_point() else value for key, value in toy.state_dict(vocabulary=SMALL).items()
    }
    before = {key: value.detach().clone() for key, value in tensors.items()}
    checkpoint = open_checkpoint(source(tensors))
    assert not any(parameter.requires_grad for parameter in checkpoint.unet.parameters())
    with torch.no_grad():
        checkpoint.vae.decode(torch.zeros(1, 4, 2, 2, dtype=torch.float16))
        checkpoint.unet(torch.zeros(1, 4, 8, 8).half(), 1, torch.zeros(1, 77, 768).half())
    assert all(value.requires_grad for value in tensors.values() if value.is_floating_point())
    assert all(torch.equal(tensors[key], value) for key, value in before.items())


def test_layers_take_their_weights_along_to_a_device_where_they_are_not():
    """The device "meta" stands for a card: it shows where a computation took place, without one."""
    tensors = toy.state_dict(vocabulary=SMALL)
    with Checkpoints().using(source(tensors), "meta") as checkpoint:
        assert checkpoint.device.type == "meta"
        latents = torch.zeros(1, 4, 8, 8, dtype=torch.float16, device="meta")
        hidden, _ = checkpoint.text_encoders[0].encode(torch.zeros(1, 77, dtype=torch.long, device="meta"))
        with torch.no_grad():
            answer = checkpoint.unet(latents, torch.tensor([1], device="meta"), hidden).sample
            picture = checkpoint.vae.decode(answer).sample
        assert (hidden.device.type, answer.device.type, picture.device.type) == ("meta",) * 3
        assert picture.shape == (1, 3, 64, 64)
        assert checkpoint.unet.device.type == checkpoint.vae.device.type == "meta"
    with Checkpoints().using(source(tensors), "cpu") as checkpoint:
        with streamed(checkpoint.unet, torch.device("meta"), torch.float32):
            checkpoint.unet(latents.float(), torch.tensor([1], device="meta"), hidden.float())
        assert_all_aliased(checkpoint, tensors)  # each went back to where it was


def resident(file: Path) -> int:
    """Bytes of a file's mappings that lie in this process's memory; 0 where the system does not tell."""
    try:
        regions = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)
    except OSError:
        return 0
    return sum(1024 * int(re.findall(r"^Rss: +(\d+) kB", region, re.MULTILINE)[0]) for region in regions if str(file) in region)


def test_half_precision_is_widened_for_the_cpu_only_while_it_is_needed(tmp_path):
    from safetensors.torch import save_file

    weights = {key: tensor.half().contiguous() for key, tensor in toy.state_dict(4, vocabulary=SMALL).items()}
    save_file(weights, str(tmp_path / "half.safetensors"))
    source, checkpoints = FileSource(tmp_path / "half.safetensors"), Checkpoints()
    key = "model.diffusion_model.out.2.weight"
    assert source.tensors()[key].dtype == torch.float16
    before = resident(tmp_path / "half.safetensors")
    with checkpoints.using(source, "cpu") as checkpoint:
        assert checkpoint.dtype == torch.float32
        first = source.tensors()[key]
        assert all(torch.equal(tensor, weights[key].float()) for key, tensor in source.tensors().items())
        read = resident(tmp_path / "half.safetensors") - before
        assert read <= 0.1 * (tmp_path / "half.safetensors").stat().st_size, "what was widened lies in memory twice"
    with checkpoints.using(source, "cpu"):
        assert source.tensors()[key] is first
    source.release()
    assert source.tensors()[key].dtype == torch.float16


def test_what_was_prepared_holds_nothing_and_serves_the_first_use():
    tensors = toy.state_dict(dtype=torch.float32, vocabulary=SMALL)
    first, held = source(tensors), Checkpoints()
    held.prepare(first)
    prepared = held._held[id(first)].checkpoint
    assert all(parameter.is_meta for module in prepared.modules() for parameter in module.parameters())
    with held.using(first, "cpu") as checkpoint:
        assert (checkpoint.unet, checkpoint.vae) == (prepared.unet, prepared.vae)
        assert_all_aliased(checkpoint, tensors)
        held.prepare(first)  # which must not empty what is at work
        assert_all_aliased(checkpoint, tensors)
