"""Weights in eight bits with their scales: what they stand for is used, and what is not known is refused."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.opening import Checkpoints
from clickpaint.paint.checkpoint.source import FileSource, read
from tests.toys import checkpoint as toy

FP8 = torch.float8_e4m3fn
LAYER = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k"


def scaled(tensors: dict[str, torch.Tensor], leaf: str, per_channel: bool = False) -> dict[str, torch.Tensor]:
    """The same, the linear layers' weights in eight bits of their full range, as ComfyUI writes them."""
    out: dict[str, torch.Tensor] = {"scaled_fp8": torch.empty(0, dtype=FP8)} if leaf == "scale_weight" else {}
    for key, value in tensors.items():
        if not key.startswith("model.") or not key.endswith(".weight") or value.ndim != 2:
            out[key] = value
            continue
        largest = value.abs().amax(1, keepdim=True) if per_channel else value.abs().max()
        scale = largest.float().clamp(min=1e-6) / 448
        out[key] = (value.float() / scale).to(FP8)
        out[key.removesuffix("weight") + leaf] = scale
        out[key.removesuffix("weight") + ("scale_input" if leaf == "scale_weight" else "input_scale")] = torch.tensor(1.0)
        if leaf == "weight_scale":
            out[key.removesuffix("weight") + "comfy_quant"] = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    return out


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("leaf", ["scale_weight", "weight_scale"])
def test_scaled_weights_are_what_they_stand_for(tmp_path, leaf, per_channel):
    tensors = toy.state_dict(dtype=torch.float32, vocabulary=64)
    save_file(scaled(tensors, leaf, per_channel), tmp_path / "model.safetensors")
    read_tensors, _ = read(tmp_path / "model.safetensors")
    assert read_tensors.keys() == tensors.keys()  # neither scales nor markers
    assert read_tensors[f"{LAYER}.weight"].dtype == torch.float16
    for key, value in tensors.items():
        torch.testing.assert_close(read_tensors[key].float(), value.float(), rtol=0.07, atol=float(value.float().abs().max()) / 400 + 1e-6)


@torch.no_grad()
def test_a_checkpoint_of_scaled_weights_computes_as_the_one_it_was_made_of(tmp_path):
    tensors = toy.state_dict(dtype=torch.float32, vocabulary=64)
    save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / "plain.safetensors")
    save_file(scaled(tensors, "scale_weight"), tmp_path / "scaled.safetensors")
    answers = []
    for name in ("plain", "scaled"):
        with Checkpoints().using(FileSource(tmp_path / f"{name}.safetensors"), "cpu") as checkpoint:
            layer = checkpoint.unet.get_submodule("mid_block.attentions.0.transformer_blocks.0.attn2.to_k")
            answers.append(layer(torch.ones(1, 768)))
    assert float(answers[0].abs().max()) > 0.1
    torch.testing.assert_close(answers[1], answers[0], rtol=0.1, atol=0.1)


def test_a_file_without_scales_gives_the_very_tensors():
    from clickpaint.paint.checkpoint.quantised import unscaled

    tensors = {"a.weight": torch.zeros(2, 2).to(FP8), "b": torch.ones(1)}
    weights = unscaled(tensors, "file")
    assert all(weights[key] is value for key, value in tensors.items()) and weights is not tensors


@pytest.mark.parametrize(
    "more",
    [
        {"a.weight": torch.zeros(4, 2, dtype=torch.uint8), "a.weight_scale": torch.ones(4, 1)},  # four bits, two in a byte
        {"a.weight": torch.zeros(4, 4).to(FP8), "a.weight_scale": torch.ones(4, 2)},  # blocks
        {"a.weight": torch.zeros(4, 4).to(FP8), "a.weight_scale": torch.ones(()), "a.weight_scale_2": torch.ones(())},
    ],
)
def test_what_is_quantised_otherwise_is_refused(tmp_path, more):
    save_file(more, tmp_path / "model.safetensors")
    with pytest.raises(InvalidInput, match=r"model\.safetensors is quantised in a way that is not known here \(a\.weight is "):
        read(tmp_path / "model.safetensors")
